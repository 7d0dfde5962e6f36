//! The reference pages of cutover.toml and of runbooks, made from the key lists. A test compares docs/ with them.

use std::fmt::Write;

use super::keys::{self, Fallback, Key, KeyList};
use super::value;

const OPENING: &str = "# cutover.toml

This page is made from the list of keys in `src/config/keys/`; `cargo test -- --ignored write_the_reference`
writes it anew.

- Every key has the default that is shown here, is optional (—), or is **required** wherever its table stands.
  A table that no verb of yours needs may be left out. `cutover config show --defaults` prints the same, with
  the values of your file and where each came from.
- Flags win over the environment, and the environment over the file. `CUTOVER_CONFIG` names the file; single
  values can be overridden by the variable that stands with them.
- Durations are written `\"500ms\"`, `\"30s\"`, `\"1m30s\"`, `\"2h\"`, `\"7d\"`; sizes `\"500MB\"`, `\"5GiB\"`; shares `\"5%\"`.
- Relative paths start at the directory of the file.
- Secrets are never values: `*_env` names an environment variable and `*_file` a file that only its owner can
  read (mode 0600).
- The file itself must not be writable by others, nor be a link to another user's file, and holds at most 1 MiB.
- Unknown keys are errors. All problems are told at once, each with file, line, column, key, what was found and
  what is allowed; the exit code is 2.
";

const RUNBOOK_OPENING: &str = "# The keys of a runbook

This page is made from the list of keys in `src/config/keys/runbook.rs`; `cargo test -- --ignored write_the_reference`
writes it anew. What a runbook is, and an example, stands in [runbooks.md](runbooks.md).

- Every key has the default that is shown here, is optional (—), or is **required** wherever its table stands.
- An entry is one of four: a `step`, a `gate`, a `command`, a `checkpoint`. `cutover runbook list` names the built-in steps
  and gates, with the keys that each may be told; a key that stands with another one is an error.
- Moments are written `\"2026-11-22T01:00:00Z\"`, durations `\"30s\"`, `\"1m30s\"`, `\"2h\"`.
- Relative paths start at the directory of the runbook; `{data}/` stands for the configured `data.directory`.
- Unknown keys are errors. `cutover runbook check FILE` tells all problems at once, each with its line and column.
";

/// The page of cutover.toml, in Markdown.
pub fn reference() -> String {
    page(OPENING, keys::CONFIGURATION, Key::variable)
}

/// The page of a runbook's keys, in Markdown.
pub fn runbook_reference() -> String {
    // The environment overrides no key of a runbook: its plan has to be the one that was rehearsed.
    page(RUNBOOK_OPENING, keys::RUNBOOK, |_| None)
}

fn page(opening: &str, keys: KeyList, variable: fn(&Key) -> Option<String>) -> String {
    let mut page = opening.to_owned();
    page.push_str("\n## Top level\n\n");
    rows(&mut page, keys, "", variable);
    for table in keys.all().filter(|key| key.is_table()) {
        let heading = match table.path.strip_suffix("[]") {
            Some(path) => format!("[[{}]]", path.replace("[]", "")),
            None => format!("[{}]", table.path.replace("[]", "")),
        };
        let _ = write!(page, "\n## `{heading}`\n\n{}\n\n", table.doc);
        rows(&mut page, keys, table.path, variable);
    }
    page
}

fn rows(page: &mut String, keys: KeyList, table: &str, variable: fn(&Key) -> Option<String>) {
    page.push_str("| key | meaning | value | default |\n|---|---|---|---|\n");
    for key in keys.children(table).filter(|key| !key.is_table()) {
        let variable = variable(key).map(|variable| format!(" `{variable}`")).unwrap_or_default();
        let _ = writeln!(
            page,
            "| `{}` | {}{variable} | {} | {} |",
            key.name(),
            cell(key.doc),
            cell(&value::allowed(key.kind)),
            default(key)
        );
    }
}

fn default(key: &Key) -> String {
    match key.fallback {
        Fallback::Required => "**required**".to_owned(),
        Fallback::Unset("") => "—".to_owned(),
        Fallback::Unset(otherwise) => format!("— ({})", cell(otherwise)),
        Fallback::Is(literal) => format!("`{}`", cell(literal)),
    }
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn pages() -> [(PathBuf, String); 2] {
        let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs");
        [(docs.join("configuration.md"), reference()), (docs.join("runbook-keys.md"), runbook_reference())]
    }

    #[test]
    fn the_reference_is_current() {
        for (path, page) in pages() {
            let written = std::fs::read_to_string(&path).unwrap_or_default();
            let shown = path.display();
            assert!(written == page, "{shown} is old; run: cargo test -- --ignored write_the_reference");
        }
    }

    #[test]
    #[ignore = "writes docs/configuration.md and docs/runbook-keys.md"]
    fn write_the_reference() {
        for (path, page) in pages() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, page).unwrap();
        }
    }
}
