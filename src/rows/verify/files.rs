//! The files of an export as a side of a comparison. Law: a file that is not what `metadata.json` says is an error.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::scan::Reading;
use crate::adapter::files;
use crate::data::catalog::{Column, TableName};
use crate::data::json_rows::{Decoder, Reading as How};
use crate::data::metadata::{self, Metadata, TableMetadata};
use crate::data::patterns;
use crate::data::plural::counted;

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
        let metadata = files::read_json(&directory.join(metadata::FILE))
            .context("the export cannot be read; `cutover data export` makes one")?;
        Ok(Self { directory: directory.to_owned(), metadata })
    }

    /// What it is, for people.
    pub fn shown(&self) -> String {
        let of = self.metadata.source.as_ref().map_or(String::new(), |source| format!(" of {source}"));
        let at = self.metadata.exported_at.as_ref().map_or(String::new(), |at| format!(", {at}"));
        format!("{} (export{of}{at})", self.directory.display())
    }

    /// Its `metadata.json`.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The names of its tables; those of other tools' are known by their keys alone.
    pub fn names(&self) -> Vec<TableName> {
        let name = |(key, entry): (&String, &TableMetadata)| {
            let read = || patterns::table_name(key).unwrap_or_else(|_| TableName::new("public", key));
            entry.table.clone().unwrap_or_else(read)
        };
        self.metadata.tables.iter().map(name).collect()
    }

    /// What is known of a table.
    pub fn entry(&self, name: &TableName) -> Option<&TableMetadata> {
        self.metadata.of(name)
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
        let how = if entry.is_ours() { How::OURS } else { How::FOREIGN };
        let columns: Vec<&Column> = reading
            .columns
            .iter()
            .filter_map(|name| reading.table.columns.iter().find(|column| &column.name == name))
            .collect();
        let count = if shown.ends_with(".zst") {
            let plain =
                zstd::stream::read::Decoder::new(&mut hashed).with_context(|| format!("cannot unpack {shown}"))?;
            decode(Decoder::new(plain, shown.clone(), columns, how), row)?
        } else {
            decode(Decoder::new(&mut hashed, shown.clone(), columns, how), row)?
        };
        io::copy(&mut hashed, &mut io::sink()).with_context(|| format!("cannot read {shown}"))?;
        if let Some(expected) = entry.row_count.filter(|expected| *expected != count) {
            bail!("{shown} holds {}, but metadata.json says {expected}; export again", counted(count, "row"));
        }
        let sha256 = files::hex(&hashed.hash.finalize());
        if entry.sha256.as_ref().is_some_and(|expected| *expected != sha256) {
            bail!(
                "{shown} is not the file that was exported: its SHA-256 is {sha256}, which metadata.json does not say"
            );
        }
        Ok(())
    }

    fn file(&self, name: &TableName, entry: &TableMetadata) -> Result<PathBuf> {
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
