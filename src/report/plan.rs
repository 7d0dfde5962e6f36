//! A plan for people and for programs: everything that is needed to say yes or no, nothing that is not in the plan.

use serde_json::{Value, json};

use super::SCHEMA;
use super::style::{Mark, Paint, Style};
use super::table::{Cell, Table};
use super::text::{columns, hang, harmless, pad, short_ids};
use crate::data::shell;
use crate::step::{Act, Change, Item, Plan, Reversal, RunKind, ServiceChange};

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
    let later = plan.course.iter().flat_map(|course| &course.known_later);
    let later: String = later.map(|one| hang("  ", &harmless(one), style.width)).collect();
    if !later.is_empty() {
        parts.push(section("Known only later", &later, style));
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
    let hash = plan.hash();
    let hash = style.lines(Paint::Faint, &format!("plan {}", hash.get(..12).unwrap_or(&hash)), 0);
    if let (Some(deed), true) = (&plan.deed, plan.is_nothing_new()) {
        let title = harmless(&format!("{} in {} {deed}", plan.project, plan.environment));
        return style.lines(Paint::Strong, &title, 0) + &hash;
    }
    if let Some(deed) = &plan.deed {
        let undoes = plan.undoes.map_or_else(String::new, |run| format!(", run {run}"));
        let title = harmless(&format!("In {} ({}): {deed}{undoes}", plan.environment, plan.project));
        return style.lines(Paint::Strong, &title, 0) + &hash;
    }
    let verb = match plan.kind {
        RunKind::Deploy => "Deploy",
        RunKind::Rollback => "Roll back",
        RunKind::Data => "Move the data of",
        RunKind::Dns => "Switch the names of",
        RunKind::Cutover => "Cut over",
        RunKind::Rehearsal => "Rehearse",
        RunKind::Maintenance => "Switch the maintenance of",
    };
    let to = plan.release_to.map_or_else(|| "nothing".into(), |number| format!("r{number}"));
    let from = plan.release_from.map_or_else(|| "nothing known".into(), |number| format!("r{number}"));
    let releases = format!("{from} {} {to}", style.arrow());
    let undoes = plan.undoes.map_or_else(String::new, |run| format!(", undoing run {run}"));
    let title = harmless(&format!("{verb} {} in {}: {releases}{undoes}", plan.project, plan.environment));
    style.lines(Paint::Strong, &title, 0) + &hash
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
        Change::Perhaps => ("perhaps replace", Some(Paint::Careful)),
        Change::Start => ("start", Some(Paint::Good)),
        Change::Keep => ("keep", Some(Paint::Faint)),
        Change::Remove => ("remove", Some(Paint::Bad)),
    }
}

/// Image before and after; one when it stays.
fn image(service: &ServiceChange, style: &Style) -> String {
    let short = |image: &Option<String>| image.as_ref().map(|image| short_ids(&harmless(image)));
    if service.change == Change::Keep {
        return short(&service.image_to).or_else(|| short(&service.image_from)).unwrap_or_default();
    }
    match (short(&service.image_from), short(&service.image_to)) {
        (Some(from), Some(to)) if from == to => from,
        (Some(from), Some(to)) => format!("{from} {} {to}", style.arrow()),
        (Some(from), None) => from,
        (None, Some(to)) => to,
        (None, None) => String::new(),
    }
}

/// Where the words about undoing stand: beside the titles where there is room, else below.
struct Columns {
    digits: usize,
    title: usize,
    /// Whether checkpoints wait for a person: in a rehearsal they do not.
    waits: bool,
}

impl Columns {
    fn new(plan: &Plan, style: &Style) -> Self {
        let digits = plan.items.len().to_string().len().max(2);
        let most = style.width.saturating_sub(digits + 7 + EXACT.len());
        let lengths = plan.items.iter().map(|item| columns(&harmless(&item.title)));
        Self {
            digits,
            title: lengths.filter(|length| *length <= most).max().unwrap_or(0),
            waits: plan.kind == RunKind::Cutover,
        }
    }
}

const EXACT: &str = "undo gives back everything";

fn steps(plan: &Plan, style: &Style) -> String {
    let point = plan.point_of_no_return();
    let columns = Columns::new(plan, style);
    let mut out = String::new();
    for (index, item) in plan.items.iter().enumerate() {
        if point == Some(index) {
            let words = "POINT OF NO RETURN: what follows cannot be undone exactly";
            let lines = hang(&format!("  {} ", style.rule(columns.digits)), words, style.width);
            lines.lines().for_each(|line| push(&mut out, &style.paint(Paint::Bad, line)));
        }
        let phases = plan.course.iter().flat_map(|course| &course.phases);
        for phase in phases.filter(|phase| phase.first == index) {
            push(&mut out, &format!("  {}", style.paint(Paint::Strong, &harmless(&phase.title))));
        }
        out.push_str(&step(index, item, &columns, style));
    }
    out
}

fn step(index: usize, item: &Item, place: &Columns, style: &Style) -> String {
    let is_gate = item.action.is_gate();
    let mark = match (is_gate, item.back) {
        (true, _) => style.painted(Mark::Asks),
        (false, true) => style.painted(Mark::Undone),
        (false, false) => " ".into(),
    };
    let digits = place.digits;
    let head = format!("  {:>digits$} {mark} ", index + 1);
    let title = match &item.action {
        Act::Checkpoint(step) if place.waits => harmless(&format!(
            "CHECKPOINT, stops here until a person gives the signal {:?}: {}",
            step.signal, item.title
        )),
        _ => harmless(&item.title),
    };
    let (words, paint) = match item.action.reversal() {
        _ if is_gate => return hang(&head, &title, style.width),
        Reversal::Exact if item.back => return hang(&head, &title, style.width),
        Reversal::Exact if item.action.only_writes_files() => {
            ("writes files only, which stay".to_owned(), Paint::Faint)
        }
        // What a program of the user's own gives back is known to him alone.
        Reversal::Exact if undo_command(&item.action).is_some() => {
            (format!("undone by `{}`", undo_command(&item.action).unwrap_or_default()), Paint::Faint)
        }
        Reversal::Exact if columns(&title) <= place.title => {
            return format!("{head}{}  {}\n", pad(&title, place.title), style.paint(Paint::Faint, EXACT));
        }
        Reversal::Exact => (EXACT.to_owned(), Paint::Faint),
        Reversal::Lossy(why) if item.back => (format!("loses: {why}"), Paint::Bad),
        Reversal::Lossy(why) => (format!("undo loses: {why}"), Paint::Bad),
        Reversal::Nothing(why) => (format!("stays: {why}"), Paint::Careful),
    };
    let mut out = hang(&head, &title, style.width);
    out.push_str(&style.lines(paint, &harmless(&words), digits + 5));
    out
}

/// The program that undoes one of the user's own.
fn undo_command(act: &Act) -> Option<String> {
    let Act::RunCommand(step) = act else { return None };
    step.undo.as_ref().map(shell::line)
}

/// What a failure leads to, and at which steps it leads to something else.
fn on_failure(plan: &Plan, style: &Style) -> String {
    let held = plan.course.iter().filter(|_| plan.rolls_back).flat_map(|course| &course.held);
    let held: Vec<String> = held.map(|index| (index + 1).to_string()).collect();
    let mut out = in_general(plan, style);
    if !held.is_empty() {
        let s = if held.len() == 1 { "" } else { "s" };
        let words = format!(
            "but in step{s} {} it stops and holds everything as it stands, for a person to decide: `cutover resume` or \
             `cutover rollback`",
            held.join(", ")
        );
        out.push_str(&hang("  ", &words, style.width));
    }
    out
}

fn in_general(plan: &Plan, style: &Style) -> String {
    if plan.kind == RunKind::Rollback {
        let words = "stops there, with 8 where something was changed, and is never turned round: `cutover resume` goes on \
                     with it once the cause is put right";
        return hang("  ", words, style.width);
    }
    if plan.is_nothing_new() {
        return hang("  ", "tells what it saw; nothing is changed, so nothing has to be undone", style.width);
    }
    if !plan.rolls_back {
        let words =
            "stops and holds everything as it stands, for a person to decide: `cutover resume` or `cutover rollback`";
        return hang("  ", words, style.width);
    }
    let before = plan.release_from.map_or_else(|| "nothing, as before,".into(), |number| format!("r{number}"));
    if plan.deed.is_some() && plan.home.is_empty() {
        return hang(
            "  ",
            "undoes what it began, last first, by itself, and looks at the world after each step",
            style.width,
        );
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_plan_is_one_page_that_can_be_judged() {
        let plan = sample::lossy();
        let text = plan_text(&plan, &Style::plain(80)).replace(&plan.hash()[..12], "0123456789ab");
        let expected = "\
Deploy shop in production: r2 → r3
plan 0123456789ab

Services
  SERVICE  CHANGE           WHY                        IMAGE
  backend  replace          the image is               aaaaaaaaaaaa →
                            shop/backend:2026.11.2     shop/backend:2026.11.2
                            instead of 2026.11.1; the
                            variable LOG_LEVEL
                            changed
  worker   perhaps replace  it is built in this run    bbbbbbbbbbbb →
                                                       shop/worker
  db       keep                                        cccccccccccc

Steps
   1   keep r2 as it runs now                   undo gives back everything
   2   build worker                             undo gives back everything
   3   back up the database shop                undo gives back everything
  ── POINT OF NO RETURN: what follows cannot be undone exactly
   4   migrate the schema: `pnpm db:migrate:prod` in backend
       undo loses: the backup is put back, so rows written since the backup do
       not serve any more (they are kept in a database aside)
   5   start backend and worker of r3           undo gives back everything
   6 ? backend and worker are healthy for 10 s
   7 ? http://127.0.0.1:3000/health answers as expected
   8   record r3 as the current release         undo gives back everything

On failure
  goes back to r2 by itself, then proves:
     ? backend and worker of r2 are healthy
     ? http://127.0.0.1:3000/health answers as expected

Remarks
  ! the file config/app.yml changed since r2 was deployed

What can be lost
  ! migrate_schema: the backup is put back, so rows written since the backup do
    not serve any more (they are kept in a database aside)
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_plan_that_holds_says_who_decides() {
        let plan = Plan { rolls_back: false, ..sample::keeping() };
        let text = plan_text(&plan, &Style::plain(120));
        assert!(text.contains("  stops and holds everything as it stands, for a person to decide"), "{text}");
        assert!(!text.contains("What can be lost"), "{text}");
        assert!(text.contains("       stays: the schema stays as it was migrated"), "{text}");
    }

    #[test]
    fn a_rollback_marks_what_it_undoes_and_names_the_run() {
        let mut plan = Plan { kind: RunKind::Rollback, undoes: Some(6), ..sample::lossy() };
        (plan.release_from, plan.release_to) = (Some(3), Some(2));
        plan.items = vec![Item { back: true, ..plan.items[3].clone() }];
        let text = plan_text(&plan, &Style::plain(80));
        assert!(text.starts_with("Roll back shop in production: r3 → r2, undoing run 6\n"), "{text}");
        assert!(
            text.contains("   1 ↩ migrate the schema: `pnpm db:migrate:prod` in backend\n       loses: "),
            "{text}"
        );
        assert!(!text.contains("POINT OF NO RETURN"), "{text}");
    }

    #[test]
    fn programs_get_the_hash_the_point_and_the_losses() {
        let plan = sample::lossy();
        let value = plan_json(&plan);
        assert_eq!(value["schema"], "cutover/v1");
        assert_eq!(value["plan_hash"], plan.hash());
        assert_eq!(value["point_of_no_return"], json!({ "item": 3, "name": "migrate_schema" }));
        assert_eq!(value["losses"].as_array().map(Vec::len), Some(1));
        assert_eq!(value["plan"]["kind"], "deploy");
    }

    /// A night: a program, a checkpoint, and a step whose failure is held.
    fn night() -> Plan {
        let mut plan = sample::keeping();
        plan.kind = RunKind::Cutover;
        plan.deed = Some("the cutover night".into());
        plan.services.clear();
        plan.home.clear();
        plan.items.truncate(3);
        let act = |value: Value| -> Act { serde_json::from_value(value).unwrap() };
        plan.items[0].action = act(json!({
            "act": "run_command", "name": "tell", "run": ["./tell"], "undo": ["./untell", "all"], "check": null,
            "dry_run": null, "directory": "/", "environment": [], "timeout_s": 1,
        }));
        plan.items[1].action = act(json!({
            "act": "checkpoint", "signal": "go", "gates": [], "statements": [], "people": 1, "valid_s": 1,
            "recheck_ms": 1,
        }));
        plan.items[1].title = "we go".into();
        let course = json!({
            "runbook": "night", "title": "", "file": "/n", "sha256": "", "phases": [], "held": [2], "recipe": "",
        });
        plan.course = Some(serde_json::from_value(course).unwrap());
        plan
    }

    #[test]
    fn a_night_says_where_it_stops_for_a_person_what_undoes_a_program_and_where_a_failure_is_held() {
        let text = plan_text(&night(), &Style::plain(120));
        assert!(text.contains("2 ? CHECKPOINT, stops here until a person gives the signal \"go\": we go\n"), "{text}");
        assert!(text.contains("undone by `./untell all`\n") && !text.contains("build worker  undo gives"), "{text}");
        assert!(text.contains("  undoes what it began, last first, by itself"), "{text}");
        assert!(text.contains("  but in step 3 it stops and holds everything as it stands"), "{text}");
        let rehearsed = Plan { kind: RunKind::Rehearsal, ..night() };
        assert!(!plan_text(&rehearsed, &Style::plain(120)).contains("CHECKPOINT"), "a rehearsal waits for nobody");
    }
}
