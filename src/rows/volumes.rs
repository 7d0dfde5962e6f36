//! Backups of named volumes: tar inside a container, its output in a file; restored into a new volume, and compared.
//!
//! Files are read as they are: a service that writes meanwhile is found out (the list of contents before and after is
//! not the same) and said. Extended attributes are kept as far as the image's tar keeps them.
//!
//! **After a kill**: an unfinished file is never taken for a backup (its facts are written last), the next call removes
//! the container of its name. A restore goes into a volume that was not there before: its label says that it is ours, and `VOLUME.restored.json` that it is
//! whole.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::Say;
use super::backup::with_size;
use crate::adapter::clock;
use crate::adapter::files::{self, spoken_size};
use crate::adapter::process::{Command, Process, ProcessError, Sink};
use crate::data::plural::counted;

/// Label of a volume that a restore made.
const MARK: &str = "dev.cutover.restoring";

/// What a volume's backup needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeOptions {
    /// The volume, as the engine calls it.
    pub volume: String,
    /// An image that is present and holds `sh`, `tar`, `find`, `sort` and `sha256sum`.
    pub image: String,
    /// The engine's command-line client.
    pub docker: PathBuf,
    /// Where `VOLUME.tar` and `VOLUME.json` go.
    pub directory: PathBuf,
    /// The longest that reading or writing may take, seconds.
    pub deadline_s: u64,
}

/// A volume's backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeBackup {
    /// `cutover/v1`.
    pub schema: String,
    /// The volume.
    pub volume: String,
    /// RFC 3339.
    pub taken_at: String,
    /// File name.
    pub file: String,
    /// As `sha256sum` prints it.
    pub sha256: String,
    /// Length.
    pub bytes: u64,
    /// Files, directories and links.
    pub entries: u64,
    /// Digest of the list of entries with their modes, owners and contents.
    pub contents: String,
    /// Whether nothing changed while it was read.
    pub was_still: bool,
}

/// The contents of a volume as lines that do not depend on order or times: kind, mode, owner, name, and what is in it.
const LIST: &str = "cd /volume && { find . -exec stat -c 'e %A %u:%g %N' {} + ; \
    find . -type f -exec sha256sum {} + ; } | LC_ALL=C sort";

/// Backs a volume up.
///
/// # Errors
/// When there is no such volume, the image cannot do it, or the disk is full: then nothing is left that could be taken
/// for a backup.
pub async fn back_up_volume(process: &Process, options: &VolumeOptions, say: Say<'_>) -> Result<VolumeBackup> {
    let engine = Engine { process, options };
    engine.must_be_there(&options.volume).await?;
    files::make_private_directory(&options.directory)?;
    let (path, unfinished) = (options.directory.join(file_name(options)), options.directory.join(".making-volume.tar"));
    let before = engine.list(&options.volume).await?;
    say(format!("reading the volume {}", options.volume));
    let outcome = with_size("reading", &unfinished, say, engine.read(&unfinished)).await;
    if let Err(error) = outcome {
        files::remove_if_there(&unfinished).with_context(|| format!("{error:#}; and what it left stays"))?;
        return Err(error);
    }
    let was_still = engine.list(&options.volume).await? == before;
    if !was_still {
        say(format!("the volume {} was written to meanwhile; stop its service for a backup at rest", options.volume));
    }
    let (sha256, bytes) = files::sha256_of_file(&unfinished)?;
    std::fs::rename(&unfinished, &path)
        .and_then(|()| files::sync_directory(&options.directory))
        .context("cannot give the volume's backup its name")?;
    let backup = VolumeBackup {
        schema: "cutover/v1".into(),
        volume: options.volume.clone(),
        taken_at: clock::now(),
        file: file_name(options),
        sha256,
        bytes,
        entries: before.entries,
        contents: before.digest,
        was_still,
    };
    files::write_json(&facts(options), &backup, 0o600)?;
    say(format!("{}: {}, {}", options.volume, counted(backup.entries, "entry"), spoken_size(bytes)));
    Ok(backup)
}

/// Checks that a volume's backup is as it was written.
///
/// # Errors
/// When it is missing or was changed.
pub fn check_volume(options: &VolumeOptions) -> Result<VolumeBackup> {
    let backup: VolumeBackup = files::read_json(&facts(options))?;
    let path = options.directory.join(&backup.file);
    let (sha256, bytes) = files::sha256_of_file(&path)?;
    if (sha256.as_str(), bytes) != (backup.sha256.as_str(), backup.bytes) {
        bail!(
            "{} is not what was written: {} and sha256 {}…, expected {} and {}…",
            path.display(),
            counted(bytes, "byte"),
            &sha256[..12],
            backup.bytes,
            backup.sha256.get(..12).unwrap_or_default()
        );
    }
    Ok(backup)
}

/// Restores a volume's backup into a new volume, and compares what is in it. One that a killed restore left under that
/// name is removed first.
///
/// # Errors
/// When a volume of that name is there, the backup was changed, or the contents are not the same: the new volume is
/// removed again.
pub async fn restore_volume(process: &Process, options: &VolumeOptions, into: &str, say: Say<'_>) -> Result<()> {
    let engine = Engine { process, options };
    let backup = check_volume(options)?;
    let finished = options.directory.join(format!("{into}.restored.json"));
    if let Some(labels) = engine.labels(into).await? {
        if !labels.contains(MARK) {
            bail!("the volume {into} is there; restore into a new one and change the names afterwards");
        }
        if finished.exists() {
            say(format!("{into} was restored before; it is left as it is"));
            return Ok(());
        }
        engine.remove(into).await?;
    }
    engine.ask(&["volume", "create", "--label", &format!("{MARK}={}", backup.volume), into]).await?;
    say(format!("restoring {} into the volume {into}", backup.file));
    match engine.fill(into, &backup).await {
        Ok(()) => {
            files::write_json(&finished, &backup, 0o600)?;
            say(format!("{into} holds {} of {}", counted(backup.entries, "entry"), backup.volume));
            Ok(())
        }
        Err(error) => {
            engine.remove(into).await.with_context(|| format!("{error:#}; and it stays there"))?;
            Err(error)
        }
    }
}

/// Removes a volume that a restore made, where there is one; another one of that name is left alone.
///
/// # Errors
/// When it is not ours, or something uses it.
pub async fn remove_volume(process: &Process, options: &VolumeOptions, name: &str) -> Result<()> {
    let engine = Engine { process, options };
    match engine.labels(name).await? {
        None => Ok(()),
        Some(labels) if labels.contains(MARK) => engine.remove(name).await,
        Some(_) => {
            bail!("the volume {name} is there and was not made by a restore; remove it, or give it another name")
        }
    }
}

fn file_name(options: &VolumeOptions) -> String {
    format!("{}.tar", options.volume)
}

fn facts(options: &VolumeOptions) -> PathBuf {
    options.directory.join(format!("{}.json", options.volume))
}

#[derive(PartialEq, Eq)]
struct Listing {
    entries: u64,
    digest: String,
}

struct Engine<'a> {
    process: &'a Process,
    options: &'a VolumeOptions,
}

impl Engine<'_> {
    async fn ask(&self, words: &[&str]) -> Result<String, ProcessError> {
        let command = Command::new(&self.options.docker, words.iter().copied());
        Ok(String::from_utf8_lossy(&self.process.run(command, &|_| ()).await?).trim().to_owned())
    }

    /// The labels of a volume, or nothing when there is none of that name.
    async fn labels(&self, volume: &str) -> Result<Option<String>> {
        match self.ask(&["volume", "inspect", "--format", "{{json .Labels}}", volume]).await {
            Ok(labels) => Ok(Some(labels)),
            Err(error) if error.to_string().to_lowercase().contains("no such volume") => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot look for the volume {volume}")),
        }
    }

    /// `docker run` would make a volume that is missing, and an empty backup of it.
    async fn must_be_there(&self, volume: &str) -> Result<()> {
        match self.labels(volume).await? {
            Some(_) => Ok(()),
            None => bail!("there is no volume {volume}; `docker volume ls` names those that are"),
        }
    }

    async fn remove(&self, volume: &str) -> Result<()> {
        self.ask(&["rm", "--force", &self.container(volume)]).await.or_else(none_is_none)?;
        self.ask(&["volume", "rm", volume]).await.with_context(|| format!("cannot remove the volume {volume}"))?;
        Ok(())
    }

    fn container(&self, volume: &str) -> String {
        format!("cutover-volume-{volume}")
    }

    /// Runs a shell script in a container that sees the volume at `/volume`; whatever an earlier one left is removed,
    /// and nothing is left by this one.
    async fn run(&self, volume: &str, mode: &str, script: &str, output: Sink, input: Option<File>) -> Result<Vec<u8>> {
        let name = self.container(volume);
        self.ask(&["rm", "--force", &name]).await.or_else(none_is_none)?;
        let (named, mount) = (format!("--name={name}"), format!("--volume={volume}:/volume{mode}"));
        let words =
            ["run", "--rm", "--pull=never", "--network=none", "--interactive", "--entrypoint=sh", "--user=0:0", &named];
        let words = words.into_iter().chain([mount.as_str(), &self.options.image, "-c", script]);
        let mut command = Command::new(&self.options.docker, words);
        command.deadline = Duration::from_secs(self.options.deadline_s);
        (command.output, command.input) = (output, input);
        match self.process.run(command, &|_| ()).await {
            Ok(kept) => Ok(kept),
            Err(error) => {
                self.ask(&["rm", "--force", &name]).await.or_else(none_is_none)?;
                Err(error.into())
            }
        }
    }

    async fn list(&self, volume: &str) -> Result<Listing> {
        let lines = self.run(volume, ":ro", LIST, Sink::Kept, None).await;
        let lines = lines.with_context(|| format!("cannot list the volume {volume}"))?;
        let entries = lines.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"e ")).count();
        Ok(Listing { entries: entries as u64, digest: files::sha256(&lines) })
    }

    async fn read(&self, path: &Path) -> Result<()> {
        let file = files::create_private(path)?;
        let output = file.try_clone().context("cannot share the backup's file")?;
        let script = "tar -c -C /volume -f - .";
        self.run(&self.options.volume, ":ro", script, Sink::File(output), None).await.context("tar failed")?;
        file.sync_all().context("cannot make the volume's backup durable")
    }

    async fn fill(&self, into: &str, backup: &VolumeBackup) -> Result<()> {
        let path = self.options.directory.join(&backup.file);
        let input = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let script = "tar -x -p -C /volume -f -";
        self.run(into, "", script, Sink::Kept, Some(input)).await.context("the volume's backup cannot be unpacked")?;
        let found = self.list(into).await?;
        if backup.was_still && found.digest != backup.contents {
            bail!(
                "the volume {into} does not hold what {} held: {}, expected {}",
                backup.volume,
                counted(found.entries, "entry"),
                backup.entries
            );
        }
        Ok(())
    }
}

fn none_is_none(error: ProcessError) -> Result<String> {
    if error.to_string().contains("No such container") { Ok(String::new()) } else { Err(error.into()) }
}
