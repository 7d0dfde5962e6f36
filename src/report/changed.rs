//! What a run changed, as its journal shows it: services with their images, or what each step of a data run left behind.

use super::planned::{act, is_gate, standing};
use super::style::Style;
use super::table::{Cell, Table};
use super::text::{harmless, short_ids};
use crate::journal::{Outcome, RunState, Standing};
use crate::step::run_command::NO_CHECK;
use crate::step::{Change, Plan, ServiceChange};

/// Which services are other ones than before. Only what the journal shows to be done counts.
pub(super) fn changed<'a>(
    outcome: Option<Outcome>,
    run: &RunState,
    plan: &'a Plan,
) -> Vec<(&'a ServiceChange, Option<String>)> {
    let switched = |index: usize| {
        let is_switch = ["start_services", "switch_upstream"].contains(&act(run, index));
        is_switch && run.items.get(index).is_some_and(|item| matches!(item.standing, Standing::Done | Standing::Undone))
    };
    let is_switched = (0..run.items.len()).any(switched);
    if outcome != Some(Outcome::Done) || !is_switched {
        return Vec::new();
    }
    let moved = plan.services.iter().filter(|service| service.change != Change::Keep);
    moved
        .map(|service| (service, image_now(run, plan, &service.service)))
        .filter(|(service, now)| really(service, now))
        .collect()
}

/// A service that was only perhaps to be replaced was not, when its image is the old one.
fn really(service: &ServiceChange, now: &Option<String>) -> bool {
    service.change != Change::Perhaps || now.is_none() || *now != service.image_from
}

/// Identifier of the image that a service's container has, as `start_services` left it.
fn image_now(run: &RunState, plan: &Plan, service: &str) -> Option<String> {
    let head = format!("{}-{service}-", plan.project);
    run.items.iter().filter_map(|item| item.data.get("containers")?.as_object()).flatten().find_map(
        |(name, container)| {
            let number = name.strip_prefix(&head).or_else(|| (name == service).then_some("1"))?;
            number.parse::<u32>().ok()?;
            container.get("image")?.as_str().map(str::to_owned)
        },
    )
}

fn change_done(change: Change) -> &'static str {
    match change {
        Change::Create => "created",
        Change::Recreate | Change::Perhaps => "replaced",
        Change::Start => "started",
        Change::Keep => "kept",
        Change::Remove => "removed",
    }
}

/// As a table.
pub(super) fn changes(changed: &[(&ServiceChange, Option<String>)], style: &Style) -> String {
    let mut table = Table::new(&["", "", ""]);
    for (service, now) in changed {
        let from = service.image_from.as_deref().map(short_ids);
        let to = now.as_deref().or(service.image_to.as_deref()).map(short_ids);
        let image = match (from, to) {
            (Some(from), Some(to)) if from == to => format!("{from} (the same image)"),
            (Some(from), Some(to)) if service.change != Change::Remove => format!("{from} {} {to}", style.arrow()),
            (Some(from), _) => from,
            (None, Some(to)) => to,
            (None, None) => String::new(),
        };
        let name = harmless(&service.service);
        table.row(vec![name.into(), Cell::from(change_done(service.change)), short_ids(&harmless(&image)).into()]);
    }
    table.text(style, 2)
}

/// What each step of a run without releases left behind, in its own words. What is true of several alike is said once.
pub(super) fn deeds(run: &RunState) -> Vec<String> {
    let done = standing(run, |item| matches!(item.standing, Standing::Done | Standing::Undone));
    let done: Vec<_> = done.into_iter().filter(|(index, _)| !is_gate(run, *index)).map(|(_, item)| item).collect();
    let unchecked: Vec<&str> =
        done.iter().filter(|item| item.said.ends_with(NO_CHECK)).map(|item| item.name.as_str()).collect();
    let words = |said: &str| match unchecked.len() {
        0 | 1 => said.to_owned(),
        _ => said.strip_suffix(NO_CHECK).unwrap_or(said).to_owned(),
    };
    let mut deeds: Vec<String> = done.iter().map(|item| words(&item.said)).collect();
    if let [all @ .., last] = unchecked.as_slice()
        && !all.is_empty()
    {
        deeds.push(format!("{} and {last} have no check, so nothing else is known of them", all.join(", ")));
    }
    deeds
}
