//! Comparing rows: sums of both sides at once, then only the buckets that differ, then only the rows that differ.

use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::folds::{Buckets, Lines, PairsOf, Unmapped, sorter};
use super::scan::{Make, Side, scan};
use super::tables::{Both, Users};
use crate::data::catalog::quoted;
use crate::data::copy_text;
use crate::data::difference::{Change, Counter, Line, Side as Of, Wanted, compare, only_as_often, pair_up};
use crate::data::mapping::Mapping;
use crate::data::plural::{counted, verb};
use crate::data::sorted::Sorted;
use crate::data::verification::{Difference, Status, TableReport, Values, What, differing, shortened, value};
use crate::rows::Say;
use crate::rows::progress::Meter;

/// How rows are compared.
#[derive(Clone, Debug)]
pub struct How {
    /// What the users' ids become.
    pub mapping: Option<Arc<Mapping>>,
    /// Percent of the keys that are compared.
    pub sample: u8,
    /// How many differing keys of a table are named.
    pub named: usize,
    /// Whether both sides are servers of one major version.
    pub is_same_major: bool,
    /// Counts what is read of both sides, by the tables' numbers.
    pub meter: Arc<Meter>,
}

/// Compares every row of these tables. Where both servers write the same bytes for the same value, they are asked for
/// those (`is_same_major`); what then differs is compared again as text, which alone decides and names.
///
/// # Errors
/// When a side cannot be read: then nothing is known of any of them.
pub async fn rows_of(
    source: &mut Side,
    target: &mut Side,
    tables: &[Both],
    users: &Users,
    how: &How,
    say: Say<'_>,
) -> Result<Vec<TableReport>> {
    let is_binary = |both: &Both| how.is_same_major && both.is_plain(how.mapping.is_some());
    let tables: Vec<Both> = tables.iter().map(|both| both.read_as(is_binary(both))).collect();
    let mut sums = how.meter.watch(say, sums_of(source, target, &tables, how, &how.meter)).await?;
    let is_doubted = |both: &Both, (left, right): &(Buckets, Buckets)| both.source.is_binary && !is_same(left, right);
    let doubted: Vec<usize> = (0..tables.len()).filter(|&at| is_doubted(&tables[at], &sums[at])).collect();
    if !doubted.is_empty() {
        let again: Vec<Both> = doubted.iter().map(|&at| tables[at].read_as(false)).collect();
        let names: Vec<String> = again.iter().map(|both| both.name.to_string()).collect();
        say(format!("{}: not the same bytes; the text is read now, which decides", names.join(", ")));
        let meter = super::again("read as text", &again.iter().collect::<Vec<_>>());
        let found = meter.watch(say, sums_of(source, target, &again, how, &meter)).await?;
        doubted.into_iter().zip(found).for_each(|(at, found)| sums[at] = found);
    }
    let mut reports = Vec::new();
    for (both, (left, right)) in tables.iter().zip(&sums) {
        let mut report = verdict(both, left, right, how);
        judge_unmapped(&mut report, both, users, left.unmapped());
        if left.sums != right.sums {
            let differing = left.sums.iter().zip(&right.sums).map(|(left, right)| left != right).collect();
            // Whoever waits saw that everything was read.
            say(format!("{}: rows differ; it is read again to name them", both.name));
            let meter = super::again("read to name what differs", &[both]);
            let (how, both) = (How { meter: Arc::clone(&meter), ..how.clone() }, both.read_as(false));
            let named = name(source, target, &both, &how, Arc::new(differing), &mut report);
            meter.watch(say, named).await?;
        }
        reports.push(report);
    }
    Ok(reports)
}

fn is_same(left: &Buckets, right: &Buckets) -> bool {
    left.sums == right.sums && left.rows == right.rows
}

/// Counts and sums of both sides, read at the same time.
async fn sums_of(
    source: &mut Side,
    target: &mut Side,
    tables: &[Both],
    how: &How,
    meter: &Arc<Meter>,
) -> Result<Vec<(Buckets, Buckets)>> {
    let (left, right) = readings(tables);
    let ways = tables.iter().map(|both| both.ways(how.mapping.as_ref())).collect::<Result<Vec<_>>>()?;
    let bits: Vec<u32> = tables.iter().map(|both| both.bits).collect();
    let make = |is_source: bool| -> Make<Buckets> {
        let (ways, bits, sample, at) = (ways.clone(), bits.clone(), how.sample, numbers(tables));
        Arc::new(move |number| {
            let at = at(number);
            let way = if is_source { &ways[at].0 } else { &ways[at].1 };
            Ok(Buckets::new(way.clone(), bits[at], sample))
        })
    };
    let (left, right) =
        tokio::try_join!(scan(source, &left, make(true), meter), scan(target, &right, make(false), meter))?;
    Ok(left.into_iter().zip(right).collect())
}

fn readings(tables: &[Both]) -> (Vec<super::scan::Reading>, Vec<super::scan::Reading>) {
    tables.iter().map(|both| (both.source.clone(), both.target.clone())).unzip()
}

/// Tables keep the number that they have among all; here it is found among these.
fn numbers(tables: &[Both]) -> impl Fn(usize) -> usize + Send + Sync + 'static {
    let numbers: Vec<usize> = tables.iter().map(|both| both.source.number).collect();
    move |number| numbers.iter().position(|other| *other == number).unwrap_or(0)
}

fn verdict(both: &Both, left: &Buckets, right: &Buckets, how: &How) -> TableReport {
    let mut notes = both.notes.clone();
    let status = match (is_same(left, right), how.sample < 100 || !notes.is_empty()) {
        (false, _) => Status::Fail,
        (true, true) => Status::Warn,
        (true, false) => Status::Pass,
    };
    if how.sample < 100 {
        notes.push(format!("a sample: only {} % of the keys were compared, and all rows counted", how.sample));
    }
    if both.key.is_empty() {
        notes.push("it has no key: rows were compared as a whole, with how often each is there".to_owned());
    }
    TableReport {
        status,
        source_count: Some(left.rows),
        target_count: Some(right.rows),
        source_checksum: Some(left.shown()),
        target_checksum: Some(right.shown()),
        notes,
        ..TableReport::default()
    }
}

fn judge_unmapped(report: &mut TableReport, both: &Both, users: &Users, unmapped: &Unmapped) {
    for (at, (count, examples)) in &unmapped.0 {
        let column = &both.source.columns[*at];
        let examples = examples.join(", ");
        if users.may_stay(&both.name, column) {
            let (ids, stay) = (counted(*count, "id"), verb(*count, "stays as it is", "stay as they are"));
            report.notes.push(format!("{column}: {ids} without an account {stay}, as configured"));
        } else {
            report.status = Status::Fail;
            report.notes.push(format!(
                "{column}: {} {} no account in the mapping ({examples}); migrate those users, or name the column in \
                 data.unmapped",
                counted(*count, "id"),
                verb(*count, "has", "have")
            ));
        }
    }
}

/// Reads what differs again and names it.
async fn name(
    source: &mut Side,
    target: &mut Side,
    both: &Both,
    how: &How,
    buckets: Arc<Vec<bool>>,
    report: &mut TableReport,
) -> Result<()> {
    let (old, new) = both.ways(how.mapping.as_ref())?;
    let pairs = |way: &super::folds::Way| -> Make<PairsOf> {
        let (way, buckets, sample) = (way.clone(), Arc::clone(&buckets), how.sample);
        Arc::new(move |_| Ok(PairsOf::some(way.clone(), Arc::clone(&buckets), sample)))
    };
    let (left, right) = (std::slice::from_ref(&both.source), std::slice::from_ref(&both.target));
    let (a, b) =
        tokio::try_join!(scan(source, left, pairs(&old), &how.meter), scan(target, right, pairs(&new), &how.meter))?;
    let (Some(a), Some(b)) = (a.into_iter().next(), b.into_iter().next()) else { return Ok(()) };
    let (mut counter, mut keys, mut last) = (Counter::default(), 0, None);
    let mut wanted = [Wanted::default(), Wanted::default()];
    compare(&mut a.pairs.sorted()?, &mut b.pairs.sorted()?, |side, pair| {
        counter.take(side, pair);
        if last != Some(pair.key) {
            last = Some(pair.key);
            keys += 1;
        }
        if keys <= how.named {
            wanted[usize::from(side == Of::New)].add(pair);
        }
        Ok(())
    })?;
    let counts = counter.counts();
    (report.missing, report.extra, report.different) = (counts.missing, counts.extra, counts.different);
    let mut lines = lines_of(source, target, both, how.mapping.as_ref(), wanted, &how.meter).await?;
    pair_up(&mut lines, |change| {
        report.differences.push(described(both, &change));
        Ok::<_, std::io::Error>(())
    })?;
    Ok(())
}

/// The rows of both sides that are wanted (of the old side, of the new one), each as often as it is wanted, in order.
///
/// # Errors
/// When a side cannot be read, or a wanted row is not there.
pub(in crate::rows) async fn lines_of(
    source: &mut Side,
    target: &mut Side,
    both: &Both,
    mapping: Option<&Arc<Mapping>>,
    wanted: [Wanted; 2],
    meter: &Arc<Meter>,
) -> Result<Sorted<Line>> {
    let (old, new) = both.ways(mapping)?;
    let (left, right) = (std::slice::from_ref(&both.source), std::slice::from_ref(&both.target));
    let [wanted_old, wanted_new] = wanted.map(Arc::new);
    let lines = |way: &super::folds::Way, side: Of, wanted: &Arc<Wanted>| -> Make<Lines> {
        let (way, wanted) = (way.clone(), Arc::clone(wanted));
        Arc::new(move |_| Ok(Lines::new(way.clone(), side, Arc::clone(&wanted))))
    };
    let (a, b) = tokio::try_join!(
        scan(source, left, lines(&old, Of::Old, &wanted_old), meter),
        scan(target, right, lines(&new, Of::New, &wanted_new), meter)
    )?;
    let mut all = sorter();
    for found in a.into_iter().chain(b) {
        all.absorb(found.lines)?;
    }
    let (mut kept, mut room, mut found) = (sorter(), Vec::new(), [0, 0]);
    let times = |line: &Line| {
        let pair = new.shape.pair(&line.row, &mut room);
        if line.side == Of::Old { wanted_old.times(&pair) } else { wanted_new.times(&pair) }
    };
    only_as_often(&mut all.sorted()?, times, |line| {
        found[usize::from(line.side == Of::New)] += 1;
        kept.push(line)
    })?;
    if found != [wanted_old.len(), wanted_new.len()] {
        bail!(
            "{}: of {} to be found again, {} could not be: a side was written to, or is not what it was",
            both.name,
            counted(wanted_old.len() + wanted_new.len(), "changed row"),
            wanted_old.len() + wanted_new.len() - found[0] - found[1]
        );
    }
    Ok(kept.sorted()?)
}

fn described(both: &Both, change: &Change) -> Difference {
    let columns = &both.source.columns;
    let key_columns = if both.key.is_empty() { columns } else { &both.key };
    let show = |field: &[u8]| value(field).map(|value| shortened(&value, 0));
    let key = key_columns.iter().cloned().zip(copy_text::fields(&change.key).map(show)).collect();
    let all = |row: &[u8], is_old: bool| -> Vec<Values> {
        if both.key.is_empty() {
            return Vec::new();
        }
        let values = columns.iter().zip(copy_text::fields(row)).map(|(column, field)| {
            let shown = show(field);
            let (source, target) = if is_old { (shown, None) } else { (None, shown) };
            Values { column: column.clone(), source, target }
        });
        values.collect()
    };
    let (kind, columns) = match (&change.old, &change.new) {
        (Some(old), Some(new)) => (What::Different, differing(columns, old, new)),
        (Some(old), None) => (What::Missing, all(old, true)),
        (None, Some(new)) => (What::Extra, all(new, false)),
        (None, None) => (What::Different, Vec::new()),
    };
    Difference { kind, key, columns }
}

/// Only counts the rows of these tables, on one side.
///
/// # Errors
/// When one cannot be counted.
pub async fn counts(side: &Side, tables: &[super::scan::Reading]) -> Result<Vec<u64>> {
    let mut counts = Vec::new();
    match side {
        Side::Files(files, _) => {
            for reading in tables {
                let name = &reading.table.name;
                let count = files.entry(name).and_then(|entry| entry.row_count);
                counts.push(count.with_context(|| format!("metadata.json does not say how many rows {name} had"))?);
            }
        }
        Side::Database(snapshot) => {
            let lanes = snapshot.workers.len().max(1);
            let lane = |lane: usize| async move {
                let mut counted = Vec::new();
                for (at, reading) in tables.iter().enumerate().filter(|(at, _)| at % lanes == lane) {
                    let query = format!("SELECT pg_catalog.count(*) FROM {}", reading.table.source());
                    let count: i64 = snapshot.workers[lane].query_one(&query, &[]).await?.try_get(0)?;
                    counted.push((at, count.unsigned_abs()));
                }
                Ok::<_, anyhow::Error>(counted)
            };
            let counted = futures_util::future::try_join_all((0..lanes).map(lane)).await?;
            let mut counted: Vec<(usize, u64)> = counted.into_iter().flatten().collect();
            counted.sort_unstable();
            counts.extend(counted.into_iter().map(|(_, count)| count));
        }
    }
    Ok(counts)
}

/// The list of quoted columns.
pub(in crate::rows) fn list(columns: &[String]) -> String {
    columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
}
