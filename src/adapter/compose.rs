//! `docker compose`, the only way containers are changed. Commands are built as plain data and compared in tests.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::files;
use super::process::{Command, Process, Sink};

mod down;
mod look;
mod words;

/// What a project is written in: the files as a person would give them to `docker compose`.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Name of the compose project; empty where compose shall find it.
    pub project: String,
    /// Directory that relative paths start from.
    pub directory: PathBuf,
    /// Compose files, base first.
    pub files: Vec<PathBuf>,
    /// Files with variables for interpolation.
    pub env_files: Vec<PathBuf>,
    /// Variables from elsewhere; they win over the files, as the environment does for compose.
    pub variables: Vec<(String, String)>,
    /// Profiles that are switched on.
    pub profiles: Vec<String>,
    /// A rendered model that stands in no file; then there are no files.
    pub model: Option<String>,
}

impl Sources {
    /// One rendered model: a file that stands for itself, with everything filled in.
    pub fn rendered(project: &str, directory: &Path, model: &Path) -> Self {
        Self {
            project: project.to_owned(),
            directory: directory.to_owned(),
            files: vec![model.to_owned()],
            ..Self::default()
        }
    }

    /// A rendered model that is handed over without a file: the way back must not need room on a disk.
    pub fn in_memory(project: &str, directory: &Path, model: &Value) -> Self {
        Self { model: Some(model.to_string()), ..Self::rendered(project, directory, Path::new("/dev/stdin")) }
    }

    fn input(&self) -> Result<Option<File>> {
        self.model.as_deref().map(unnamed_file).transpose()
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["compose".to_owned()];
        if !self.project.is_empty() {
            arguments.extend(["--project-name".into(), self.project.clone()]);
        }
        arguments.extend(["--project-directory".into(), self.directory.display().to_string()]);
        let pairs = [("--file", &self.files), ("--env-file", &self.env_files)];
        for (flag, paths) in pairs {
            arguments.extend(paths.iter().flat_map(|path| [flag.to_owned(), path.display().to_string()]));
        }
        if self.env_files.is_empty() {
            // Without this, compose would read a stray `.env` of the directory.
            arguments.extend(["--env-file".to_owned(), "/dev/null".to_owned()]);
        }
        if !self.variables.is_empty() {
            // Neither an argument nor the child's environment may hold a value: both can be read by others.
            arguments.extend(["--env-file".to_owned(), "/dev/stdin".to_owned()]);
        }
        arguments.extend(self.profiles.iter().flat_map(|profile| ["--profile".to_owned(), profile.clone()]));
        arguments
    }
}

/// How containers are brought up.
///
/// `--no-deps` is not used: it gives the containers another digest than the same model without it. What the named
/// services depend on is left alone because the model says of it what runs already.
#[derive(Clone, Debug, Default)]
pub struct Up {
    /// Services; must not be empty.
    pub services: Vec<String>,
    /// Make new containers even where the configuration is the same.
    pub is_forced: bool,
    /// Seconds a container gets to stop, where the model's own is not wanted.
    pub stop_timeout: Option<Duration>,
    /// The longest it may take.
    pub deadline: Duration,
}

/// A one-shot container, detached, so that it does not die with us.
#[derive(Clone, Debug)]
pub struct OneShot<'a> {
    /// The container's name.
    pub name: &'a str,
    /// The service it is made from.
    pub service: &'a str,
    /// The command that takes the place of the service's own.
    pub command: &'a [String],
    /// Labels, `key=value`.
    pub labels: &'a [String],
}

/// Calls the `docker compose` plugin.
#[derive(Clone, Debug)]
pub struct Compose {
    docker: PathBuf,
    process: Process,
    /// Digests that were told already. They follow from the model alone, and a run asks for the same model again.
    told: Arc<Mutex<BTreeMap<String, BTreeMap<String, String>>>>,
}

impl Compose {
    /// `docker` is the command-line client, found by the caller.
    pub fn new(docker: PathBuf, process: Process) -> Self {
        Self { docker, process, told: Arc::default() }
    }

    fn command(&self, arguments: Vec<String>, deadline: Duration) -> Command {
        let mut command = Command::new(&self.docker, arguments);
        command.deadline = deadline;
        command
    }

    /// A reading of files as a person writes them: `$PWD` in them is the project's directory, wherever we were started.
    fn reading(&self, sources: &Sources, arguments: Vec<String>) -> Result<Command> {
        let mut command = self.command(arguments, Duration::from_secs(60));
        command.environment.push(("PWD".to_owned(), sources.directory.display().to_string()));
        command.input = variables(sources)?;
        Ok(command)
    }

    async fn read(&self, arguments: Vec<String>) -> Result<String> {
        let bytes = self.process.run(self.command(arguments, Duration::from_secs(60)), &|_| ()).await?;
        String::from_utf8(bytes).context("docker compose printed something that is not UTF-8")
    }

    /// Version of the plugin, such as `2.26.1`.
    ///
    /// # Errors
    /// When the plugin is missing or fails.
    pub async fn version(&self) -> Result<String> {
        let text = self.read(vec!["compose".into(), "version".into(), "--short".into()]).await?;
        Ok(text.trim().trim_start_matches('v').to_owned())
    }

    /// The model with everything filled in, and what compose warned of while it read.
    ///
    /// # Errors
    /// When the files are not valid; compose's words name file and key.
    pub async fn render(&self, sources: &Sources) -> Result<(Value, Vec<String>)> {
        let warnings = Mutex::new(Vec::new());
        let command = self.reading(sources, config_arguments(sources, &["--format", "json"]))?;
        let heard = |line: &str| {
            if let Ok(mut warnings) = warnings.lock() {
                warnings.push(words::of_warning(line).to_owned());
            }
        };
        let ran = self.process.run(command, &heard).await;
        let bytes = ran.map_err(words::without_values).context("the compose model is not valid")?;
        let model = serde_json::from_slice(&bytes).context("docker compose config printed no JSON")?;
        Ok((model, warnings.into_inner().unwrap_or_default()))
    }

    /// Digest of the configuration of every service of a rendered model, as the containers carry it in their label.
    ///
    /// It must be a rendered model: asked of files with an `env_file`, compose tells another digest than the one
    /// that `up` writes.
    ///
    /// # Errors
    /// When the model is not valid.
    pub async fn hashes(&self, project: &str, directory: &Path, model: &Value) -> Result<BTreeMap<String, String>> {
        let text = model.to_string();
        let key = files::sha256(format!("{project}\n{}\n{text}", directory.display()).as_bytes());
        let told = || self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hashes) = told().get(&key) {
            return Ok(hashes.clone());
        }
        let sources = Sources::in_memory(project, directory, model);
        let mut command = self.command(config_arguments(&sources, &["--hash", "*"]), Duration::from_secs(60));
        command.input = sources.input()?;
        let bytes = self.process.run(command, &|_| ()).await.context("the rendered model is not valid")?;
        let hashes: BTreeMap<String, String> = String::from_utf8_lossy(&bytes)
            .lines()
            .map(|line| {
                let (service, hash) = line.split_once(' ').with_context(|| format!("unexpected hash line {line:?}"))?;
                Ok((service.to_owned(), hash.trim().to_owned()))
            })
            .collect::<Result<_>>()?;
        told().insert(key, hashes.clone());
        Ok(hashes)
    }

    /// Makes and starts containers from images that are already here.
    ///
    /// # Errors
    /// Compose's own words.
    pub async fn up(&self, sources: &Sources, up: &Up, line: &(dyn Fn(&str) + Sync)) -> Result<()> {
        if up.services.is_empty() {
            bail!("no service was named; an `up` without names would touch the whole project");
        }
        let mut command = self.command(up_arguments(sources, up), up.deadline);
        command.input = sources.input()?;
        self.process.run(command, line).await?;
        Ok(())
    }

    /// Stops and removes the containers of services; volumes stay.
    ///
    /// # Errors
    /// Compose's own words.
    pub async fn remove(
        &self,
        sources: &Sources,
        services: &[String],
        deadline: Duration,
        line: &(dyn Fn(&str) + Sync),
    ) -> Result<()> {
        if services.is_empty() {
            return Ok(());
        }
        self.process.run(self.command(about(sources, &["rm", "--stop", "--force"], services), deadline), line).await?;
        Ok(())
    }

    /// Starts a one-shot container in the background.
    ///
    /// # Errors
    /// Compose's own words.
    pub async fn run_detached(&self, sources: &Sources, shot: &OneShot<'_>) -> Result<()> {
        self.read(one_shot_arguments(sources, shot)).await?;
        Ok(())
    }

    /// Pulls the images of services.
    ///
    /// # Errors
    /// The registry's or compose's own words.
    pub async fn pull(
        &self,
        sources: &Sources,
        services: &[String],
        deadline: Duration,
        line: &(dyn Fn(&str) + Sync),
    ) -> Result<()> {
        self.process.run(self.command(about(sources, &["pull"], services), deadline), line).await?;
        Ok(())
    }

    /// Builds the images of services.
    ///
    /// # Errors
    /// The builder's own words.
    pub async fn build(
        &self,
        sources: &Sources,
        services: &[String],
        deadline: Duration,
        line: &(dyn Fn(&str) + Sync),
    ) -> Result<()> {
        let mut command = self.command(about(sources, &["build"], services), deadline);
        command.output = Sink::Lines;
        self.process.run(command, line).await?;
        Ok(())
    }
}

/// A file without a name, for a child to read: a pipe would not do, compose opens its input more than once. It stands in
/// memory, because a disk may be full.
fn unnamed_file(text: &str) -> Result<File> {
    let memory = rustix::fs::memfd_create("cutover", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = File::from(memory.context("cannot make a file in memory")?);
    file.write_all(text.as_bytes()).context("cannot write a file in memory")?;
    file.rewind().context("cannot rewind a file in memory")?;
    Ok(file)
}

/// The variables of a project as an env file that stands nowhere.
fn variables(sources: &Sources) -> Result<Option<File>> {
    let lines = sources.variables.iter().map(|(name, value)| format!("{name}={}\n", quoted(value)));
    let text: String = lines.collect();
    (!text.is_empty()).then(|| unnamed_file(&text)).transpose()
}

/// A value as an env file holds it.
fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// A verb with its flags, about services.
fn about(sources: &Sources, words: &[&str], services: &[String]) -> Vec<String> {
    let mut arguments = sources.arguments();
    arguments.extend(words.iter().map(|&word| word.to_owned()));
    arguments.extend_from_slice(services);
    arguments
}

fn config_arguments(sources: &Sources, more: &[&str]) -> Vec<String> {
    let words: Vec<&str> = std::iter::once("config").chain(more.iter().copied()).collect();
    about(sources, &words, &[])
}

fn up_arguments(sources: &Sources, up: &Up) -> Vec<String> {
    let mut arguments = sources.arguments();
    arguments.extend(["up", "--detach", "--no-build", "--pull", "never"].map(str::to_owned));
    if up.is_forced {
        arguments.push("--force-recreate".into());
    }
    if let Some(timeout) = up.stop_timeout {
        arguments.extend(["--timeout".into(), timeout.as_secs().to_string()]);
    }
    arguments.extend_from_slice(&up.services);
    arguments
}

fn one_shot_arguments(sources: &Sources, shot: &OneShot<'_>) -> Vec<String> {
    let mut arguments = sources.arguments();
    arguments.extend(["run", "--detach", "--no-deps", "--no-TTY", "--name", shot.name].map(str::to_owned));
    arguments.extend(shot.labels.iter().flat_map(|label| ["--label".to_owned(), label.clone()]));
    arguments.push(shot.service.to_owned());
    arguments.extend_from_slice(shot.command);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources {
        Sources {
            project: "shop".into(),
            directory: "/srv/shop".into(),
            files: vec!["/srv/shop/a.yaml".into(), "/srv/shop/b.yaml".into()],
            env_files: vec!["/srv/shop/.env.production".into()],
            profiles: vec!["prod".into()],
            model: None,
            variables: Vec::new(),
        }
    }

    #[test]
    fn files_are_given_base_first_with_their_variables_and_profiles() {
        assert_eq!(
            config_arguments(&sources(), &["--hash", "*"]).join(" "),
            "compose --project-name shop --project-directory /srv/shop --file /srv/shop/a.yaml \
             --file /srv/shop/b.yaml --env-file /srv/shop/.env.production --profile prod config --hash *"
        );
    }

    #[test]
    fn a_value_never_stands_in_the_command_line() {
        let sources = Sources { variables: vec![("TOKEN".into(), "t0ken".into())], ..sources() };
        let line = config_arguments(&sources, &[]).join(" ");
        assert!(line.contains("--env-file /dev/stdin") && !line.contains("t0ken"), "{line}");
        assert_eq!(quoted("a\"b$c\\d e"), r#""a\"b\$c\\d e""#);
    }

    #[test]
    fn an_up_never_builds_or_pulls() {
        let up = Up {
            services: vec!["web".into()],
            is_forced: true,
            stop_timeout: Some(Duration::from_secs(5)),
            ..Up::default()
        };
        let rendered = Sources::rendered("shop", Path::new("/srv/shop"), Path::new("/state/model.json"));
        assert_eq!(
            up_arguments(&rendered, &up).join(" "),
            "compose --project-name shop --project-directory /srv/shop --file /state/model.json --env-file /dev/null \
             up --detach --no-build --pull never --force-recreate --timeout 5 web"
        );
    }

    #[test]
    fn a_one_shot_is_detached_named_and_labelled() {
        let command = ["migrate".to_owned()];
        let labels = ["dev.cutover.run=7".to_owned()];
        let shot = OneShot { name: "shop-migrate-7", service: "web", command: &command, labels: &labels };
        let line = one_shot_arguments(&sources(), &shot).join(" ");
        assert!(
            line.ends_with(
                "run --detach --no-deps --no-TTY --name shop-migrate-7 --label dev.cutover.run=7 web migrate"
            ),
            "{line}"
        );
    }
}
