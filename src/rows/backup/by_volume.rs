//! A backup of a named volume: its files in an archive, restored on trial into a volume of its own, and compared.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Contents, Kind, Shape, Token, Verified, shelf};
use crate::adapter::clock;
use crate::adapter::files;
use crate::adapter::process::Process;
use crate::rows::Say;
use crate::rows::volumes::{VolumeOptions, back_up_volume, remove_volume, restore_volume};

/// What it needs to know.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VolumeShelf {
    /// Name of the backup's directory.
    pub id: String,
    /// Where backups are kept.
    pub directory: PathBuf,
    /// The volume, as the engine calls it.
    pub volume: String,
    /// An image that is present and holds `sh`, `tar`, `find`, `sort` and `sha256sum`.
    pub image: String,
    /// The engine's command-line client.
    pub docker: PathBuf,
    /// The longest that reading or writing may take, seconds.
    pub deadline_s: u64,
}

/// What a volume's backup is of, in its token.
pub fn place_of(volume: &str) -> String {
    format!("volume {volume}")
}

impl VolumeShelf {
    fn options(&self, directory: &Path) -> VolumeOptions {
        VolumeOptions {
            volume: self.volume.clone(),
            image: self.image.clone(),
            docker: self.docker.clone(),
            directory: directory.to_owned(),
            deadline_s: self.deadline_s,
        }
    }

    fn trial(&self) -> String {
        format!("cutover-trial-{}", self.id)
    }
}

/// Backs a volume up, and restores it on trial.
///
/// # Errors
/// When the volume is not there, cannot be read, or does not come back the same: then nothing is kept.
pub async fn create_of_volume(process: &Process, shelf: &VolumeShelf, say: Say<'_>) -> Result<Token> {
    shelf::must_be_a_name(&shelf.id)?;
    if shelf.directory.join(&shelf.id).exists() {
        return shelf::read_token(&shelf.directory, &shelf.id);
    }
    let unfinished = shelf.directory.join(format!("{}{}", shelf::UNFINISHED, shelf.id));
    shelf::remove_directory(&unfinished)?;
    files::make_private_directory(&unfinished)?;
    let outcome = write(process, shelf, &unfinished, say).await;
    shelf::place(&shelf.directory, &shelf.id, &unfinished, outcome)
}

async fn write(process: &Process, shelf: &VolumeShelf, directory: &Path, say: Say<'_>) -> Result<Token> {
    let options = shelf.options(directory);
    let backup = back_up_volume(process, &options, say).await?;
    let mut stored = vec![shelf::stored_file(directory, &directory.join(&backup.file), |_| ())?];
    stored.push(shelf::stored_file(directory, &directory.join(format!("{}.json", backup.volume)), |_| ())?);
    let mut token = Token {
        schema: "cutover/v1".into(),
        id: shelf.id.clone(),
        kind: Kind::Volume,
        place: place_of(&shelf.volume),
        database: String::new(),
        taken_at: backup.taken_at.clone(),
        lsn: None,
        server_version: None,
        format: None,
        shape: Shape::default(),
        excluded: Vec::new(),
        contents: Contents::default(),
        bytes: stored.iter().map(|file| file.bytes).sum(),
        files: stored,
        tool: format!("tar in {}", shelf.image),
        restore: Vec::new(),
        verified: None,
    };
    token.verified = Some(try_out(process, shelf, &options, say).await?);
    shelf::write_token(directory, &token)?;
    Ok(token)
}

/// Restores into a volume that is removed again. What was written to meanwhile cannot be compared, and is no proof.
async fn try_out(process: &Process, shelf: &VolumeShelf, options: &VolumeOptions, say: Say<'_>) -> Result<Verified> {
    let trial = shelf.trial();
    let backup = crate::rows::volumes::check_volume(options)?;
    if !backup.was_still {
        bail!(
            "the volume {} was written to while it was read, so that its backup cannot be proven; stop the services that \
             use it, and try again",
            shelf.volume
        );
    }
    let told = options.directory.join(format!("{trial}.restored.json"));
    // What a killed trial left proves nothing now.
    files::remove_if_there(&told)?;
    remove_volume(process, options, &trial).await?;
    restore_volume(process, options, &trial, say).await?;
    remove_volume(process, options, &trial).await?;
    files::remove_if_there(&told)?;
    Ok(Verified { at: clock::now(), rows: backup.entries, scratch: format!("volume {trial}") })
}

/// Proves a volume's backup again.
///
/// # Errors
/// When a file was changed or is gone, or the contents do not come back the same.
pub async fn verify_volume(process: &Process, shelf: &VolumeShelf, say: Say<'_>) -> Result<Token> {
    let mut token = shelf::read_token(&shelf.directory, &shelf.id)?;
    let directory = shelf.directory.join(&shelf.id);
    shelf::must_be_sealed(&directory, &token, say).await?;
    token.verified = Some(try_out(process, shelf, &shelf.options(&directory), say).await?);
    shelf::write_token(&directory, &token)?;
    Ok(token)
}

/// Brings a volume's backup back into a new volume.
///
/// # Errors
/// When a file was changed or is gone, or a volume of that name is there.
pub async fn restore_of_volume(process: &Process, shelf: &VolumeShelf, into: &str, say: Say<'_>) -> Result<Token> {
    let token = shelf::read_token(&shelf.directory, &shelf.id)?;
    let directory = shelf.directory.join(&shelf.id);
    shelf::must_be_sealed(&directory, &token, say).await?;
    restore_volume(process, &shelf.options(&directory), into, say)
        .await
        .with_context(|| format!("the backup {} was not brought back", shelf.id))?;
    Ok(token)
}
