//! A configuration that was guessed: tables, values, and above each the reason. What could not be settled is commented out.

use serde_json::{Value, json};

/// Columns of a comment.
const WIDTH: usize = 100;

/// One value, guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// Key inside its table.
    pub key: &'static str,
    /// The value, as TOML.
    pub value: String,
    /// Why it is thought to be so.
    pub why: String,
    /// Whether it stands in the file; else it is commented out, for a person to look at.
    pub is_sure: bool,
}

/// A table of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Its header, such as `[compose]` or `[[health]]`.
    pub header: String,
    /// What is to be said about it as a whole.
    pub words: Vec<String>,
    /// Its values.
    pub guesses: Vec<Guess>,
    /// Whether it stands in the file; else all of it is commented out.
    pub is_sure: bool,
}

impl Section {
    /// A table that stands in the file.
    pub fn new(header: &str) -> Self {
        Self { header: header.into(), is_sure: true, ..Self::default() }
    }

    /// Says something about it as a whole.
    pub fn say(mut self, words: impl Into<String>) -> Self {
        self.words.push(words.into());
        self
    }

    /// A value that stands in the file.
    pub fn sure(self, key: &'static str, value: String, why: impl Into<String>) -> Self {
        self.guess(key, value, why, true)
    }

    /// A value that is commented out.
    pub fn unsure(self, key: &'static str, value: String, why: impl Into<String>) -> Self {
        self.guess(key, value, why, false)
    }

    fn guess(mut self, key: &'static str, value: String, why: impl Into<String>, is_sure: bool) -> Self {
        self.guesses.push(Guess { key, value, why: why.into(), is_sure });
        self
    }

    /// Leaves the whole table to a person.
    pub fn doubted(mut self) -> Self {
        self.is_sure = false;
        self
    }

    fn text(&self) -> String {
        let mark = if self.is_sure { "" } else { "# " };
        let mut out = String::new();
        for words in &self.words {
            out.push_str(&comment(words));
        }
        out.push_str(&format!("{mark}{}\n", self.header));
        for guess in &self.guesses {
            if !guess.why.is_empty() {
                out.push_str(&comment(&guess.why));
            }
            let mark = if self.is_sure && guess.is_sure { "" } else { "# " };
            out.push_str(&format!("{mark}{} = {}\n", guess.key, guess.value));
        }
        out
    }
}

/// The whole file.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The tables, in order.
    pub sections: Vec<Section>,
    /// What is to be told to whoever asked: what was seen and needs a look.
    pub remarks: Vec<String>,
}

impl Draft {
    /// The file.
    pub fn text(&self, project: &str) -> String {
        let mut out = comment(&format!(
            "How cutover deploys {project}. Written by `cutover init` from what it saw: every value is a guess, and its \
             reason stands above it. What is commented out could not be settled by looking."
        ));
        out.push_str(&comment(
            "`cutover config check` proves the file, `cutover preflight` asks the host, `cutover plan deploy` shows what \
             a deploy would do. None of them changes anything.",
        ));
        out.push_str("schema = \"cutover/v1\"\n");
        for section in &self.sections {
            out.push('\n');
            out.push_str(&section.text());
        }
        if !self.remarks.is_empty() {
            out.push('\n');
            self.remarks.iter().for_each(|remark| out.push_str(&comment(&format!("Seen: {remark}."))));
        }
        out.push('\n');
        out.push_str(&comment(
            "For later: [source], [target] and [data] move rows; [users] moves accounts; [dns] switches names; [stabilize] \
             watches the hours after; [notify] tells people; [serve] shows a page.",
        ));
        out
    }

    /// Every guess, for programs.
    pub fn json(&self) -> Value {
        let guesses = self.sections.iter().flat_map(|section| {
            section.guesses.iter().map(|guess| {
                json!({
                    "table": section.header.trim_matches(['[', ']']),
                    "key": guess.key,
                    "value": guess.value,
                    "why": guess.why,
                    "sure": section.is_sure && guess.is_sure,
                })
            })
        });
        guesses.collect()
    }

    /// Values that a person has to look at.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        for section in &self.sections {
            let table = section.header.trim_matches(['[', ']']);
            if section.is_sure {
                let unsure = section.guesses.iter().filter(|guess| !guess.is_sure);
                doubts.extend(unsure.map(|guess| format!("{table}.{}: {}", guess.key, guess.why)));
            } else {
                let why = section.guesses.iter().find(|guess| !guess.why.is_empty()).map(|guess| guess.why.as_str());
                let words = why.or(section.words.first().map(String::as_str)).unwrap_or_default();
                let named = section.guesses.iter().find(|guess| guess.key == "url").or(section.guesses.first());
                let named = named.map_or_else(String::new, |guess| format!(" {} = {}", guess.key, guess.value));
                doubts.push(format!("[{table}]{named}: {}", words.trim_end_matches([':', '.'])));
            }
        }
        doubts
    }
}

/// A comment, wrapped.
pub(super) fn comment(words: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in words.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&format!("# {line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        // What comes from foreign files must not end the comment.
        line.extend(word.chars().filter(|letter| !letter.is_control()));
    }
    out.push_str(&format!("# {line}\n"));
    out
}

/// A text as TOML.
pub fn text(value: &str) -> String {
    let mut out = String::from("\"");
    for letter in value.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            letter if letter.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// Texts as a TOML array.
pub fn list<S: AsRef<str>>(values: &[S]) -> String {
    let values: Vec<String> = values.iter().map(|value| text(value.as_ref())).collect();
    format!("[{}]", values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_reason_above_it_and_what_is_in_doubt_is_commented_out() {
        let sections = vec![
            Section::new("[compose]").sure("files", list(&["a \"b\".yaml"]), "compose takes it").unsure(
                "profiles",
                list(&["debug"]),
                "it is off",
            ),
            Section::new("[[health]]").say("nobody knows").sure("name", text("web"), "").doubted(),
        ];
        let draft = Draft { sections, remarks: vec!["a thing".into()] };
        let file = draft.text("shop");
        for part in [
            "\n[compose]\n# compose takes it\nfiles = [\"a \\\"b\\\".yaml\"]\n# it is off\n# profiles = [\"debug\"]\n",
            "\n# nobody knows\n# [[health]]\n# name = \"web\"\n",
            "\n# Seen: a thing.\n",
        ] {
            assert!(file.contains(part), "{part:?} is not in\n{file}");
        }
        assert_eq!(draft.doubts(), ["compose.profiles: it is off", "[health] name = \"web\": nobody knows"]);
        assert_eq!(draft.json()[1]["sure"], false);
    }

    #[test]
    fn a_reason_cannot_leave_its_comment() {
        assert_eq!(comment("a\nb = 1\r\nc\u{b}d"), "# a b = 1 c d\n");
        assert!(comment(&"word ".repeat(50)).lines().all(|line| line.starts_with("# ") && line.len() <= 102));
    }
}
