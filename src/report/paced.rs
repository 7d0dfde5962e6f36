//! Where a run by a runbook stands: phase, step, time used against the rehearsal, and what is left. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::adapter::clock::spoken;
use crate::journal::{ItemState, RunState, Standing};
use crate::report::planned::is_gate;
use crate::step::Item;

/// The rehearsal's times of the items, by name, and the phases.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// Milliseconds; empty where it was never rehearsed.
    pub budget: BTreeMap<String, u64>,
    /// The same of its undoing, by the names that a rollback's items have.
    pub back: BTreeMap<String, u64>,
    /// Index of the first item of each phase, and its title.
    pub phases: Vec<(usize, String)>,
    /// What the items took until this process began, milliseconds.
    pub used_ms: u64,
    /// The items as they are gone back through, where the run may turn back by itself.
    pub ways: Vec<Way>,
}

/// An item as it is gone back through.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// What its undoing is called.
    pub title: String,
    /// Whether it only asks, and is passed by on the way back.
    pub is_gate: bool,
    /// Whether it was begun, and is not undone.
    pub is_open: bool,
    /// Whether it is undone, or stays.
    pub is_back: bool,
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
    /// Of a run by a runbook that has come so far.
    pub fn of(run: &RunState, budget: BTreeMap<String, u64>, back: BTreeMap<String, u64>) -> Self {
        let way = |(index, item): (usize, &ItemState)| {
            let is_back = matches!(item.standing, Standing::Undone | Standing::Stays);
            let is_open = item.was_begun && !is_back;
            Way { title: undo_title(run, index), is_gate: is_gate(run, index), is_open, is_back }
        };
        let ways = run.items.iter().enumerate().map(way).collect();
        Self { budget, back, phases: phases(run), used_ms: used_ms(run), ways }
    }

    /// Of a rollback that undoes such a run: its phases are those of that run, from the last to the first.
    pub fn backwards(run: &RunState, undone: &RunState, budget: BTreeMap<String, u64>) -> Self {
        let forward = phases(undone);
        let title_of = |name: &str| {
            let index = undone.items.iter().position(|item| item.name == name)?;
            let (_, title) = forward.iter().rev().find(|(first, _)| *first <= index)?;
            Some(format!("undo: {title}"))
        };
        let last_undo = run.items.iter().rposition(|item| item.back);
        let mut phases: Vec<(usize, String)> = Vec::new();
        for (index, item) in run.items.iter().enumerate() {
            let title = match item.name.strip_prefix(UNDO).and_then(title_of) {
                Some(title) => title,
                None if index == 0 => "before anything is undone".to_owned(),
                None if last_undo.is_some_and(|last| last < index) => "proof of the old state".to_owned(),
                None => continue,
            };
            if phases.last().is_none_or(|(_, last)| *last != title) {
                phases.push((index, title));
            }
        }
        Self { budget, phases, used_ms: used_ms(run), ..Self::default() }
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

    /// How far a run has come that goes back by itself; `ways` are its items as they stand now.
    pub fn words_back(&self, ways: &[Way], place: Place, names: &[String]) -> String {
        let steps = || ways.iter().enumerate().filter(|(_, way)| !way.is_gate);
        let undone = steps().filter(|(_, way)| way.is_back).count();
        let open: Vec<usize> = steps().filter(|(_, way)| way.is_open).map(|(index, _)| index).collect();
        let used = brief(place.used_ms + place.in_item_ms);
        if open.is_empty() {
            return format!("going back: all of {undone} undone, the old state is looked at; {used} used");
        }
        let took = |index: &usize| self.back.get(&format!("{UNDO}{}", names.get(*index)?)).copied();
        let rest: u64 = open.iter().filter(|index| **index != place.item).filter_map(took).sum();
        let own = took(&place.item).filter(|_| open.contains(&place.item)).unwrap_or(0);
        let left = match self.back.is_empty() {
            true => "never rehearsed, so what is left is not known".to_owned(),
            false => format!("about {} left", brief(rest + own.saturating_sub(place.in_item_ms))),
        };
        format!("going back: {undone} of {} undone; {used} used; {left}", undone + open.len())
    }
}

/// What stands before the name of an item in the rollback that undoes it.
const UNDO: &str = "undo_";

/// Index of the first item of each phase, and its title.
fn phases(run: &RunState) -> Vec<(usize, String)> {
    let phases = run.plan.pointer("/course/phases").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let phase = |phase: &Value| {
        let first = usize::try_from(phase["first"].as_u64()?).ok()?;
        Some((first, phase["title"].as_str()?.to_owned()))
    };
    phases.iter().filter_map(phase).collect()
}

/// What the undoing of an item is called; in the words of its plan where this version cannot read it.
fn undo_title(run: &RunState, index: usize) -> String {
    let item = run.plan.pointer(&format!("/items/{index}")).cloned().unwrap_or_default();
    serde_json::from_value::<Item>(item)
        .map_or_else(|_| format!("undo: {}", super::planned::title(run, index)), |item| item.undo_title())
}

/// Whole seconds: a line that is drawn again and again must not tremble.
fn brief(ms: u64) -> String {
    if ms < 60_000 { format!("{} s", ms / 1000) } else { spoken(Duration::from_millis(ms / 1000 * 1000)) }
}

/// What the items took, there and back.
fn used_ms(run: &RunState) -> u64 {
    run.items.iter().map(|item| item.took_ms).sum()
}

/// How far an open run is, and what it does now; nothing where it is over. `since` gives the milliseconds since a moment. A
/// run that stands uses no time; what it used in the step that was cut off is not known, and at most all since it was begun.
pub fn progress(
    run: &RunState,
    pace: &Pace,
    since: &dyn Fn(&str) -> u64,
    is_at_work: bool,
) -> Option<(String, Option<String>)> {
    let names: Vec<String> = run.items.iter().map(|item| item.name.clone()).collect();
    let is_over = |item: &ItemState| matches!(item.standing, Standing::Done | Standing::Undone | Standing::Stays);
    let item = match run.is_going_back {
        true => run.items.iter().position(|item| item.standing == Standing::Undoing),
        false => Some(run.items.iter().position(|item| !is_over(item))?),
    };
    let is_begun = |item: &&ItemState| matches!(item.standing, Standing::Started | Standing::Undoing);
    let own = item.and_then(|index| run.items.get(index)).filter(is_begun).filter(|_| run.waiting.is_none());
    // Its last line is that it began.
    let begun = own.and_then(|own| own.times.as_ref()).map(|(_, last)| last.as_str());
    let in_item_ms = begun.filter(|_| is_at_work).map(since);
    let cut_off = begun.filter(|_| !is_at_work).map(since);
    let place = Place { item: item.unwrap_or(0), used_ms: pace.used_ms, in_item_ms: in_item_ms.unwrap_or(0) };
    let now = item.zip(in_item_ms).map(|(item, ms)| {
        let (title, rehearsed) = match run.is_going_back {
            true => (undo_title(run, item), pace.back.get(&format!("{UNDO}{}", names[item]))),
            false => (super::planned::title(run, item), pace.budget.get(&names[item])),
        };
        let rehearsed =
            rehearsed.map_or_else(String::new, |ms| format!(", rehearsed in {}", spoken(Duration::from_millis(*ms))));
        format!("{title}, for {}{rehearsed}", brief(ms))
    });
    let words = match run.is_going_back {
        true => pace.words_back(&pace.ways, place, &names),
        false => pace.words(place, &names),
    };
    let cut_off = cut_off
        .map_or_else(String::new, |ms| format!("; not counted: the step that was cut off, begun {} ago", brief(ms)));
    Some((words + &cut_off, now))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::journal::Fact;
    use crate::report::sample;

    #[test]
    fn a_step_is_placed_in_its_phase_with_the_time_used_and_left_as_rehearsed() {
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let phases = vec![(0, "First".to_owned()), (1, "Second".to_owned())];
        let budget = BTreeMap::from([("a".to_owned(), 9_000), ("b".to_owned(), 60_000), ("c".to_owned(), 5_000)]);
        let pace = Pace { budget, phases, ..Pace::default() };
        let at = |in_item_ms| pace.words(Place { item: 1, used_ms: 12_400, in_item_ms }, &names);
        let head = "phase 2 of 2, Second; step 2 of 3; ";
        assert_eq!(at(0), format!("{head}12 s used, 9 s as rehearsed; about 1 min 05 s left"));
        assert_eq!(at(20_000), format!("{head}32 s used, 29 s as rehearsed; about 45 s left"));
        assert_eq!(at(90_000), format!("{head}1 min 42 s used, 1 min 09 s as rehearsed; about 5 s left"));
        let unrehearsed = Pace { budget: BTreeMap::new(), ..pace };
        let words = unrehearsed.words(Place::default(), &names);
        assert_eq!(words, "phase 1 of 2, First; step 1 of 3; 0 s used; never rehearsed, so what is left is not known");
    }

    /// A plan of a runbook with two phases, and its lines as far as a test wants them.
    fn night(facts: Vec<Fact>) -> RunState {
        let plan = sample::keeping();
        let mut entries = sample::entries(facts);
        let Fact::Planned { plan: written, .. } = &mut entries[0].fact else { panic!("the head comes first") };
        let phases = json!([{ "title": "First", "first": 0 }, { "title": "Second", "first": 3 }]);
        written["course"] = json!({ "runbook": "night", "phases": phases });
        assert_eq!(plan.items.len(), 8);
        sample::run(&entries)
    }

    fn words(run: &RunState, back: &[(&str, u64)]) -> (String, Option<String>) {
        let back = back.iter().map(|(name, ms)| ((*name).to_owned(), *ms)).collect();
        progress(run, &Pace::of(run, BTreeMap::new(), back), &|_| 2_000, true).unwrap()
    }

    #[test]
    fn a_run_that_was_cut_off_in_a_step_does_not_say_that_it_used_no_time_there() {
        let plan = sample::keeping();
        let name = plan.items[0].name.clone();
        let run = night(vec![sample::planned(&plan), Fact::Started { item: 0, name }]);
        let said = |is_at_work| {
            progress(&run, &Pace::of(&run, BTreeMap::new(), BTreeMap::new()), &|_| 75_000, is_at_work).unwrap()
        };
        let head = "phase 1 of 2, First; step 1 of 8; ";
        let rest = "never rehearsed, so what is left is not known";
        assert_eq!(said(true).0, format!("{head}1 min 15 s used; {rest}"));
        let cut = "; not counted: the step that was cut off, begun 1 min 15 s ago";
        assert_eq!(said(false), (format!("{head}0 s used; {rest}{cut}"), None));
    }

    #[test]
    fn a_run_that_goes_back_by_itself_says_how_much_is_undone_and_what_is_left_as_rehearsed() {
        let plan = sample::keeping();
        let mut facts = sample::rolled_back(&plan, false);
        let run = night(facts.clone());
        // Two of its five steps are undone, one of them stays; the third is at work.
        let (said, now) = words(&run, &[("undo_back_up_database", 5_000), ("undo_build_images", 60_000)]);
        assert_eq!(said, "going back: 2 of 5 undone; 12 s used; about 1 min 03 s left");
        assert_eq!(now.as_deref(), Some("undo: back up the database shop, for 2 s, rehearsed in 5.0 s"));
        let (said, _) = words(&run, &[]);
        assert!(said.ends_with("used; never rehearsed, so what is left is not known"), "{said}");
        facts.pop();
        let (said, now) = words(&night(facts), &[("undo_pin_release", 1_000)]);
        assert_eq!((said.as_str(), now), ("going back: 2 of 5 undone; 10 s used; about 1 s left", None));
    }

    #[test]
    fn a_rollback_has_the_phases_of_the_run_that_it_undoes_and_what_it_took_in_the_rehearsal() {
        let undone = night(sample::well(&sample::keeping()));
        let mut plan = sample::keeping();
        plan.items = [
            ("save_changes", false),
            ("undo_start_services", true),
            ("undo_build_images", true),
            ("expect_old", false),
        ]
        .map(|(name, back)| Item { name: name.into(), back, ..plan.items[2].clone() })
        .to_vec();
        let mut facts = vec![sample::planned(&plan)];
        facts.extend(sample::done(&plan, 0, "saved", Value::Null));
        let name = || plan.items[1].name.clone();
        facts.push(Fact::Undoing { item: 1, name: name() });
        facts.push(Fact::Undone { item: 1, name: name(), seen: "gone".into(), stays: false, took_ms: 500 });
        facts.push(Fact::Undoing { item: 2, name: plan.items[2].name.clone() });
        let mut run = sample::run(&sample::entries(facts));
        run.kind = "rollback".into();
        let budget = [
            ("save_changes", 1_000),
            ("undo_start_services", 3_000),
            ("undo_build_images", 9_000),
            ("expect_old", 4_000),
        ];
        let budget = budget.map(|(name, ms)| (name.to_owned(), ms)).into();
        let pace = Pace::backwards(&run, &undone, budget);
        let titles: Vec<&str> = pace.phases.iter().map(|(_, title)| title.as_str()).collect();
        assert_eq!(titles, ["before anything is undone", "undo: Second", "undo: First", "proof of the old state"]);
        let (said, now) = progress(&run, &pace, &|_| 2_000, true).unwrap();
        let expected = "phase 3 of 4, undo: First; step 3 of 4; 4 s used, 6 s as rehearsed; about 11 s left";
        assert_eq!(said, expected);
        assert_eq!(now.as_deref(), Some("back up the database shop, for 2 s, rehearsed in 9.0 s"));
    }
}
