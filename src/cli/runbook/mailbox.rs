//! The mailbox of a waiting run: another terminal puts a request into it, and the run, which has the journal, answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::adapter::clock::{self, Stopwatch};
use crate::adapter::files;
use crate::journal::lock;
use crate::run::approvals::Request;
use crate::run::checkpoints::Heard;

/// How long an answer is waited for: the gates are asked first.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

fn directory(side: &Path) -> PathBuf {
    side.join("requests")
}

/// Puts a request in, and waits for its answer.
///
/// # Errors
/// When the run that waits has ended, or does not answer.
pub async fn ask(state: &Path, side: &Path, request: &Request) -> Result<Heard> {
    let directory = directory(side);
    files::make_private_directory(&directory)?;
    let name = format!("{}-{}", std::process::id(), clock::since_boot().as_millis());
    let (question, answer) = (directory.join(format!("{name}.json")), directory.join(format!("{name}.answer")));
    files::write_json(&question, request, 0o600)?;
    let watch = Stopwatch::start();
    loop {
        if answer.exists() {
            let heard = files::read_json(&answer)?;
            files::remove_if_there(&answer)?;
            return Ok(heard);
        }
        let is_held = lock::held(state)?.is_some_and(|held| held.is_owner_alive);
        if !is_held && !answer.exists() {
            files::remove_if_there(&question)?;
            bail!("the run that waited has ended before it answered; `cutover status` tells how it stands");
        }
        if watch.left(PATIENCE).is_none() {
            files::remove_if_there(&question)?;
            bail!("the run that waits did not answer within {}", clock::spoken(PATIENCE));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The requests that wait for an answer, oldest first.
///
/// # Errors
/// When the mailbox cannot be read.
pub fn requests(side: &Path) -> Result<Vec<(PathBuf, Request)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory(side)).into_iter().flatten() {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            found.push((path.clone(), files::read_json(&path)?));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// Answers a request.
///
/// # Errors
/// When the answer cannot be written.
pub fn answer(question: &Path, heard: &Heard) -> Result<()> {
    files::write_json(&question.with_extension("answer"), heard, 0o600)?;
    files::remove_if_there(question)
}
