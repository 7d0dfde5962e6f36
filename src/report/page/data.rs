//! Sections about what moved: rows, comparisons, the public route, names, the watched window, changes, backups.

use maud::{Markup, html};
use serde_json::Value;

use super::parts::{number, short, table, tag, when};
use super::{chart, time};
use crate::adapter::files::spoken_size;
use crate::data::plural::counted;
use crate::report::paper::{Changes, Gap, Paper, Stabilization, Tone, Verification};
use crate::report::text::gist;

pub(super) fn moved(paper: &Paper) -> Option<Markup> {
    let blocks = paper.moved.iter().map(|moved| {
        let rows: u64 = moved.tables.iter().map(|table| table.rows).sum();
        let bytes: u64 = moved.tables.iter().map(|table| table.bytes).sum();
        let foot = html! {
            tr {
                td { (counted(moved.tables.len(), "table")) } td.num { (number(rows)) } td.num { (spoken_size(bytes)) }
                td.num { (seconds(moved.seconds)) } td {}
            }
        };
        let body = html! {
            @for one in &moved.tables {
                tr {
                    td { (one.table) } td.num { (number(one.rows)) } td.num { (spoken_size(one.bytes)) }
                    td.num { (seconds(one.seconds)) }
                    td { @if let Some(digest) = &one.digest { code { (short(digest)) } } }
                }
            }
        };
        html! {
            h3 { (moved.title) }
            (table(&["table", "#rows", "#size", "#time", "digest, where compared"], &body, Some(&foot)))
            @if !moved.notes.is_empty() { ul.plain { @for note in &moved.notes { li.soft { (note) } } } }
        }
    });
    (!paper.moved.is_empty()).then(|| html! { @for block in blocks { (block) } })
}

fn seconds(seconds: f64) -> String {
    if seconds > 0.0 { time::ms((seconds * 1000.0) as u64) } else { String::new() }
}

pub(super) fn verification(paper: &Paper) -> Option<Markup> {
    let one = |verification: &Verification| {
        let word = match verification.tone {
            Tone::Good => "the same",
            Tone::Careful => "not wholly compared",
            Tone::Bad => "different",
            Tone::Plain => "as told",
        };
        html! {
            div.card {
                p.head { b { (verification.step) } (tag(verification.tone, word)) }
                p { (verification.words) }
                @if let Some(report) = &verification.report { (tables_compared(report)) }
                @if let Some(path) = &verification.path { p.soft { "The report: " code { (path) } } }
            }
        }
    };
    (!paper.verifications.is_empty())
        .then(|| html! { @for verification in &paper.verifications { (one(verification)) } })
}

fn tables_compared(report: &Value) -> Markup {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let count = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64);
    let shown = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), number);
    let tables = report.get("tables").and_then(Value::as_object).into_iter().flatten();
    let rows = html! {
        @for (name, one) in tables {
            @let status = text(one, "status");
            @let tone = if status == "pass" { Tone::Good } else if status == "fail" { Tone::Bad } else { Tone::Careful };
            @let wrong: u64 = ["missing", "extra", "different"].iter().filter_map(|key| count(one, key)).sum();
            tr {
                td { (name) } td { (tag(tone, &status)) }
                td.num { (shown(count(one, "sourceCount").or_else(|| count(one, "source_count")))) }
                td.num { (shown(count(one, "targetCount").or_else(|| count(one, "target_count")))) }
                td.num { (number(wrong)) }
                td { code { (short(&text(one, "targetChecksum"))) (short(&text(one, "target_checksum"))) } }
            }
        }
    };
    table(&["table", "", "#source", "#target", "#rows that differ", "digest"], &rows, None)
}

pub(super) fn gaps(paper: &Paper) -> Option<Markup> {
    let one = |gap: &Gap| {
        // Nobody who asked was ever answered: nothing was measured, and nothing is good.
        let (tone, words) = match (gap.requests, gap.failed) {
            (0, _) => (Tone::Careful, "no good answer of the application".to_owned()),
            (all, 0) => (Tone::Good, format!("0 of {} requests failed", number(all))),
            (all, failed) => (Tone::Careful, format!("{} of {} requests failed", number(failed), number(all))),
        };
        html! {
            div.card {
                p.head { b { (gap.step) } @if let Some(url) = &gap.url { code { (url) } } (tag(tone, &words)) }
                @if let Some(longest) = gap.longest_ms { p { "The longest time without a good answer was " (time::ms(longest)) "." } }
                @if let Some((side, after)) = &gap.new_side { p { "The first answer of " b { (side) } " came " (time::ms(*after)) " after the start." } }
                @if let Some(first) = &gap.first_failure { p { "The first failure: " (gist(first)) } }
                @if gap.behind_page > 0 {
                    p { (counted(usize::try_from(gap.behind_page).unwrap_or(usize::MAX), "request")) " met the maintenance page, which counts neither as good nor as failed." }
                }
                @if !gap.words.is_empty() { p.soft { (gap.words) } }
            }
        }
    };
    (!paper.gaps.is_empty()).then(|| html! { @for gap in &paper.gaps { (one(gap)) } })
}

pub(super) fn names(paper: &Paper) -> Option<Markup> {
    let count = |count: Option<(u64, u64)>| count.map_or_else(String::new, |(right, of)| format!("{right}/{of}"));
    let records = html! {
        @for record in &paper.records {
            tr {
                td { (record.about) } td { code { (record.from) } } td { code { (record.to) } }
                td { @if record.is_back { (tag(Tone::Careful, "brought back")) } }
            }
        }
    };
    let sights = html! {
        @for sight in &paper.names {
            tr {
                td.when { (when(&sight.at)) } td.num { (count(sight.authority)) } td.num { (count(sight.caches)) }
                td { (tag(sight.tone, &sight.step)) " " (gist(&sight.words)) }
            }
        }
    };
    (!paper.records.is_empty() || !paper.names.is_empty()).then(|| {
        html! {
            @if !paper.records.is_empty() { (table(&["record", "before", "after", ""], &records, None)) }
            @if !paper.names.is_empty() { (table(&["at", "#authorities", "#caches", "seen"], &sights, None)) }
        }
    })
}

pub(super) fn stabilization(stable: &Stabilization) -> Markup {
    let (observed, needed, unknown) = stable.minutes;
    let (requests, errors) = stable.requests;
    let minutes = |minutes: u64| if minutes == 0 { "0 min".into() } else { time::ms(minutes * 60_000) };
    let rules = html! {
        @for (name, verdict, evidence) in &stable.rules {
            @let tone = match verdict.as_str() { "ok" => Tone::Good, "breach" => Tone::Bad, _ => Tone::Careful };
            tr { td { (name) } td { (tag(tone, verdict)) } td { (evidence) } }
        }
    };
    let levels = html! {
        @for (at, word) in &stable.levels {
            @let tone = match word.as_str() { "ok" => Tone::Good, "watch" => Tone::Careful, _ => Tone::Bad };
            tr { td.when { (time::moment(*at)) } td { (tag(tone, &word.to_uppercase())) } }
        }
    };
    let accepted = if stable.is_accepted { (Tone::Good, "accepted") } else { (Tone::Careful, "not accepted yet") };
    html! {
        div.card {
            p.head { (tag(stable.tone, &stable.level)) (tag(accepted.0, accepted.1)) span.soft { "since " (when(&stable.begun_at)) } }
            @if !stable.why.is_empty() { p { (stable.why) } }
            p {
                "Observed " (minutes(observed)) " of " (minutes(needed)) ", " (minutes(unknown)) " unknown. "
                (number(requests)) " requests, " (number(errors)) " failed."
            }
            @if let Some(highest) = highest(stable) { p { (highest) } }
            @match chart::chart(stable) {
                Some(chart) => (chart),
                None if stable.trail.is_empty() => {}
                None => p.soft { "Fewer than two minutes were judged, too few to draw." }
            }
        }
        @if !stable.levels.is_empty() { (table(&["at", "verdict from then on"], &levels, None)) }
        @if !stable.rules.is_empty() { (table(&["rule", "says", "seen"], &rules, None)) }
    }
}

/// The most that the decision's statistic came to.
fn highest(stable: &Stabilization) -> Option<String> {
    let (at, share, ..) = stable.trail.iter().rev().max_by_key(|(_, share, ..)| *share)?;
    Some(match share {
        0 => "The evidence of errors stayed at 0 % of the alarm.".to_owned(),
        share => format!(
            "The evidence of errors rose to {:.0} % of the alarm at most, at {} UTC.",
            *share as f64 / 1e4,
            time::clock(*at)
        ),
    })
}

pub(super) fn changes(paper: &Paper) -> Option<Markup> {
    let block = |changes: &Changes| {
        let rows = html! {
            @for (name, inserted, updated, deleted, csv) in &changes.tables {
                tr {
                    td { (name) } td.num { (number(*inserted)) } td.num { (number(*updated)) } td.num { (number(*deleted)) }
                    td { @if let Some(csv) = csv { code { (csv) } } }
                }
            }
        };
        html! {
            h3 { (changes.step) }
            p { (changes.words) }
            @if let Some(file) = &changes.file {
                p.soft { "The export lies at " code { (file) } @if let Some(hash) = &changes.sha256 { ", SHA-256 " code { (hash) } } "." }
            }
            @if !changes.tables.is_empty() { (table(&["table", "#inserted", "#updated", "#deleted", "for people"], &rows, None)) }
        }
    };
    (!paper.changes.is_empty()).then(|| html! { @for one in &paper.changes { (block(one)) } })
}

pub(super) fn backups(paper: &Paper) -> Option<Markup> {
    let rows = html! {
        @for backup in &paper.backups {
            tr {
                td { code { (backup.token) } } td { (backup.of) }
                td.when { @if let Some(at) = &backup.at { (when(at)) } }
                td.num { @if let Some(bytes) = backup.bytes { (spoken_size(bytes)) } }
                td { (backup.proof) }
            }
        }
    };
    (!paper.backups.is_empty()).then(|| table(&["token", "of", "taken", "#size", "proof"], &rows, None))
}
