//! The page of a run, section by section. A section that the run has nothing for is left out.

use maud::{Markup, html};
use serde_json::Value;

use super::data::{backups, changes, gaps, moved, names, stabilization, verification};
use super::parts::{section, short, table, tag, when};
use super::{class, time};
use crate::data::plural::counted;
use crate::report::carried::carried_lines;
use crate::report::paper::{Checkpoint, Failure, Paper, Tone};
use crate::report::planned::{release_name, shorter};
use crate::report::text::{gist, short_ids};

/// A section: where it is linked to, its name, and what stands in it.
type Section = (&'static str, &'static str, Markup);

/// The most lines of a failure that are shown unasked.
const MOST_LINES: usize = 12;

/// Everything.
pub fn all(paper: &Paper) -> Markup {
    let run = &paper.run;
    let sections: Vec<Section> = [
        ("failures", "What went wrong", failures(paper)),
        ("steps", "Steps", steps(paper)),
        ("manifest", "Rollback manifest", manifest(paper)),
        ("checkpoints", "Checkpoints", checkpoints(paper)),
        ("rows", "Rows that moved", moved(paper)),
        ("verification", "Verification", verification(paper)),
        ("gap", "The public route meanwhile", gaps(paper)),
        ("names", "Names", names(paper)),
        ("stabilization", "Stabilization", watched(paper)),
        ("changes", "Written since the cutover", changes(paper)),
        ("backups", "Backups", backups(paper)),
        ("services", "Services", services(paper)),
        ("environment", "Environment", Some(environment(paper))),
        ("notes", "Notes", notes(paper)),
    ]
    .into_iter()
    .filter_map(|(id, title, body)| Some((id, title, body?)))
    .collect();
    html! {
        header.top {
            h1 { "Run " (run.number) ": " (run.title) }
            span.soft { (run.project) " in " (run.environment) }
            @if let Some(about) = &run.about { p.about { (about) } }
        }
        @if let Some(fault) = &paper.fault {
            p.banner { b { "This journal is damaged. " } (fault) " What stands below was read before that place." }
        }
        (verdict(paper))
        nav aria-label="Sections" {
            @for (id, title, _) in &sections { a href={ "#" (id) } { (title) } }
        }
        @for (id, title, body) in &sections { (section(id, title, lead(id), body)) }
        footer {
            "Made by cutover " (env!("CARGO_PKG_VERSION")) " at " (when(&paper.made_at)) " UTC from the journal of run "
            (run.number) ". All times are UTC. Nothing on this page was measured after the journal's last line, except the \
            watched window."
        }
    }
}

fn lead(id: &str) -> &'static str {
    match id {
        "steps" => {
            "In the order of the plan. A step counts as done when its effect was seen, not when a command ended."
        }
        "manifest" => "What was really undone, what stays, and who has something left to do.",
        "checkpoints" => "An approval is valid for the plan and the evidence that it was shown, and for nothing else.",
        "verification" => "Every row of both sides, compared by digests.",
        "gap" => "The public route was asked again and again while cutover was at work: what people would have met.",
        "names" => "Authorities change, caches expire: two numbers, one moment after another.",
        "stabilization" => "Evidence of failed requests, counted exactly, against the alarm.",
        "changes" => {
            "The difference between what was brought over and what stood there later: nothing written is lost."
        }
        "backups" => "A backup counts once it was read back in full.",
        _ => "",
    }
}

fn verdict(paper: &Paper) -> Markup {
    let (run, verdict) = (&paper.run, &paper.verdict);
    let word = capital(&verdict.word);
    let fact = |name: &str, value: &str| html! { div { dt { (name) } dd { (value) } } };
    html! {
        div class={ "verdict " (class(verdict.tone)) } {
            p.word { (word) }
            @if !verdict.words.is_empty() { p.words { (short_ids(&verdict.words)) } }
            dl.facts {
                div { dt { "lasted" } dd.number { (time::ms(run.lasted_ms)) } }
                @if run.waited_ms > 0 { (fact("of that, waited for people", &time::ms(run.waited_ms))) }
                @if let Some(began) = &run.began_at { (fact("began", &when(began))) }
                @if let Some(last) = &run.last_at { (fact("last line", &when(last))) }
                @if run.release_to.is_some() {
                    @let label = if verdict.tone == Tone::Good { "release" } else { "planned release" };
                    @match run.release_from {
                        None => (fact(label, &release_name(run.release_to))),
                        from => (fact(label, &format!("{} → {}", release_name(from), release_name(run.release_to)))),
                    }
                }
                @if !run.by.is_empty() { (fact("by", run.by.split(" (process").next().unwrap_or_default())) }
                @if let Some(exit) = run.exit { (fact("exit code", &exit.to_string())) }
                @if !run.plan_hash.is_empty() { (fact("plan", short(&run.plan_hash))) }
            }
        }
    }
}

pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

pub(super) fn failures(paper: &Paper) -> Option<Markup> {
    let one = |failure: &Failure| {
        let tone = if failure.is_unknown { Tone::Careful } else { Tone::Bad };
        let word = match (failure.is_unknown, failure.is_back) {
            (true, _) => "not known",
            (false, true) => "failed on the way back",
            (false, false) => "failed",
        };
        let (shown, is_cut) = bounded(&failure.why);
        html! {
            div.card {
                p.head { b { (failure.title) } (tag(tone, word)) span.soft { (failure.step) ", " (when(&failure.at)) } }
                @if shown.lines().count() > 1 { pre { (short_ids(&shown)) } } @else { p { (short_ids(&shown)) } }
                @if is_cut {
                    details {
                        summary { "All of it, " (counted(failure.why.lines().count(), "line")) }
                        pre { (short_ids(&failure.why)) }
                    }
                }
            }
        }
    };
    (!paper.failures.is_empty()).then(|| html! { @for failure in &paper.failures { (one(failure)) } })
}

/// As much of a failure as is enough to act on, and whether that is less than all: its first line says what failed, the last
/// ones are the end of a log.
fn bounded(why: &str) -> (String, bool) {
    let lines: Vec<&str> = why.lines().collect();
    let left_out = lines.len().saturating_sub(MOST_LINES);
    let last = if left_out == 0 { 1 } else { left_out + 1 };
    let mut shown: Vec<String> =
        lines.iter().take(1).chain(lines.iter().skip(last)).map(|line| shorter(line)).collect();
    if left_out > 0 {
        shown.insert(1, format!("… {}", counted(left_out, "line")));
    }
    let is_cut = left_out > 0 || lines.iter().any(|line| shorter(line) != *line);
    (shown.join("\n"), is_cut)
}

/// Every item of the plan, with its place in time.
pub(super) fn steps(paper: &Paper) -> Option<Markup> {
    if paper.steps.is_empty() {
        return None;
    }
    Some(html! {
        @if let Some(timeline) = &paper.timeline { (time::axis(timeline)) }
        ol.steps {
            @for step in &paper.steps {
                @if let Some(phase) = &step.phase { li.phase { (phase) } }
                li {
                    div.label { div.name { (step.name) } @if step.title != step.name { div.title { (short_ids(&step.title)) } } }
                    div.bars { @if let Some(timeline) = &paper.timeline { (time::bars(step, timeline)) } }
                    div.took {
                        @if step.waited_ms > 0 { "waited " (time::ms(step.waited_ms)) }
                        @else if step.took_ms > 0 { (time::ms(step.took_ms)) }
                        @if let Some(expected) = step.expected_ms { span.soft { "planned " (time::ms(expected)) } }
                    }
                    div.seen { (tag(step.tone, &step.standing)) " " (short_ids(&gist(&step.seen))) }
                }
            }
        }
        (time::legend(paper))
    })
}

/// The watched window, and what the watcher wrote into the journal.
fn watched(paper: &Paper) -> Option<Markup> {
    let rows =
        html! { @for verdict in &paper.verdicts { tr { td.when { (when(&verdict.at)) } td { (verdict.text) } } } };
    (paper.stabilization.is_some() || !paper.verdicts.is_empty()).then(|| {
        html! {
            @if let Some(stable) = &paper.stabilization { (stabilization(stable)) }
            @if !paper.verdicts.is_empty() { (table(&["at", "verdict"], &rows, None)) }
        }
    })
}

/// The manifest of a run that went back.
fn manifest(paper: &Paper) -> Option<Markup> {
    let manifest = paper.manifest.as_ref()?;
    let list = |key: &str| manifest.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let item = |words: &'static str| move |one: &Value| (text(one, "item"), text(one, words));
    let proof = |one: &Value| {
        let passed = match one.get("passed").and_then(Value::as_bool) {
            Some(true) => "passed",
            Some(false) => "refused",
            None => "not known whether it passed",
        };
        (format!("{} ({passed})", text(one, "title")), text(one, "seen"))
    };
    let carried = carried_lines(manifest.get("carried_back").unwrap_or(&Value::Null));
    let groups: Vec<(&str, Vec<(String, String)>)> = vec![
        ("Written since, and carried back", carried.into_iter().map(|line| (line, String::new())).collect()),
        ("Undone, and seen to be", list("undone").iter().map(item("seen")).collect()),
        ("Done on the way", list("done").iter().map(item("seen")).collect()),
        ("Stays, and why", list("stays").iter().map(item("why")).collect()),
        ("Not undone", list("not_undone").iter().map(item("last_words")).collect()),
        ("Not begun", list("not_begun").iter().map(item("last_words")).collect()),
        ("Proofs of the state that is back", list("proofs").iter().map(proof).collect()),
        ("Evidence", list("evidence").iter().map(|one| (text(one, "what"), text(one, "path"))).collect()),
        ("Left to do", list("remaining").iter().map(|one| (text(one, "who"), text(one, "what"))).collect()),
    ];
    Some(html! {
        @for (title, lines) in groups.iter().filter(|(_, lines)| !lines.is_empty()) {
            h3 { (title) }
            ul.plain {
                @for (name, words) in lines {
                    li { @if words.is_empty() { (name) } @else { b { (name) } ": " (short_ids(&gist(words))) } }
                }
            }
        }
    })
}

fn checkpoints(paper: &Paper) -> Option<Markup> {
    let one = |checkpoint: &Checkpoint| {
        let approvals = checkpoint.approvals.iter();
        html! {
            div.card {
                p.head { b { (checkpoint.title) } code { (checkpoint.signal) } }
                @if let Some(built) = &checkpoint.built { p.soft { (built) } }
                @if checkpoint.approvals.is_empty() { p { (tag(Tone::Careful, "not approved")) } }
                ul.plain {
                    @for approval in approvals {
                        li {
                            (if approval.is_taken_back { "Taken back by " } else { "Approved by " }) b { (approval.by) }
                            " at " (when(&approval.at))
                            @if !approval.note.is_empty() { ": “" (approval.note) "”" }
                            @if let Some(hash) = &approval.evidence_hash { " " span.soft { "for evidence " code { (short(hash)) } } }
                        }
                    }
                    @for (statement, by) in &checkpoint.statements {
                        li.soft {
                            @if by.is_empty() { (tag(Tone::Careful, "not confirmed")) " " } @else { "Confirmed by " (by.join(", ")) ": " }
                            (statement)
                        }
                    }
                    @for (title, answer, words) in &checkpoint.gates {
                        @let tone = if answer == "passed" { Tone::Good } else if answer == "refused" { Tone::Bad } else { Tone::Careful };
                        li.soft { (title) " " @if !answer.is_empty() { (tag(tone, answer)) " " } (words) }
                    }
                }
            }
        }
    };
    (!paper.checkpoints.is_empty()).then(|| html! { @for checkpoint in &paper.checkpoints { (one(checkpoint)) } })
}

fn services(paper: &Paper) -> Option<Markup> {
    let image = |image: &Option<String>| image.as_deref().map(short_ids).unwrap_or_default();
    let rows = html! {
        @for service in &paper.services {
            tr {
                td { (service.service) } td { (service.change) } td { (service.reasons.join("; ")) }
                td { code { (image(&service.image_from)) } } td { code { (image(&service.image_to)) } }
            }
        }
    };
    (!paper.services.is_empty())
        .then(|| table(&["service", "planned", "why", "image before", "image after"], &rows, None))
}

fn environment(paper: &Paper) -> Markup {
    let run = &paper.run;
    let row = |name: &str, value: &str| html! { tr { td.soft { (name) } td { (value) } } };
    let rows = html! {
        (row("project", &run.project)) (row("environment", &run.environment))
        tr { td.soft { "plan" } td { code { (run.plan_hash) } } }
        (row("begun by", &run.by)) (row("cutover", &run.version))
        (row("processes", &if run.processes > 1 { format!("{}: it was resumed", run.processes) } else { "1".into() }))
        @if let Some(undone) = run.undoes { (row("undoes run", &undone.to_string())) }
        @for remark in &paper.remarks { (row("told before", remark)) }
        @for file in &paper.files { tr { td.soft { "kept beside the journal" } td { code { (file) } } } }
    };
    html! { div.wide { table { tbody { (rows) } } } }
}

fn notes(paper: &Paper) -> Option<Markup> {
    let rows = html! { @for note in &paper.notes { tr { td.when { (when(&note.at)) } td { (note.text) } } } };
    (!paper.notes.is_empty()).then(|| table(&["at", "note"], &rows, None))
}
