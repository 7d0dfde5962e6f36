//! What is compared: a target with what it was filled from, of the chosen tables, user ids mapped on the way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

use super::Databases;
use crate::adapter::files;
use crate::data::mapping::MappingFile;
use crate::data::patterns::Patterns;
use crate::rows::verify::{Source, Users};

/// What the target is compared with.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// A live database, as it is shown.
    Place(String),
    /// The directory of an export.
    Files(PathBuf),
}

/// Both sides, and which of their rows.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Compared {
    /// What the target was filled from: its rows are read there.
    pub against: Against,
    /// The target, as it is shown.
    pub target: String,
    /// `data.include`.
    pub include: Vec<String>,
    /// `data.exclude`.
    pub exclude: Vec<String>,
    /// Only these of them; all where it is empty.
    pub tables: Vec<String>,
    /// `data.user_columns`.
    pub user_columns: BTreeMap<String, Vec<String>>,
    /// `data.unmapped`.
    pub unmapped: BTreeMap<String, Vec<String>>,
    /// `data.users_table`.
    pub users_table: String,
    /// `user-mapping.json`, where ids were mapped.
    pub mapping: Option<PathBuf>,
    /// Connections to each side.
    pub workers: usize,
}

impl Compared {
    /// The tables.
    ///
    /// # Errors
    /// When a pattern is none.
    pub fn patterns(&self) -> Result<Patterns> {
        let tables = Patterns::parse(&self.include, &self.exclude).and_then(|all| all.narrowed(&self.tables));
        tables.map_err(|why| anyhow!(why))
    }

    /// The tables that the configuration names, also those that were left out of this one.
    ///
    /// # Errors
    /// When a pattern is none.
    pub fn all(&self) -> Result<Patterns> {
        Patterns::parse(&self.include, &self.exclude).map_err(|why| anyhow!(why))
    }

    /// The columns that hold users.
    ///
    /// # Errors
    /// When a name is none.
    pub fn users(&self) -> Result<Users> {
        Users::parse(&self.user_columns, &self.unmapped, &self.users_table)
    }

    /// The side that the target is compared with.
    ///
    /// # Errors
    /// When the database is not among those that this run may reach.
    pub fn source(&self, databases: &Databases) -> Result<Source> {
        Ok(match &self.against {
            Against::Place(shown) => Source::Database(databases.shown(shown)?.clone()),
            Against::Files(directory) => Source::Files(directory.clone()),
        })
    }
}

/// The mapping of user ids; none where there was none.
///
/// # Errors
/// When it cannot be read.
pub fn mapping(path: Option<&Path>) -> Result<Option<MappingFile>> {
    let read = |path: &Path| {
        files::read_json(path).with_context(|| format!("the mapping of user ids {} cannot be read", path.display()))
    };
    path.map(read).transpose()
}
