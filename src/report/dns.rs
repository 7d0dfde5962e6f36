//! Where a change of names stands: as text, as JSON, and as a monitoring plugin says it. Decides nothing, prints nothing.

use std::fmt::Write;

use serde_json::{Value, json};

use super::SCHEMA;
use super::style::{Paint, Style};
use super::text::{columns, harmless, lead};
use crate::judge::certificate;
use crate::judge::dns::{Picture, Subject, Verdict, moment};

/// For people: the verdict and the two numbers first, then each name with what was found.
pub fn text(picture: &Picture, style: &Style) -> String {
    let word = match (picture.is_good(), picture.has_arrived()) {
        (true, _) => style.paint(Paint::Good, "ARRIVED"),
        (false, true) => style.paint(Paint::Careful, "ARRIVED, NOT ALL RIGHT"),
        (false, false) => style.paint(Paint::Bad, "NOT ARRIVED"),
    };
    let mut text = lead(&format!("{word}  "), &picture.headline(), 2, style.width);
    text.push_str(&subjects(&picture.subjects, style));
    text
}

/// Each subject with its findings.
pub fn subjects(subjects: &[Subject], style: &Style) -> String {
    let mut text = String::new();
    for subject in subjects {
        text.push('\n');
        text.push_str(&style.lines(Paint::Strong, &harmless(&subject.about), 0));
        for finding in &subject.findings {
            push(&mut text, finding.verdict, &finding.words, &finding.advice, style);
        }
    }
    text
}

fn push(text: &mut String, verdict: Verdict, words: &str, advice: &str, style: &Style) {
    const INDENT: usize = 11;
    let paint = match verdict {
        Verdict::Ok => Paint::Good,
        Verdict::Warn | Verdict::Unknown => Paint::Careful,
        Verdict::Fail => Paint::Bad,
    };
    let word = if verdict == Verdict::Fail { "FAIL" } else { verdict.word() };
    let head = format!("  {}  ", style.paint(paint, &format!("{word:7}")));
    text.push_str(&lead(&head, &harmless(words), INDENT, style.width));
    if !advice.is_empty() {
        let head = format!("{}{} ", " ".repeat(INDENT), style.arrow());
        text.push_str(&lead(&head, &harmless(advice), INDENT + columns(style.arrow()) + 1, style.width));
    }
}

/// Certificates and challenges at the new system.
pub fn certificates(pictures: &[certificate::Picture], style: &Style) -> String {
    if pictures.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", style.paint(Paint::Strong, "certificates at the new system"));
    for one in pictures {
        push(&mut text, one.verdict, &one.words, &one.advice, style);
    }
    text
}

/// For programs.
pub fn json(picture: &Picture) -> Value {
    let mut value = serde_json::to_value(picture).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.shift_insert(0, "schema".into(), json!(SCHEMA));
        object.insert("has_arrived".into(), json!(picture.has_arrived()));
        object.insert("old_until_utc".into(), json!(picture.old_until.map(moment)));
        object.insert("missing".into(), json!(picture.missing()));
    }
    value
}

/// For a monitoring system: one line with numbers, then a line for each trouble; and its exit code.
pub fn nagios(picture: &Picture) -> (String, u8) {
    let (word, code) = match picture.verdict {
        Verdict::Fail => ("CRITICAL", 2),
        Verdict::Unknown => ("UNKNOWN", 3),
        Verdict::Warn => ("WARNING", 1),
        Verdict::Ok if picture.has_arrived() => ("OK", 0),
        Verdict::Ok => ("WARNING", 1),
    };
    let quiet = |words: &str| harmless(words).replace('|', "/").replace('\n', " ");
    let mut text = format!("DNS {word} - {}", picture.headline());
    if let Some((about, finding)) = picture.troubles().first() {
        let _ = write!(text, "; {}: {}", quiet(about), quiet(&finding.words));
    }
    let (authority, caches) = (picture.authority, picture.caches);
    let wanted = picture.quorum.min(caches.of);
    let left = picture.old_until.map_or(0, |until| until.saturating_sub(picture.at));
    let _ = writeln!(
        text,
        " | 'authorities'={};{of}:;{of}:;0;{of} 'resolvers'={};{wanted}:;;0;{} 'old_values'={left}s;;;0",
        authority.right,
        caches.right,
        caches.of,
        of = authority.of,
    );
    for (about, finding) in picture.troubles() {
        let advice = if finding.advice.is_empty() { String::new() } else { format!(" -> {}", finding.advice) };
        let _ = writeln!(
            text,
            "{} {}: {}",
            finding.verdict.word(),
            quiet(about),
            quiet(&format!("{}{advice}", finding.words))
        );
    }
    (text, code)
}
