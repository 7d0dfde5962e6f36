//! The reference page of cutover.toml, made from the key list. A test compares docs/configuration.md with it.

use std::fmt::Write;

use super::keys::{self, Fallback, Key};
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

/// The page, in Markdown.
pub fn reference() -> String {
    let mut page = OPENING.to_owned();
    page.push_str("\n## Top level\n\n");
    rows(&mut page, "");
    for table in keys::all().filter(|key| key.is_table()) {
        let heading = match table.path.strip_suffix("[]") {
            Some(path) => format!("[[{}]]", path.replace("[]", "")),
            None => format!("[{}]", table.path.replace("[]", "")),
        };
        let _ = write!(page, "\n## `{heading}`\n\n{}\n\n", table.doc);
        rows(&mut page, table.path);
    }
    page
}

fn rows(page: &mut String, table: &str) {
    page.push_str("| key | meaning | value | default |\n|---|---|---|---|\n");
    for key in keys::children(table).filter(|key| !key.is_table()) {
        let variable = key.variable().map(|variable| format!(" `{variable}`")).unwrap_or_default();
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
    use std::path::Path;

    fn page() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")
    }

    #[test]
    fn the_reference_is_current() {
        let written = std::fs::read_to_string(page()).unwrap_or_default();
        assert!(
            written == reference(),
            "docs/configuration.md is old; run: cargo test -- --ignored write_the_reference"
        );
    }

    #[test]
    #[ignore = "writes docs/configuration.md"]
    fn write_the_reference() {
        std::fs::create_dir_all(page().parent().unwrap()).unwrap();
        std::fs::write(page(), reference()).unwrap();
    }
}
