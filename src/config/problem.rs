//! What is wrong with a configuration: where, which key, what was found, what is allowed. A secret is never quoted.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong, with all that is needed to put it right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file as it was named by the caller, or `$NAME` for an environment variable, or `--NAME` for a flag.
    pub file: String,
    /// Line, from 1; 0 when the value did not come from a file.
    pub line: usize,
    /// Column in characters, from 1; 0 when the value did not come from a file.
    pub column: usize,
    /// The key's path, such as `deploy.strategy` or `health[0].url`; empty when the file as a whole is meant.
    pub key: String,
    /// What stands there, or what is missing there.
    pub found: String,
    /// What may stand there.
    pub allowed: String,
    /// What to do, where there is a next act.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if self.line > 0 {
            write!(formatter, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(formatter, ": {}", self.key)?;
        }
        write!(formatter, ": found {}; allowed: {}", self.found, self.allowed)?;
        if let Some(hint) = &self.hint {
            write!(formatter, " ({hint})")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration, in the order of the file. Never empty when it is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The longest piece of a value that is quoted, in characters.
const QUOTED: usize = 60;

/// Quotes what was found, short and on one line. What looks like a connection string with a password is
/// described instead: a message ends up in logs.
pub(super) fn quote(text: &str) -> String {
    if text.contains("://") && text.contains('@') {
        return "an address with credentials in it (not shown)".to_owned();
    }
    if looks_secret(text) {
        return format!("a text of {} characters (not shown, it looks like a secret)", text.chars().count());
    }
    let short: String = text.chars().take(QUOTED).collect();
    if short.len() < text.len() { format!("{short:?}… ({} bytes)", text.len()) } else { format!("{short:?}") }
}

/// Whether a text looks like a key or a token that stands in the wrong place. What a person writes by hand where a number,
/// a duration, a name or a path belongs does not mix capitals, small letters and digits in one long word.
pub(super) fn looks_secret(text: &str) -> bool {
    const BEGINNINGS: [&str; 8] = ["-----BEGIN", "AKIA", "ghp_", "glpat-", "sk_live_", "sk-", "xox", "eyJ"];
    let is_token = |word: &str| {
        let has = |is: fn(char) -> bool| word.chars().any(is);
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let is_mixed = has(|c| c.is_ascii_lowercase()) && has(|c| c.is_ascii_uppercase()) && digits > 0;
        word.len() >= 12 && is_mixed || word.len() >= 24 && digits >= 4 && !word.contains('.')
    };
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning) && text.len() >= 12)
        || text.split(|c: char| c.is_whitespace() || "/:@,;=\"'".contains(c)).any(is_token)
}

/// Joins words as they are written in the file: `"a", "b"`.
pub(super) fn quoted_list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    quoted.join(", ")
}

/// The word nearest to `found`, if it is near enough to be a slip of the hand.
pub fn nearest<'a>(found: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = found.to_lowercase();
    let reach = (found.chars().count() / 3).max(2);
    words
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&found, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= reach && *distance < word.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_one_line() {
        let problem = Problem {
            file: "cutover.toml".into(),
            line: 12,
            column: 5,
            key: "deploy.strategy".into(),
            found: quote("bluegreen"),
            allowed: quoted_list(&["recreate", "blue-green"]),
            hint: Some("did you mean \"blue-green\"?".into()),
        };
        assert_eq!(
            problem.to_string(),
            "cutover.toml:12:5: deploy.strategy: found \"bluegreen\"; allowed: \"recreate\", \"blue-green\" (did you mean \"blue-green\"?)"
        );
    }

    #[test]
    fn credentials_and_control_characters_are_not_repeated() {
        assert!(!quote("postgres://user:hunter2@db/app").contains("hunter2"));
        assert_eq!(quote("a\u{1b}[31m\nb"), "\"a\\u{1b}[31m\\nb\"");
        assert!(quote(&"x".repeat(5000)).len() < 100);
    }

    #[test]
    fn what_looks_like_a_token_is_not_repeated_and_slips_of_the_hand_are() {
        for token in ["s3cr3tCanary-Rc96", "ghp_abcdefghijkl", "9f86d081884c7d659a2feaa0c55ad015", "key=AbCdEf123456"] {
            assert!(!quote(token).contains(token), "{token}");
        }
        for slip in [
            "ten minutes",
            "1h30m",
            "bluegreen",
            "127.0.0.1:9090",
            "./compose.production.yaml",
            "registry.example:5000/shop/backend:v1.2.3",
        ] {
            assert!(quote(slip).contains(slip), "{slip}");
        }
    }

    #[test]
    fn the_nearest_word_is_near() {
        assert_eq!(nearest("strategi", ["services", "strategy"]), Some("strategy"));
        assert_eq!(nearest("qqqqqq", ["services", "strategy"]), None);
    }
}
