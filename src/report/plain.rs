//! A run for a pipe or a log: one line per change, with the time, without escape codes.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::event::{Event, Listener};
use super::output::Patient;
use super::text::harmless;
use crate::adapter::clock::spoken;
use crate::data::plural::counted;

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
    said: BTreeMap<usize, Said>,
}

/// What an item has said: the shapes of its lines, and the last one with its time.
#[derive(Debug)]
struct Said {
    shapes: Vec<String>,
    last: String,
    at: Duration,
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
                (String::new(), format!("{kind} {verb}, {}", counted(self.names.len(), "item")))
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
            Event::Waits { item, missing } => (about(self, item), format!("waits: {}", missing.join("; "))),
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

    /// Whether a saying is worth a line: it differs in more than numbers from all before, or in numbers only and the last
    /// one is old. The very same words are told once.
    fn is_news(&mut self, item: usize, text: &str, since_boot: fn() -> Duration) -> bool {
        let shape: String = text.chars().filter(|one| one.is_alphabetic() || "(),:;/".contains(*one)).collect();
        let at = since_boot();
        let known = self.said.entry(item).or_insert_with(|| Said { shapes: Vec::new(), last: String::new(), at });
        let is_new = known.shapes.len() < MOST_SAYINGS && !known.shapes.contains(&shape);
        if known.last == text || !is_new && at.saturating_sub(known.at) < PACE {
            return false;
        }
        if is_new {
            known.shapes.push(shape);
        }
        text.clone_into(&mut known.last);
        known.at = at;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::report::output::tests::Closed;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn still() -> Clocks {
        Clocks { now: || "NOW".into(), since_boot: || Duration::from_secs(60) }
    }

    fn begin(listener: &impl Listener) {
        let items = vec![("build".to_owned(), "build it".to_owned()), ("start".to_owned(), "start it".to_owned())];
        listener.hear(Event::Began { run: 7, kind: "deploy".into(), items, epoch: 1 });
    }

    fn heard(clocks: Clocks, events: Vec<Event>) -> String {
        let kept = Kept::default();
        let plain = Plain::new(kept.clone(), clocks);
        begin(&plain);
        events.into_iter().for_each(|event| plain.hear(event));
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn each_change_is_one_line_with_its_time() {
        let took = Duration::from_millis(4_200);
        let text = heard(
            still(),
            vec![
                Event::Done { item: 0, seen: "it is here".into(), already: true, took },
                Event::Started { item: 1, back: false },
                Event::Done { item: 1, seen: "backend".into(), already: false, took },
                Event::TurnsBack,
                Event::Started { item: 1, back: true },
                Event::Undone { item: 1, seen: "as before".into(), stays: false, took },
                Event::Undone { item: 0, seen: "kept".into(), stays: true, took },
                Event::ProvesHome { title: "healthy".into(), seen: Some((false, "502".into())) },
            ],
        );
        let expected = "\
NOW run 7: deploy begins, 2 items
NOW run 7 build: was so already: it is here
NOW run 7 start: started
NOW run 7 start: done in 4.2 s: backend
NOW run 7: going back
NOW run 7 start: undoing
NOW run 7 start: undone in 4.2 s: as before
NOW run 7 build: stays: kept
NOW run 7: NOT PROVEN: healthy: 502
";
        assert_eq!(text, expected);
    }

    #[test]
    fn every_line_of_a_failure_names_its_item_and_carries_no_codes() {
        let why = "exited with 1\n\u{1b}[31mlog\u{1b}[0m line\r";
        let text = heard(still(), vec![Event::Failed { item: 1, why: why.into() }]);
        assert!(text.ends_with("NOW run 7 start: FAILED: exited with 1\nNOW run 7 start: | log line\n"), "{text}");
    }

    #[test]
    fn words_that_differ_in_numbers_only_are_told_every_five_seconds() {
        static SECONDS: AtomicU64 = AtomicU64::new(0);
        let clocks =
            Clocks { now: || "NOW".into(), since_boot: || Duration::from_secs(SECONDS.fetch_add(1, Ordering::SeqCst)) };
        let says = |number: u32| Event::Says { item: 0, text: format!("healthy for {number} s") };
        let mut events: Vec<Event> = (0..12).map(says).collect();
        events.push(Event::Says { item: 0, text: "waiting for db".into() });
        let text = heard(clocks, events);
        let told: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split(": ").nth(1)).collect();
        assert_eq!(told, ["healthy for 0 s", "healthy for 5 s", "healthy for 10 s", "waiting for db"]);
    }

    #[test]
    fn the_same_words_are_told_once_however_long_they_stay_true() {
        static SECONDS: AtomicU64 = AtomicU64::new(0);
        let clocks = Clocks {
            now: || "NOW".into(),
            since_boot: || Duration::from_secs(SECONDS.fetch_add(60, Ordering::SeqCst)),
        };
        let says = |text: &str| Event::Says { item: 0, text: text.into() };
        let (none, other) = ("www.move.test: no certificate was served", "www.move.test: it is for another name");
        let text = heard(clocks, vec![says(none), says(none), says(none), says(other), says(other), says(none)]);
        let told: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split("build: ").nth(1)).collect();
        assert_eq!(told, [none, other, none]);
    }

    #[test]
    fn a_reader_that_left_stops_nothing() {
        begin(&Plain::new(Closed, still()));
    }
}
