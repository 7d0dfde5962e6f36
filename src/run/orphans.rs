//! Orphans: what a killed run left at work is ended before the next run touches anything: its processes on this host, and
//! its one-shot containers in the engine.

use std::time::Duration;

use anyhow::{Result, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::adapter::clock::Stopwatch;
use crate::adapter::docker::{Docker, label};
use crate::journal::lock::{Held, Process};
use crate::step::end_one_shots::EndOneShots;
use crate::step::{Act, Item};

/// How long an orphan gets to end by itself after it was asked to.
const GRACE: Duration = Duration::from_secs(10);

/// How long nothing may have changed until the engine is taken to be done.
const QUIET: Duration = Duration::from_millis(300);
/// How long that is waited for at most.
const UNREST: Duration = Duration::from_secs(5);

/// Ends every process that still holds the lock of an owner that is gone, and says which.
///
/// # Errors
/// When the owner is alive after all, or a process does not end.
pub async fn end(held: &Held, holders: impl Fn() -> Vec<Process>) -> Result<Vec<String>> {
    if held.is_owner_alive {
        bail!("{}", held.words());
    }
    let ended = held.processes.iter().map(|process| format!("{} ({})", process.pid, process.command)).collect();
    for (signal, patience) in [(Signal::TERM, GRACE), (Signal::KILL, GRACE)] {
        let watch = Stopwatch::start();
        for process in holders() {
            send(process.pid, signal, &holders);
        }
        while watch.left(patience).is_some() {
            if holders().is_empty() {
                return Ok(ended);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let left: Vec<String> = holders().iter().map(|process| format!("{} ({})", process.pid, process.command)).collect();
    bail!("these processes of a killed run do not end, not even by SIGKILL: {}; look at them by hand", left.join(", "))
}

/// Waits until the engine has carried out what a killed process had asked of it: a container that is being made shows
/// a moment after the one who asked for it is gone.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn settle(docker: &Docker, project: &str) -> Result<()> {
    let watch = Stopwatch::start();
    let mut quiet = Stopwatch::start();
    let mut before = None;
    while watch.left(UNREST).is_some() {
        let containers = docker.labelled(&[format!("{}={project}", label::PROJECT)]).await?;
        let now: Vec<_> = containers.into_iter().map(|one| (one.id, one.name, one.state.status)).collect();
        let is_moving = now.iter().any(|(_, _, status)| status == "removing");
        if is_moving || before.as_ref() != Some(&now) {
            quiet = Stopwatch::start();
        }
        if quiet.elapsed() >= QUIET {
            return Ok(());
        }
        before = Some(now);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A container that is restarted again and again never comes to rest; whoever comes next judges it.
    Ok(())
}

/// The item that ends what an interrupted run has at work in containers of its own, where there is any.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn one_shots(docker: &Docker, project: &str) -> Result<Option<Item>> {
    let shots = docker.one_shots_at_work(project).await?;
    if shots.is_empty() {
        return Ok(None);
    }
    let names: Vec<&str> = shots.iter().map(|shot| shot.name.as_str()).collect();
    let title = format!("end what an interrupted run left at work: {}", names.join(", "));
    let action = Act::EndOneShots(EndOneShots { project: project.to_owned() });
    Ok(Some(Item { name: "end_one_shots".into(), title, back: false, action }))
}

/// The number of a process that has ended may be given to a stranger at once. A handle stays with the one it was opened
/// for, so whoever still holds the lock after it was opened is the one that is meant.
fn send(pid: u32, signal: Signal, holders: &impl Fn() -> Vec<Process>) {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    let sent = pidfd_open(number, PidfdFlags::empty()).and_then(|handle| {
        if holders().iter().any(|process| process.pid == pid) { pidfd_send_signal(&handle, signal) } else { Ok(()) }
    });
    if let Err(error) = sent {
        tracing::debug!(%error, "the process has ended by itself");
    }
}
