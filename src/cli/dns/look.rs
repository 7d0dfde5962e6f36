//! One look at every configured name, with what is remembered of the time before.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::adapter::{clock, files};
use crate::config::{Config, Dns};
use crate::dns::{Memory, Wish, survey};
use crate::judge::dns::seen::{Demand, Sight};
use crate::judge::dns::{Picture, judge};
use crate::preflight::dns::{demand, wish};
use crate::run::Refusal;

/// What a look needs.
pub struct Look {
    /// What is asked.
    pub wish: Wish,
    /// What is demanded.
    pub demand: Demand,
    memory: PathBuf,
}

/// `[dns]`, which every verb needs.
///
/// # Errors
/// [`Refusal::Usage`].
pub fn settings(config: &Config) -> Result<&Dns> {
    let missing = "[dns] names no record; say what must be true after the switch: [[dns.record]] name = …, A = […]";
    let settings = config.dns.as_ref().filter(|dns| !dns.records.is_empty());
    settings.ok_or_else(|| Refusal::Usage(missing.into()).into())
}

impl Look {
    /// Prepares; `names` are those to look at, all where it is empty.
    ///
    /// # Errors
    /// [`Refusal::Usage`], when nothing is configured, or not this name.
    pub fn new(config: &Config, names: &[String]) -> Result<Self> {
        let settings = settings(config)?;
        let mut wish = wish(config, settings);
        for name in names {
            let plain = name.trim_end_matches('.').to_ascii_lowercase();
            if !wish.names.iter().any(|known| known.name == plain) {
                let known: Vec<&str> = wish.names.iter().map(|known| known.name.as_str()).collect();
                let why = format!("--name {name}: [[dns.record]] has no such name; it has {}", known.join(", "));
                return Err(Refusal::Usage(why).into());
            }
        }
        let is_chosen = |name: &str| names.iter().any(|one| one.trim_end_matches('.').eq_ignore_ascii_case(name));
        wish.names.retain(|name| names.is_empty() || is_chosen(&name.name));
        Ok(Self { wish, demand: demand(settings), memory: memory_file(&config.state.directory) })
    }

    /// Looks, judges, and remembers.
    ///
    /// # Errors
    /// When what is remembered cannot be read or written.
    pub async fn once(&self) -> Result<(Sight, Picture)> {
        let mut memory = read_memory(&self.memory)?;
        let before = memory.clone();
        let sight = survey(&self.wish, &mut memory, clock::unix_seconds()).await;
        let picture = judge(&sight, &self.demand);
        if memory != before {
            write_memory(&self.memory, &memory)?;
        }
        Ok((sight, picture))
    }
}

/// Where it is remembered what the records were.
pub fn memory_file(state: &Path) -> PathBuf {
    state.join("dns.json")
}

/// What is remembered; nothing where there is no file yet.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read_memory(file: &Path) -> Result<Memory> {
    if !file.exists() {
        return Ok(Memory::default());
    }
    files::read_json(file).with_context(|| {
        format!("what the records were before cannot be read; move {} aside if it is broken", file.display())
    })
}

/// Writes it down.
///
/// # Errors
/// When the state directory cannot be written.
pub fn write_memory(file: &Path, memory: &Memory) -> Result<()> {
    if let Some(directory) = file.parent() {
        files::make_private_directory(directory)?;
    }
    files::write_json(file, &serde_json::to_value(memory)?, 0o600)
}
