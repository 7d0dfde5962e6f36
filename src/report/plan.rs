//! A plan for people and for programs: everything that is needed to say yes or no, nothing that is not in the plan.

use serde_json::{Value, json};

use super::SCHEMA;
use super::planned::release_name;
use super::style::{Mark, Paint, Style};
use super::table::{Cell, Table};
use super::text::{hang, harmless, short_ids, wrap};
use crate::step::{Change, Item, Plan, Reversal, RunKind, ServiceChange};

/// The plan as a page.
pub fn plan_text(plan: &Plan, style: &Style) -> String {
    let mut parts = vec![header(plan, style)];
    if !plan.services.is_empty() {
        parts.push(section("Services", &services(plan, style).text(style, 2), style));
    }
    parts.push(section("Steps", &steps(plan, style), style));
    parts.push(section("On failure", &on_failure(plan, style), style));
    if !plan.remarks.is_empty() {
        parts.push(section("Remarks", &marked(&plan.remarks, Mark::Warns, style), style));
    }
    let losses = plan.losses();
    if !losses.is_empty() {
        parts.push(section("What can be lost", &marked(&losses, Mark::Failed, style), style));
    }
    parts.join("\n")
}

/// The plan for programs.
pub fn plan_json(plan: &Plan) -> Value {
    let point = plan.point_of_no_return().map(|index| json!({ "item": index, "name": plan.items[index].name }));
    json!({
        "schema": SCHEMA,
        "plan_hash": plan.hash(),
        "point_of_no_return": point,
        "losses": plan.losses(),
        "plan": plan.to_json(),
    })
}

fn header(plan: &Plan, style: &Style) -> String {
    let verb = match plan.kind {
        RunKind::Deploy => "Deploy",
        RunKind::Rollback => "Roll back",
    };
    let to = plan.release_to.map_or_else(|| "nothing".into(), |number| format!("r{number}"));
    let from = plan.release_from.map_or_else(|| "nothing known".into(), |number| format!("r{number}"));
    let releases = format!("{from} {} {to}", style.arrow());
    let undoes = plan.undoes.map_or_else(String::new, |run| format!(", undoing run {run}"));
    let title = harmless(&format!("{verb} {} in {}: {releases}{undoes}", plan.project, plan.environment));
    let hash = plan.hash();
    let hash = format!("plan {}", hash.get(..12).unwrap_or(&hash));
    let mut out = String::new();
    for line in wrap(&title, style.width) {
        out.push_str(&style.paint(Paint::Strong, &line));
        out.push('\n');
    }
    out.push_str(&style.paint(Paint::Faint, &hash));
    out.push('\n');
    out
}

fn section(title: &str, body: &str, style: &Style) -> String {
    format!("{}\n{body}", style.paint(Paint::Strong, title))
}

fn services(plan: &Plan, style: &Style) -> Table {
    let mut table = Table::new(&["SERVICE", "CHANGE", "WHY", "IMAGE"]);
    for service in &plan.services {
        let (word, paint) = change_word(service.change);
        let word = paint.map_or_else(|| word.into(), |paint| Cell::painted(paint, word));
        let why = harmless(&service.reasons.join("; "));
        table.row(vec![harmless(&service.service).into(), word, short_ids(&why).into(), image(service, style).into()]);
    }
    table
}

/// The word for what happens to a service.
pub fn change_word(change: Change) -> (&'static str, Option<Paint>) {
    match change {
        Change::Create => ("create", Some(Paint::Good)),
        Change::Recreate => ("replace", Some(Paint::Careful)),
        Change::Perhaps => ("replace if the image changes", Some(Paint::Careful)),
        Change::Start => ("start", Some(Paint::Good)),
        Change::Keep => ("keep", Some(Paint::Faint)),
        Change::Remove => ("remove", Some(Paint::Bad)),
    }
}

/// Image before and after; one when it stays.
fn image(service: &ServiceChange, style: &Style) -> String {
    let short = |image: &Option<String>| image.as_ref().map(|image| short_ids(&harmless(image)));
    match (short(&service.image_from), short(&service.image_to)) {
        (Some(from), Some(to)) if from == to => from,
        (Some(from), Some(to)) => format!("{from} {} {to}", style.arrow()),
        (Some(from), None) => from,
        (None, Some(to)) => to,
        (None, None) => String::new(),
    }
}

fn steps(plan: &Plan, style: &Style) -> String {
    let point = plan.point_of_no_return();
    let digits = plan.items.len().to_string().len().max(2);
    let mut out = String::new();
    for (index, item) in plan.items.iter().enumerate() {
        if point == Some(index) {
            let words = "point of no return: what follows cannot be undone exactly";
            let lines = hang(&format!("  {} ", style.rule(digits)), words, style.width);
            lines.lines().for_each(|line| push(&mut out, &style.paint(Paint::Bad, line)));
        }
        out.push_str(&step(index, item, digits, style));
    }
    out
}

fn step(index: usize, item: &Item, digits: usize, style: &Style) -> String {
    let is_gate = item.action.is_gate();
    let mark = match (is_gate, item.back) {
        (true, _) => style.painted(Mark::Asks),
        (false, true) => style.painted(Mark::Undone),
        (false, false) => " ".into(),
    };
    let head = format!("  {:>digits$} {mark} ", index + 1);
    let mut out = hang(&head, &harmless(&item.title), style.width);
    let (words, paint) = match item.action.reversal() {
        _ if is_gate => return out,
        Reversal::Exact if item.back => return out,
        Reversal::Exact => ("undo gives back everything".to_owned(), Paint::Faint),
        Reversal::Lossy(why) => (format!("undo loses: {why}"), Paint::Bad),
        Reversal::Nothing(why) => (format!("stays: {why}"), Paint::Careful),
    };
    let indent = " ".repeat(digits + 5);
    for line in hang(&indent, &harmless(&words), style.width).lines() {
        push(&mut out, &format!("{indent}{}", style.paint(paint, line.trim_start())));
    }
    out
}

fn on_failure(plan: &Plan, style: &Style) -> String {
    if !plan.rolls_back {
        let words =
            "stops and holds everything as it stands, for a person to decide: `cutover resume` or `cutover rollback`";
        return hang("  ", words, style.width);
    }
    let before = release_name(plan.release_from);
    if plan.home.is_empty() {
        return hang("  ", &format!("goes back to {before} by itself; no gate proves it"), style.width);
    }
    let mut out = hang("  ", &format!("goes back to {before} by itself, then proves:"), style.width);
    for gate in &plan.home {
        out.push_str(&hang(&format!("     {} ", style.painted(Mark::Asks)), &harmless(&gate.title), style.width));
    }
    out
}

fn marked(lines: &[String], mark: Mark, style: &Style) -> String {
    let mark = match mark {
        Mark::Failed => style.paint(Paint::Bad, style.mark(Mark::Warns)),
        mark => style.painted(mark),
    };
    lines.iter().map(|line| hang(&format!("  {mark} "), &short_ids(&harmless(line)), style.width)).collect()
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}
