//! Notices to users: five texts, each of which can be replaced by a file. Pure but for the reading of that file.
//!
//! The first line is `Subject: …`, then an empty line, then the text. `{name}` stands for a value. A line that begins with
//! `? ` is left out where one of its values is not known; anywhere else a missing value is an error, because a user must
//! never read `{begins}`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::config::nearest;

/// The notices, and when each is sent.
pub const NOTICES: [(&str, &str); 5] = [
    ("48h", "two days before the maintenance"),
    ("24h", "one day before it"),
    ("start", "when it begins"),
    ("done", "when the new system is open"),
    ("rolled-back", "when the old system is open again"),
];

/// What can stand in a text, and where it comes from.
const NAMES: [(&str, &str); 9] = [
    ("product", "notify.product"),
    ("project", "project.name"),
    ("environment", "project.environment"),
    ("begins", "notify.begins"),
    ("length", "notify.length"),
    ("status_page", "notify.status_page"),
    ("support", "notify.support"),
    ("since", "--set since=…"),
    ("until", "--set until=…"),
];

/// What is known, by name.
pub type Values = BTreeMap<String, String>;

/// A text with its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// One line.
    pub subject: String,
    /// The rest.
    pub body: String,
    /// Where it comes from, in words.
    pub source: String,
}

/// The text of a notice: the file of that name in `directory` where there is one, else the built-in one.
///
/// # Errors
/// In words: there is no such notice, the file cannot be read, or a value is missing or not known.
pub fn text_of(notice: &str, directory: Option<&Path>, values: &Values) -> Result<Text, String> {
    let built_in = match notice {
        "48h" => include_str!("texts/48h.txt"),
        "24h" => include_str!("texts/24h.txt"),
        "start" => include_str!("texts/start.txt"),
        "done" => include_str!("texts/done.txt"),
        "rolled-back" => include_str!("texts/rolled-back.txt"),
        other => {
            let names = || NOTICES.iter().map(|(name, _)| *name);
            let near = nearest(other, names()).map_or_else(String::new, |near| format!("; did you mean {near}?"));
            return Err(format!("there is no notice {other:?}, but {}{near}", names().collect::<Vec<_>>().join(", ")));
        }
    };
    let file = directory.map(|directory| directory.join(format!("{notice}.txt"))).filter(|file| file.exists());
    let (written, source) = match &file {
        None => (built_in.to_owned(), "the built-in text".to_owned()),
        Some(file) => {
            let read = std::fs::read_to_string(file);
            (read.map_err(|error| format!("cannot read {}: {error}", file.display()))?, file.display().to_string())
        }
    };
    let filled = fill(&written, values).map_err(|why| format!("{source} of {notice}: {why}"))?;
    let (subject, body) = filled
        .split_once('\n')
        .and_then(|(first, rest)| Some((first.strip_prefix("Subject:")?.trim(), rest)))
        .filter(|(subject, body)| !subject.is_empty() && !body.trim().is_empty())
        .ok_or_else(|| format!("{source} of {notice} must begin with a line `Subject: …`, and go on with the text"))?;
    Ok(Text { subject: subject.to_owned(), body: format!("{}\n", body.trim()), source })
}

fn fill(text: &str, values: &Values) -> Result<String, String> {
    let mut lines: Vec<String> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let (is_optional, line) = match line.strip_prefix("? ") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        match fill_line(line, values) {
            Ok(filled) => lines.push(filled),
            Err(Trouble::Missing(_)) if is_optional => {}
            Err(Trouble::Missing(name)) => {
                let from = NAMES.iter().find(|(known, _)| *known == name).map_or("", |(_, from)| *from);
                return Err(format!(
                    "line {} needs {{{name}}}, which is not known; set {from}, or --set {name}=…",
                    number + 1
                ));
            }
            Err(Trouble::Unknown(name)) => {
                let names = || NAMES.iter().map(|(name, _)| *name);
                let near = nearest(&name, names()).map_or_else(
                    || format!("known are {}", names().collect::<Vec<_>>().join(", ")),
                    |near| format!("did you mean {{{near}}}?"),
                );
                return Err(format!("line {} has {{{name}}}, which means nothing here; {near}", number + 1));
            }
        }
    }
    let mut filled = lines.join("\n");
    // Where lines were left out, one empty line is enough.
    while filled.contains("\n\n\n") {
        filled = filled.replace("\n\n\n", "\n\n");
    }
    Ok(filled)
}

enum Trouble {
    Missing(String),
    Unknown(String),
}

fn fill_line(line: &str, values: &Values) -> Result<String, Trouble> {
    let mut filled = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            continue;
        };
        match values.get(name) {
            Some(value) => filled.push_str(value),
            None if NAMES.iter().any(|(known, _)| *known == name) => return Err(Trouble::Missing(name.to_owned())),
            None => return Err(Trouble::Unknown(name.to_owned())),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const ALL: [(&str, &str); 7] = [
        ("product", "FreshTrack"),
        ("begins", "Saturday, 24 January, 02:00 UTC"),
        ("length", "8 hours"),
        ("status_page", "https://status.example.com/"),
        ("support", "support@example.com"),
        ("since", "02:04 UTC"),
        ("until", "09:30 UTC"),
    ];

    #[test]
    fn every_text_is_filled_and_leaves_no_brace_and_no_mark() {
        for (notice, _) in NOTICES {
            let text = text_of(notice, None, &values(&ALL)).unwrap();
            let whole = format!("{}\n{}", text.subject, text.body);
            assert!(!whole.contains(['{', '}']) && !whole.contains("\n? "), "{whole}");
            assert!(whole.contains("FreshTrack") && whole.contains("support@example.com"), "{whole}");
            assert!(whole.lines().all(|line| line.len() <= 100), "{whole}");
        }
    }

    #[test]
    fn the_reminder_reads_like_this() {
        let text = text_of("24h", None, &values(&ALL[..4])).unwrap();
        assert_eq!(text.subject, "Tomorrow: FreshTrack is closed for maintenance, Saturday, 24 January, 02:00 UTC");
        assert!(
            text.body.contains("  begins  Saturday, 24 January, 02:00 UTC\n  lasts   at most 8 hours\n"),
            "{}",
            text.body
        );
        assert!(text.body.ends_with("How it stands during the move: https://status.example.com/\n"), "{}", text.body);
    }

    #[test]
    fn what_is_missing_or_means_nothing_is_said_with_its_line() {
        let missing = text_of("48h", None, &values(&[("product", "FreshTrack")])).unwrap_err();
        assert!(missing.contains("line 1 needs {begins}") && missing.contains("set notify.begins"), "{missing}");
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("start.txt"), "Subject: a\n\nsince {sinse}\n").unwrap();
        let unknown = text_of("start", Some(directory.path()), &values(&ALL)).unwrap_err();
        assert!(unknown.contains("line 3 has {sinse}") && unknown.contains("did you mean {since}?"), "{unknown}");
        assert!(text_of("strat", None, &values(&ALL)).unwrap_err().contains("did you mean start?"));
    }

    #[test]
    fn a_file_takes_the_place_of_the_built_in_text_and_must_have_a_subject() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("done.txt"), "Subject: {product} is back\n\nHi.\n").unwrap();
        let text = text_of("done", Some(directory.path()), &values(&ALL)).unwrap();
        assert_eq!((text.subject.as_str(), text.body.as_str()), ("FreshTrack is back", "Hi.\n"));
        std::fs::write(directory.path().join("done.txt"), "Hi.\n").unwrap();
        assert!(text_of("done", Some(directory.path()), &values(&ALL)).unwrap_err().contains("Subject"));
    }
}
