//! A run for a pipe or a log: one line per change, with the time, without escape codes.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::event::{Event, Listener};
use super::output::Patient;
use super::text::harmless;
use crate::adapter::clock::spoken;

/// At least so much time passes between two lines about an item that differ in numbers only.
const PACE: Duration = Duration::from_secs(5);
/// So many different sayings of an item are remembered.
const MOST_SAYINGS: usize = 200;

/// The listener.
#[derive(Debug)]
pub struct Plain<W> {
    clocks: Clocks,
    state: Mutex<State<W>>,
}

/// The clocks that it is lent: wall time to show, boot time to measure.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// Wall time, RFC 3339.
    pub now: fn() -> String,
    /// Time since the host was started.
    pub since_boot: fn() -> Duration,
}

#[derive(Debug)]
struct State<W> {
    out: Patient<W>,
    run: u32,
    names: Vec<String>,
    /// What an item said already, without numbers, and when last.
    said: BTreeMap<usize, (Vec<String>, Duration)>,
}

impl<W: Write + Send> Plain<W> {
    /// Writes to `out`, which is stderr.
    pub fn new(out: W, clocks: Clocks) -> Self {
        let state = State { out: Patient::new(out), run: 0, names: Vec::new(), said: BTreeMap::new() };
        Self { clocks, state: Mutex::new(state) }
    }
}

impl<W: Write + Send> Listener for Plain<W> {
    fn hear(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((subject, words)) = state.words(event, self.clocks.since_boot) else { return };
        let head = format!("{} run {}{subject}", (self.clocks.now)(), state.run);
        let words = harmless(&words);
        let mut text = String::new();
        for (index, line) in words.lines().enumerate() {
            let mark = if index == 0 { "" } else { "| " };
            text.push_str(format!("{head}: {mark}{line}").trim_end());
            text.push('\n');
        }
        // Progress that cannot be written is no reason to stop.
        let _ = state.out.put(&text);
    }
}

impl<W> State<W> {
    /// Whom a line is about, and what it says; nothing where there is nothing new.
    fn words(&mut self, event: Event, since_boot: fn() -> Duration) -> Option<(String, String)> {
        let about = |state: &Self, item: usize| format!(" {}", state.names.get(item).map_or("?", String::as_str));
        Some(match event {
            Event::Began { run, kind, items, epoch } => {
                self.run = run;
                self.names = items.into_iter().map(|(name, _)| name).collect();
                let verb = if epoch > 1 { format!("goes on, epoch {epoch}") } else { "begins".into() };
                (String::new(), format!("{kind} {verb}, {} items", self.names.len()))
            }
            Event::Started { item, back } => {
                self.said.remove(&item);
                (about(self, item), if back { "undoing" } else { "started" }.into())
            }
            Event::Says { item, text } if self.is_news(item, &text, since_boot) => (about(self, item), text),
            Event::Says { .. } => return None,
            Event::Done { item, seen, already: true, .. } => (about(self, item), format!("was so already: {seen}")),
            Event::Done { item, seen, took, .. } => (about(self, item), format!("done in {}: {seen}", spoken(took))),
            Event::Failed { item, why } => (about(self, item), format!("FAILED: {why}")),
            Event::TurnsBack => (String::new(), "going back".into()),
            Event::Undone { item, seen, stays: true, .. } => (about(self, item), format!("stays: {seen}")),
            Event::Undone { item, seen, took, .. } => {
                (about(self, item), format!("undone in {}: {seen}", spoken(took)))
            }
            Event::ProvesHome { title, seen: None } => (String::new(), format!("proving: {title}")),
            Event::ProvesHome { title, seen: Some((true, seen)) } => {
                (String::new(), format!("proven: {title}: {seen}"))
            }
            Event::ProvesHome { title, seen: Some((false, seen)) } => {
                (String::new(), format!("NOT PROVEN: {title}: {seen}"))
            }
            Event::Note { text } => (String::new(), text),
        })
    }

    /// Whether a saying is worth a line: it differs in more than numbers from all before, or the last one is old.
    fn is_news(&mut self, item: usize, text: &str, since_boot: fn() -> Duration) -> bool {
        let shape: String = text.chars().filter(|one| one.is_alphabetic() || "(),:;/".contains(*one)).collect();
        let now = since_boot();
        let (known, last) = self.said.entry(item).or_insert_with(|| (Vec::new(), now));
        let is_new = known.len() < MOST_SAYINGS && !known.contains(&shape);
        if !is_new && now.saturating_sub(*last) < PACE {
            return false;
        }
        if is_new {
            known.push(shape);
        }
        *last = now;
        true
    }
}
