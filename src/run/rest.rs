//! What is left of a run that stopped: what going on with it does, in its order. The engine does just that, and a dry run
//! shows it.

use anyhow::Result;

use super::begin::plan_of;
use super::carry_back;
use super::rollback::Without;
use crate::journal::{RunState, Standing};
use crate::step::plan::{Plan, RunKind};

/// Items that are still to be done or asked, by index. Gates after the last finished change are asked again: what they saw
/// is older than the interruption.
pub(super) fn left(state: &RunState, count: usize, is_gate: impl Fn(usize) -> bool) -> Vec<usize> {
    let last_change = (0..count).rev().find(|&index| is_finished(state, index) && !is_gate(index));
    let last_change = last_change.max(state.last_checkpoint());
    let is_behind =
        |index: usize| is_finished(state, index) && (!is_gate(index) || last_change.is_some_and(|last| index < last));
    (0..count).filter(|index| !is_behind(*index)).collect()
}

fn is_finished(state: &RunState, index: usize) -> bool {
    state.items.get(index).is_some_and(|item| item.standing == Standing::Done || is_back(item.standing))
}

/// Whether it is undone as far as that can be.
pub(super) fn is_back(standing: Standing) -> bool {
    matches!(standing, Standing::Undone | Standing::Stays)
}

/// The plan of what is left of an open rollback, which is never turned round.
///
/// # Errors
/// When this version cannot read its plan.
pub fn of_rollback(state: &RunState, without: Without) -> Result<Plan> {
    let mut plan = plan_of(state)?;
    debug_assert_eq!(plan.kind, RunKind::Rollback, "other runs are undone by a plan of their own");
    let left_out = carry_back::left_out(&plan, state, without);
    let left = left(state, plan.items.len(), |index| plan.items[index].action.is_gate());
    let count = plan.items.len();
    let mut index = 0..;
    plan.items.retain(|_| index.next().is_some_and(|index| left.contains(&index) && !left_out.contains(&index)));
    let behind = count - left.len();
    let number = state.number;
    let verb = if behind == 1 { "is" } else { "are" };
    plan.remarks = vec![format!(
        "run {number} stopped; of its {count} steps {behind} {verb} behind it, and it goes on with these"
    )];
    if !left_out.is_empty() {
        let names: Vec<&str> =
            left_out.iter().filter_map(|index| Some(state.items.get(*index)?.name.as_str())).collect();
        plan.remarks.push(format!("left out, as you asked: {}", names.join(", ")));
    }
    Ok(plan)
}
