//! Create backup: a dump that was restored on trial and compared row for row; a token says so. It stays when it is undone.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Databases, RunTag, Say, World};
use crate::adapter::database::Place;
use crate::adapter::files::spoken_size;
use crate::adapter::process::Process;
use crate::data::plural::counted;
use crate::rows::backup::{self, BackupOptions, Kind, Token};
use crate::rows::client_tools::{ToolPlaces, Tools, server_major};

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct CreateBackup {
    /// The database, as it is shown.
    pub place: String,
    /// How, and where to.
    pub options: BackupOptions,
    /// Where the client programs may be.
    pub tools: ToolPlaces,
    /// How many backups of the database are kept.
    pub keep: usize,
}

impl CreateBackup {
    /// Whether the backup is there with its proof.
    ///
    /// # Errors
    /// When its token cannot be read.
    pub fn check(&self) -> Result<World> {
        let id = &self.options.id;
        if !self.options.directory.join(id).exists() {
            return Ok(World::Before(format!("there is no backup {id}")));
        }
        let token = backup::read_token(&self.options.directory, id)?;
        Ok(match &token.verified {
            Some(_) => World::After(words(&token)),
            None => World::Between(format!("the backup {id} was not restored on trial")),
        })
    }

    /// Dumps, restores on trial, compares, lets the oldest go.
    ///
    /// # Errors
    /// In the words of the backup.
    pub async fn run(&self, databases: &Databases, process: &Process, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let place = databases.shown(&self.place)?;
        let tools = tools(place, process, &self.tools, &run.session()).await?;
        let options = BackupOptions { session: run.session(), ..self.options.clone() };
        let token = backup::create(place, None, &tools, &options, say).await?;
        let gone = backup::let_go(&options.directory, &self.place, self.keep, std::slice::from_ref(&token.id))?;
        for id in &gone {
            say(format!("the backup {id} was let go"));
        }
        serde_json::to_value(&token).context("cannot put the token into JSON")
    }
}

/// The client programs for a server.
///
/// # Errors
/// When there are none that are new enough.
pub async fn tools(place: &Place, process: &Process, places: &ToolPlaces, session: &str) -> Result<Tools> {
    let session = place.connect(session).await?;
    let major = server_major(&session).await?;
    Tools::find(process, places, major).await
}

/// A backup in one line.
pub fn words(token: &Token) -> String {
    let proof = match &token.verified {
        Some(verified) if token.kind == Kind::Volume => {
            format!("restored on trial, {} the same", counted(verified.rows, "entry"))
        }
        Some(verified) => format!("restored on trial, {} the same", counted(verified.rows, "row")),
        None => "never restored on trial".to_owned(),
    };
    format!("backup {} of {} at {}: {}, {proof}", token.id, token.place, token.taken_at, spoken_size(token.bytes))
}
