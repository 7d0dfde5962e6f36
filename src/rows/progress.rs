//! How far the moving of rows has come: counted by many workers, said by one, at most once a second and when a table ends.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Say;
use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::files::spoken_size;
use crate::data::plural::counted;

/// How often the whole is said.
const PACE: Duration = Duration::from_secs(1);

/// One table that is counted.
#[derive(Debug)]
struct Counted {
    name: String,
    rows: AtomicU64,
    bytes: AtomicU64,
    /// What the server thinks it is, in bytes.
    expected_bytes: u64,
    /// When it began and ended, in milliseconds from the meter's start and one more; 0 is not yet.
    began: AtomicU64,
    ended: AtomicU64,
    is_left_out: AtomicBool,
}

/// What became of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The table.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// Counts rows and bytes per table. Shared by all workers; counting is two additions.
#[derive(Debug)]
pub struct Meter {
    verb: &'static str,
    watch: Stopwatch,
    tables: Vec<Counted>,
    expected: u64,
    ends: Mutex<VecDeque<usize>>,
    has_ended: Notify,
}

impl Meter {
    /// For these tables with their expected sizes in bytes; `verb` is what is done with them (`read`, `loaded`, `compared`).
    pub fn new(verb: &'static str, tables: impl IntoIterator<Item = (String, u64)>) -> Self {
        let tables: Vec<Counted> = tables
            .into_iter()
            .map(|(name, expected_bytes)| Counted {
                name,
                rows: AtomicU64::new(0),
                bytes: AtomicU64::new(0),
                expected_bytes,
                began: AtomicU64::new(0),
                ended: AtomicU64::new(0),
                is_left_out: AtomicBool::new(false),
            })
            .collect();
        let expected = tables.iter().map(|table| table.expected_bytes).sum();
        let watch = Stopwatch::start();
        Self { verb, watch, tables, expected, ends: Mutex::default(), has_ended: Notify::new() }
    }

    /// Work on a table begins; calls after the first change nothing.
    pub fn begin(&self, table: usize) {
        let _was_begun = self.tables[table].began.compare_exchange(0, self.now(), Relaxed, Relaxed);
    }

    /// So much more of a table is done.
    pub fn add(&self, table: usize, rows: u64, bytes: u64) {
        self.tables[table].rows.fetch_add(rows, Relaxed);
        self.tables[table].bytes.fetch_add(bytes, Relaxed);
    }

    /// A table is done.
    pub fn end(&self, table: usize) {
        self.begin(table);
        self.tables[table].ended.store(self.now(), Relaxed);
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).push_back(table);
        self.has_ended.notify_one();
    }

    /// A table needs no work: it counts as done and has no line.
    pub fn leave_out(&self, table: usize) {
        self.tables[table].is_left_out.store(true, Relaxed);
    }

    /// What is known of a table now.
    pub fn line(&self, table: usize) -> Line {
        let table = &self.tables[table];
        let (began, ended) = (table.began.load(Relaxed), table.ended.load(Relaxed));
        let until = if ended == 0 { self.now() } else { ended };
        let took = if began == 0 { 0 } else { until.saturating_sub(began) };
        Line {
            name: table.name.clone(),
            rows: table.rows.load(Relaxed),
            bytes: table.bytes.load(Relaxed),
            took: Duration::from_millis(took),
        }
    }

    /// Does the work and meanwhile says how far it is.
    pub async fn watch<T>(&self, say: Say<'_>, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut next = self.watch.elapsed() + PACE;
        loop {
            let pause = next.saturating_sub(self.watch.elapsed());
            tokio::select! {
                biased;
                done = &mut work => {
                    self.say_ends(say);
                    return done;
                }
                () = self.has_ended.notified() => self.say_ends(say),
                () = tokio::time::sleep(pause) => {
                    say(self.whole());
                    next = self.watch.elapsed() + PACE;
                }
            }
        }
    }

    fn say_ends(&self, say: Say<'_>) {
        let ended: Vec<usize> = self.ends.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        for table in ended {
            let line = self.line(table);
            say(format!("{}: {} in {}", line.name, self.moved(line.rows, line.bytes), spoken(line.took)));
        }
    }

    /// `7 rows read, 410.2 MiB`; where no rows are looked at, `410.2 MiB read`.
    fn moved(&self, rows: u64, bytes: u64) -> String {
        match (rows, bytes) {
            (0, 1..) => format!("{} {}", spoken_size(bytes), self.verb),
            _ => format!("{} {}, {}", counted(rows, "row"), self.verb, spoken_size(bytes)),
        }
    }

    /// The whole in one line: `41 %, 2214000 rows read, 410.2 MiB, 152.3 MiB/s, 4.1 s left`.
    pub fn whole(&self) -> String {
        let is_counted = |table: &&Counted| !table.is_left_out.load(Relaxed);
        let (mut rows, mut bytes, mut done, mut left_out) = (0, 0, 0, 0);
        for table in &self.tables {
            if !is_counted(&table) {
                left_out += table.expected_bytes;
                continue;
            }
            let moved = table.bytes.load(Relaxed);
            rows += table.rows.load(Relaxed);
            bytes += moved;
            // An estimate may be too small or too large; a table that has ended is done whatever it was.
            let is_done = table.ended.load(Relaxed) > 0;
            done += if is_done { table.expected_bytes } else { moved.min(table.expected_bytes) };
        }
        let elapsed = self.watch.elapsed();
        let expected = self.expected.saturating_sub(left_out);
        let mut text = format!("{}, {}", self.moved(rows, bytes), rate(bytes, elapsed));
        if let Some(share) = (done * 100).checked_div(expected) {
            text = format!("{share} %, {text}");
            if done > 0 {
                let left = elapsed.as_secs_f64() * (expected - done.min(expected)) as f64 / done as f64;
                text.push_str(&format!(", {} left", spoken(Duration::from_secs_f64(left))));
            }
        }
        text
    }

    /// The final table as text: table, rows, bytes, time, rate; the whole in its last line.
    pub fn summary(&self) -> String {
        let shown = (0..self.tables.len()).filter(|at| !self.tables[*at].is_left_out.load(Relaxed));
        let mut lines: Vec<Line> = shown.map(|at| self.line(at)).collect();
        lines.push(Line {
            name: "total".into(),
            rows: lines.iter().map(|line| line.rows).sum(),
            bytes: lines.iter().map(|line| line.bytes).sum(),
            took: self.watch.elapsed(),
        });
        summary(&lines)
    }

    fn now(&self) -> u64 {
        self.watch.elapsed().as_millis() as u64 + 1
    }
}

fn rate(bytes: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    format!("{}/s", spoken_size((bytes as f64 / seconds) as u64))
}

/// Lines as a table of text, columns under each other.
pub fn summary(lines: &[Line]) -> String {
    let head = ["table", "rows", "size", "time", "rate"].map(str::to_owned);
    let row = |line: &Line| {
        let took = spoken(line.took);
        [line.name.clone(), line.rows.to_string(), spoken_size(line.bytes), took, rate(line.bytes, line.took)]
    };
    let cells: Vec<[String; 5]> = std::iter::once(head).chain(lines.iter().map(row)).collect();
    let width = |at: usize| cells.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &cells {
        text.push_str(&format!("{:<1$}", row[0], widths[0]));
        for at in 1..row.len() {
            text.push_str(&format!("  {:>1$}", row[at], widths[at]));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_table_is_said_when_it_ends_and_stands_in_the_summary() {
        let meter =
            Meter::new("read", [("profiles".to_owned(), 100), ("units".to_owned(), 300), ("old".to_owned(), 900)]);
        let said = Mutex::new(Vec::new());
        let say = |line: String| said.lock().unwrap().push(line);
        meter.leave_out(2);
        meter
            .watch(&say, async {
                meter.begin(0);
                meter.add(0, 5, 50);
                meter.end(0);
            })
            .await;
        let said = said.lock().unwrap();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("profiles: 5 rows read, 50 B in "), "{said:?}");
        assert!(meter.whole().starts_with("25 %, 5 rows read, 50 B, "), "{}", meter.whole());
        let summary = meter.summary();
        let firsts: Vec<_> = summary.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
        assert_eq!(firsts, ["table", "profiles", "units", "total"]);
        let widths: Vec<_> = summary.lines().map(str::len).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{summary}");
    }

    #[tokio::test]
    async fn the_whole_is_said_while_the_work_goes_on() {
        let meter = Meter::new("read", [("profiles".to_owned(), 100)]);
        let (said, heard) = tokio::sync::mpsc::unbounded_channel();
        let say = |line: String| said.send(line).unwrap();
        let heard = Mutex::new(heard);
        #[expect(clippy::await_holding_lock, reason = "nobody else takes it")]
        let line = meter.watch(&say, async { heard.lock().unwrap().recv().await }).await.unwrap();
        assert!(line.starts_with("0 %, 0 rows read"), "{line}");
    }

    #[test]
    fn where_only_bytes_are_read_no_rows_are_told() {
        let meter = Meter::new("checked", [("profiles".to_owned(), 200)]);
        meter.add(0, 0, 50);
        assert!(meter.whole().starts_with("25 %, 50 B checked, "), "{}", meter.whole());
        meter.add(0, 1, 0);
        assert!(meter.whole().starts_with("25 %, 1 row checked, 50 B, "), "{}", meter.whole());
    }
}
