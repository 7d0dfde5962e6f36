//! Where the routes were led last, by what the journals say. Law: an act whose end was not seen tells nothing.

use std::path::Path;

use super::runs::{self, RunFile};
use super::state::{ItemState, RunState, Standing};
use crate::step::switch_upstream::SwitchUpstream;

/// The switch as a run of ours left it, with that as both of its sides; nothing where no run switched, or where it is not
/// known how the last one ended.
pub fn last(runs_directory: &Path) -> Option<SwitchUpstream> {
    let files = runs::list(runs_directory).ok()?;
    files.iter().rev().filter_map(|file: &RunFile| file.state().ok()).find_map(|run| of(&run)).flatten()
}

/// What a run did to the switch: nothing where it never came to it.
fn of(run: &RunState) -> Option<Option<SwitchUpstream>> {
    let items = run.plan["items"].as_array()?;
    let touched = items.iter().zip(&run.items).filter(|(item, state)| {
        item["action"]["act"] == "switch_upstream" && !matches!(state.standing, Standing::Waiting)
    });
    let when = |state: &ItemState| state.times.as_ref().map(|(_, last)| last.clone());
    let (item, state) = touched.max_by_key(|(_, state)| when(state))?;
    let Ok(mut step) = serde_json::from_value::<SwitchUpstream>(item["action"].clone()) else { return Some(None) };
    match state.standing {
        Standing::Done => step.from = step.to.clone(),
        Standing::Undone => step.to = step.from.clone(),
        _ => return Some(None),
    }
    Some(Some(step))
}
