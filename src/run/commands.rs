//! What the commands of a plan need: their programs and variables. Law: what is missing is told before anything is
//! changed, and of the way back too: in the middle of a run it would leave both sides closed.

use anyhow::Result;

use super::Refusal;
use crate::adapter::process::Process;
use crate::journal::{RunState, Standing};
use crate::step::plan::{Item, Plan};
use crate::step::run_command::{Part, RunCommand, Variables};
use crate::step::{Act, RunKind};

/// Refuses a plan whose commands could not be carried out; of a run that was begun, only what may still be called counts.
///
/// # Errors
/// [`Refusal::Usage`] with everything that is missing.
pub fn must_be_ready(plan: &Plan, state: Option<&RunState>, process: &Process, variables: &Variables) -> Result<()> {
    let mut troubles: Vec<String> = Vec::new();
    for (index, item) in plan.items.iter().enumerate() {
        for (command, parts) in called(item, still(plan, state, index)) {
            troubles.extend(command.troubles(parts, process, variables));
        }
    }
    troubles.dedup();
    if troubles.is_empty() {
        return Ok(());
    }
    let stands = match state {
        Some(state) => format!("run {} stands as it stood", state.number),
        None => "nothing was changed".into(),
    };
    let words = troubles.join("; ");
    Err(Refusal::Usage(format!("{words}; {stands}, put that right and call this again")).into())
}

/// What may still be called of an item.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Still {
    /// It is to be done, and undone where the run fails.
    Ahead,
    /// It is only to be undone.
    Behind,
    /// Nothing.
    Nothing,
}

fn still(plan: &Plan, state: Option<&RunState>, index: usize) -> Still {
    let item = &plan.items[index];
    let begun = state.and_then(|state| Some((state.is_going_back, state.items.get(index)?)));
    let is_never_undone = plan.kind == RunKind::Rollback;
    match begun {
        Some((_, now)) if matches!(now.standing, Standing::Undone | Standing::Stays) => Still::Nothing,
        _ if item.back => Still::Behind,
        Some((true, now)) if !now.was_begun || item.action.is_gate() => Still::Nothing,
        Some((true, _)) => Still::Behind,
        Some((false, now)) if now.standing == Standing::Done && (is_never_undone || item.action.is_gate()) => {
            Still::Nothing
        }
        Some((false, now)) if now.standing == Standing::Done => Still::Behind,
        _ => Still::Ahead,
    }
}

/// The commands of an item, each with those of its programs that may be called.
fn called(item: &Item, still: Still) -> Vec<(&RunCommand, &'static [Part])> {
    match (&item.action, still) {
        (_, Still::Nothing) => Vec::new(),
        (Act::RunCommand(step), Still::Ahead) => vec![(step, &[Part::Run, Part::Check, Part::Undo])],
        (Act::RunCommand(step), Still::Behind) => vec![(step, &[Part::Check, Part::Undo])],
        (act, _) => asked(act).into_iter().map(|command| (command, &[Part::Run][..])).collect(),
    }
}

/// The commands that a gate asks.
fn asked(act: &Act) -> Vec<&RunCommand> {
    match act {
        Act::ExpectCommand(gate) => vec![&gate.command],
        Act::Checkpoint(gate) => gate.gates.iter().chain(&gate.still).flat_map(|gate| asked(&gate.action)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Fact;
    use crate::redact::Redactor;
    use crate::report::sample;

    fn process() -> Process {
        Process::new(vec![("PATH".into(), "/usr/bin:/bin".into())], Redactor::default())
    }

    fn plan(directory: &std::path::Path) -> Plan {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let step = RunCommand {
            name: "mark".into(),
            run: words(&["./mark.sh", "do"]),
            undo: Some(words(&["nosuchprogram", "undo"])),
            check: Some(words(&["test", "-e", "there"])),
            dry_run: None,
            directory: directory.to_owned(),
            environment: vec!["NIGHT_TOKEN".into()],
            timeout_s: 1,
            log: None,
            run_number: None,
        };
        let mut plan = sample::keeping();
        let item =
            |back| Item { name: "mark".into(), title: String::new(), back, action: Act::RunCommand(step.clone()) };
        plan.items = vec![item(false)];
        plan
    }

    fn refusal(plan: &Plan, state: Option<&RunState>) -> String {
        must_be_ready(plan, state, &process(), &Variables::new())
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_plan_is_refused_for_every_program_and_variable_that_it_or_its_way_back_would_miss() {
        let place = tempfile::tempdir().unwrap();
        let plan = plan(place.path());
        let words = refusal(&plan, None);
        assert!(words.contains("mark needs a variable that is not set: NIGHT_TOKEN"), "{words}");
        assert!(words.contains("mark: `./mark.sh`, which does it, is not there"), "{words}");
        assert!(words.contains("mark: `nosuchprogram`, which undoes it, is not in PATH (/usr/bin:/bin)"), "{words}");
        assert!(words.ends_with("nothing was changed, put that right and call this again"), "{words}");

        let script = place.path().join("mark.sh");
        std::fs::write(&script, "").unwrap();
        assert!(refusal(&plan, None).contains("which does it, is not executable"), "{}", refusal(&plan, None));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, mode).unwrap();
        assert!(!refusal(&plan, None).contains("mark.sh"), "{}", refusal(&plan, None));
    }

    #[test]
    fn a_rollback_wants_what_undoes_and_a_run_gone_on_with_what_is_left_of_it() {
        let place = tempfile::tempdir().unwrap();
        let mut plan = plan(place.path());
        let name = || "mark".to_owned();
        let begun = Fact::Started { item: 0, name: name() };
        let failed = Fact::Failed { item: 0, name: name(), why: "no".into(), back: true, unknown: false, took_ms: 1 };
        let state = |facts: Vec<Fact>| {
            sample::run(&sample::entries(std::iter::once(sample::planned(&plan)).chain(facts).collect()))
        };
        let words = refusal(&plan, Some(&state(vec![begun.clone()])));
        assert!(words.contains("which does it") && words.contains("stands as it stood"), "{words}");
        let words = refusal(&plan, Some(&state(vec![begun.clone(), failed])));
        assert!(words.contains("which undoes it") && !words.contains("which does it"), "{words}");
        let undone = Fact::Undone { item: 0, name: name(), seen: String::new(), stays: false, took_ms: 1 };
        assert_eq!(refusal(&plan, Some(&state(vec![begun, undone]))), "");
        plan.items[0].back = true;
        let words = refusal(&plan, None);
        assert!(words.contains("NIGHT_TOKEN") && words.contains("which undoes it"), "{words}");
        assert!(!words.contains("which does it"), "{words}");
    }
}
