//! Run command: a program of the user's own, for systems that cutover does not know; run, undo and check are his words.
//!
//! Law: what it changed is known only by its `check`. Without one, that it ended with 0 is all there is, and is written
//! down as that; and what was killed in the middle is run again.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Reversal, RunTag, Say, Undone, World};
use crate::adapter::files;
use crate::adapter::process::{Command, Process, ProcessError, Sink};
use crate::data::shell;

/// Exit code by which a check says that the effect is there.
const IS_THERE: i32 = 0;
/// Exit code by which a check says that it is not there.
const IS_NOT_THERE: i32 = 1;

/// What is said where nothing but the exit code tells.
pub const NO_CHECK: &str = "; it has no check, so nothing else is known";

/// Of a line that a program said last, so much is kept.
const LONGEST_LINE: usize = 400;

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct RunCommand {
    /// Name in the runbook; also of its log.
    pub name: String,
    /// Program and arguments.
    pub run: Vec<String>,
    /// What undoes it.
    pub undo: Option<Vec<String>>,
    /// What tells whether the effect is there: exit code 0 yes, 1 no, anything else not known.
    pub check: Option<Vec<String>>,
    /// What shows what would be done, and changes nothing.
    pub dry_run: Option<Vec<String>>,
    /// Working directory.
    pub directory: PathBuf,
    /// Names of variables that it gets; their values are no part of the plan.
    pub environment: Vec<String>,
    /// The longest that each of them may take, seconds.
    pub timeout_s: u64,
    /// A file to which its words are appended too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
    /// The run that did it, where it is another one that undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_number: Option<u32>,
}

/// One of the programs of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What does it, or asks.
    Run,
    /// What tells whether it is done.
    Check,
    /// What undoes it.
    Undo,
}

/// Values of the variables that commands may get.
pub type Variables = Vec<(String, String)>;

impl RunCommand {
    /// What undoing gives back.
    pub fn reversal(&self) -> Reversal {
        match &self.undo {
            Some(_) => Reversal::Exact,
            None => Reversal::Nothing(format!("{} has no undo command", self.name)),
        }
    }

    /// Why these of its programs could not be called; nothing where they can, or where it has none of them.
    pub fn troubles(&self, parts: &[Part], process: &Process, variables: &Variables) -> Vec<String> {
        let words = |part: &Part| match part {
            Part::Run => Some(("does it", &self.run)),
            Part::Check => self.check.as_ref().map(|words| ("checks it", words)),
            Part::Undo => self.undo.as_ref().map(|words| ("undoes it", words)),
        };
        let called: Vec<_> = parts.iter().filter_map(words).collect();
        let mut troubles: Vec<String> = match called.is_empty() {
            true => Vec::new(),
            false => self.missing(variables).into_iter().collect(),
        };
        for (does, words) in called {
            let Some(program) = words.first() else { continue };
            if let Err(why) = process.could_start(&self.program(program)) {
                troubles.push(format!("{}: `{program}`, which {does}, {why}", self.name));
            }
        }
        troubles
    }

    /// Which of its variables are not set, in words.
    fn missing(&self, variables: &Variables) -> Option<String> {
        let is_set = |name: &String| variables.iter().any(|(known, value)| known == name && !value.is_empty());
        let names: Vec<&str> = self.environment.iter().filter(|name| !is_set(name)).map(String::as_str).collect();
        let noun = if names.len() == 1 { "a variable that is" } else { "variables that are" };
        (!names.is_empty()).then(|| format!("{} needs {noun} not set: {}", self.name, names.join(", ")))
    }

    fn mark(&self, run: &RunTag, word: &str) -> PathBuf {
        let side = self.run_number.map_or_else(|| run.side.clone(), |number| run.beside(number));
        side.join(format!("command-{}.{word}", self.name))
    }

    /// Asks the check; without one, reads what this run wrote down.
    ///
    /// # Errors
    /// When the check ends with neither 0 nor 1, or cannot be run.
    pub async fn check(&self, process: &Process, variables: &Variables, run: &RunTag) -> Result<World> {
        let name = &self.name;
        if let Some(check) = &self.check {
            return match self.call(process, variables, check, run, "check", &|_| ()).await? {
                IS_THERE => Ok(World::After(format!("the check of {name} says that it is done"))),
                IS_NOT_THERE => Ok(World::Before(format!("the check of {name} says that it is not done"))),
                code => bail!(
                    "the check of {name} ended with {code}; 0 means done, 1 not done, and this is neither; \
                     its words are in {}",
                    self.log(run, "check").display()
                ),
            };
        }
        Ok(if self.mark(run, "done").exists() {
            let last = self.last_words(run, "run");
            let said = if last.is_empty() { last } else { format!(" and said: {last}") };
            World::After(format!("{name} ended with 0{said}{NO_CHECK}"))
        } else if self.mark(run, "begun").exists() {
            World::Between(format!("{name} was begun, and did not end with 0"))
        } else if self.mark(run, "undone").exists() {
            World::Before(format!("the undo command of {name} ended with 0{NO_CHECK}"))
        } else {
            World::Before(format!("{name} was not run"))
        })
    }

    /// Runs it.
    ///
    /// # Errors
    /// When it cannot be started, does not end in time, or ends with another code than 0.
    pub async fn run(&self, process: &Process, variables: &Variables, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let begun = self.mark(run, "begun");
        let was_begun = begun.exists();
        files::write_atomically(&begun, b"", 0o600)?;
        files::remove_if_there(&self.mark(run, "undone"))?;
        let ended = self.must(process, variables, &self.run, run, "run", say).await;
        if ended.as_ref().is_err_and(|error| !was_begun && never_started(error, &self.missing(variables))) {
            // Nothing of it can stay: it did nothing.
            files::remove_if_there(&begun)?;
        }
        ended?;
        files::write_atomically(&self.mark(run, "done"), b"", 0o600)?;
        Ok(json!({ "log": self.log(run, "run") }))
    }

    /// Runs its undo command.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn undo(&self, process: &Process, variables: &Variables, run: &RunTag, say: Say<'_>) -> Result<Undone> {
        let Some(undo) = &self.undo else {
            return Ok(Undone::Stays(format!("{} has no undo command: what it did stays", self.name)));
        };
        self.must(process, variables, undo, run, "undo", say).await?;
        files::write_atomically(&self.mark(run, "undone"), b"", 0o600)?;
        for word in ["done", "begun"] {
            files::remove_if_there(&self.mark(run, word))?;
        }
        Ok(Undone::Back)
    }

    /// Runs it as a question: its exit code, and the last line that it said.
    ///
    /// # Errors
    /// When it cannot be started or does not end in time.
    pub async fn ask(
        &self,
        process: &Process,
        variables: &Variables,
        run: &RunTag,
        say: Say<'_>,
    ) -> Result<(i32, String)> {
        let code = self.call(process, variables, &self.run, run, "ask", say).await?;
        Ok((code, self.last_words(run, "ask")))
    }

    /// The last line that it said; nothing where it said nothing, or its log is gone.
    fn last_words(&self, run: &RunTag, what: &str) -> String {
        let text = std::fs::read_to_string(self.log(run, what)).unwrap_or_default();
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        last.unwrap_or_default().trim().chars().take(LONGEST_LINE).collect()
    }

    /// Where the words of one of its programs are kept.
    pub fn log_of(&self, what: &str, run: &RunTag) -> PathBuf {
        self.log(run, what)
    }

    /// Where its words are kept.
    fn log(&self, run: &RunTag, what: &str) -> PathBuf {
        run.side.join(format!("command-{}-{what}.log", self.name))
    }

    async fn must(
        &self,
        process: &Process,
        variables: &Variables,
        words: &[String],
        run: &RunTag,
        what: &str,
        say: Say<'_>,
    ) -> Result<()> {
        match self.call(process, variables, words, run, what, say).await? {
            0 => Ok(()),
            code => {
                let log = self.log(run, what);
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                let lines: Vec<&str> = text.lines().rev().take(10).collect();
                let tail: String = lines.into_iter().rev().map(|line| format!("\n  {line}")).collect();
                bail!("`{}` ended with {code}; all its words are in {}{tail}", shell::line(words), log.display())
            }
        }
    }

    /// Runs it with its words kept, both streams in one file; gives the exit code.
    async fn call(
        &self,
        process: &Process,
        variables: &Variables,
        words: &[String],
        run: &RunTag,
        what: &str,
        say: Say<'_>,
    ) -> Result<i32> {
        let (program, arguments) = words.split_first().context("the command names no program")?;
        if let Some(words) = self.missing(variables) {
            bail!("{words}");
        }
        let mut command = Command::new(self.program(program), arguments.to_vec());
        command.directory = Some(self.directory.clone());
        command.deadline = Duration::from_secs(self.timeout_s);
        command.output = Sink::Lines;
        let own = variables.iter().filter(|(name, _)| self.environment.contains(name));
        command.environment = own.cloned().chain([("CUTOVER_RUN".to_owned(), run.number.to_string())]).collect();
        let mut logs = vec![files::create_private(&self.log(run, what))?];
        if let Some(path) = &self.log {
            logs.push(files::append_private(path)?);
        }
        let logs = std::sync::Mutex::new(logs);
        let heard = |line: &str| {
            say(format!("{}: {line}", self.name));
            let Ok(mut logs) = logs.lock() else { return };
            for log in logs.iter_mut() {
                if let Err(error) = std::io::Write::write_all(log, format!("{line}\n").as_bytes()) {
                    tracing::warn!(%error, "a line of a command's log could not be kept");
                }
            }
        };
        match process.run(command, &heard).await {
            Ok(_) => Ok(0),
            Err(ProcessError::Failed { code: Some(code), .. }) => Ok(code),
            Err(error) => Err(error.into()),
        }
    }

    /// A program with a slash starts at the directory; one without is looked for in PATH by the system.
    fn program(&self, program: &str) -> PathBuf {
        if program.contains('/') { self.directory.join(program) } else { PathBuf::from(program) }
    }
}

/// Whether a command failed before its program was there.
fn never_started(error: &anyhow::Error, missing: &Option<String>) -> bool {
    missing.is_some() || matches!(error.downcast_ref::<ProcessError>(), Some(ProcessError::Start { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Redactor;

    fn step(directory: &std::path::Path, check: bool) -> RunCommand {
        let shell = |script: &str| vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()];
        RunCommand {
            name: "convex-import".into(),
            run: shell("echo importing >&2; echo $KEY > there"),
            undo: Some(shell("rm there")),
            check: check.then(|| shell("test -e there")),
            dry_run: None,
            directory: directory.to_owned(),
            environment: vec!["KEY".into()],
            timeout_s: 10,
            log: None,
            run_number: None,
        }
    }

    fn tools(directory: &std::path::Path) -> (Process, Variables, RunTag) {
        let process = Process::new(vec![("PATH".into(), "/usr/bin:/bin".into())], Redactor::default());
        let run = RunTag { number: 3, epoch: 1, side: directory.to_owned() };
        (process, vec![("KEY".into(), "word".into()), ("OTHER".into(), "x".into())], run)
    }

    #[tokio::test]
    async fn it_is_done_when_its_check_says_so_and_undone_by_its_own_command() {
        let place = tempfile::tempdir().unwrap();
        let (process, variables, run) = tools(place.path());
        let step = step(place.path(), true);
        assert!(matches!(step.check(&process, &variables, &run).await.unwrap(), World::Before(_)));
        step.run(&process, &variables, &run, &|_| ()).await.unwrap();
        assert!(matches!(step.check(&process, &variables, &run).await.unwrap(), World::After(_)));
        assert_eq!(std::fs::read_to_string(place.path().join("there")).unwrap(), "word\n");
        let log = std::fs::read_to_string(place.path().join("command-convex-import-run.log")).unwrap();
        assert_eq!(log, "importing\n");
        step.undo(&process, &variables, &run, &|_| ()).await.unwrap();
        assert!(matches!(step.check(&process, &variables, &run).await.unwrap(), World::Before(_)));
    }

    #[tokio::test]
    async fn without_a_check_what_was_begun_and_not_ended_is_half_way() {
        let place = tempfile::tempdir().unwrap();
        let (process, variables, run) = tools(place.path());
        let mut step = step(place.path(), false);
        step.run = vec!["/bin/sh".into(), "-c".into(), "echo no room >&2; exit 3".into()];
        let error = step.run(&process, &variables, &run, &|_| ()).await.unwrap_err().to_string();
        assert!(error.contains("ended with 3") && error.contains("\n  no room"), "{error}");
        assert!(matches!(step.check(&process, &variables, &run).await.unwrap(), World::Between(_)));
    }

    #[tokio::test]
    async fn a_check_that_answers_neither_yes_nor_no_is_not_known() {
        let place = tempfile::tempdir().unwrap();
        let (process, variables, run) = tools(place.path());
        let mut step = step(place.path(), true);
        step.check = Some(vec!["/bin/sh".into(), "-c".into(), "exit 7".into()]);
        let error = step.check(&process, &variables, &run).await.unwrap_err().to_string();
        assert!(error.contains("ended with 7"), "{error}");
    }

    #[tokio::test]
    async fn a_variable_that_is_not_set_is_told_before_anything_runs() {
        let place = tempfile::tempdir().unwrap();
        let (process, _, run) = tools(place.path());
        let step = step(place.path(), true);
        let error = step.run(&process, &Variables::new(), &run, &|_| ()).await.unwrap_err().to_string();
        assert!(error.contains("convex-import needs a variable that is not set: KEY"), "{error}");
        assert!(!place.path().join("there").exists());
    }

    #[tokio::test]
    async fn a_program_that_never_started_left_nothing_and_the_systems_words_are_told_once() {
        let place = tempfile::tempdir().unwrap();
        let (process, variables, run) = tools(place.path());
        let mut step = step(place.path(), false);
        step.run = vec!["./not-there.sh".into()];
        let error = format!("{:#}", step.run(&process, &variables, &run, &|_| ()).await.unwrap_err());
        assert_eq!(error.matches("No such file").count(), 1, "{error}");
        let seen = step.check(&process, &variables, &run).await.unwrap();
        assert_eq!(seen, World::Before("convex-import was not run".into()));
    }

    #[tokio::test]
    async fn a_rollback_reads_what_the_run_that_it_undoes_wrote_down() {
        let place = tempfile::tempdir().unwrap();
        let (process, variables, _) = tools(place.path());
        let side = |number: u32| {
            let side = place.path().join(format!("{number:04}"));
            std::fs::create_dir_all(&side).unwrap();
            RunTag { number, epoch: 1, side }
        };
        let mut step = step(place.path(), false);
        step.run(&process, &variables, &side(3), &|_| ()).await.unwrap();
        step.run_number = Some(3);
        let seen = step.check(&process, &variables, &side(4)).await.unwrap();
        assert!(matches!(seen, World::After(_)), "{seen:?}");
    }
}
