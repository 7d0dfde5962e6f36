//! The only place that starts a child: clean environment, own process group, deadline, stderr kept.
//!
//! A child inherits the descriptor of the state lock (it is opened without close-on-exec), so the lock stays
//! taken while an orphan of a killed run is still at work, and the orphan can be found by it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::data::shell;
use crate::redact::Redactor;

/// How long a child may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(8);
/// How much of a child's stderr is kept for the error message, in lines.
const KEPT_LINES: usize = 40;

/// What went wrong with a child; each says what was started and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program could not be started.
    #[error("cannot start {program}: {why}")]
    Start {
        /// The program as it was called.
        program: String,
        /// The system's own words; told above, so they are no source that would be told again.
        why: std::io::Error,
    },
    /// It ended with another code than 0, or by a signal.
    #[error("`{command}` {ended}{}", said(.stderr))]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        ended: String,
        /// Its exit code; none where a signal ended it.
        code: Option<i32>,
        /// The last lines it wrote to stderr.
        stderr: String,
    },
    /// It did not end in time and was ended.
    #[error("`{command}` did not end within {} and was stopped{}", super::clock::spoken(*.deadline), said(.stderr))]
    Deadline {
        /// The command line.
        command: String,
        /// The time it had.
        deadline: Duration,
        /// The last lines it wrote to stderr.
        stderr: String,
    },
    /// Its output could not be read.
    #[error("cannot read what `{command}` prints: {why}")]
    Output {
        /// The command line.
        command: String,
        /// The system's own words.
        why: std::io::Error,
    },
}

fn said(stderr: &str) -> String {
    if stderr.trim().is_empty() { "; it said nothing".to_owned() } else { format!(":\n{}", stderr.trim_end()) }
}

/// Where a child's standard output goes.
#[derive(Debug)]
pub enum Sink {
    /// Kept in memory and returned.
    Kept,
    /// Handed line by line to the listener, like stderr.
    Lines,
    /// Written to this file.
    File(File),
}

/// A command as plain data; compared as strings in tests.
#[derive(Debug)]
pub struct Command {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables beside the base environment.
    pub environment: Vec<(String, String)>,
    /// Working directory.
    pub directory: Option<PathBuf>,
    /// Standard input; nothing when absent.
    pub input: Option<File>,
    /// Standard output.
    pub output: Sink,
    /// Whether its stderr is ours, drawn where it likes; then no line of it is heard, cleaned or kept.
    pub is_shown: bool,
    /// The longest it may take.
    pub deadline: Duration,
}

impl Command {
    /// A command whose output is kept, with a deadline of one minute.
    pub fn new(program: impl AsRef<Path>, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            directory: None,
            input: None,
            output: Sink::Kept,
            is_shown: false,
            deadline: Duration::from_secs(60),
        }
    }

    /// The command line as a person would type it, without secrets: those are taken out before a word is put in quotes, which
    /// would hide one from the redactor.
    pub fn line(&self, redactor: &Redactor) -> String {
        let program = self.program.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let words = std::iter::once(program).chain(self.arguments.iter().cloned());
        shell::line(words.map(|word| redactor.clean(&word)))
    }
}

/// Starts children with the same base environment and the same redaction.
#[derive(Clone, Debug)]
pub struct Process {
    base: Vec<(String, String)>,
    redactor: Redactor,
}

impl Process {
    /// `base` is the whole environment that every child gets.
    pub fn new(base: Vec<(String, String)>, redactor: Redactor) -> Self {
        Self { base, redactor }
    }

    /// Whether a program could be started: a path is an executable file, a bare name is found in the children's PATH.
    ///
    /// # Errors
    /// Why it could not, in words.
    pub fn could_start(&self, program: &Path) -> Result<(), String> {
        if program.components().count() > 1 {
            return match std::fs::metadata(program) {
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
                    Err(format!("is not there ({})", program.display()))
                }
                Err(why) => Err(format!("cannot be looked at ({}): {why}", program.display())),
                Ok(file) if !file.is_file() => Err(format!("is not a file ({})", program.display())),
                Ok(_) if rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_err() => {
                    Err(format!("is not executable ({})", program.display()))
                }
                Ok(_) => Ok(()),
            };
        }
        let path = self.base.iter().find(|(name, _)| name == "PATH").map_or("", |(_, path)| path.as_str());
        let found = which::which_in(program, Some(path), "/");
        found.map(|_| ()).map_err(|_| format!("is not in PATH ({path})"))
    }

    /// Runs to the end and gives the kept standard output; `line` hears every line of stderr as it comes.
    ///
    /// # Errors
    /// When it cannot start, ends with another code than 0, or passes its deadline (then its whole group is ended).
    pub async fn run(&self, command: Command, line: &(dyn Fn(&str) + Sync)) -> Result<Vec<u8>, ProcessError> {
        let shown = command.line(&self.redactor);
        let deadline = command.deadline;
        let keeps = matches!(command.output, Sink::Kept);
        let mut child = self.start(command)?;
        let group = Group(child.id());
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let mut tail = Vec::new();
        let mut kept = Vec::new();
        let ended = {
            let listen = async {
                let errors = read_lines(stderr, &self.redactor, line, &mut tail);
                let output = async {
                    match stdout {
                        Some(mut stdout) if keeps => stdout.read_to_end(&mut kept).await.map(|_| ()),
                        stdout => read_lines(stdout, &self.redactor, line, &mut Vec::new()).await,
                    }
                };
                let (errors, output) = tokio::join!(errors, output);
                errors.and(output)?;
                child.wait().await
            };
            tokio::time::timeout(deadline, listen).await
        };
        let stderr = || tail.join("\n");
        match ended {
            Ok(Ok(status)) if status.success() => {
                group.forget();
                Ok(kept)
            }
            Ok(Ok(status)) => {
                group.forget();
                Err(ProcessError::Failed { command: shown, ended: how(status), code: status.code(), stderr: stderr() })
            }
            Ok(Err(why)) => Err(ProcessError::Output { command: shown, why }),
            Err(_) => {
                group.end(&mut child).await;
                Err(ProcessError::Deadline { command: shown, deadline, stderr: stderr() })
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that starts a child")]
    fn start(&self, command: Command) -> Result<tokio::process::Child, ProcessError> {
        let program = command.program.display().to_string();
        let mut child = tokio::process::Command::new(&command.program);
        child
            .args(&command.arguments)
            .env_clear()
            .envs(self.base.iter().map(|(key, value)| (key, value)))
            .envs(command.environment.iter().map(|(key, value)| (key, value)))
            .process_group(0)
            .stdin(command.input.map_or_else(Stdio::null, Stdio::from))
            .stderr(if command.is_shown { Stdio::inherit() } else { Stdio::piped() })
            .stdout(match command.output {
                Sink::Kept | Sink::Lines => Stdio::piped(),
                Sink::File(file) => Stdio::from(file),
            });
        if let Some(directory) = &command.directory {
            child.current_dir(directory);
        }
        child.spawn().map_err(|why| ProcessError::Start { program, why })
    }
}

/// Ends the whole group when it is dropped before the child was seen to end.
struct Group(Option<u32>);

impl Group {
    fn forget(mut self) {
        self.0 = None;
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
            && let Err(error) = kill_process_group(pid, signal)
        {
            tracing::debug!(%error, "the group has already ended");
        }
    }

    async fn end(self, child: &mut tokio::process::Child) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
            self.signal(Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

async fn read_lines(
    pipe: Option<impl tokio::io::AsyncRead + Unpin>,
    redactor: &Redactor,
    line: &(dyn Fn(&str) + Sync),
    tail: &mut Vec<String>,
) -> std::io::Result<()> {
    let Some(pipe) = pipe else { return Ok(()) };
    let mut reader = BufReader::new(pipe);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).await? > 0 {
        let text = redactor.clean(String::from_utf8_lossy(&bytes).trim_end());
        bytes.clear();
        line(&text);
        if tail.len() == KEPT_LINES {
            tail.remove(0);
        }
        tail.push(text);
    }
    Ok(())
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        Command::new("/bin/sh", ["-c", script])
    }

    fn process() -> Process {
        Process::new(vec![("PATH".into(), "/usr/bin:/bin".into())], Redactor::new(["s3cret-value".to_owned()]))
    }

    #[tokio::test]
    async fn a_failing_child_is_reported_with_its_own_words() {
        let error = process().run(shell("echo out; echo no disk >&2; exit 3"), &|_| ()).await.unwrap_err();
        assert_eq!(error.to_string(), "`sh -c 'echo out; echo no disk >&2; exit 3'` exited 3:\nno disk");
    }

    #[tokio::test]
    async fn a_child_that_passes_its_deadline_is_ended_with_its_group() {
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("mark");
        let mut command = shell(&format!("(sleep 600; touch {0}) & echo $! > {0}.pid; wait", mark.display()));
        command.deadline = Duration::from_millis(300);
        let error = process().run(command, &|_| ()).await.unwrap_err();
        assert!(error.to_string().contains("did not end within 300 ms"), "{error}");
        let pid = std::fs::read_to_string(mark.with_extension("pid")).unwrap();
        let is_at_work = || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            !state.is_empty() && !state.contains(") Z ")
        };
        let watch = crate::adapter::clock::Stopwatch::start();
        while is_at_work() && watch.left(Duration::from_secs(5)).is_some() {
            tokio::task::yield_now().await;
        }
        assert!(!is_at_work(), "the grandchild is still at work");
    }

    #[tokio::test]
    async fn a_secret_in_a_childs_words_is_blotted_out() {
        let heard = std::sync::Mutex::new(Vec::new());
        let listen = |line: &str| heard.lock().unwrap().push(line.to_owned());
        let error = process().run(shell("echo s3cret-value >&2; exit 1"), &listen).await.unwrap_err();
        assert!(!error.to_string().contains("s3cret-value"));
        assert_eq!(*heard.lock().unwrap(), ["[secret]"]);
    }

    #[tokio::test]
    async fn a_child_sees_only_the_environment_it_was_given() {
        let kept = process().run(Command::new("/usr/bin/env", [""; 0]), &|_| ()).await.unwrap();
        assert_eq!(String::from_utf8(kept).unwrap(), "PATH=/usr/bin:/bin\n");
    }
}
