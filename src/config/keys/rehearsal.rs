//! The keys of a rehearsal: where the isolated copy is described, and how old a rehearsal may be. Declarations only.

use super::Fallback::{Is, Unset};
use super::Kind::{Duration, List, Table, Text};
use super::{Key, Shape, key, table};

// One row is one key: it reads as a table, whatever its width.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    table("rehearsal", Table, "How a runbook is rehearsed before it is run in production."),
    key("rehearsal.config", Text(Shape::Path), Unset("nothing can be rehearsed"), "The configuration of the isolated copy. It may differ from this one only in where things are: project, state, databases, accounts, names, addresses; each difference is named as a substitution."),
    key("rehearsal.max_age", Duration("1m", "365d"), Is("\"7d\""), "How old a rehearsal may be when `run` is called in production."),
    key("rehearsal.differs", List(Shape::Line), Is("[]"), "The entries or items of the plan that may differ between rehearsal and run, by name."),
];
