//! What must be there and must not be seen: the files of compose secrets, and the variables that the model needs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::draft::{Section, list, text};
use super::look::Seen;
use super::variables::Need;
use crate::release::model;

/// `[secrets]`, where the project has any; and what is to be remarked.
pub fn section(seen: &Seen) -> (Option<Section>, Vec<String>) {
    let (files, mut remarks) = files(seen);
    let (variables, why) = variables(seen);
    let mut section = Section::new("[secrets]");
    if let Some((directory, names, open)) = files {
        section = section
            .sure(
                "directory",
                text(&shown(&seen.directory, &directory)),
                "the files of the compose secrets stand there",
            )
            .sure(
                "required",
                list(&names),
                "the compose secrets that are files; none may be missing, empty or open to others",
            );
        for (name, fault) in open {
            let words = format!("{name} belongs here too, but it is not closed yet: it {fault}. After that, add it.");
            remarks.push(format!("the secret file {name} {fault}"));
            section.words.push(words);
        }
    }
    if !variables.is_empty() {
        section = section.sure("variables", list(&variables), why);
    }
    (Some(section).filter(|section| !section.guesses.is_empty()), remarks)
}

type Files = (PathBuf, Vec<String>, Vec<(String, String)>);

/// The directory that holds the secret files, those that may be named, and those that are open to others.
fn files(seen: &Seen) -> (Option<Files>, Vec<String>) {
    let paths = model::secret_files(&seen.model);
    let directories: BTreeSet<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
    let mut remarks = Vec::new();
    // One directory can be named: the one that holds the most.
    let held = |directory: &Path| paths.iter().filter(|path| path.parent() == Some(directory)).count();
    let Some(directory) = directories.iter().copied().max_by_key(|directory| held(directory)) else {
        return (None, remarks);
    };
    let (mut names, mut open) = (Vec::new(), Vec::new());
    for path in &paths {
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        if path.parent() != Some(directory) {
            remarks.push(format!("the secret file {} stands elsewhere and is not checked", path.display()));
            continue;
        }
        let fault = std::fs::metadata(path).ok().and_then(|metadata| crate::secret::judge(&metadata).err());
        match fault {
            None => names.push(name),
            Some(fault) => {
                // The fault ends with what to do about "it".
                let fault = fault.to_string().replace(" it", &format!(" {}", shown(&seen.directory, path)));
                open.push((name, fault));
            }
        }
    }
    (Some((directory.to_owned(), names, open)), remarks)
}

/// The variables that compose needs a value for.
fn variables(seen: &Seen) -> (Vec<String>, String) {
    let mut names = Vec::new();
    let (mut required, mut blank, mut outside) = (0, 0, 0);
    for (name, need) in &seen.variables {
        let is_ours = seen.environment.contains(name);
        let counter = match need {
            Need::Required => &mut required,
            // Without a value compose goes on with an empty text: a secret must not be lost like that. What is plain is
            // told by compose's own warning.
            Need::Plain if model::sounds_secret(name) => &mut blank,
            _ if is_ours && !seen.handed_over.contains(name) => &mut outside,
            _ => continue,
        };
        *counter += 1;
        names.push(name.clone());
    }
    let mut why = Vec::new();
    if required > 0 {
        why.push("compose refuses to go on without a value (${X:?})");
    }
    if blank > 0 {
        why.push("compose would go on with an empty text (${X})");
    }
    if outside > 0 {
        why.push("set in this shell's environment, which reaches compose for the variables named here only");
    }
    (names, format!("named in the compose files: {}", why.join("; ")))
}

/// A path as the configuration has it: relative where it stands inside the directory.
pub fn shown(directory: &Path, path: &Path) -> String {
    let short = path.strip_prefix(directory).unwrap_or(path);
    if short.as_os_str().is_empty() { ".".into() } else { short.display().to_string() }
}
