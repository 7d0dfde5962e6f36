//! Time on a page: the axis of a run, and the bars of its steps. A bar is drawn in thousandths of the whole.

use std::time::Duration;

use maud::{Markup, html};

use crate::adapter::clock::spoken;
use crate::report::paper::{Paper, Span, SpanKind, Step, Timeline};

/// Width of the whole, in thousandths.
const WHOLE: f64 = 1000.0;
/// The narrowest bar that can be seen.
const LEAST: f64 = 3.0;

/// A duration of milliseconds as people say it.
pub fn ms(ms: u64) -> String {
    spoken(Duration::from_millis(ms))
}

/// Wall time of the day.
pub fn clock(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map_or_else(|_| "?".into(), |at| at.strftime("%H:%M:%S").to_string())
}

/// Day and time.
pub fn moment(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map_or_else(|_| "?".into(), |at| at.strftime("%F %H:%M:%S").to_string())
}

/// Begin, middle and end of the whole time.
pub fn axis(timeline: &Timeline) -> Markup {
    let middle = timeline.from_ms + (timeline.to_ms - timeline.from_ms) / 2;
    html! {
        div.axis aria-hidden="true" {
            div { span { (clock(timeline.from_ms)) } span { (clock(middle)) } span { (clock(timeline.to_ms)) " UTC" } }
        }
    }
}

/// The bars of a step: what was expected below, what was above.
pub fn bars(step: &Step, timeline: &Timeline) -> Markup {
    let whole = (timeline.to_ms - timeline.from_ms).max(1) as f64;
    let place = |at: i64| ((at - timeline.from_ms) as f64 / whole * WHOLE).clamp(0.0, WHOLE);
    let rect = |from: f64, width: f64| {
        let width = width.clamp(LEAST, WHOLE);
        (format!("{:.1}", from.min(WHOLE - width)), format!("{width:.1}"))
    };
    let bar = |span: &Span| {
        let (x, width) = rect(place(span.from_ms), place(span.to_ms) - place(span.from_ms));
        (x, width, kind(span.kind))
    };
    let expected = step
        .expected_ms
        .zip(step.spans.first())
        .map(|(expected, span)| rect(place(span.from_ms), expected as f64 / whole * WHOLE));
    html! {
        svg.bar viewBox="0 0 1000 22" preserveAspectRatio="none" role="img" aria-label=(label(step)) {
            rect.b-back x="0" y="0" width="1000" height="22" {}
            @if let Some((x, width)) = &expected {
                rect.b-expected x=(x) y="15" width=(width) height="5" {}
            }
            @for span in &step.spans {
                @let (x, width, kind) = bar(span);
                rect class=(kind) x=(x) y="4" width=(width) height=(if expected.is_some() { "10" } else { "14" }) {}
            }
        }
    }
}

fn label(step: &Step) -> String {
    let spans: Vec<String> =
        step.spans.iter().map(|span| format!("{} to {}", clock(span.from_ms), clock(span.to_ms))).collect();
    if spans.is_empty() { "not begun".into() } else { spans.join(", ") }
}

fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Done => "b-done",
        SpanKind::Asked => "b-asked",
        SpanKind::Waited => "b-waited",
        SpanKind::Failed => "b-failed",
        SpanKind::Undone => "b-undone",
        SpanKind::Cut => "b-cut",
    }
}

/// What the colours mean, as far as they are there.
pub fn legend(paper: &Paper) -> Markup {
    let has = |kind: SpanKind| paper.steps.iter().flat_map(|step| &step.spans).any(|span| span.kind == kind);
    let expected = paper.timeline.as_ref().and_then(|timeline| timeline.expected_by.as_ref());
    let known = [
        (SpanKind::Done, "i-done", "a change"),
        (SpanKind::Asked, "i-asked", "a question to the world"),
        (SpanKind::Waited, "i-waited", "waited for a person"),
        (SpanKind::Undone, "i-undone", "undone"),
        (SpanKind::Failed, "i-failed", "failed"),
        (SpanKind::Cut, "i-failed", "interrupted"),
    ];
    html! {
        p.legend {
            @for (kind, class, words) in known {
                @if has(kind) { span { i class=(class) {} (words) } }
            }
            @if let Some(who) = expected { span { i.i-expected {} "planned, as in " (who) } }
        }
    }
}
