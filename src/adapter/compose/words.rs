//! What compose says of files that it cannot read, without the values that it quotes: they may be secrets.

use crate::adapter::process::ProcessError;

/// What stands in the place of a value.
const NOT_SHOWN: &str = "(the value is not shown)";
/// Behind these words compose quotes the value itself, or the rest of the file, up to the end of what it says.
const BEFORE_A_VALUE: [&str; 4] = [
    "You may need to escape any $ with another $.",
    "in variable name",
    "unterminated quoted value",
    "Invalid template:",
];

/// The message of a line of compose's log, which bears the time and would make every plan another one.
pub(super) fn of_warning(line: &str) -> &str {
    let message = line.split_once("msg=\"").map_or(line, |(_, message)| message);
    message.strip_suffix('"').unwrap_or(message)
}

/// The error with everything in it but values.
pub(super) fn without_values(error: ProcessError) -> ProcessError {
    match error {
        ProcessError::Failed { command, ended, code, stderr } => {
            ProcessError::Failed { command, ended, code, stderr: blotted(&stderr) }
        }
        other => other,
    }
}

fn blotted(said: &str) -> String {
    let first = BEFORE_A_VALUE.iter().filter_map(|words| said.find(words).map(|at| at + words.len())).min();
    let head = first.map_or(said, |end| &said[..end]);
    // YAML's own errors quote what they could not take between backticks.
    let mut parts = head.split('`');
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for (index, part) in parts.enumerate() {
        clean.push_str(if index % 2 == 0 { NOT_SHOWN } else { part });
    }
    let anchor = clean.find("unknown anchor '").map(|at| at + "unknown anchor".len());
    if let Some(at) = anchor {
        clean.truncate(at);
    }
    if first.is_some() || anchor.is_some() {
        clean = format!("{clean} {NOT_SHOWN}");
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_is_not_repeated_and_its_place_is() {
        for said in [
            "invalid interpolation format for services.web.environment.A.\nYou may need to escape any $ with another $.\nhunter2${X\nmore",
            "failed to read /srv/.env: line 3: unexpected character \"?\" in variable name near \"hunter2?=1\\nB=2\"",
            "yaml: unmarshal errors:\n  line 3: cannot unmarshal !!str `hunter2` into []string",
            "yaml: unknown anchor 'hunter2' referenced",
        ] {
            let clean = blotted(said);
            assert!(!clean.contains("hunter2") && clean.contains(NOT_SHOWN), "{clean}");
            assert!(clean.starts_with(&said[..20]), "{clean}");
        }
        let plain = "service \"web\" has neither an image nor a build context specified";
        assert_eq!(blotted(plain), plain);
    }

    #[test]
    fn a_warning_is_told_without_its_time() {
        let line = r#"time="2026-01-23T00:00:00Z" level=warning msg="The \"A\" variable is not set.""#;
        assert_eq!(of_warning(line), r#"The \"A\" variable is not set."#);
        assert_eq!(of_warning("plain words"), "plain words");
    }
}
