//! What stands between two databases, each looked at by itself before.

use super::{Connection, blocking, known};
use crate::data::catalog::Concern;
use crate::rows::catalog::compare;

/// Whether the source's rows fit into the target; nothing where one of them was not reached.
pub fn between(source: &Connection, target: &Connection) -> Vec<Concern> {
    let mut found = Vec::new();
    if let (Some(from), Some(to)) = (&source.server, &target.server) {
        if from.identity == to.identity {
            let words = "source and target are one and the same database; look at their connection strings";
            found.push(blocking("databases", words.into()));
            return found;
        }
        if from.encoding != to.encoding && to.encoding != "UTF8" {
            let words = format!(
                "{} in the source and {} in the target: a text with a sign that is not known there is refused",
                from.encoding, to.encoding
            );
            found.push(known("encoding", words));
        }
    }
    if let (Some(from), Some(to)) = (&source.catalog, &target.catalog) {
        found.extend(compare(from, to));
    }
    found.sort_by_key(|concern| !concern.is_blocking);
    found
}
