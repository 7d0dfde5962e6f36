//! Puts the values of a runbook into its types. Judges nothing: what is missing here was reported before.

use std::path::{Path, PathBuf};

use super::types::{CheckItem, Checkpoint, CommandEntry, Deed, Entry, Phase, Runbook, Section, Settings, Window};
use crate::config::choices::{OnExpiry, OnFailure, Part, RowsFrom, SectionPlace};
use crate::config::read::{Reader, join};
use crate::config::table::Table;
use crate::config::value::Value;

/// The runbook, or nothing if something that it needs is missing.
pub(super) fn build(reader: &Reader<'_>, path: &Path) -> Option<Runbook> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let directory = absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf);
    let made = Build { reader, directory: &directory };
    let top = made.table("");
    let sections = made.elements("section[]", "").iter().map(|path| made.section(path)).collect::<Option<_>>()?;
    let phases = made.elements("phase[]", "").iter().map(|path| made.phase(path)).collect::<Option<_>>()?;
    Some(Runbook {
        path: path.to_owned(),
        name: top.text("name")?,
        title: top.text("title")?,
        text: top.text("text"),
        depends_on: top.list("depends_on").unwrap_or_default(),
        on_failure: top.word("on_failure", OnFailure::from_word),
        window: window(&top),
        sections,
        phases,
        directory: directory.clone(),
    })
}

/// The name of an entry: its own, or that of what it is.
pub(super) fn entry_name(reader: &Reader<'_>, path: &str) -> Option<String> {
    ["name", "step", "gate", "checkpoint"].iter().find_map(|key| match &reader.values.get(&join(path, key))?.value {
        Value::Text(text) => Some(slug(text)),
        _ => None,
    })
}

/// A signal may have blanks; a name has none.
fn slug(text: &str) -> String {
    text.trim().replace(|sign: char| !(sign.is_ascii_alphanumeric() || "._-".contains(sign)), "-")
}

/// The elements of an array of tables under a table, in the order of the file.
pub(super) fn elements(reader: &Reader<'_>, schema: &str, under: &str) -> Vec<String> {
    let head = if under.is_empty() { String::new() } else { format!("{under}.") };
    let mut found: Vec<String> =
        reader.tables(schema).into_iter().filter(|path| path.starts_with(head.as_str())).collect();
    let number = |path: &String| -> usize {
        path.rsplit_once('[').and_then(|(_, rest)| rest.trim_end_matches(']').parse().ok()).unwrap_or(0)
    };
    found.sort_by_key(number);
    found
}

struct Build<'a> {
    reader: &'a Reader<'a>,
    directory: &'a Path,
}

impl<'a> Build<'a> {
    fn table(&self, path: &'a str) -> Table<'a> {
        Table::at(&self.reader.values, path, self.directory)
    }

    fn elements(&self, schema: &str, under: &str) -> Vec<String> {
        elements(self.reader, schema, under)
    }

    fn section(&self, path: &str) -> Option<Section> {
        let table = Table::at(&self.reader.values, path, self.directory);
        Some(Section {
            title: table.text("title")?,
            text: table.text("text")?,
            place: table.word("place", SectionPlace::from_word),
        })
    }

    fn phase(&self, path: &str) -> Option<Phase> {
        let table = Table::at(&self.reader.values, path, self.directory);
        let entries = self.elements("phase[].entry[]", path);
        Some(Phase {
            name: table.text("name")?,
            title: table.text("title")?,
            text: table.text("text"),
            window: window(&table),
            entries: entries.iter().map(|path| self.entry(path)).collect::<Option<_>>()?,
        })
    }

    fn entry(&self, path: &str) -> Option<Entry> {
        let table = Table::at(&self.reader.values, path, self.directory);
        let built_in = table.text("step").or_else(|| table.text("gate"));
        let deed = match (built_in, table.text("checkpoint")) {
            (Some(name), _) => Deed::BuiltIn { name, settings: Box::new(settings(&table)) },
            (None, Some(signal)) => Deed::Checkpoint(self.checkpoint(&table, signal, path)?),
            (None, None) => Deed::Command(CommandEntry {
                run: table.list("command")?,
                undo: table.list("undo"),
                check: table.list("check"),
                dry_run: table.list("dry_run"),
                log: table.path("log"),
                environment: table.list("environment").unwrap_or_default(),
                directory: table.path("directory"),
                timeout: table.duration("timeout"),
            }),
        };
        Some(Entry {
            name: entry_name(self.reader, path)?,
            title: table.text("title"),
            text: table.text("text"),
            on_failure: table.text("on_failure").and_then(|word| OnFailure::from_word(&word)),
            deadline: table.duration("deadline"),
            deed,
        })
    }

    fn checkpoint(&self, table: &Table<'_>, signal: String, path: &str) -> Option<Checkpoint> {
        let items = self.elements("phase[].entry[].item[]", path);
        Some(Checkpoint {
            signal,
            built: table.text("built"),
            people: table.number("people").unwrap_or(1),
            valid: table.duration("valid"),
            on_expiry: table.word("on_expiry", OnExpiry::from_word),
            recheck: table.duration("recheck"),
            items: items.iter().map(|path| self.item(path)).collect::<Option<_>>()?,
        })
    }

    fn item(&self, path: &str) -> Option<CheckItem> {
        let table = Table::at(&self.reader.values, path, self.directory);
        let name = table.text("name")?;
        Some(match table.text("confirm") {
            Some(words) => CheckItem::Statement { name, words },
            None => CheckItem::Gate {
                name,
                title: table.text("title"),
                gate: table.text("gate")?,
                deadline: table.duration("deadline"),
                settings: Box::new(settings(&table)),
            },
        })
    }
}

fn window(table: &Table<'_>) -> Window {
    Window { earliest: table.text("earliest"), latest: table.text("latest") }
}

fn settings(table: &Table<'_>) -> Settings {
    let json = match table.get("json") {
        Some(Value::Json(entries)) => entries.iter().cloned().collect(),
        _ => Default::default(),
    };
    Settings {
        url: table.url("url"),
        status: table.number("status"),
        json,
        contains: table.text("contains"),
        pointers: table.list("pointers").unwrap_or_default(),
        files: table.paths("files"),
        successes: table.number("successes"),
        interval: table.duration("interval"),
        timeout: table.duration("timeout"),
        checks: table.list("checks").unwrap_or_default(),
        of: table.word("of", Part::from_word),
        from: table.word("from", RowsFrom::from_word),
        counts_only: table.flag("counts_only").unwrap_or(false),
        tables: table.list("tables").unwrap_or_default(),
        skip_users: table.flag("skip_users").unwrap_or(false),
        message: table.text("message"),
        notice: table.text("notice"),
        keep_first: table.flag("keep_first").unwrap_or(false),
        link_existing: table.flag("link_existing").unwrap_or(false),
        command: table.list("command"),
        environment: table.list("environment").unwrap_or_default(),
        directory: table.path("directory"),
    }
}
