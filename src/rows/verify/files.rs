//! The files of an export as a side of a comparison. Law: a file that is not what `metadata.json` says is an error.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::scan::Reading;
use crate::adapter::files;
use crate::data::catalog::{Column, TableName};
use crate::data::json_rows::{Decoder, Reading as How};

/// What `metadata.json` says of a table, as far as comparing needs it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Rows.
    pub row_count: u64,
    /// Of the file, where the tool that wrote it told.
    #[serde(default)]
    sha256: Option<String>,
    /// Columns, where the tool told.
    #[serde(default)]
    pub columns: Vec<String>,
    #[serde(default)]
    export_method: String,
    #[serde(default)]
    file: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    source: String,
    exported_at: String,
    tables: BTreeMap<String, Entry>,
}

/// An export.
pub struct Exported {
    directory: PathBuf,
    metadata: Metadata,
}

impl Exported {
    /// Reads `metadata.json` of a directory.
    ///
    /// # Errors
    /// When it is not there or cannot be understood.
    pub fn open(directory: &Path) -> Result<Self> {
        let metadata = files::read_json(&directory.join("metadata.json"))
            .context("the export cannot be read; `cutover data export` makes one")?;
        Ok(Self { directory: directory.to_owned(), metadata })
    }

    /// What it is, for people.
    pub fn shown(&self) -> String {
        let Metadata { source, exported_at, .. } = &self.metadata;
        let of = if source.is_empty() { String::new() } else { format!(" of {source}") };
        format!("{} (export{of}, {exported_at})", self.directory.display())
    }

    /// The database that it was made from, as its metadata tells.
    pub fn source(&self) -> &str {
        &self.metadata.source
    }

    /// The tables that it holds, by the names in its metadata.
    pub fn tables(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.metadata.tables.iter()
    }

    /// What is known of a table; tables are listed by their names or by their files' stems.
    pub fn entry(&self, name: &TableName) -> Option<&Entry> {
        [name.to_string(), name.stem()].iter().find_map(|key| self.metadata.tables.get(key))
    }

    /// Hands every row of a table, as COPY text with the reading's columns in their order, to `row`.
    ///
    /// # Errors
    /// When the file is not there, not whole, not what the metadata says, and those of `row`.
    pub fn read(&self, reading: &Reading, row: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let name = &reading.table.name;
        let entry = self.entry(name).with_context(|| format!("{name} is not in {}", self.shown()))?;
        let path = self.file(name, entry)?;
        let shown = path.display().to_string();
        let file = File::open(&path).with_context(|| format!("cannot read {shown}"))?;
        let mut hashed = Hashed { inner: file, hash: Sha256::new() };
        let how = if entry.export_method.starts_with("cutover") { How::OURS } else { How::FOREIGN };
        let columns: Vec<&Column> = reading
            .columns
            .iter()
            .filter_map(|name| reading.table.columns.iter().find(|column| &column.name == name))
            .collect();
        let count = if shown.ends_with(".zst") {
            let plain = zstd::stream::read::Decoder::new(&mut hashed).with_context(|| format!("cannot unpack {shown}"))?;
            decode(Decoder::new(plain, shown.clone(), columns, how), row)?
        } else {
            decode(Decoder::new(&mut hashed, shown.clone(), columns, how), row)?
        };
        io::copy(&mut hashed, &mut io::sink()).with_context(|| format!("cannot read {shown}"))?;
        if count != entry.row_count {
            bail!("{shown} holds {count} rows, but metadata.json says {}; export again", entry.row_count);
        }
        let sha256 = files::hex(&hashed.hash.finalize());
        if entry.sha256.as_ref().is_some_and(|expected| *expected != sha256) {
            bail!("{shown} is not the file that was exported: its SHA-256 is {sha256}, which metadata.json does not say");
        }
        Ok(())
    }

    fn file(&self, name: &TableName, entry: &Entry) -> Result<PathBuf> {
        let stem = name.stem();
        let names = [entry.file.clone(), Some(format!("{stem}.json")), Some(format!("{stem}.json.zst"))];
        // Only a plain name: metadata may not lead out of its directory.
        let plain = names.into_iter().flatten().filter(|file| !file.contains('/') && !file.starts_with(".."));
        plain
            .map(|file| self.directory.join(file))
            .find(|path| path.exists())
            .with_context(|| format!("there is no file of {name} in {}", self.directory.display()))
    }
}

fn decode<R: Read>(mut rows: Decoder<R>, row: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    let mut text = Vec::new();
    loop {
        text.clear();
        if !rows.row(&mut text)? {
            return Ok(rows.rows());
        }
        row(&text)?;
    }
}

struct Hashed {
    inner: File,
    hash: Sha256,
}

impl Read for Hashed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hash.update(&into[..read]);
        Ok(read)
    }
}
