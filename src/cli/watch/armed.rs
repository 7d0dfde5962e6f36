//! Going back by itself: off unless a person armed it with the phrase, and two minutes late, so that a person can stop it.

use std::time::Duration;

use anyhow::Result;

use super::Watching;
use crate::adapter::clock;
use crate::adapter::database::Place;
use crate::cli::flags::{Rollback, Watch};
use crate::cli::global::Global;
use crate::cli::{confirm, out, rollback, setup};
use crate::config::units;
use crate::judge::arm::objections;
use crate::judge::ladder::Level;
use crate::run::Refusal;
use crate::watch::gather;
use crate::watch::going_back::conditions;
use crate::watch::keep::hold_file;
use crate::watch::record;
use crate::watch::tick::Verdicts;
use crate::watch::window::{Armed, Until};
use crate::watch::words;

/// The longest that it can be armed for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Arms or disarms, as asked for, and writes it down.
///
/// # Errors
/// When the phrase is missing or the duration is none.
pub fn change(watching: &mut Watching<'_>, verb: &Watch) -> Result<()> {
    if verb.disarm {
        (watching.window.armed, watching.window.going_back) = (None, None);
        out::say("cutover: disarmed; it goes back only when a person says so");
        return watching.shelf.write(&watching.window);
    }
    let Some(text) = &verb.arm else { return Ok(()) };
    let length = units::parse_duration(text).map_err(|why| Refusal::Usage(format!("--arm {text}: {why}")))?;
    if length.is_zero() || length > LONGEST {
        return Err(Refusal::Usage(format!("--arm {text}: from 1s to 24h")).into());
    }
    let phrase = format!("arm {}", watching.config.project.environment);
    let why = format!("for {} it may go back without asking anybody", clock::spoken(length));
    confirm::confirm_phrase(watching.global, &phrase, &why)?;
    let until = Until::after(&gather::now(), length.as_secs());
    watching.window.armed = Some(Armed { by: setup::by(), until });
    out::say(&format!(
        "cutover: armed for {}; `touch {}` stops it, `cutover watch --disarm` takes it back",
        clock::spoken(length),
        hold_file(&watching.setup.state).display()
    ));
    watching.shelf.write(&watching.window)
}

/// Goes back when everything says so, after the time to stop it. Gives the exit code when it did.
///
/// # Errors
/// When the state cannot be kept.
pub async fn act(watching: &mut Watching<'_>, verdicts: &Verdicts) -> Result<Option<u8>> {
    let now = gather::now();
    let is_armed = watching.window.armed.as_ref().is_some_and(|armed| armed.until.left_s(&now).is_some());
    if verdicts.level < Level::RollbackRecommended || !is_armed {
        if watching.window.going_back.take().is_some() {
            let why = "it does not go back: the verdict does not ask for it any more, or it is not armed";
            out::say(&format!("cutover: {why}"));
            watching.shelf.write(&watching.window)?;
            watching.tell_of_going_back("not_going_back", verdicts, why, Vec::new());
        }
        return Ok(None);
    }
    if let Some(against) = against(watching)? {
        if watching.window.going_back.take().is_some() || verdicts.level != verdicts.before {
            let why = format!("it is armed, but does not go back by itself: {against}");
            out::say(&format!("cutover: {why}"));
            watching.shelf.write(&watching.window)?;
            watching.tell_of_going_back("not_going_back", verdicts, &why, Vec::new());
        }
        return Ok(None);
    }
    let stop = format!("touch {}", hold_file(&watching.setup.state).display());
    let until = match &watching.window.going_back {
        Some(until) => {
            // Who looks in the middle of it sees how long there is to decide.
            if let Some(left) = until.left_s(&now) {
                out::say(&format!("cutover: {}; to stop it: {stop}", words::countdown(left)));
            }
            until.clone()
        }
        None => {
            let cancel = watching.parts.cancel;
            let until = Until::after(&now, cancel.as_secs());
            watching.window.going_back = Some(until.clone());
            watching.shelf.write(&watching.window)?;
            let why = format!("going back by itself in {}, because {}", clock::spoken(cancel), verdicts.why);
            out::say(&format!("cutover: {why}; to stop it: {stop}"));
            watching.tell_of_going_back("going_back", verdicts, &why, vec![format!("to stop it: {stop}")]);
            until
        }
    };
    if until.left_s(&now).is_some() {
        // The next round of the loop, or the next call of cron, looks again.
        return Ok(None);
    }
    go(watching).await.map(Some)
}

/// What stands against it now, if anything.
fn against(watching: &Watching<'_>) -> Result<Option<String>> {
    let maintenance = watching.parts.watcher.maintenance.as_deref();
    let target = watching.setup.databases.side("target").ok().map(Place::shown);
    let known = conditions(&watching.setup.state, &watching.window, &gather::now(), maintenance, target)?;
    let found = objections(&known);
    Ok((!found.is_empty()).then(|| found.join("; ")))
}

/// The rollback that a person would have called. It takes the host's lock, and asks nobody; what it would have to ask a
/// phrase for, it refuses.
async fn go(watching: &mut Watching<'_>) -> Result<u8> {
    watching.window.ladder.level = Level::Rollback;
    watching.window.going_back = None;
    // Once: whatever comes of it, the next decision is a person's.
    watching.window.armed = None;
    record::remember(&mut watching.window, Level::Rollback.word(), "going back by itself, as it was armed");
    watching.write_verdicts();
    watching.shelf.write(&watching.window)?;
    out::say("cutover: going back now");
    let global = Global {
        config: watching.global.config.clone(),
        state_directory: watching.global.state_directory.clone(),
        output: watching.global.output,
        yes: true,
        confirm: None,
        no_input: true,
        no_color: watching.global.no_color,
        quiet: watching.global.quiet,
        verbose: watching.global.verbose,
    };
    let code = rollback::run(&global, &Rollback::default()).await;
    match code {
        Ok(crate::cli::exit::DONE) => Ok(crate::cli::exit::ROLLED_BACK),
        other => other,
    }
}
