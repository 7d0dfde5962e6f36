//! A backup of what is not PostgreSQL: a configured command writes it, another brings it back. It is checksummed, but
//! never proven: only its own system could tell.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Contents, Kind, Token, shelf};
use crate::adapter::process::{Command, Process, Sink};
use crate::adapter::{clock, files};

const FILE: &str = "backup";

/// What it needs to know.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CommandBackup {
    /// Name of the backup's directory.
    pub id: String,
    /// Where backups are kept.
    pub directory: PathBuf,
    /// What it is of, as the configuration calls it.
    pub of: String,
    /// Program and arguments; `{file}` stands for the file to write. Without it, the standard output is the backup.
    pub command: Vec<String>,
    /// Program and arguments that bring it back; without `{file}` it is read from the standard input.
    pub restore: Vec<String>,
    /// Working directory.
    pub working_directory: Option<PathBuf>,
    /// The longest each may take, seconds.
    pub deadline_s: u64,
}

/// Runs the command and keeps what it wrote. `environment` holds the variables that it needs by name.
///
/// # Errors
/// When it fails, or wrote nothing: then nothing is kept.
pub async fn create_by_command(
    process: &Process,
    options: &CommandBackup,
    environment: Vec<(String, String)>,
    line: &(dyn Fn(&str) + Sync),
) -> Result<Token> {
    shelf::must_be_a_name(&options.id)?;
    if options.directory.join(&options.id).exists() {
        return shelf::read_token(&options.directory, &options.id);
    }
    let unfinished = options.directory.join(format!("{}{}", shelf::UNFINISHED, options.id));
    shelf::remove_directory(&unfinished)?;
    files::make_private_directory(&unfinished)?;
    let outcome = write(process, options, environment, &unfinished, line).await;
    shelf::place(&options.directory, &options.id, &unfinished, outcome)
}

async fn write(
    process: &Process,
    options: &CommandBackup,
    environment: Vec<(String, String)>,
    directory: &Path,
    line: &(dyn Fn(&str) + Sync),
) -> Result<Token> {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join(FILE);
    let (mut command, has_file) = filled(&options.command, &path, options)?;
    command.environment = environment;
    command.output = if has_file { Sink::Lines } else { Sink::File(files::create_private(&path)?) };
    process.run(command, line).await.context("the backup command failed")?;
    if !path.is_file() {
        bail!("the backup command ended well, but did not write {{file}} ({})", path.display());
    }
    let sealed = || -> std::io::Result<()> {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        File::open(&path)?.sync_all()
    };
    sealed().with_context(|| format!("cannot make {} durable", path.display()))?;
    let stored = shelf::stored_file(directory, &path, |_| ())?;
    if stored.bytes == 0 {
        bail!("the backup command ended well, but what it wrote is empty");
    }
    let token = Token {
        schema: "cutover/v1".into(),
        id: options.id.clone(),
        kind: Kind::Command,
        place: options.of.clone(),
        database: String::new(),
        taken_at: clock::now(),
        lsn: None,
        server_version: None,
        format: None,
        shape: super::Shape::default(),
        excluded: Vec::new(),
        contents: Contents::default(),
        bytes: stored.bytes,
        files: vec![stored],
        tool: options.command.join(" "),
        restore: options.restore.clone(),
        verified: None,
    };
    shelf::write_token(directory, &token)?;
    Ok(token)
}

/// Brings a backup back by the command of its token, after its file was compared with what was sealed.
///
/// # Errors
/// When the file was changed, there is no command, or it fails.
pub async fn restore_by_command(
    process: &Process,
    options: &CommandBackup,
    environment: Vec<(String, String)>,
    line: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    let token = shelf::read_token(&options.directory, &options.id)?;
    let directory = options.directory.join(&options.id);
    shelf::must_be_sealed(&directory, &token, &|text: String| line(&text)).await?;
    let path = directory.join(FILE);
    let words = if options.restore.is_empty() { &token.restore } else { &options.restore };
    let (mut command, has_file) = filled(words, &path, options)?;
    command.environment = environment;
    command.output = Sink::Lines;
    if !has_file {
        command.input = Some(File::open(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    process.run(command, line).await.context("the restore command failed").map(|_| ())
}

/// The command with the file's path in it, and whether it was named.
fn filled(words: &[String], file: &Path, options: &CommandBackup) -> Result<(Command, bool)> {
    let [program, arguments @ ..] = words else { bail!("there is no command for the backup of {}", options.of) };
    let path = file.display().to_string();
    let has_file = arguments.iter().any(|word| word.contains("{file}"));
    let arguments = arguments.iter().map(|word| word.replace("{file}", &path));
    let mut command = Command::new(program, arguments);
    command.directory.clone_from(&options.working_directory);
    command.deadline = Duration::from_secs(options.deadline_s);
    Ok((command, has_file))
}
