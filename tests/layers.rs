//! The layers: which module may use which. Read from the sources, so that no path goes where the table has none.
//!
//! Also held here: every file says in its first line what it is, and no file is longer than a person can keep in mind.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of the longest file.
const LONGEST: usize = 400;

/// Everything that a verb may use.
const ALL: &[&str] = &[
    "secret",
    "redact",
    "data",
    "dns",
    "judge",
    "rows",
    "config",
    "adapter",
    "release",
    "preflight",
    "step",
    "journal",
    "report",
    "run",
    "watch",
    "notify",
    "init",
];

/// A module and the paths that it may use beside its own. A path allows everything under it.
const TABLE: &[(&str, &[&str])] = &[
    ("secret", &[]),
    ("redact", &[]),
    ("data", &[]),
    ("judge", &["data::plural"]),
    ("config", &["secret"]),
    ("adapter", &["data::shell", "secret", "redact"]),
    ("release", &["adapter", "redact"]),
    ("rows", &["adapter", "data", "secret", "redact"]),
    ("dns", &["adapter", "judge", "secret", "redact"]),
    ("notify", &["adapter", "config", "journal", "secret", "redact"]),
    ("preflight", &["notify", "adapter", "config", "release", "secret", "redact", "rows", "data", "dns", "judge"]),
    ("step", &["adapter", "data", "dns", "judge", "release", "rows", "secret", "redact"]),
    ("journal", &["step"]),
    (
        "report",
        &[
            "journal",
            "step",
            "preflight",
            "release",
            "data",
            "judge",
            "adapter::clock::spoken",
            "adapter::files::spoken_size",
        ],
    ),
    (
        "run",
        &[
            "config", "adapter", "data", "dns", "judge", "step", "journal", "report", "release", "rows", "secret",
            "redact",
        ],
    ),
    ("init", &["adapter", "config", "journal", "preflight", "release", "secret"]),
    ("cli", ALL),
    ("watch", ALL),
];

#[test]
fn every_path_goes_where_the_table_allows() {
    let mut wrong = Vec::new();
    for path in sources() {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        wrong.extend(violations(&name, &fs::read_to_string(&path).unwrap()));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_in_its_first_line_what_it_is() {
    let silent: Vec<PathBuf> =
        sources().into_iter().filter(|path| !fs::read_to_string(path).unwrap().starts_with("//! ")).collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn no_file_is_longer_than_a_person_can_keep_in_mind() {
    let lines = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().count();
    let long: Vec<(PathBuf, usize)> =
        sources().into_iter().map(|path| (path.clone(), lines(&path))).filter(|(_, lines)| *lines > LONGEST).collect();
    assert!(long.is_empty(), "at most {LONGEST} lines: {long:#?}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file of the program.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root().join("src")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 50, "the sources are not where they were: {found:?}");
    found
}

/// What a file uses and may not, as `src/step/x.rs:12: step may not use run::engine`.
fn violations(name: &str, text: &str) -> Vec<String> {
    // `src/step/x.rs` is the module step::x, `src/step/mod.rs` the module step.
    let inside = name.trim_start_matches("src/").trim_end_matches(".rs");
    let mut place: Vec<&str> = inside.split('/').filter(|part| *part != "mod").collect();
    if matches!(place[..], ["lib" | "main"]) {
        place.clear();
    }
    let Some(&module) = place.first() else { return Vec::new() };
    let Some((_, allowed)) = TABLE.iter().find(|(known, _)| *known == module) else {
        return vec![format!("{name}:1: the module {module} is not in the table of layers")];
    };
    let may = |path: &str| {
        let is_under = |of: &str| path == of || path.strip_prefix(of).is_some_and(|rest| rest.starts_with("::"));
        is_under(module) || allowed.iter().any(|of| is_under(of))
    };
    let uses = paths(&blanked(text), &place);
    let wrong = uses.into_iter().filter(|(_, path)| !may(path));
    wrong.map(|(line, path)| format!("{name}:{line}: {module} may not use {path}")).collect()
}

/// Every path from the crate's root, with its line; `super` is followed from the file's own place.
fn paths(text: &str, place: &[&str]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let tokens = tokens(text);
    let mut at = 0;
    while at < tokens.len() {
        let (line, word) = tokens[at];
        let is_inside_a_path = at > 0 && tokens[at - 1].1 == "::";
        if is_inside_a_path
            || !matches!(word, "crate" | "super")
            || tokens.get(at + 1).map(|token| token.1) != Some("::")
        {
            at += 1;
            continue;
        }
        let mut base: Vec<&str> = if word == "crate" { Vec::new() } else { place[..place.len() - 1].to_vec() };
        at += 2;
        while tokens.get(at).is_some_and(|token| token.1 == "super") {
            base.pop();
            at += 2;
        }
        let mut branches = Vec::new();
        at = branch(&tokens, at, &base.join("::"), &mut branches);
        found.extend(branches.into_iter().map(|path| (line, path)));
    }
    found
}

/// Reads `a::b`, `a::{b, c::d}` or `{a, b}` from `at`; gives the place after it.
fn branch(tokens: &[(usize, &str)], mut at: usize, base: &str, found: &mut Vec<String>) -> usize {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.1);
    let mut path = base.to_owned();
    loop {
        match word(at) {
            "{" => {
                at += 1;
                while !matches!(word(at), "}" | "") {
                    at = branch(tokens, at, &path, found);
                    // A new name after `as`, and the comma.
                    while !matches!(word(at), "," | "}" | "") {
                        at += 1;
                    }
                    at += usize::from(word(at) == ",");
                }
                return at + 1;
            }
            "self" | "*" => at += 1,
            name if name.starts_with(|first: char| first.is_alphanumeric() || first == '_') => {
                path = if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") };
                at += 1;
            }
            _ => {}
        }
        if word(at) != "::" {
            found.push(path);
            return at;
        }
        at += 1;
        // `Vec::<u8>` ends the path.
        if word(at) == "<" {
            found.push(path);
            return at;
        }
    }
}

/// Words, `::` and single signs, each with its line counted from 1.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_word = |sign: char| sign.is_alphanumeric() || sign == '_';
            let length = if is_word(first) {
                rest.find(|sign| !is_word(sign)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            found.push((number + 1, &rest[..length]));
            rest = rest[length..].trim_start();
        }
    }
    found
}

/// The text with comments, literals and test modules blanked out; lines stay where they are.
fn blanked(text: &str) -> String {
    let text = without_literals(text);
    let Some(at) = text.find("#[cfg(test)]\nmod ") else { return text };
    let begin = at + text[at..].find(['{', ';']).unwrap_or(0);
    // The tests are in a file of their own.
    if text[begin..].starts_with(';') {
        return text[..at].to_owned() + &blank(&text[at..begin]) + &blanked(&text[begin..]);
    }
    let mut depth = 0;
    let end = text[begin..].char_indices().find(|(_, sign)| {
        depth += i32::from(*sign == '{') - i32::from(*sign == '}');
        depth == 0
    });
    let end = end.map_or(text.len(), |(length, _)| begin + length);
    text[..at].to_owned() + &blank(&text[at..end]) + &blanked(&text[end..])
}

fn blank(text: &str) -> String {
    text.chars().map(|sign| if sign == '\n' { '\n' } else { ' ' }).collect()
}

fn without_literals(text: &str) -> String {
    let mut clean = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = clean.ends_with(|sign: char| sign.is_alphanumeric() || sign == '_');
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => quoted(rest),
            'r' if !after_word => raw(rest).unwrap_or(0),
            // A letter in quotes, or an escape; what is left is a lifetime.
            '\'' if rest.starts_with("'\\") => rest[2..].find('\'').map_or(1, |end| end + 3),
            '\'' => rest[1..]
                .chars()
                .next()
                .filter(|sign| rest[1 + sign.len_utf8()..].starts_with('\''))
                .map_or(0, |sign| sign.len_utf8() + 2),
            _ => 0,
        };
        if length == 0 {
            clean.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            clean.push_str(&blank(&rest[..length]));
            rest = &rest[length..];
        }
    }
    clean
}

/// Length of a string literal with its quotes.
fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.char_indices().skip(1).find(|(_, sign)| {
        let ends = *sign == '"' && !is_escaped;
        is_escaped = *sign == '\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |(end, _)| end + 1)
}

/// Length of a raw string literal, if one begins here.
fn raw(text: &str) -> Option<usize> {
    let hashes = text[1..].chars().take_while(|sign| *sign == '#').count();
    text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    text[2 + hashes..].find(&end).map(|at| 2 + hashes + at + end.len())
}

#[test]
fn a_path_that_the_table_does_not_allow_is_found_with_its_line() {
    let text = "//! A step.\n\nuse crate::adapter::docker::Docker;\nuse crate::run::engine::Engine;\n";
    assert_eq!(violations("src/step/x.rs", text), ["src/step/x.rs:4: step may not use run::engine::Engine"]);
}

#[test]
fn a_path_in_braces_in_the_middle_of_a_line_or_by_way_of_super_is_found_as_well() {
    let text = "use crate::{\n    adapter::{clock, files::{self, sha256 as hash}},\n    run::{End, engine::Engine as Motor},\n};\n\
                fn a() -> crate::journal::Entry { super::super::config::load::<crate::cli::Flags>() }\n";
    let expected = [
        "src/step/x.rs:1: step may not use run::End",
        "src/step/x.rs:1: step may not use run::engine::Engine",
        "src/step/x.rs:5: step may not use journal::Entry",
        "src/step/x.rs:5: step may not use config::load",
        "src/step/x.rs:5: step may not use cli::Flags",
    ];
    assert_eq!(violations("src/step/x.rs", text), expected);
}

#[test]
fn what_is_no_path_of_the_program_is_passed_by() {
    let text = "//! See crate::run.\nuse super::plan::Plan;\nuse std::fs;\n/* crate::run */\n\
                const A: &str = \"crate::run \\\" crate::cli\";\nconst B: &str = r#\"crate::run \" crate::cli\"#;\n\
                const C: char = '\"'; // crate::run\nfn d<'a>(e: &'a str) -> char { '\\'' }\n\
                #[cfg(test)]\nmod tests {\n    use crate::run::End;\n    fn f() { if true { } }\n}\n";
    assert_eq!(violations("src/step/x.rs", text), Vec::<String>::new());
    let elsewhere = "#[cfg(test)]\nmod tests;\nuse crate::run::End;\n";
    assert_eq!(violations("src/step/x.rs", elsewhere), ["src/step/x.rs:3: step may not use run::End"]);
    let after = format!("{text}use crate::run::End;\n");
    assert_eq!(violations("src/step/x.rs", &after), ["src/step/x.rs:14: step may not use run::End"]);
}

#[test]
fn a_part_of_a_module_is_allowed_without_the_rest_of_it() {
    let text = "use crate::adapter::clock::{spoken, now};\nuse crate::adapter::files::spoken_size;\n";
    assert_eq!(violations("src/report/x.rs", text), ["src/report/x.rs:1: report may not use adapter::clock::now"]);
}

#[test]
fn a_module_that_the_table_does_not_know_is_refused() {
    let refused = "src/utils.rs:1: the module utils is not in the table of layers";
    assert_eq!(violations("src/utils.rs", "//! Things.\n"), [refused]);
}
