//! A short question to a program inside a running container (`docker exec`). Law: it reads, and it ends by itself.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::process::{Command, Process};

/// Calls programs inside containers.
#[derive(Clone, Debug)]
pub struct Inside {
    docker: PathBuf,
    process: Process,
}

impl Inside {
    /// `docker` is the command-line client, found by the caller.
    pub fn new(docker: PathBuf, process: Process) -> Self {
        Self { docker, process }
    }

    /// What the program prints, without the last line end.
    ///
    /// # Errors
    /// When the container does not run, or the program is missing, fails or passes `deadline`.
    pub async fn ask(&self, container: &str, words: &[&str], deadline: Duration) -> Result<String> {
        let arguments = ["exec", container].into_iter().chain(words.iter().copied());
        let mut command = Command::new(&self.docker, arguments);
        command.deadline = deadline;
        let bytes = self.process.run(command, &|_| ()).await?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }
}
