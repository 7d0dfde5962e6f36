//! `export-unfinished.jsonl`: what an export is about to write, and what of it is whole. There as long as it is not done.
//!
//! A line is believed only together with its file, read again whole: so nothing here needs to be on the disk in time.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Options, is_plain_name};
use crate::adapter::files;
use crate::data::catalog::Table;
use crate::data::metadata::TableMetadata;

/// Name of the file.
pub const FILE: &str = "export-unfinished.jsonl";

/// Its first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    /// `cutover/v1`.
    pub schema: String,
    /// Where from.
    pub source: String,
    /// When it was begun.
    pub exported_at: String,
    /// The files of tables that it is to write.
    pub files: Vec<String>,
}

/// What a killed export left.
pub(crate) struct Before {
    /// What it was about to write.
    pub(crate) header: Header,
    tables: Vec<TableMetadata>,
}

impl Before {
    /// The tables whose files are whole, read again, for an export of the same source in the same shape.
    pub(super) fn usable(
        &self,
        now: &Header,
        directory: &Path,
        tables: &[Table],
        options: &Options,
    ) -> Result<Vec<TableMetadata>> {
        let mut usable = Vec::new();
        if (&self.header.schema, &self.header.source) != (&now.schema, &now.source) {
            return Ok(usable);
        }
        for table in tables {
            let columns: Vec<&str> = table.moved().map(|column| column.name.as_str()).collect();
            let name = options.file_name(table);
            let found = self.tables.iter().rev().find(|found| found.file.as_deref() == Some(&name));
            let Some(found) = found.filter(|found| found.columns == columns) else { continue };
            let path = directory.join(&name);
            if !path.exists() {
                continue;
            }
            let (sha256, bytes) = files::sha256_of_file(&path)?;
            if found.sha256.as_deref() == Some(&sha256) && found.bytes == Some(bytes) {
                usable.push(found.clone());
            }
        }
        Ok(usable)
    }
}

/// The file of an export that is at work.
pub(super) struct Unfinished {
    path: PathBuf,
    file: File,
    header: Header,
    kept: Vec<TableMetadata>,
}

impl Unfinished {
    /// Reads what a killed export left, if it left anything. A torn last line is passed by.
    pub(crate) fn read(directory: &Path) -> Result<Option<Before>> {
        let path = directory.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let mut lines = text.lines();
        let Some(mut header) = lines.next().and_then(|line| serde_json::from_str::<Header>(line).ok()) else {
            return Ok(None);
        };
        header.files.retain(|name| is_plain_name(name));
        Ok(Some(Before { header, tables: lines.map_while(|line| serde_json::from_str(line).ok()).collect() }))
    }

    /// Writes down what is about to be written, and what is there already.
    pub(super) fn begin(directory: &Path, header: Header, kept: Vec<TableMetadata>) -> Result<Self> {
        let path = directory.join(FILE);
        let mut bytes = serde_json::to_vec(&header)?;
        bytes.push(b'\n');
        for table in &kept {
            serde_json::to_writer(&mut bytes, table)?;
            bytes.push(b'\n');
        }
        files::write_atomically(&path, &bytes, 0o600)?;
        let file =
            File::options().append(true).open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { path, file, header, kept })
    }

    /// Writes down that a table is whole.
    pub(super) fn add(&mut self, table: &Table, described: &TableMetadata) -> Result<()> {
        let mut line = serde_json::to_vec(described)?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        written.with_context(|| format!("cannot write down in {} that {} is whole", self.path.display(), table.name))
    }

    /// What is kept of a table from before.
    pub(super) fn kept(&self, table: &Table) -> Option<TableMetadata> {
        self.kept.iter().find(|kept| kept.table.as_ref() == Some(&table.name)).cloned()
    }

    /// How many tables are kept from before.
    pub(super) fn kept_count(&self) -> usize {
        self.kept.len()
    }

    /// Whether a file is kept from before.
    pub(super) fn is_kept(&self, name: &str) -> bool {
        self.kept.iter().any(|kept| kept.file.as_deref() == Some(name))
    }

    /// Removes every file that the export was to write, and this one last.
    pub(super) fn remove_files(&self, directory: &Path) -> Result<()> {
        let users = crate::rows::auth_export::FILES.iter().copied();
        for name in self.header.files.iter().map(String::as_str).chain(users) {
            files::remove_if_there(&directory.join(name))?;
        }
        self.forget()
    }

    /// Removes this file: the export is done.
    pub(super) fn forget(&self) -> Result<()> {
        files::remove_if_there(&self.path)
    }
}
