//! Confirming: an ordinary question takes `--yes`; a loss takes a phrase that names the environment, which `--yes` is not.

use std::io::{BufRead, Write};

use anyhow::Result;

use super::global::Global;
use super::out;
use crate::run::Refusal;
use crate::step::Plan;

/// The phrase of a plan that loses something: verb and environment.
pub fn phrase(plan: &Plan) -> String {
    format!("{} {}", plan.kind.word(), plan.environment)
}

/// Asks, unless the flags have answered.
///
/// # Errors
/// [`Refusal::Usage`] when nobody can be asked or the phrase is wrong; [`Refusal::Gate`] when the answer is no.
pub fn confirm(global: &Global, plan: &Plan, question: &str) -> Result<()> {
    let losses = plan.losses();
    if !losses.is_empty() {
        return confirm_loss(global, plan, &losses);
    }
    confirm_plainly(global, question)
}

/// The same for what loses nothing.
///
/// # Errors
/// As [`confirm`].
pub fn confirm_plainly(global: &Global, question: &str) -> Result<()> {
    if global.yes {
        return Ok(());
    }
    if global.no_input || !out::can_ask() {
        return Err(Refusal::Usage("nobody can be asked here; look at the plan and add --yes".into()).into());
    }
    if ask_plainly(&format!("{question} [y/N] ")) {
        return Ok(());
    }
    Err(Refusal::Gate("nothing was changed: the answer was not yes".into()).into())
}

fn confirm_loss(global: &Global, plan: &Plan, losses: &[String]) -> Result<()> {
    confirm_phrase(global, &phrase(plan), &format!("something is lost: {}", losses.join("; ")))
}

/// Asks for a phrase, which `--yes` is not; `why` says what it stands for.
///
/// # Errors
/// As [`confirm`].
pub fn confirm_phrase(global: &Global, wanted: &str, why: &str) -> Result<()> {
    match &global.confirm {
        Some(given) if *given == wanted => return Ok(()),
        Some(given) => {
            let said = format!("--confirm is {given:?}, but this needs {wanted:?}, because {why}");
            return Err(Refusal::Usage(said).into());
        }
        None => {}
    }
    if global.no_input || !out::can_ask() {
        return Err(Refusal::Usage(format!("{why}; if that is wanted, add --confirm {wanted:?}")).into());
    }
    let mut letters = why.chars();
    let first = letters.next().map_or_else(String::new, |first| first.to_uppercase().to_string());
    out::say(&format!("{first}{}", letters.as_str()));
    if ask(&format!("Type {wanted:?} to go on: ")) == wanted {
        return Ok(());
    }
    Err(Refusal::Gate("nothing was changed: the phrase was not typed".into()).into())
}

/// Asks a person who is there.
pub fn ask_plainly(question: &str) -> bool {
    ["y", "yes"].contains(&ask(question).to_lowercase().as_str())
}

fn ask(question: &str) -> String {
    let mut stderr = std::io::stderr().lock();
    if let Err(error) = write!(stderr, "{question}").and_then(|()| stderr.flush()) {
        tracing::debug!(%error, "the question could not be shown");
        return String::new();
    }
    let mut answer = String::new();
    match std::io::stdin().lock().read_line(&mut answer) {
        Ok(_) => answer.trim().to_owned(),
        Err(_) => String::new(),
    }
}
