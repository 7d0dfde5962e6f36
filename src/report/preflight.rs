//! The report of a preflight as text, as JSON, and as a monitoring plugin says it. Decides nothing, prints nothing.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::style::Style;
use super::text::{columns, lead};
use crate::adapter::clock::spoken;
use crate::preflight::{Finding, Limit, Perf, Report, Verdict};

/// A table for people: the verdict's word first, then the check, how long it took, and what was seen.
pub fn text(report: &Report, style: &Style) -> String {
    table(report, style, |_| true)
}

/// The same before a deployment: only what a person has to look at, and the count of all.
pub fn troubles(report: &Report, style: &Style) -> String {
    table(report, style, |verdict| !matches!(verdict, Verdict::Ok | Verdict::Skipped))
}

fn table(report: &Report, style: &Style, is_shown: impl Fn(Verdict) -> bool) -> String {
    let width = report.findings.iter().map(|finding| finding.id.len()).max().unwrap_or(0);
    let time = report.findings.iter().map(|finding| took(finding).chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in report.findings.iter().filter(|finding| is_shown(finding.verdict)) {
        let word = painted(finding.verdict, style.colour);
        let head = format!("{word}  {:width$}  {:>time$}  ", finding.id, took(finding));
        // Seven letters of the verdict, the two columns, and three gaps of two.
        let indent = 7 + 2 + width + 2 + time + 2;
        push(&mut text, &head, indent, &finding.seen, style);
        if let Some(advice) = &finding.advice {
            let head = format!("{}{} ", " ".repeat(indent), style.arrow());
            push(&mut text, &head, indent + columns(style.arrow()) + 1, advice, style);
        }
    }
    let word = painted(report.verdict(), style.colour);
    push(&mut text, &format!("{word}  "), 0, &summary(report), style);
    text
}

fn took(finding: &Finding) -> String {
    if finding.verdict == Verdict::Skipped { String::new() } else { spoken(finding.took) }
}

/// Adds lines, wrapped; the first after `head`, the others `indent` columns in.
fn push(text: &mut String, head: &str, indent: usize, words: &str, style: &Style) {
    for (index, line) in words.lines().map(plain).enumerate() {
        let blank = " ".repeat(indent);
        text.push_str(&lead(if index == 0 { head } else { &blank }, line.trim_end(), indent, style.width));
    }
}

/// Control characters from the world must not reach a terminal.
fn plain(line: &str) -> String {
    line.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn painted(verdict: Verdict, is_coloured: bool) -> String {
    let word = if verdict == Verdict::Fail { "FAIL" } else { verdict.word() };
    let padded = format!("{word:7}");
    let colour = match verdict {
        Verdict::Ok => "32",
        Verdict::Warn => "33",
        Verdict::Fail => "1;31",
        Verdict::Unknown => "35",
        Verdict::Skipped => "2",
    };
    if is_coloured { format!("\u{1b}[{colour}m{padded}\u{1b}[0m") } else { padded }
}

/// `19 checks in 420 ms: 15 ok, 2 warn, 1 fail, 1 skipped`.
fn summary(report: &Report) -> String {
    let counts: Vec<String> = [Verdict::Ok, Verdict::Warn, Verdict::Fail, Verdict::Unknown, Verdict::Skipped]
        .into_iter()
        .map(|verdict| (verdict, report.count(verdict)))
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| format!("{count} {}", verdict.word()))
        .collect();
    let count = report.findings.len();
    let noun = if count == 1 { "check" } else { "checks" };
    format!("{count} {noun} in {}: {}", spoken(report.took), counts.join(", "))
}

/// One document, `"schema": "cutover/v1"`.
pub fn json(report: &Report) -> Value {
    json!({
        "schema": "cutover/v1",
        "verdict": report.verdict().word(),
        "took_ms": milliseconds(report.took),
        "findings": report.findings.iter().map(finding_json).collect::<Vec<_>>(),
    })
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "id": finding.id,
        "verdict": finding.verdict.word(),
        "seen": finding.seen,
        "advice": finding.advice,
        "took_ms": milliseconds(finding.took),
        "perf": finding.perf.iter().map(perf_json).collect::<Vec<_>>(),
    })
}

fn perf_json(perf: &Perf) -> Value {
    let limit = |limit: &Option<Limit>| limit.map(range);
    json!({
        "label": perf.label,
        "value": perf.value,
        "unit": perf.unit,
        "warn": limit(&perf.warn),
        "crit": limit(&perf.crit),
        "min": perf.min,
        "max": perf.max,
    })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a monitoring plugin says: one line with performance data, then a line for each check; and its exit code.
pub fn nagios(report: &Report) -> (String, u8) {
    let verdict = report.verdict();
    let word = match verdict {
        Verdict::Ok => "OK",
        Verdict::Warn => "WARNING",
        Verdict::Fail => "CRITICAL",
        Verdict::Unknown | Verdict::Skipped => "UNKNOWN",
    };
    let mut text = format!("CUTOVER {word} - {}", harmless(&summary(report)));
    for finding in report.findings.iter().filter(|finding| finding.verdict == verdict && verdict != Verdict::Ok) {
        let _ = write!(text, "; {}: {}", finding.id, harmless(&shortened(&finding.seen)));
    }
    let took = Perf::plain("took", report.took.as_secs_f64(), "s");
    let perf = report.findings.iter().flat_map(|finding| &finding.perf).chain([&took]).map(perf_text);
    let _ = writeln!(text, " | {}", perf.collect::<Vec<_>>().join(" "));
    for finding in &report.findings {
        let advice = finding.advice.as_ref().map(|advice| format!(" -> {advice}")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{} {}: {}",
            finding.verdict.word(),
            finding.id,
            harmless(&format!("{}{advice}", finding.seen))
        );
    }
    (text, verdict.plugin_code())
}

/// A first line must stay a line: some systems cut it, and the numbers would be lost with the words.
fn shortened(words: &str) -> String {
    const LONGEST: usize = 120;
    let short: String = words.chars().take(LONGEST).collect();
    if short.len() < words.len() { format!("{short}…") } else { short }
}

/// A bar begins the performance data, a line end the long text; neither may come out of the words.
fn harmless(words: &str) -> String {
    plain(&words.split_whitespace().collect::<Vec<_>>().join(" ")).replace('|', "/")
}

/// `'label'=value[UOM];[warn];[crit];[min];[max]`, with nothing after the last field that is there.
fn perf_text(perf: &Perf) -> String {
    // Neither an equals sign nor a bar may stand in a label; a quote is written twice.
    let label = harmless(&perf.label).replace('=', "_").replace('\'', "''");
    let limit = |limit: &Option<Limit>| limit.map(range).unwrap_or_default();
    let bound = |bound: Option<f64>| bound.map(figure).unwrap_or_default();
    let fields = [limit(&perf.warn), limit(&perf.crit), bound(perf.min), bound(perf.max)].join(";");
    let text = format!("'{label}'={}{};{fields}", figure(perf.value), perf.unit);
    text.trim_end_matches(';').to_owned()
}

/// A range of the plugin guidelines: `10` is bad above 10 (and below 0), `10:` is bad below 10.
fn range(limit: Limit) -> String {
    match limit {
        Limit::Below(least) => format!("{}:", figure(least)),
        Limit::Above(most) => figure(most),
    }
}

/// A number without an exponent, and with no more than six decimals.
fn figure(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(id: &'static str, verdict: Verdict, seen: &str, advice: Option<&str>) -> Finding {
        let advice = advice.map(str::to_owned);
        Finding { id, verdict, seen: seen.to_owned(), advice, took: Duration::from_millis(12), perf: Vec::new() }
    }

    fn report() -> Report {
        let mut disk = finding("disk", Verdict::Ok, "20 GiB free", None);
        disk.perf.push(Perf {
            label: "disk_state".into(),
            value: 21_474_836_480.0,
            unit: "B",
            warn: Some(Limit::Below(8_053_063_680.0)),
            crit: Some(Limit::Below(5_368_709_120.0)),
            min: Some(0.0),
            max: Some(1e12),
        });
        let ports = finding("ports", Verdict::Fail, "80/tcp is held\nby a | b", Some("end it"));
        let findings = vec![disk, ports, finding("caddy", Verdict::Skipped, "skipped by --skip", None)];
        Report { findings, took: Duration::from_millis(420) }
    }

    #[test]
    fn a_table_begins_with_the_verdict_and_ends_with_the_sum() {
        let expected = "\
ok       disk   12 ms  20 GiB free
FAIL     ports  12 ms  80/tcp is held
                       by a | b
                       → end it
skipped  caddy         skipped by --skip
FAIL     3 checks in 420 ms: 1 ok, 1 fail, 1 skipped
";
        assert_eq!(text(&report(), &Style::plain(200)), expected);
        assert!(text(&report(), &Style { colour: true, ..Style::plain(200) }).contains("\u{1b}[1;31mFAIL   \u{1b}[0m"));
    }

    #[test]
    fn a_plugins_first_line_holds_all_numbers_and_its_code_is_the_verdicts() {
        let (text, code) = nagios(&report());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(code, 2);
        assert_eq!(
            lines[0],
            "CUTOVER CRITICAL - 3 checks in 420 ms: 1 ok, 1 fail, 1 skipped; ports: 80/tcp is held by a / b | \
             'disk_state'=21474836480B;8053063680:;5368709120:;0;1000000000000 'took'=0.42s;;;0"
        );
        assert_eq!(lines[2], "fail ports: 80/tcp is held by a / b -> end it");
        assert_eq!(text.matches('|').count(), 1);
    }

    #[test]
    fn a_label_is_quoted_and_keeps_no_equals_sign() {
        let perf = Perf { min: None, ..Perf::plain("it's a=b", 0.5, "s") };
        assert_eq!(perf_text(&perf), "'it''s a_b'=0.5s");
        assert_eq!(range(Limit::Above(0.05)), "0.05");
        assert_eq!(figure(0.0), "0");
    }

    #[test]
    fn json_carries_the_schema_and_every_finding() {
        let json = json(&report());
        assert_eq!(json["schema"], "cutover/v1");
        assert_eq!((json["verdict"].as_str(), json["took_ms"].as_u64()), (Some("fail"), Some(420)));
        assert_eq!(json["findings"][1]["advice"], "end it");
        assert_eq!(json["findings"][0]["perf"][0]["crit"], "5368709120:");
    }

    #[test]
    fn what_the_world_says_cannot_move_the_cursor() {
        let report = Report { findings: vec![finding("disk", Verdict::Ok, "a\u{1b}[2Jb", None)], took: Duration::ZERO };
        assert!(!text(&report, &Style::plain(200)).contains('\u{1b}') && !nagios(&report).0.contains('\u{1b}'));
    }
}
