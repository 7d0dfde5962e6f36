//! What was written since the import, for people and programs: a line per table that changed, and where it was saved.

use std::path::Path;

use serde_json::{Value, json};

use super::SCHEMA;
use super::style::{Paint, Style};
use super::table::{Cell, Table};
use super::text::{harmless, lead};
use crate::data::change_file::{Head, TableChanges};
use crate::data::shell;
use crate::step::save_changes::{counted, facts, uncompared};

/// The page.
pub fn told_apart_text(head: &Head, file: &Path, style: &Style) -> String {
    let (word, paint) = match head.all() {
        0 => ("NO CHANGES", Paint::Good),
        _ => ("CHANGED", Paint::Careful),
    };
    let words = format!("{} in {} since it was filled, against {}", counted(head), head.target, head.baseline);
    let mut out = lead(&format!("{}: ", style.paint(paint, word)), &harmless(&words), 2, style.width);
    let mut table = Table::new(&["TABLE", "INSERTED", "UPDATED", "DELETED", "ROWS NOW"]);
    let count = |count: u64| -> Cell { if count == 0 { "".into() } else { count.to_string().into() } };
    for one in &head.tables {
        table.row(vec![
            harmless(&one.table.to_string()).into(),
            count(one.inserted),
            count(one.updated),
            count(one.deleted),
            one.after.rows.to_string().into(),
        ]);
    }
    out.push_str(&table.text(style, 2));
    for one in &head.uncompared {
        out.push_str(&lead(
            &format!("{}: ", style.paint(Paint::Careful, "NOTE")),
            &harmless(&one.words()),
            2,
            style.width,
        ));
    }
    out.push_str(&lead(
        "saved: ",
        &format!("{} (digest of its changes {})", file.display(), head.sha256),
        2,
        style.width,
    ));
    if head.all() > 0 {
        let next = format!("next: cutover data apply {}\n", shell::path(file));
        out.push_str(&harmless(&next));
    }
    out
}

/// The same for programs.
pub fn told_apart_json(head: &Head, file: &Path) -> Value {
    let directory = file.parent().unwrap_or_else(|| Path::new("."));
    let sum = |count: fn(&TableChanges) -> u64| head.tables.iter().map(count).sum::<u64>();
    json!({
        "schema": SCHEMA,
        "changes": {
            "file": file, "sha256": head.sha256, "baseline": head.baseline, "target": head.target,
            "targetLsn": head.target_lsn, "madeAt": head.made_at, "count": head.all(),
            "inserted": sum(|table| table.inserted), "updated": sum(|table| table.updated),
            "deleted": sum(|table| table.deleted),
            "notInTheBaseline": uncompared(head),
            "tables": head.tables.iter().map(|table| facts(directory, table)).collect::<Vec<_>>(),
        },
    })
}
