//! Backups of named volumes: read by an image that is there, proven by a restore on trial, brought back into a new volume.

use anyhow::Result;

use crate::adapter::process::Command;
use crate::cli::setup::Setup;
use crate::config::Config;
use crate::rows::Say;
use crate::rows::backup::{Token, VolumeShelf, create_of_volume, let_go, restore_of_volume, verify_volume};
use crate::run::Refusal;
use crate::run::data::options;

/// Backs volumes up, one after the other.
///
/// # Errors
/// With the first one that cannot be backed up and proven.
pub async fn create(
    config: &Config,
    setup: &Setup,
    volumes: &[String],
    image: Option<&str>,
    stamp: &str,
    say: Say<'_>,
) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    for (number, volume) in volumes.iter().enumerate() {
        let id = format!("{stamp}-volume-{}", number + 1);
        let shelf = shelf(config, setup, id, volume, image).await?;
        let token = create_of_volume(&setup.process, &shelf, say).await?;
        let keep = config.backup.keep as usize;
        for gone in let_go(&shelf.directory, &token.place, keep, std::slice::from_ref(&token.id))? {
            say(format!("the backup {gone} was let go"));
        }
        tokens.push(token);
    }
    Ok(tokens)
}

/// Proves a volume's backup again.
///
/// # Errors
/// When it is broken, or does not come back the same.
pub async fn verify(config: &Config, setup: &Setup, token: &Token, image: Option<&str>, say: Say<'_>) -> Result<Token> {
    let shelf = shelf(config, setup, token.id.clone(), volume_of(token), image).await?;
    verify_volume(&setup.process, &shelf, say).await
}

/// Brings a volume's backup back into a new volume, and gives its name.
///
/// # Errors
/// When it is broken, or a volume of that name is there.
pub async fn restore(
    config: &Config,
    setup: &Setup,
    token: &Token,
    image: Option<&str>,
    into: Option<&str>,
    say: Say<'_>,
) -> Result<String> {
    let volume = volume_of(token);
    let into = into.map_or_else(|| format!("{volume}_restored_{}", token.id), str::to_owned);
    let shelf = shelf(config, setup, token.id.clone(), volume, image).await?;
    restore_of_volume(&setup.process, &shelf, &into, say).await?;
    Ok(into)
}

fn volume_of(token: &Token) -> &str {
    token.place.strip_prefix("volume ").unwrap_or(&token.place)
}

async fn shelf(config: &Config, setup: &Setup, id: String, volume: &str, image: Option<&str>) -> Result<VolumeShelf> {
    let image = match image {
        Some(image) => image.to_owned(),
        None => image_of(setup, volume).await?,
    };
    Ok(VolumeShelf {
        id,
        directory: options::backups(config),
        volume: volume.to_owned(),
        image,
        docker: setup.program.clone(),
        deadline_s: config.backup.deadline.as_secs(),
    })
}

/// The image of a container that uses the volume: it is on this host.
async fn image_of(setup: &Setup, volume: &str) -> Result<String> {
    let filter = format!("volume={volume}");
    let words = ["ps", "--all", "--filter", &filter, "--format", "{{.Image}}"];
    let said = setup.process.run(Command::new(&setup.program, words), &|_| ()).await?;
    let images = String::from_utf8_lossy(&said).into_owned();
    let first = images.lines().find(|line| !line.trim().is_empty());
    Ok(first.map(|line| line.trim().to_owned()).ok_or_else(|| {
        Refusal::Usage(format!(
            "no container uses the volume {volume}, so no image is known that could read it; name one that is on this host \
             and holds sh, tar, find, sort and sha256sum: --image IMAGE"
        ))
    })?)
}
