//! Where to kill: learnt from an undisturbed run, from its journal and from the trace of its fsyncs. Pure but for reading.

use std::path::Path;
use std::time::Duration;

use cutover::journal::{Entry, Fact};

use crate::support::kill::When;

/// One fsync of an undisturbed run.
#[derive(Clone, Debug)]
pub struct Sync {
    /// Counted from 1.
    pub number: u32,
    /// Milliseconds since the start of the process.
    pub at: u64,
    /// Whether it made a line of the journal durable.
    pub is_line: bool,
}

/// One place to kill at.
#[derive(Clone, Debug)]
pub struct Point {
    /// The fsync.
    pub number: u32,
    /// On which side of it, or how long after it.
    pub when: When,
    /// In words.
    pub place: String,
}

/// Reads a trace.
pub fn syncs(trace: &Path) -> Vec<Sync> {
    let text = std::fs::read_to_string(trace).unwrap();
    let line = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (number, at) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Sync { number, at, is_line: words.next()?.ends_with(".jsonl") })
    };
    text.lines().map(|text| line(text).unwrap_or_else(|| panic!("not a line of a trace: {text:?}"))).collect()
}

/// Every boundary of the run, from its first line on: before and after each line became durable.
pub fn boundaries(syncs: &[Sync], entries: &[Entry]) -> Vec<Point> {
    let mut points = Vec::new();
    for (sync, entry) in lines(syncs).zip(entries) {
        for (when, word) in [(When::Before, "before"), (When::After, "after")] {
            let place = format!("{word} `{}`", title(&entry.fact));
            points.push(Point { number: sync.number, when, place });
        }
    }
    points
}

/// Places inside every step: each of its own fsyncs, and moments that are spread over the time it took.
pub fn inside(syncs: &[Sync], entries: &[Entry], mut random: impl FnMut(u64) -> u64) -> Vec<Point> {
    let mut points = Vec::new();
    let pairs: Vec<(&Sync, &Entry)> = lines(syncs).zip(entries).collect();
    for pair in pairs.windows(2) {
        let [(from, entry), (to, _)] = pair else { continue };
        let (Fact::Started { name, .. } | Fact::Undoing { name, .. }) = &entry.fact else { continue };
        let took = (to.at - from.at).max(3);
        for half in 0..2 {
            let delay = (took * half / 2 + random(took / 2 + 1)).max(1);
            let place = format!("{delay} of {took} ms into `{}`", title(&entry.fact));
            let when = When::Later(Duration::from_millis(delay));
            points.push(Point { number: from.number, when, place });
        }
        for number in from.number + 1..to.number {
            let when = if random(2) == 0 { When::Before } else { When::After };
            let place = format!("{when:?} fsync {number} in {name}");
            points.push(Point { number, when, place });
        }
    }
    points
}

fn lines(syncs: &[Sync]) -> impl Iterator<Item = &Sync> {
    // The journal's first fsync in a run is that of its first line: making the file syncs the directory, not the file.
    syncs.iter().filter(|sync| sync.is_line)
}

/// A line of the journal in two words.
pub fn title(fact: &Fact) -> String {
    match fact {
        Fact::Planned { .. } => "planned".into(),
        Fact::Started { name, .. } => format!("started {name}"),
        Fact::Done { name, .. } => format!("done {name}"),
        Fact::Failed { name, .. } => format!("failed {name}"),
        Fact::Undoing { name, .. } => format!("undoing {name}"),
        Fact::Undone { name, .. } => format!("undone {name}"),
        Fact::Note { .. } => "note".into(),
        Fact::Finished { .. } => "finished".into(),
        other => format!("{other:?}"),
    }
}
