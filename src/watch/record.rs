//! Verdicts in the journal of the watched run: each change is a `verdict` line there, after the run's own end.
//!
//! Law: only the holder of the host's lock writes to a journal, so it is taken for that one line; while a run is at work the
//! line waits in the window. Looking itself holds no lock.

use std::path::Path;

use anyhow::{Context, Result};

use super::window::Window;
use crate::adapter::clock;
use crate::journal::lock::LockError;
use crate::journal::{Fact, Journal, Lock, runs};

/// Verdicts that wait at most; the newest are kept.
const MOST: usize = 100;

/// Puts a verdict among those that are to be written.
pub fn remember(window: &mut Window, verdict: &str, why: &str) {
    window.unwritten.push((verdict.to_owned(), why.to_owned()));
    let surplus = window.unwritten.len().saturating_sub(MOST);
    window.unwritten.drain(..surplus);
}

/// Writes what waits, if the lock is free; gives whether anything was written.
///
/// # Errors
/// When the journal or the lock's file cannot be opened. What waits, waits on.
pub fn write(state: &Path, window: &mut Window) -> Result<bool> {
    let Some(number) = window.run.filter(|_| !window.unwritten.is_empty()) else { return Ok(false) };
    let all = runs::list(&state.join("runs")).context("cannot list the runs")?;
    let Some(file) = all.iter().find(|file| file.number == number) else { return Ok(false) };
    if file.state().context("cannot read the watched run")?.is_open() {
        // A runbook's run watches itself before its end, and a verdict stands behind that.
        return Ok(false);
    }
    let _lock = match Lock::take(state, "watch", clock::now()) {
        Ok(lock) => lock,
        Err(LockError::Held(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    for (verdict, why) in std::mem::take(&mut window.unwritten) {
        let fact = Fact::Verdict { verdict: verdict.clone(), why: why.clone() };
        if let Err(error) = Journal::remark(&file.path, clock::boot_id(), clock::now, fact) {
            window.unwritten.push((verdict, why));
            return Err(error).with_context(|| format!("the verdict cannot be written to the journal of run {number}"));
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::entry::Header;
    use crate::journal::{Outcome, state};
    use crate::judge::cusum::Terms;
    use crate::watch::window::Now;

    fn journal(directory: &Path) -> std::path::PathBuf {
        let path = runs::journal_path(directory, 3, "deploy");
        let mut journal = Journal::create(&path, "boot".into(), clock::now).unwrap();
        let header = Header::of_test(3, "deploy");
        journal.append(Fact::Planned { header, plan: serde_json::Value::Null }).unwrap();
        journal.append(Fact::Finished { outcome: Outcome::Done, exit: 0, said: "done".into() }).unwrap();
        path
    }

    #[test]
    fn of_too_many_verdicts_that_wait_the_newest_are_kept() {
        let now = Now { wall_ms: 0, boot_ms: 0, boot: "a".into() };
        let mut window = Window::begin(now, String::new(), 60, Terms::new(0.01, 0.05, 0), Some(3));
        (0..MOST + 7).for_each(|number| remember(&mut window, "WATCH", &number.to_string()));
        let kept: Vec<&str> = window.unwritten.iter().map(|(_, why)| why.as_str()).collect();
        assert_eq!((kept.len(), kept[0], kept[MOST - 1]), (MOST, "7", "106"));
    }

    #[test]
    fn a_verdict_stands_in_the_journal_of_its_run_whose_end_stays_its_end() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("runs");
        std::fs::create_dir(&directory).unwrap();
        let path = journal(&directory);
        let now = Now { wall_ms: 0, boot_ms: 0, boot: "a".into() };
        let mut window = Window::begin(now, String::new(), 60, Terms::new(0.01, 0.05, 0), Some(3));
        remember(&mut window, "HOLD", "services: backend is unhealthy");

        // While a run is at work, it waits. No child of a test beside this one may inherit the lock, as it would a real one.
        let lock = std::fs::File::create(home.path().join("lock")).unwrap();
        lock.try_lock().unwrap();
        assert!(!write(home.path(), &mut window).unwrap());
        assert_eq!(window.unwritten.len(), 1);
        drop(lock);

        assert!(write(home.path(), &mut window).unwrap());
        assert!(window.unwritten.is_empty() && !write(home.path(), &mut window).unwrap());
        let entries = crate::journal::read(&path).unwrap();
        let fact = Fact::Verdict { verdict: "HOLD".into(), why: "services: backend is unhealthy".into() };
        assert_eq!(entries.last().unwrap().fact, fact);
        let run = state::fold(3, "deploy", &entries);
        assert!(matches!(run.outcome, Some((Outcome::Done, _))) && !run.is_open(), "{run:?}");
    }
}
