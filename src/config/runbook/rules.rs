//! What the keys of a runbook must be to one another. One rule, one function; none stops at its first problem.

use std::collections::BTreeMap;

use super::Known;
use super::build::{elements, entry_name};
use crate::config::problem::{nearest, quote, quoted_list};
use crate::config::read::{Reader, join};
use crate::config::value::Value;

/// Keys that every entry may have.
const COMMON: [&str; 6] = ["name", "title", "text", "depends_on", "on_failure", "deadline"];
/// Keys of a command.
const COMMAND: [&str; 8] = ["command", "undo", "check", "dry_run", "log", "environment", "directory", "timeout"];
/// Keys of a checkpoint.
const CHECKPOINT: [&str; 7] = ["checkpoint", "built", "people", "valid", "on_expiry", "recheck", "item"];
/// The four kinds of entries, by the key that says which it is.
const KINDS: [&str; 4] = ["step", "gate", "command", "checkpoint"];

/// Runs every rule. What is broken in itself was reported by the reader and is passed over here.
pub(super) fn check(reader: &mut Reader<'_>, known: &[Known]) {
    let phases = elements(reader, "phase[]", "");
    if phases.is_empty() {
        reader.missing(0, "phase", "at least one [[phase]] with at least one [[phase.entry]]", None);
    }
    window(reader, "");
    let mut names = Names::default();
    for phase in &phases {
        window(reader, phase);
        let entries = elements(reader, "phase[].entry[]", phase);
        if entries.is_empty() {
            let at = place(reader, phase);
            reader.missing(at, &join(phase, "entry"), "at least one [[phase.entry]]", None);
        }
        depends_on(reader, phase, &names);
        if let Some(name) = word(reader, &join(phase, "name")) {
            names.phase(reader, &join(phase, "name"), name);
        }
        for entry in &entries {
            check_entry(reader, entry, known);
            depends_on(reader, entry, &names);
            match entry_name(reader, entry) {
                Some(name) => names.entry(reader, entry, name),
                None => no_name(reader, entry),
            }
        }
    }
    signals(reader);
}

/// Every name so far, with the line of its first use; a phase may be called like an entry.
#[derive(Default)]
struct Names {
    phases: BTreeMap<String, usize>,
    entries: BTreeMap<String, usize>,
}

impl Names {
    fn all(&self) -> Vec<&str> {
        self.phases.keys().chain(self.entries.keys()).map(String::as_str).collect()
    }

    fn phase(&mut self, reader: &mut Reader<'_>, path: &str, name: String) {
        add(&mut self.phases, reader, path, name, "a name that no other phase has");
    }

    fn entry(&mut self, reader: &mut Reader<'_>, path: &str, name: String) {
        add(&mut self.entries, reader, path, name, "a name that no other entry has");
    }
}

fn add(names: &mut BTreeMap<String, usize>, reader: &mut Reader<'_>, path: &str, name: String, allowed: &str) {
    let at = place(reader, path);
    let (line, _) = reader.text.position(at);
    match names.get(&name) {
        None => {
            names.insert(name, line);
        }
        Some(first) => {
            let found = format!("{name:?} a second time (first in line {first})");
            reader.push(at, path, found, allowed, Some("give it a name of its own: name = \"…\""));
        }
    }
}

fn place(reader: &Reader<'_>, path: &str) -> usize {
    reader.values.get(path).map_or(0, |found| found.key_at)
}

fn word(reader: &Reader<'_>, path: &str) -> Option<String> {
    match &reader.values.get(path)?.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn is_set(reader: &Reader<'_>, path: &str) -> bool {
    reader.values.contains_key(path)
}

/// A command has no other name than the one it is given: its log and its line in the journal need one.
fn no_name(reader: &mut Reader<'_>, entry: &str) {
    if is_set(reader, &join(entry, "command")) && !is_set(reader, &join(entry, "name")) {
        let at = place(reader, entry);
        reader.missing(at, &join(entry, "name"), "a name for the command", Some("add name = \"…\""));
    }
}

/// The keys that stand directly in a table of the file.
fn keys_of(reader: &Reader<'_>, table: &str) -> Vec<String> {
    let head = format!("{table}.");
    let inside = reader.values.keys().filter_map(|path| path.strip_prefix(head.as_str()));
    let mut names: Vec<String> = inside.map(|rest| rest.split(['.', '[']).next().unwrap_or(rest).to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

fn check_entry(reader: &mut Reader<'_>, entry: &str, known: &[Known]) {
    let at = place(reader, entry);
    let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| is_set(reader, &join(entry, kind))).collect();
    let is_command_gate = word(reader, &join(entry, "gate")).is_some_and(|gate| gate == "command");
    let (kind, allowed): (&str, Vec<&str>) = match kinds.as_slice() {
        [] => {
            let allowed = "one of step, gate, command, checkpoint";
            return reader.missing(at, entry, allowed, Some("it says what the entry is"));
        }
        ["gate", "command"] if is_command_gate => ("gate", COMMAND.to_vec()),
        ["command"] => ("command", COMMAND.to_vec()),
        ["checkpoint"] => ("checkpoint", CHECKPOINT.to_vec()),
        [one] => (*one, Vec::new()),
        several => {
            let found = format!("{} beside one another", several.join(" and "));
            return reader.push(at, entry, found, "one of step, gate, command, checkpoint", None);
        }
    };
    if ["step", "gate"].contains(&kind) {
        return built_in(reader, entry, kind, &COMMON, known);
    }
    let all: Vec<&str> = COMMON.into_iter().chain(allowed).collect();
    foreign_keys(reader, entry, &all, &format!("a {kind}"));
    if kind == "checkpoint" {
        checkpoint(reader, entry, known);
    }
}

/// A step or gate of ours: known by its name, told nothing that it does not understand, and all that it needs.
fn built_in(reader: &mut Reader<'_>, table: &str, kind: &str, common: &[&str], known: &[Known]) {
    let path = join(table, kind);
    let Some(name) = word(reader, &path) else { return };
    let at = reader.values.get(&path).map_or(0, |found| found.at);
    let is_gate = kind == "gate";
    let Some(one) = known.iter().find(|one| one.name == name && one.is_gate == is_gate) else {
        let names: Vec<&str> = known.iter().filter(|one| one.is_gate == is_gate).map(|one| one.name).collect();
        let other = known.iter().find(|one| one.name == name);
        let hint = match other {
            Some(other) => Some(format!("{name} is a {}", if other.is_gate { "gate" } else { "step" })),
            None => nearest(&name, names.iter().copied()).map(|near| format!("did you mean {near:?}?")),
        };
        return reader.push(at, &path, quote(&name), quoted_list(&names), hint.as_deref());
    };
    let all: Vec<&str> = common.iter().chain([&kind]).chain(one.settings).copied().collect();
    foreign_keys(reader, table, &all, &format!("{kind} = {name:?}"));
    for needed in one.needs.iter().filter(|needed| !is_set(reader, &join(table, needed))).collect::<Vec<_>>() {
        let at = place(reader, table);
        reader.missing(at, &join(table, needed), *needed, Some(&format!("the {kind} {name} needs it")));
    }
}

fn foreign_keys(reader: &mut Reader<'_>, table: &str, allowed: &[&str], what: &str) {
    for key in keys_of(reader, table) {
        if allowed.contains(&key.as_str()) {
            continue;
        }
        let shown = join(table, &key);
        let at = reader.values.get(&shown).or_else(|| reader.values.get(&format!("{shown}[0]"))).map(|one| one.key_at);
        // What the reader did not know at all was told by it.
        let Some(at) = at else { continue };
        let hint = nearest(&key, allowed.iter().copied()).map(|near| format!("did you mean {near}?"));
        reader.push(at, &shown, format!("{key} beside {what}"), allowed.join(", "), hint.as_deref());
    }
}

fn checkpoint(reader: &mut Reader<'_>, entry: &str, known: &[Known]) {
    if is_set(reader, &join(entry, "on_expiry")) && !is_set(reader, &join(entry, "deadline")) {
        let at = place(reader, &join(entry, "on_expiry"));
        let hint = "without a deadline nothing expires";
        reader.missing(at, &join(entry, "deadline"), "how long it waits for its approval", Some(hint));
    }
    let mut names = BTreeMap::new();
    for item in elements(reader, "phase[].entry[].item[]", entry) {
        let at = place(reader, &item);
        if let Some(name) = word(reader, &join(&item, "name"))
            && names.insert(name.clone(), at).is_some()
        {
            let at = place(reader, &join(&item, "name"));
            let found = format!("{name:?} a second time");
            reader.push(at, &join(&item, "name"), found, "a name that no other item of the checkpoint has", None);
        }
        match (is_set(reader, &join(&item, "confirm")), is_set(reader, &join(&item, "gate"))) {
            (true, false) => foreign_keys(reader, &item, &["name", "confirm"], "a statement"),
            (false, true) => built_in(reader, &item, "gate", &["name", "title", "deadline"], known),
            (is_both, _) => {
                let found = if is_both { "confirm and gate beside one another" } else { "nothing" };
                let hint = "a gate is asked, a statement is confirmed by a person";
                reader.push(at, &item, found, "one of confirm, gate", Some(hint));
            }
        }
    }
}

/// What something depends on stands before it.
fn depends_on(reader: &mut Reader<'_>, table: &str, names: &Names) {
    let path = join(table, "depends_on");
    let items = match reader.values.get(&path).map(|found| &found.value) {
        Some(Value::List(items)) => items.clone(),
        _ => return,
    };
    for item in items.iter().filter(|item| !names.all().contains(&item.text.as_str())) {
        let known = names.all();
        let hint = nearest(&item.text, known.iter().copied()).map(|near| format!("did you mean {near:?}?"));
        let allowed = if known.is_empty() { "nothing: it stands first".to_owned() } else { quoted_list(&known) };
        reader.push(item.at, &path, quote(&item.text), format!("what stands before it: {allowed}"), hint.as_deref());
    }
}

fn window(reader: &mut Reader<'_>, table: &str) {
    let moment = |name: &str| word(reader, &join(table, name))?.parse::<jiff::Timestamp>().ok();
    let (Some(earliest), Some(latest)) = (moment("earliest"), moment("latest")) else { return };
    if earliest >= latest {
        let path = join(table, "latest");
        let at = place(reader, &path);
        reader.push(at, &path, "a window that ends before it begins", "a moment after earliest", None);
    }
}

/// A signal passes one checkpoint, so it stands for one.
fn signals(reader: &mut Reader<'_>) {
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    let mut all: Vec<(usize, String, String)> = reader
        .tables("phase[].entry[]")
        .iter()
        .filter_map(|entry| {
            let path = join(entry, "checkpoint");
            Some((place(reader, &path), path.clone(), word(reader, &path)?))
        })
        .collect();
    all.sort();
    for (at, path, signal) in all {
        let (line, _) = reader.text.position(at);
        if let Some(before) = first.insert(signal.clone(), line) {
            let found = format!("{signal:?} a second time (first in line {before})");
            reader.push(at, &path, found, "a signal that no other checkpoint has", None);
        }
    }
}
