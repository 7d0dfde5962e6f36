//! From the start of a program to the first answer of a release on the public route.

use std::io::{Error, Result};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::http1::{self, Question};
use super::way::{Connection, tcp};

/// Between two questions.
const PACE: Duration = Duration::from_millis(1);
/// The longest wait.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts the program, asks until the release answers, and waits for the program's end, which has to be a good one.
pub async fn after(address: &str, release: &str, program: &str, arguments: &[&str]) -> Result<Duration> {
    let release: u32 = release.parse().map_err(Error::other)?;
    let mut stream: Option<Connection> = Some(Box::new(tcp(address).await?));
    let began = Instant::now();
    let mut child = Command::new(program).args(arguments).stdout(Stdio::null()).spawn()?;
    let answered = loop {
        if answering(&mut stream, address).await == Some(release) {
            break Some(began.elapsed());
        }
        if began.elapsed() > PATIENCE {
            break None;
        }
        tokio::time::sleep(PACE).await;
    };
    let ended = child.wait()?;
    match answered {
        _ if !ended.success() => Err(Error::other(format!("{program} ended with {ended}"))),
        Some(after) => Ok(after),
        None => Err(Error::other(format!("release {release} did not answer within {} s", PATIENCE.as_secs()))),
    }
}

async fn answering(stream: &mut Option<Connection>, address: &str) -> Option<u32> {
    if stream.is_none() {
        *stream = Some(Box::new(tcp(address).await.ok()?));
    }
    let question = Question { head: "GET /health", body: &[], is_kept: true };
    let answer = http1::ask(stream.as_mut()?, &question).await;
    match answer {
        Ok(answer) => answer.release,
        Err(_) => {
            *stream = None;
            None
        }
    }
}
