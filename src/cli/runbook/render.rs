//! The page that people read, in Markdown, from the runbook that is run: paper and practice cannot differ.

use std::fmt::Write as _;

use super::built_ins;
use crate::config::SectionPlace;
use crate::config::runbook::{CheckItem, Checkpoint, CommandEntry, Deed, Entry, Phase, Runbook, Settings, Window};
use crate::config::units::format_duration;
use crate::data::shell;
use crate::run::approvals::typed;

/// The page; `file` is how the runbook is named on the command line.
pub fn markdown(runbook: &Runbook, file: &str) -> String {
    let mut page = format!("# {}\n\n", runbook.title);
    page.push_str(&format!(
        "*Rendered from `{file}` by `cutover runbook render`; change the runbook, never this page.*\n\n"
    ));
    paragraph(&mut page, runbook.text.as_deref());
    sections(&mut page, runbook, SectionPlace::Before);
    page.push_str(&how(runbook, file));
    let mut number = 0;
    for phase in &runbook.phases {
        part(&mut page, phase, &mut number);
    }
    sections(&mut page, runbook, SectionPlace::After);
    page.trim_end().to_owned() + "\n"
}

fn paragraph(page: &mut String, text: Option<&str>) {
    if let Some(text) = text {
        page.push_str(text.trim());
        page.push_str("\n\n");
    }
}

fn sections(page: &mut String, runbook: &Runbook, place: SectionPlace) {
    for section in runbook.sections.iter().filter(|section| section.place == place) {
        page.push_str(&format!("## {}\n\n", section.title));
        paragraph(page, Some(&section.text));
    }
}

fn how(runbook: &Runbook, file: &str) -> String {
    let mut out = String::from("## How it is run\n\n");
    for needed in &runbook.depends_on {
        out.push_str(&format!("- before it: `cutover run {needed}.toml`, to its end\n"));
    }
    if let Some(words) = window(&runbook.window) {
        out.push_str(&format!("- the maintenance window: {words}\n"));
    }
    out.push_str(&format!("- look at it, changing nothing: `cutover plan run {file}`\n"));
    out.push_str(&format!("- carry it out: `cutover run {file}`; it stops at each checkpoint with exit code 3\n"));
    out.push_str("- pass a checkpoint: `cutover approve SIGNAL`, then `cutover resume`\n");
    out.push_str("- how it stands, at any time: `cutover status`\n");
    out.push_str(
        "- take all of it back, at any time: `cutover rollback`; while a step is at work, Ctrl-C comes first\n",
    );
    out.push_str(&format!(
        "- where the environment is `production`, a rehearsal has to go through before: `cutover rehearse {file}`\n"
    ));
    out.push_str(&format!(
        "- when an entry fails: {}; from the switch of names on it is held for a person\n\n",
        match runbook.on_failure {
            crate::config::OnFailure::Rollback => "everything is undone by itself",
            crate::config::OnFailure::Hold => "it is held as it stands, for a person",
        }
    ));
    out
}

fn window(window: &Window) -> Option<String> {
    match (&window.earliest, &window.latest) {
        (None, None) => None,
        (Some(from), None) => Some(format!("not before {from}")),
        (None, Some(to)) => Some(format!("no phase begins after {to}")),
        (Some(from), Some(to)) => Some(format!("not before {from}, no phase begins after {to}")),
    }
}

fn part(page: &mut String, phase: &Phase, number: &mut usize) {
    page.push_str(&format!("## {}\n\n", phase.title));
    if let Some(words) = window(&phase.window) {
        page.push_str(&format!("*{words}*\n\n"));
    }
    paragraph(page, phase.text.as_deref());
    for entry in &phase.entries {
        *number += 1;
        let title = entry.title.clone().unwrap_or_else(|| usual_title(entry));
        page.push_str(&format!("### {number}. {title}\n\n"));
        match &entry.deed {
            Deed::BuiltIn { name, settings } => page.push_str(&built_in(entry, name, settings)),
            Deed::Command(command) => page.push_str(&program(command)),
            Deed::Checkpoint(checkpoint) => page.push_str(&stop(entry, checkpoint)),
        }
        paragraph(page, entry.text.as_deref());
    }
}

fn usual_title(entry: &Entry) -> String {
    match &entry.deed {
        Deed::BuiltIn { name, .. } => {
            built_ins::find(name).map_or_else(|| entry.name.clone(), |row| row.known.doc.to_owned())
        }
        Deed::Command(command) => format!("run `{}`", shell::line(&command.run)),
        Deed::Checkpoint(checkpoint) => format!("a person gives the signal \"{}\"", checkpoint.signal),
    }
}

fn built_in(entry: &Entry, name: &str, settings: &Settings) -> String {
    let Some(row) = built_ins::find(name) else { return String::new() };
    let kind = if row.known.is_gate { "Gate" } else { "Step" };
    let mut out = format!("{kind} `{name}`: {}.", row.known.doc);
    if let Some(url) = &settings.url {
        let _ = write!(out, " It asks `{url}`.");
    }
    if let Some(command) = &settings.command {
        let _ = write!(out, " It runs `{}`: 0 is yes, 1 is no, anything else is not known.", shell::line(command));
    }
    if let Some(later) = row.later {
        let _ = write!(out, " Known only later: {later}.");
    }
    if let Some(deadline) = entry.deadline {
        let _ = write!(out, " It may take {}.", format_duration(deadline));
    }
    out.push_str(match row.known.is_gate {
        true => " It changes nothing.\n\n",
        false => "\n\n",
    });
    if let Some(words) = way_back(name) {
        let _ = write!(out, "- undone by `cutover rollback`: {words}\n\n");
    }
    out
}

/// What a rollback gives back of a built-in step, and what it does not.
fn way_back(step: &str) -> Option<&'static str> {
    Some(match step {
        "freeze" => "the source takes writes again",
        "export" => "nothing; the files stay",
        "migrate-users" => {
            "the accounts that it made are deleted; accounts that were there before stay. Where it fails, it is held for a \
             person and not undone by itself"
        }
        "import" | "copy" => {
            "what was written to the target since is saved, written to the source and counted there; then the target's \
             tables are emptied, and it refuses writes. Rows that were emptied for it come back only by `cutover backup \
             restore`"
        }
        "deploy" => "the release before serves again; the schema as `on_rollback` says; files in volumes stay",
        "dns-switch" => {
            "the old records come back; what caches remember of the new ones does not. Where this or anything after it \
             fails, it is held for a person"
        }
        "backup" => "nothing; the backup stays",
        _ => return None,
    })
}

fn program(command: &CommandEntry) -> String {
    let mut out = format!("```bash\n{}\n```\n\n", shell::line(&command.run));
    let mut line = |head: &str, words: &Option<Vec<String>>, none: &str| match words {
        Some(words) => out.push_str(&format!("- {head}: `{}`\n", shell::line(words))),
        None if none.is_empty() => {}
        None => out.push_str(&format!("- {head}: {none}\n")),
    };
    line("undone by", &command.undo, "nothing; what it did stays");
    line("seen to be done by", &command.check, "its exit code alone");
    line("shown by", &command.dry_run, "");
    if !command.environment.is_empty() {
        out.push_str(&format!("- needs the variables: {}\n", command.environment.join(", ")));
    }
    out + "\n"
}

fn stop(entry: &Entry, checkpoint: &Checkpoint) -> String {
    let mut out = String::from("**Checkpoint.** ");
    if let Some(built) = &checkpoint.built {
        out.push_str(built.trim());
    }
    out.push_str("\n\n");
    let mut names = Vec::new();
    for item in &checkpoint.items {
        match item {
            CheckItem::Statement { name, words } => {
                out.push_str(&format!("- [ ] {words} (`{name}`)\n"));
                names.push(name.as_str());
            }
            CheckItem::Gate { name, title, gate, settings, .. } => {
                let words = title.clone().unwrap_or_else(|| {
                    built_ins::find(gate).map_or_else(|| gate.clone(), |row| row.known.doc.to_owned())
                });
                let url = settings.url.as_ref().map_or_else(String::new, |url| format!(" `{url}`"));
                out.push_str(&format!("- cutover asks: {words}{url} (`{name}`)\n"));
            }
        }
    }
    let confirms = if names.is_empty() { String::new() } else { format!(" --confirms {}", names.join(",")) };
    out.push_str(&format!(
        "\n```bash\ncutover approve {}{confirms}\ncutover resume\n```\n\n",
        typed(&checkpoint.signal)
    ));
    if checkpoint.people > 1 {
        out.push_str(&format!("{} people must approve, each another one.\n\n", checkpoint.people));
    }
    if let Some(deadline) = entry.deadline {
        let then = checkpoint.on_expiry;
        let within = format_duration(deadline);
        out.push_str(&format!(
            "Without an approval within {within}: {then}, when `cutover resume` is called next, or at once where the run \
             waits with `--wait`. Until then everything stays as it stands.\n\n"
        ));
    }
    out
}
