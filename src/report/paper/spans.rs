//! When each step was at work, from the journal's lines. A line that does not fit is passed over.
//!
//! Law: a process that ends at a checkpoint was not interrupted; until the checkpoint is passed, a person is waited for.

use super::{Span, SpanKind};
use crate::journal::{Entry, Fact, RunState};
use crate::report::planned::{act, is_gate};

/// A moment as milliseconds of Unix time; nothing where it is none.
pub fn moment_ms(at: &str) -> Option<i64> {
    at.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// Stretches of time of every item of the plan.
pub fn of(run: &RunState, entries: &[Entry]) -> Vec<Vec<Span>> {
    let mut spans: Vec<Vec<Span>> = vec![Vec::new(); run.items.len()];
    let mut open: Option<(usize, i64)> = None;
    let mut last = (0, 0);
    for entry in entries {
        let Some(at) = moment_ms(&entry.at) else { continue };
        if entry.epoch > last.0 {
            // The process before this one ended in the middle of something; how long it went on nobody knows.
            let cut = open.take_if(|(item, ..)| !waits(run, *item));
            leave(run, &mut spans, cut, last.1);
        }
        last = (entry.epoch, at);
        match &entry.fact {
            Fact::Started { item, .. } | Fact::Undoing { item, .. } => {
                // Asked anew at the same checkpoint, it has waited since the first time.
                let still = open.take_if(|(begun, _)| begun == item && waits(run, *item));
                leave(run, &mut spans, open.take(), at);
                open = Some(still.unwrap_or((*item, at)));
            }
            Fact::Done { item, took_ms, .. } => {
                let kind = match () {
                    () if waits(run, *item) => SpanKind::Waited,
                    () if is_gate(run, *item) => SpanKind::Asked,
                    () => SpanKind::Done,
                };
                close(&mut spans, &mut open, *item, at, *took_ms, kind);
            }
            Fact::Failed { item, .. } => {
                // Nobody came in time: until then it waited.
                leave(run, &mut spans, open.take_if(|(begun, _)| begun == item && waits(run, *item)), at);
                close(&mut spans, &mut open, *item, at, 0, SpanKind::Failed);
            }
            Fact::Undone { item, took_ms, .. } => close(&mut spans, &mut open, *item, at, *took_ms, SpanKind::Undone),
            _ => {}
        }
    }
    leave(run, &mut spans, open, last.1);
    spans
}

/// Whether an item waits for a person.
fn waits(run: &RunState, item: usize) -> bool {
    act(run, item) == "checkpoint"
}

fn close(spans: &mut [Vec<Span>], open: &mut Option<(usize, i64)>, item: usize, at: i64, took_ms: u64, kind: SpanKind) {
    let begun = open.take_if(|(begun, _)| *begun == item).map(|(_, from)| from);
    let from = begun.unwrap_or_else(|| at.saturating_sub(i64::try_from(took_ms).unwrap_or(0)));
    push(spans, item, Span { kind, from_ms: from.min(at), to_ms: at });
}

/// What was left without an end of its own.
fn leave(run: &RunState, spans: &mut [Vec<Span>], open: Option<(usize, i64)>, at: i64) {
    if let Some((item, from)) = open {
        let kind = if waits(run, item) { SpanKind::Waited } else { SpanKind::Cut };
        push(spans, item, Span { kind, from_ms: from, to_ms: at.max(from) });
    }
}

fn push(spans: &mut [Vec<Span>], item: usize, span: Span) {
    // The proof of the old state has a number beyond the plan's items.
    if let Some(own) = spans.get_mut(item) {
        own.push(span);
    }
}
