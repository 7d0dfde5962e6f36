//! What must be true of the journal, the lock and the world after every kill, and at the end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cutover::journal::{Entry, Fact, ItemState, Standing, lock, state::fold};

use super::driver::{Order, Verb};
use super::world::{Files, STEPS, State, stays};

/// Where a kill found the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Landed {
    /// Before its journal had a line.
    AtTheDoor,
    /// After `started` and before `done`.
    In(usize),
    /// After `undoing` and before `undone`.
    Undoing(usize),
    /// In a gate.
    InGate,
    /// Between the end of an item and the beginning of the next.
    Between,
}

/// The journals of one state directory as they were seen last: they may grow, and nothing else.
#[derive(Debug, Default)]
pub struct Tale {
    seen: BTreeMap<PathBuf, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Tale {
    /// Proves everything that holds at any moment, and says where the run stands and whether a step is half-way.
    /// Nobody runs now.
    pub fn holds(&mut self, order: &Order) -> (Landed, bool) {
        assert!(lock::held(&order.place).unwrap().is_none(), "the lock died with its owner");
        if order.verb == Verb::Undo {
            self.grow(&Order { verb: Verb::Go, ..order.clone() }.journal());
        }
        self.grow(&order.journal());
        let mut told: BTreeMap<usize, Vec<ItemState>> = BTreeMap::new();
        for seen in self.seen.values() {
            nothing_is_begun_again(&seen.entries);
            for item in fold(1, "deploy", &seen.entries).items {
                if let Some(step) = step_of(&item.name) {
                    told.entry(step).or_default().push(item);
                }
            }
        }
        let files = order.files();
        let all = files.all().unwrap();
        for (step, &(state, is_between)) in all.iter().enumerate() {
            agrees(&files, step, state, is_between, told.get(&step).map_or(&[], Vec::as_slice));
        }
        let last = self.seen.get(&order.journal()).map_or(&[][..], |seen| &seen.entries);
        (landed(last), all.iter().any(|&(_, is_between)| is_between))
    }

    /// Takes in what was appended. Every process that goes on proves the whole chain by itself.
    fn grow(&mut self, path: &Path) {
        let Ok(mut bytes) = fs::read(path) else { return assert!(!self.seen.contains_key(path), "a journal is gone") };
        bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1));
        let seen = self.seen.entry(path.to_owned()).or_default();
        let fresh = bytes.strip_prefix(seen.bytes.as_slice()).expect("what was written stays as it was");
        let lines = fresh.split_inclusive(|&byte| byte == b'\n');
        seen.entries.extend(lines.map(|line| serde_json::from_slice::<Entry>(line).unwrap()));
        seen.bytes = bytes;
    }
}

/// The world and the journal tell the same about a step.
fn agrees(files: &Files, step: usize, state: State, is_between: bool, told: &[ItemState]) {
    let context = || format!("step {step}: {state:?}, between {is_between}, {told:#?}");
    assert!(state.done <= 1 && state.undone <= 1, "nothing is done twice: {}", context());
    assert_eq!(state.is_on, state.done > state.undone, "effect and count are one: {}", context());
    let was_touched = state != State::default() || is_between;
    assert!(!was_touched || told.iter().any(|item| item.was_begun), "`started` precedes every effect: {}", context());
    let was_undone = state.undone > 0 || (is_between && files.back(step).exists());
    let is_told = told.iter().any(|item| matches!(item.standing, Standing::Undoing | Standing::Undone));
    assert!(!was_undone || is_told, "`undoing` precedes every undoing: {}", context());
    match told.iter().map(|item| item.standing).rfind(|&standing| standing != Standing::Waiting) {
        Some(Standing::Done) => assert!(state.is_on && !is_between, "`done` follows its effect: {}", context()),
        Some(Standing::Undone) => {
            assert!(!state.is_on && !is_between, "`undone` follows its effect: {}", context())
        }
        Some(Standing::Stays) => assert!(state.is_on && stays(step), "what stays is there: {}", context()),
        _ => {}
    }
}

/// An act whose effect was written down as observed is never begun again.
fn nothing_is_begun_again(entries: &[Entry]) {
    let mut standings: BTreeMap<usize, Standing> = BTreeMap::new();
    for entry in entries {
        let (item, name, standing) = match &entry.fact {
            Fact::Started { item, name } => (item, name, Standing::Started),
            Fact::Done { item, name, .. } => (item, name, Standing::Done),
            Fact::Undoing { item, name } => (item, name, Standing::Undoing),
            Fact::Undone { item, name, .. } => (item, name, Standing::Undone),
            _ => continue,
        };
        let before = standings.insert(*item, standing);
        let is_again = matches!(
            (before, standing),
            (Some(Standing::Done), Standing::Started) | (Some(Standing::Undone), Standing::Undoing | Standing::Started)
        );
        assert!(!is_again || step_of(name).is_none(), "{name} is begun again in line {}", entry.seq + 1);
    }
}

fn step_of(name: &str) -> Option<usize> {
    name.trim_start_matches("undo_").strip_prefix("set_")?.parse().ok()
}

fn landed(entries: &[Entry]) -> Landed {
    // A resumed process writes notes of its own; they are no item.
    match entries.iter().map(|entry| &entry.fact).rfind(|fact| !matches!(fact, Fact::Note { .. })) {
        None => Landed::AtTheDoor,
        Some(Fact::Started { name, .. }) => step_of(name).map_or(Landed::InGate, Landed::In),
        Some(Fact::Undoing { name, .. }) => step_of(name).map_or(Landed::InGate, Landed::Undoing),
        Some(_) => Landed::Between,
    }
}

/// The world is byte for byte that of a run which nobody disturbed.
pub fn is_same(order: &Order, undisturbed: &BTreeMap<String, Vec<u8>>) {
    let world = order.files().bytes().unwrap();
    for (name, bytes) in undisturbed {
        let found = world.get(name).map(|bytes| String::from_utf8_lossy(bytes));
        assert_eq!(found.as_deref(), Some(&*String::from_utf8_lossy(bytes)), "the file {name} of {order:?}");
    }
    assert_eq!(world.len(), undisturbed.len(), "nothing lies beside the world's files: {order:?}");
}

/// The world is as before the run, except for what stays.
pub fn is_home(order: &Order) {
    let files = order.files();
    assert_eq!(files.bytes().unwrap().len(), STEPS, "nothing lies beside the world's files: {order:?}");
    for step in 0..STEPS {
        let state = files.state(step).unwrap();
        assert!(!state.is_on || stays(step), "step {step} is undone: {state:?}, {order:?}");
    }
}
