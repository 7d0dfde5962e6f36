//! Which file holds which table, and which of its columns go where.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::Options;
use super::read;
use crate::adapter::files;
use crate::data::catalog::{Catalog, Column, Table, TableName, quoted};
use crate::data::json_rows::{Reading, RowDecoder};
use crate::data::mapping::Mapping;
use crate::data::metadata::{self, Metadata, TableMetadata};
use crate::data::passage::{Passage, Passed};
use crate::rows::filling::{self, Filling};
use crate::rows::import::baseline;
use crate::rows::import::load::{Expected, Lane};

/// Files of `migration-data/` that hold no table's rows.
const OTHERS: &[&str] = &[
    metadata::FILE,
    "auth_users.json",
    "auth_secrets.json",
    "auth_identities.json",
    "user-mapping.json",
    "user-mapping.undone.json",
    "verification-report.json",
];

/// A table and its file.
pub(super) struct FileTable {
    /// The table in the target.
    pub table: Table,
    /// Where its rows are.
    pub path: PathBuf,
    /// Size of the file.
    pub bytes: u64,
    /// What is known of it.
    pub known: TableMetadata,
    /// The columns that move, in the order of the file.
    pub columns: Vec<Column>,
    /// The same and the generated ones, whose values are passed by.
    pub readable: Vec<Column>,
    /// What is done to its rows.
    pub passage: Passage,
    /// What was seen of its rows when they were checked; none where they were not looked at.
    pub passed: Option<Passed>,
}

impl FileTable {
    /// How it is to be read.
    pub(super) fn reading(&self) -> Reading {
        if self.known.is_ours() { Reading::OURS } else { Reading::FOREIGN }
    }

    /// Its name in messages.
    pub(super) fn file_name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The way of its rows, and what reads them.
    pub(super) fn parted(self, filling: &Filling) -> Result<(Lane, read::Source)> {
        let names: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
        let list = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        let sidecar = filling.baselines.as_deref().map(|directory| baseline::taker(&self.table, &names, directory));
        // The digest in metadata.json is that of all columns of the source, unmapped.
        let is_comparable = self.passage.users.is_empty() && self.known.columns == names;
        let expected =
            Expected { rows: self.known.row_count, digest: if is_comparable { self.known.digest } else { None } };
        let lane = Lane {
            copy_in: format!("COPY {} ({list}) FROM STDIN", self.table.name.sql()),
            stem: self.table.name.stem(),
            origin: self.file_name(),
            decoder: self.known.is_ours().then(|| RowDecoder::new(&self.readable, Reading::OURS)),
            columns: self.columns.clone(),
            passage: Some(self.passage.clone()),
            table: self.table.clone(),
            sidecar: sidecar.transpose()?,
            expected,
            bytes: self.bytes,
        };
        Ok((lane, read::Source::of(&self)))
    }
}

/// What is imported.
pub(super) struct Chosen {
    /// The tables.
    pub tables: Vec<FileTable>,
    /// What is to be known about it.
    pub concerns: Vec<String>,
}

/// Reads `metadata.json`; empty where other tools wrote none.
pub(super) fn metadata(directory: &Path) -> Result<Metadata> {
    let path = directory.join(metadata::FILE);
    if path.exists() { files::read_json(&path) } else { Ok(Metadata::default()) }
}

/// Files that may hold a table's rows.
pub(super) fn rows_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot look into {}", directory.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if (name.ends_with(".json") || name.ends_with(".json.zst")) && !OTHERS.contains(&name.as_str()) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The name of a file without what says how it is written.
pub(super) fn stem(name: &str) -> &str {
    let name = name.strip_suffix(".zst").unwrap_or(name);
    name.strip_suffix(".json").unwrap_or(name)
}

/// Chooses the tables that the patterns and the files name.
pub(super) fn tables(options: &Options, metadata: &Metadata, to: &Catalog, mapping: &Arc<Mapping>) -> Result<Chosen> {
    let filling = &options.filling;
    let (mut tables, mut concerns) = (Vec::new(), Vec::new());
    if !metadata.is_ours() {
        concerns.push("metadata.json: is not ours, or missing: what it does not say was not checked".to_owned());
    }
    for skipped in &metadata.skipped {
        concerns.push(format!("{}: was left out of the export ({})", skipped.table, skipped.why));
    }
    for table in &to.tables {
        let known = metadata.of(&table.name).cloned().unwrap_or_default();
        match path_of(&options.directory, &table.name, &known)? {
            Some(path) => tables.push(file_table(table, path, known, filling, mapping, &mut concerns)?),
            None if metadata.of(&table.name).is_some() => {
                bail!("metadata.json names {}, but its file is missing", table.name)
            }
            None if !filling.tables.is_empty() => bail!("there is no file for the table {}", table.name),
            None => concerns.push(format!("{}: has no file, and stays empty", table.name)),
        }
    }
    homeless(options, &tables, to)?;
    if tables.is_empty() {
        bail!("{} holds no file for a table of the target", options.directory.display());
    }
    Ok(Chosen { tables, concerns })
}

/// A file without a table would be lost in silence.
fn homeless(options: &Options, tables: &[FileTable], to: &Catalog) -> Result<()> {
    let patterns = options.filling.patterns()?;
    for path in rows_files(&options.directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (schema, table) = stem(&name).split_once('.').unwrap_or(("public", stem(&name)));
        let is_taken = tables.iter().any(|table| table.path == path);
        let is_known = to.tables.iter().any(|known| known.name.stem() == stem(&name));
        if !is_taken && !is_known && patterns.is_chosen(&TableName::new(schema, table)) {
            bail!("the target has no table for {name}: make its schema there first, or leave it out by data.exclude");
        }
    }
    Ok(())
}

fn path_of(directory: &Path, table: &TableName, known: &TableMetadata) -> Result<Option<PathBuf>> {
    if let Some(file) = &known.file {
        let is_inside = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_inside {
            bail!("metadata.json: the file of {table} lies outside of the directory: {file}");
        }
        let path = directory.join(file);
        return Ok(path.exists().then_some(path));
    }
    let stems = [table.stem(), table.to_string(), format!("{}.{}", table.schema, table.name)];
    let names = stems.iter().flat_map(|stem| [format!("{stem}.json"), format!("{stem}.json.zst")]);
    // A table's name is not a path, whatever stands in it.
    let mut paths = names.filter(|name| !name.contains('/')).map(|name| directory.join(name));
    Ok(paths.find(|path| path.exists()))
}

fn file_table(
    table: &Table,
    path: PathBuf,
    known: TableMetadata,
    filling: &Filling,
    mapping: &Arc<Mapping>,
    concerns: &mut Vec<String>,
) -> Result<FileTable> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names =
        if known.columns.is_empty() { first_keys(&path).with_context(|| name.clone())? } else { known.columns.clone() };
    let mut readable = Vec::new();
    for column in &names {
        match table.columns.iter().find(|known| &known.name == column) {
            Some(known) => readable.push(known.clone()),
            None => bail!("{name}: the target's table {} has no column {column}", table.name),
        }
    }
    // An empty file of another tool names no column, and needs none.
    if names.is_empty() {
        readable = table.columns.clone();
    }
    let columns: Vec<Column> = readable.iter().filter(|column| !column.is_generated).cloned().collect();
    for missing in table.moved().filter(|column| !columns.iter().any(|known| known.name == column.name)) {
        let is_filled = missing.default.is_some() || missing.identity.is_some();
        if missing.is_required && !is_filled {
            bail!("{name}: does not hold the column {}, which {} requires", missing.name, table.name);
        }
        let what = if is_filled { "gets its default" } else { "stays null" };
        concerns.push(format!("{}: the file does not hold the column {}, which {what}", table.name, missing.name));
    }
    if known.sha256.is_none() {
        concerns
            .push(format!("{name}: no SHA-256 is known of it, so that it is whole was seen, not that it is unchanged"));
    }
    // The users' table often does not move: then only the source knew which columns point to it.
    let mut pointing = filling::pointing(table, &filling.users_table()?);
    pointing.extend(known.user_columns.iter().map(String::as_str));
    let passage = filling.passage(table, &columns, &pointing, mapping)?;
    let bytes = fs::metadata(&path).with_context(|| name.clone())?.len();
    Ok(FileTable { table: table.clone(), path, bytes, known, columns, readable, passage, passed: None })
}

/// The keys of the first row of a file; none where it holds no row.
fn first_keys(path: &Path) -> Result<Vec<String>> {
    let mut input = read::open(path)?;
    let mut one = [0];
    loop {
        if input.read(&mut one)? == 0 {
            bail!("the file is empty; without rows it would hold `[]`");
        }
        match one[0] {
            b'[' => break,
            // White space, and a byte order mark.
            b' ' | b'\t' | b'\n' | b'\r' | 0xEF | 0xBB | 0xBF => {}
            _ => bail!("expected `[`: the file must hold an array of rows"),
        }
    }
    match serde_json::Deserializer::from_reader(input).into_iter::<Map<String, Value>>().next() {
        Some(Ok(row)) => Ok(row.keys().cloned().collect()),
        // What is wrong is told when the rows are read.
        Some(Err(_)) | None => Ok(Vec::new()),
    }
}
