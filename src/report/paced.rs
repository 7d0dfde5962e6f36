//! Where a run by a runbook stands: phase, step, and the time that the rehearsal took for what is left.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::event::{Event, Listener};
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
}

impl Pace {
    /// Of a plan's course.
    pub fn of(course: &Course, budget: BTreeMap<String, u64>) -> Self {
        Self { budget, phases: course.phases.iter().map(|phase| (phase.first, phase.title.clone())).collect() }
    }

    /// Where an item stands, in words.
    pub fn words(&self, item: usize, names: &[String]) -> String {
        let number = self.phases.iter().take_while(|(first, _)| *first <= item).count();
        let phase = number.checked_sub(1).and_then(|index| self.phases.get(index));
        let phase =
            phase.map_or_else(String::new, |(_, title)| format!("phase {number} of {}, {title}; ", self.phases.len()));
        let left: u64 = names.iter().skip(item).filter_map(|name| self.budget.get(name)).sum();
        let left = match self.budget.is_empty() {
            true => String::new(),
            false => format!("; about {} left, as rehearsed", spoken(Duration::from_millis(left))),
        };
        format!("{phase}step {} of {}{left}", item + 1, names.len())
    }
}

/// How far an open run is; nothing where it was made from no runbook, or nothing of it was begun.
pub fn progress(run: &RunState, budget: BTreeMap<String, u64>) -> Option<String> {
    let phases = run.plan.pointer("/course/phases").and_then(Value::as_array)?;
    let phase = |phase: &Value| {
        let first = usize::try_from(phase["first"].as_u64()?).ok()?;
        Some((first, phase["title"].as_str()?.to_owned()))
    };
    let pace = Pace { budget, phases: phases.iter().filter_map(phase).collect() };
    let names: Vec<String> = run.items.iter().map(|item| item.name.clone()).collect();
    let at = run.items.iter().position(|item| item.standing != Standing::Done)?;
    Some(pace.words(at, &names))
}

/// A listener that tells another one where the run stands, too.
pub struct Paced {
    inner: Box<dyn Listener>,
    pace: Pace,
    names: Mutex<Vec<String>>,
}

impl Paced {
    /// Around a listener.
    pub fn new(inner: Box<dyn Listener>, pace: Pace) -> Self {
        Self { inner, pace, names: Mutex::new(Vec::new()) }
    }

    fn place(&self, item: usize) -> String {
        self.pace.words(item, &self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn titled(&self, (name, title): (String, String)) -> (String, String) {
        let budget = self.pace.budget.get(&name).map(|ms| spoken(Duration::from_millis(*ms)));
        let title = budget.map_or_else(|| title.clone(), |took| format!("{title} (rehearsed in {took})"));
        (name, title)
    }
}

impl Listener for Paced {
    fn hear(&self, event: Event) {
        match event.as_said() {
            Event::Began { run, kind, items, epoch } => {
                let names = items.iter().map(|(name, _)| name.clone()).collect();
                *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
                let items = items.into_iter().map(|item| self.titled(item)).collect();
                self.inner.hear(Event::Began { run, kind, items, epoch });
            }
            Event::Started { item, back: false } => {
                self.inner.hear(Event::Started { item, back: false });
                self.inner.hear(Event::Says { item, text: self.place(item) });
            }
            Event::Says { item, text } => {
                self.inner.hear(Event::Says { item, text: format!("{text} ({})", self.place(item)) });
            }
            other => self.inner.hear(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_placed_in_its_phase_with_what_the_rehearsal_took_for_the_rest() {
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let phases = vec![(0, "First".to_owned()), (1, "Second".to_owned())];
        let budget = BTreeMap::from([("b".to_owned(), 60_000), ("c".to_owned(), 5_000)]);
        let pace = Pace { budget, phases };
        assert_eq!(pace.words(1, &names), "phase 2 of 2, Second; step 2 of 3; about 1 min 05 s left, as rehearsed");
        assert_eq!(Pace { budget: BTreeMap::new(), ..pace }.words(0, &names), "phase 1 of 2, First; step 1 of 3");
    }
}
