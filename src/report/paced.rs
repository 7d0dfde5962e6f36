//! Where a run by a runbook stands: phase, step, time used against the rehearsal, and what is left. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::adapter::clock::spoken;
use crate::journal::{RunState, Standing};
use crate::step::plan::Course;

/// The rehearsal's times of the items, by name, and the phases.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// Milliseconds; empty where it was never rehearsed.
    pub budget: BTreeMap<String, u64>,
    /// Index of the first item of each phase, and its title.
    pub phases: Vec<(usize, String)>,
    /// What the items took that were over before this process began, milliseconds.
    pub used_ms: u64,
}

/// What was used, and where.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// Index of the item at work.
    pub item: usize,
    /// Milliseconds of the items that are over.
    pub used_ms: u64,
    /// Milliseconds of the item at work; nothing while it waits for a person.
    pub in_item_ms: u64,
}

impl Pace {
    /// Of a plan's course, for a run that has come so far.
    pub fn of(course: &Course, budget: BTreeMap<String, u64>, run: &RunState) -> Self {
        let phases = course.phases.iter().map(|phase| (phase.first, phase.title.clone())).collect();
        Self { budget, phases, used_ms: used_ms(run) }
    }

    /// Number of the phase that an item is in, counted from 1; 0 before the first.
    pub fn phase(&self, item: usize) -> usize {
        self.phases.iter().take_while(|(first, _)| *first <= item).count()
    }

    /// The heading of a phase.
    pub fn heading(&self, phase: usize) -> String {
        let title =
            phase.checked_sub(1).and_then(|index| self.phases.get(index)).map_or("", |(_, title)| title.as_str());
        format!("phase {phase} of {}, {title}", self.phases.len())
    }

    /// How long an item took when it was rehearsed.
    pub fn rehearsed(&self, name: &str) -> Option<Duration> {
        self.budget.get(name).map(|ms| Duration::from_millis(*ms))
    }

    /// Where a run stands, in one line.
    pub fn words(&self, place: Place, names: &[String]) -> String {
        let Place { item, used_ms, in_item_ms } = place;
        let phase = match self.phase(item) {
            0 => String::new(),
            phase => format!("{}; ", self.heading(phase)),
        };
        let budget = |names: &[String]| names.iter().filter_map(|name| self.budget.get(name)).sum::<u64>();
        let (before, rest) = names.split_at(item.min(names.len()));
        let own = rest.first().and_then(|name| self.budget.get(name)).copied().unwrap_or(0);
        let used = brief(used_ms + in_item_ms);
        let time = if self.budget.is_empty() {
            format!("{used} used; never rehearsed, so what is left is not known")
        } else {
            let until_here = brief(budget(before) + own.min(in_item_ms));
            let left = brief(budget(rest.get(1..).unwrap_or_default()) + own.saturating_sub(in_item_ms));
            format!("{used} used, {until_here} as rehearsed; about {left} left")
        };
        format!("{phase}step {} of {}; {time}", item + 1, names.len())
    }
}

/// Whole seconds: a line that is drawn again and again must not tremble.
fn brief(ms: u64) -> String {
    if ms < 60_000 { format!("{} s", ms / 1000) } else { spoken(Duration::from_millis(ms / 1000 * 1000)) }
}

/// What the items took that are over.
fn used_ms(run: &RunState) -> u64 {
    run.items.iter().filter(|item| item.standing == Standing::Done).map(|item| item.took_ms).sum()
}

/// How far an open run is; nothing where it was made from no runbook, or it is over. `at_work` gives the milliseconds since a
/// moment, where the run is at work; one that stands uses no time.
pub fn progress(
    run: &RunState,
    budget: BTreeMap<String, u64>,
    at_work: Option<&dyn Fn(&str) -> u64>,
) -> Option<(String, Option<String>)> {
    let phases = run.plan.pointer("/course/phases").and_then(Value::as_array)?;
    let phase = |phase: &Value| {
        let first = usize::try_from(phase["first"].as_u64()?).ok()?;
        Some((first, phase["title"].as_str()?.to_owned()))
    };
    let pace = Pace { budget, phases: phases.iter().filter_map(phase).collect(), used_ms: used_ms(run) };
    let names: Vec<String> = run.items.iter().map(|item| item.name.clone()).collect();
    let item = run.items.iter().position(|item| item.standing != Standing::Done)?;
    let own = &run.items[item];
    let begun = own.times.as_ref().map(|(first, _)| first.as_str());
    let is_at_work = own.standing == Standing::Started && run.waiting.is_none();
    let in_item_ms = at_work.zip(begun.filter(|_| is_at_work)).map(|(since, begun)| since(begun));
    let now = in_item_ms.map(|ms| {
        let rehearsed = pace.rehearsed(&own.name);
        let rehearsed = rehearsed.map_or_else(String::new, |took| format!(", rehearsed in {}", spoken(took)));
        format!("{}, for {}{rehearsed}", super::planned::title(run, item), brief(ms))
    });
    let place = Place { item, used_ms: pace.used_ms, in_item_ms: in_item_ms.unwrap_or(0) };
    Some((pace.words(place, &names), now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_placed_in_its_phase_with_the_time_used_and_left_as_rehearsed() {
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let phases = vec![(0, "First".to_owned()), (1, "Second".to_owned())];
        let budget = BTreeMap::from([("a".to_owned(), 9_000), ("b".to_owned(), 60_000), ("c".to_owned(), 5_000)]);
        let pace = Pace { budget, phases, used_ms: 0 };
        let at = |in_item_ms| pace.words(Place { item: 1, used_ms: 12_400, in_item_ms }, &names);
        let head = "phase 2 of 2, Second; step 2 of 3; ";
        assert_eq!(at(0), format!("{head}12 s used, 9 s as rehearsed; about 1 min 05 s left"));
        assert_eq!(at(20_000), format!("{head}32 s used, 29 s as rehearsed; about 45 s left"));
        assert_eq!(at(90_000), format!("{head}1 min 42 s used, 1 min 09 s as rehearsed; about 5 s left"));
        let unrehearsed = Pace { budget: BTreeMap::new(), ..pace };
        let words = unrehearsed.words(Place::default(), &names);
        assert_eq!(words, "phase 1 of 2, First; step 1 of 3; 0 s used; never rehearsed, so what is left is not known");
    }
}
