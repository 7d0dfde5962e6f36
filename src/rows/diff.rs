//! What was written to the target since the import: every insert, update and delete, and no guessed timestamps.
//!
//! Law: the baseline plus the changes is the target, by count and by digest, or there is no change file. It reads both
//! sides only; a call that was killed leaves at most files that no `changes.jsonl` points to, and a second one begins again.

mod remainder;
mod uncompared;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use self::remainder::{Remainder, pass_of, rest_of};
use super::progress::Meter;
use super::verify::folds::{PairsOf, Way, sorter};
use super::verify::rows::lines_of;
use super::verify::scan::{Make, Reading, Side, scan};
use super::verify::tables::{Both, Users};
use super::verify::{Sides, Source, again, forward};
use crate::adapter::clock::now;
use crate::adapter::database::Place;
use crate::adapter::files;
use crate::data::catalog::TableName;
use crate::data::change_file::{Head, SequenceValue, TableChanges, Writer};
use crate::data::difference::pair_up;
use crate::data::difference_csv as csv;
use crate::data::mapping::{Mapping, MappingFile};
use crate::data::patterns::Patterns;
use crate::data::plural::counted;
use crate::data::sidecar::{self, Heading, Reader};

/// The change file in its directory.
pub const FILE: &str = "changes.jsonl";
/// How many changed rows are looked for in one pass: each takes about 50 bytes of memory.
const PASS: u64 = 400_000;
/// How many tables are read side by side: each holds some megabytes of pairs.
const TABLES: usize = 8;

/// How the difference is made.
#[derive(Clone, Debug)]
pub struct DiffOptions {
    /// The tables.
    pub tables: Patterns,
    /// Tables of the target that are named where the baseline does not have them.
    pub all: Patterns,
    /// Where user ids stand.
    pub users: Users,
    /// What user ids became in the import.
    pub mapping: Option<MappingFile>,
    /// Where the import left the sidecars of its rows; what is not there is read from the baseline.
    pub sidecars: Option<PathBuf>,
    /// Where the change file and the CSV files go.
    pub directory: PathBuf,
    /// Connections to each side.
    pub workers: usize,
    /// `application_name` of the sessions.
    pub session_name: String,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Diff {
    /// The change file.
    pub file: PathBuf,
    /// Its first line: counts per table and operation, and the digest.
    pub head: Head,
}

/// Tells apart what was written to the target since the baseline, and writes the change file and CSV files.
///
/// # Errors
/// When a side cannot be read, a table is on one side only, the baseline is not whole, or the result does not add up.
pub async fn diff(
    baseline: &Source,
    target: &Place,
    options: &DiffOptions,
    say: &(dyn Fn(String) + Sync),
) -> Result<Diff> {
    let opening = super::verify::Options {
        users: options.users.clone(),
        workers: options.workers,
        session_name: options.session_name.clone(),
        ..super::verify::Options::new(options.tables.clone())
    };
    let mut sides = Sides::open(baseline, target, &opening).await?;
    if let Some(apart) = sides.apart.first() {
        bail!("{} cannot be compared with the baseline: {}", apart.name, apart.why);
    }
    let mapping = forward(options.mapping.as_ref())?;
    files::make_private_directory(&options.directory)?;
    let snapshot = sides.target_snapshot()?;
    let users_table = options.users.table.clone().unwrap_or_else(|| TableName::new("auth", "users"));
    let beside = uncompared::look(&snapshot.holder, &options.all, &users_table, &sides.both).await?;
    beside.iter().for_each(|one| say(one.words()));
    let mut head = Head {
        baseline: sides.source.shown(),
        target: sides.target.shown(),
        target_lsn: snapshot.lsn.clone(),
        import: super::import::recorded(&snapshot.holder).await?.map(|recorded| recorded.identity),
        sequences: sequences(&sides),
        uncompared: beside,
        ..Head::default()
    };
    let mut both = std::mem::take(&mut sides.both);
    let aside = tempfile::NamedTempFile::new_in(&options.directory).context("cannot write the changes")?;
    let mut writer = Writer::new(BufWriter::new(aside));
    let mut sidecars = BTreeMap::new();
    for one in &mut both {
        if let Some(sidecar) = sidecar_of(options.sidecars.as_deref(), one)? {
            sidecars.insert(one.source.number, sidecar);
        }
    }
    let meter = meter_of(&both, &sidecars);
    for some in both.chunks(TABLES) {
        let rows = Rows { mapping: mapping.as_ref(), directory: &options.directory, say, meter: &meter };
        rows.tables(&mut sides, some, &mut sidecars, &mut writer, &mut head).await?;
    }
    sides.close().await?;
    head.made_at = now();
    let file = options.directory.join(FILE);
    put_together(writer, &mut head, &file)?;
    say(format!("{} in {}", counted(head.all(), "change"), file.display()));
    Ok(Diff { file, head })
}

/// Counts what is read: the target's rows and their baseline, the file beside the rows or the rows of the other side.
fn meter_of(both: &[Both], sidecars: &BTreeMap<usize, Sidecar>) -> Arc<Meter> {
    let size = |both: &Both| {
        let source = if sidecars.contains_key(&both.source.number) { 0 } else { both.source.table.bytes };
        (both.name.to_string(), source + both.target.table.bytes)
    };
    Arc::new(Meter::new("read", both.iter().map(size)))
}

fn sequences(sides: &Sides) -> Vec<SequenceValue> {
    let value = |sequence: &crate::data::catalog::Sequence| SequenceValue {
        name: sequence.name.clone(),
        last_value: sequence.last_value,
    };
    sides.target_catalog.sequences.iter().map(value).collect()
}

/// The file, first line first; under its name only when it is whole.
fn put_together(writer: Writer<BufWriter<tempfile::NamedTempFile>>, head: &mut Head, file: &Path) -> Result<()> {
    let directory = file.parent().unwrap_or_else(|| Path::new("."));
    let attempt = || -> std::io::Result<()> {
        let (lines, first) = writer.finish(head)?;
        let mut lines = lines.into_inner().map_err(std::io::IntoInnerError::into_error)?.reopen()?;
        let mut whole = tempfile::NamedTempFile::new_in(directory)?;
        whole.write_all(&first)?;
        std::io::copy(&mut lines, &mut whole)?;
        whole.as_file().set_permissions(std::fs::Permissions::from_mode(0o600))?;
        whole.as_file().sync_all()?;
        whole.persist(file).map_err(|error| error.error)?;
        files::sync_directory(directory)
    };
    attempt().with_context(|| format!("cannot write {}", file.display()))
}

type Sidecar = Reader<File>;

/// The sidecar of a table, where there is one that can be used; both sides are then read in its columns' order.
fn sidecar_of(directory: Option<&Path>, both: &mut Both) -> Result<Option<Sidecar>> {
    let Some(directory) = directory else { return Ok(None) };
    let heading = Heading { table: both.name.clone(), key: Vec::new(), columns: Vec::new() };
    let path = directory.join(heading.file_name());
    if !path.exists() {
        return Ok(None);
    }
    let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let reader = Reader::new(file).with_context(|| format!("cannot read {}", path.display()))?;
    let sorted = |columns: &[String]| {
        let mut columns = columns.to_vec();
        columns.sort();
        columns
    };
    if reader.heading.table != both.name || sorted(&reader.heading.columns) != sorted(&both.source.columns) {
        return Ok(None);
    }
    both.source.columns.clone_from(&reader.heading.columns);
    both.target.columns.clone_from(&reader.heading.columns);
    both.key.clone_from(&reader.heading.key);
    Ok(Some(reader))
}

struct Rows<'a> {
    mapping: Option<&'a Arc<Mapping>>,
    directory: &'a Path,
    say: &'a (dyn Fn(String) + Sync),
    meter: &'a Arc<Meter>,
}

type Out = Writer<BufWriter<tempfile::NamedTempFile>>;

impl Rows<'_> {
    async fn tables(
        &self,
        sides: &mut Sides,
        some: &[Both],
        sidecars: &mut BTreeMap<usize, Sidecar>,
        out: &mut Out,
        head: &mut Head,
    ) -> Result<()> {
        let make = |is_old: bool| -> Result<Make<PairsOf>> {
            let way = |both: &Both| {
                let (old, new) = both.ways(self.mapping)?;
                Ok((both.source.number, if is_old { old } else { new }))
            };
            let ways: BTreeMap<usize, Way> = some.iter().map(way).collect::<Result<_>>()?;
            Ok(Arc::new(move |number| {
                let way = ways.get(&number).context("a table that nobody asked for")?;
                Ok(PairsOf::all(way.clone()))
            }))
        };
        let right: Vec<Reading> = some.iter().map(|both| both.target.clone()).collect();
        let without = |both: &&Both| !sidecars.contains_key(&both.source.number);
        let left: Vec<Reading> = some.iter().filter(without).map(|both| both.source.clone()).collect();
        let (old, new) = (make(true)?, make(false)?);
        let both_sides = async {
            tokio::try_join!(
                scan(&mut sides.source, &left, old, self.meter),
                scan(&mut sides.target, &right, new, self.meter)
            )
        };
        let (old, new) = self.meter.watch(self.say, both_sides).await?;
        let mut old: BTreeMap<usize, PairsOf> = left.iter().map(|reading| reading.number).zip(old).collect();
        for (both, new) in some.iter().zip(new) {
            let number = both.source.number;
            let (sidecar, old) = (sidecars.remove(&number), old.remove(&number));
            let mut rest = self.rest(both, sidecar, old, new).await?;
            let table = TableChanges {
                table: both.name.clone(),
                columns: both.source.columns.clone(),
                key: both.key.clone(),
                users: both.users.clone(),
                inserted: 0,
                updated: 0,
                deleted: 0,
                before: rest.before,
                after: rest.after,
            };
            let table = self.changes_of(sides, both, table, &mut rest, out, head.tables.len()).await?;
            head.tables.push(table);
        }
        Ok(())
    }

    /// Puts the pairs of both sides against each other; that takes a processor for a while, and nobody waits for it.
    async fn rest(
        &self,
        both: &Both,
        sidecar: Option<Sidecar>,
        old: Option<PairsOf>,
        new: PairsOf,
    ) -> Result<Remainder> {
        let (name, rows) = (both.name.clone(), new.sum.rows);
        let meter = Arc::new(Meter::new("told apart", [(name.to_string(), rows * sidecar::PAIR as u64)]));
        let counted = Arc::clone(&meter);
        let work = tokio::task::spawn_blocking(move || {
            let mut new = new.pairs.sorted()?;
            match (sidecar, old) {
                (Some(mut sidecar), _) => rest_of(&mut sidecar, &mut new, sorter(), &counted)
                    .with_context(|| format!("the sidecar of {name} cannot be used; move it away")),
                (None, Some(old)) => rest_of(&mut old.pairs.sorted()?, &mut new, sorter(), &counted),
                (None, None) => bail!("{name} has no baseline"),
            }
        });
        meter.watch(self.say, work).await?
    }

    /// Finds the changed rows, whole, and writes them down.
    async fn changes_of(
        &self,
        sides: &mut Sides,
        both: &Both,
        mut table: TableChanges,
        rest: &mut Remainder,
        out: &mut Out,
        number: usize,
    ) -> Result<TableChanges> {
        let (mut lines, mut next) = (sorter(), rest.rest.next_record()?);
        while next.is_some() {
            let wanted = pass_of(&mut rest.rest, &mut next, PASS)?;
            // The changed rows are found whole.
            let meter = again("searched", &[both]);
            let found = lines_of(&mut sides.source, &mut sides.target, both, self.mapping, wanted, &meter);
            let mut found = meter.watch(self.say, found).await.with_context(|| baseline_hint(&sides.source, both))?;
            while let Some(line) = found.next_record()? {
                lines.push(line)?;
            }
        }
        let is_changed = !lines.is_empty();
        let mut people = match is_changed {
            true => Some(BufWriter::new(files::create_private(&self.csv_path(both))?)),
            false => {
                files::remove_if_there(&self.csv_path(both))?;
                None
            }
        };
        if let Some(people) = &mut people {
            people.write_all(csv::head(&table.columns).as_bytes())?;
        }
        pair_up(&mut lines.sorted()?, |change| {
            out.add(number, &mut table, &change)?;
            if let Some(people) = &mut people {
                people.write_all(csv::line(&table.columns, &change).as_bytes())?;
            }
            Ok::<_, std::io::Error>(())
        })
        .with_context(|| format!("cannot write the changes of {}", both.name))?;
        if let Some(mut people) = people {
            people.flush()?;
        }
        if table.before.rows + table.inserted != table.after.rows + table.deleted {
            bail!(
                "{}: {} before, {} inserted, {} deleted, but {} now: this does not add up",
                both.name,
                counted(table.before.rows, "row"),
                table.inserted,
                table.deleted,
                counted(table.after.rows, "row")
            );
        }
        let TableChanges { inserted, updated, deleted, .. } = table;
        (self.say)(format!("{}: {inserted} inserted, {updated} updated, {deleted} deleted", both.name));
        Ok(table)
    }

    fn csv_path(&self, both: &Both) -> PathBuf {
        self.directory.join(format!("{}.csv", both.name.stem()))
    }
}

fn baseline_hint(side: &Side, both: &Both) -> String {
    match side {
        Side::Files(files, _) if !files.entry(&both.name).is_some_and(|entry| entry.is_ours()) => format!(
            "the file of {} was not written by cutover, so its values may be written otherwise than the server's; \
             take the source itself as the baseline",
            both.name
        ),
        _ => format!("cannot tell what changed in {}", both.name),
    }
}
