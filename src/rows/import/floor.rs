//! Where the workers stand: one board, one set of lanes, one session each; and what they do with a piece of work.
//!
//! Law: the first failure ends everybody's work; nothing is left running when `run` returns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;

use super::baseline;
use super::board::{Board, Job};
pub(super) use super::deed::Check;
use super::deed::{Deed, count};
use super::hold::Hold;
use super::journal::Chunk;
use super::load::{self, Lane, Unit};
use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::database::Session;
use crate::adapter::files::spoken_size;
use crate::data::catalog::TableName;
use crate::data::plural::counted;
use crate::data::sidecar;
use crate::rows::Say;
use crate::rows::progress::Meter;
use crate::rows::set_aside::{self, Recorded, Stage};

/// How often it is said how far it is.
const PACE: Duration = Duration::from_secs(1);

/// What a worker does beside loading rows.
pub(super) enum Task {
    /// Brings things back, one after the other.
    PutBack(Vec<Recorded>),
    /// Says that a table's rows are in, and sees that they are those which were to come.
    Tell(usize),
    /// Lets the server look at a table's rows.
    Analyze(TableName),
    /// Counts a table's rows.
    Count(Check),
    /// Writes the file of what a table's rows are.
    Baseline(usize),
}

/// What came in of a table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    /// Rows, their digest and their bytes.
    pub chunk: Chunk,
    /// From its first chunk to its last one.
    pub time: Duration,
    began: Option<Stopwatch>,
    is_ended: bool,
}

/// The floor.
pub(crate) struct Floor {
    /// The tables, the largest first.
    pub lanes: Vec<Lane>,
    /// What is in the target already.
    pub present: HashMap<(String, i64), Chunk>,
    board: Board<Unit, Task>,
    totals: Mutex<Vec<Total>>,
    told: UnboundedSender<String>,
    meter: Meter,
    /// What else is being done at this moment.
    busy: Mutex<Vec<Deed>>,
    /// Where the files of what tables' rows are go.
    baselines: Option<std::path::PathBuf>,
}

/// Puts chunks on the board, and closes each lane after its last one.
pub(crate) type Producer = Box<dyn FnOnce(Arc<Floor>) -> BoxFuture<'static, Result<()>> + Send>;

/// Sessions of the source, one for each worker; none where rows come from files.
pub(crate) type Sources = Vec<Session>;

impl Floor {
    /// Puts a chunk on the board, unless it is in the target and nobody wants to read it again.
    pub async fn offer(&self, lane: usize, mut unit: Unit) -> Result<()> {
        let key = (self.lanes[lane].stem.clone(), unit.part);
        if let Some(chunk) = self.present.get(&key) {
            self.add(lane, *chunk);
            if self.lanes[lane].sidecar.is_none() {
                return Ok(());
            }
            unit.is_in_target = true;
        }
        self.board.offer(lane, unit).await
    }

    /// Says that a lane gets nothing more.
    pub fn close(&self, lane: usize) {
        self.board.close(lane);
    }

    fn totals(&self) -> MutexGuard<'_, Vec<Total>> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, lane: usize, chunk: Chunk) {
        let mut totals = self.totals();
        let total = &mut totals[lane];
        total.chunk.sum += chunk.sum;
        total.chunk.bytes += chunk.bytes;
        total.time = total.began.map_or(Duration::ZERO, |watch| watch.elapsed());
        drop(totals);
        self.board.weigh(lane, chunk.bytes);
    }

    fn busy(&self) -> MutexGuard<'_, Vec<Deed>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is, in one line; none where there is nothing new to say.
    fn progress(&self) -> Option<String> {
        if self.totals().iter().any(|total| !total.is_ended) {
            return Some(self.meter.whole());
        }
        let busy: Vec<String> = self.busy().iter().map(Deed::shown).collect();
        (!busy.is_empty()).then(|| busy.join(", "))
    }

    /// Does something that may take long, and meanwhile it is said what.
    async fn busily<T>(&self, deed: impl Into<Deed>, work: impl Future<Output = T>) -> T {
        let deed = deed.into();
        let words = deed.words.clone();
        self.busy().push(deed);
        let done = work.await;
        let mut busy = self.busy();
        if let Some(at) = busy.iter().position(|other| other.words == words) {
            busy.remove(at);
        }
        done
    }

    fn tell(&self, line: String) {
        // Whoever listened is gone only when the import is.
        drop(self.told.send(line));
    }

    async fn work(self: Arc<Self>, mut target: Session, source: Option<Session>) -> Result<()> {
        while let Some((lane, job)) = self.board.next().await {
            match job {
                Job::Load(unit) => self.load(lane, unit, &mut target, source.as_ref()).await?,
                Job::Task(task) => self.task(task, &mut target).await?,
            }
            self.board.done(lane);
        }
        Ok(())
    }

    async fn load(&self, lane: usize, unit: Unit, target: &mut Session, source: Option<&Session>) -> Result<()> {
        self.totals()[lane].began.get_or_insert_with(Stopwatch::start);
        self.meter.begin(lane);
        let is_new = !unit.is_in_target;
        let read = unit.rows.bytes();
        let chunk = load::load(&self.lanes[lane], unit, target, source).await?;
        if is_new {
            self.add(lane, chunk);
        }
        self.meter.add(lane, chunk.sum.rows, read.unwrap_or(chunk.bytes));
        Ok(())
    }

    async fn task(&self, task: Task, target: &mut Session) -> Result<()> {
        match task {
            Task::PutBack(items) => {
                for item in &items {
                    let watch = Stopwatch::start();
                    let words = format!("putting back the {}", item.item.about);
                    self.busily(words, set_aside::put_back(target, item)).await?;
                    if watch.elapsed() > Duration::from_secs(1) {
                        self.tell(format!("{}: put back in {}", item.item.about, spoken(watch.elapsed())));
                    }
                }
                Ok(())
            }
            Task::Tell(lane) => self.came(lane),
            Task::Analyze(name) => {
                let analyze = format!("ANALYZE {}", name.sql());
                let done = self.busily(format!("analyzing {name}"), target.batch_execute(&analyze)).await;
                done.with_context(|| format!("cannot analyze {name}"))
            }
            Task::Count(check) => self.busily(format!("counting {}", check.name), count(&check, target)).await,
            Task::Baseline(lane) => {
                let Some(directory) = &self.baselines else { return Ok(()) };
                let words = format!("writing the baseline of {}", self.lanes[lane].name());
                let of = self.totals()[lane].chunk.sum.rows * sidecar::PAIR as u64;
                let deed = Deed { words, of, written: Arc::default() };
                let written = Arc::clone(&deed.written);
                self.busily(deed, baseline::write(&self.lanes[lane], directory, written)).await
            }
        }
    }

    fn came(&self, lane: usize) -> Result<()> {
        let Lane { table, expected, origin, .. } = &self.lanes[lane];
        let total = {
            let total = &mut self.totals()[lane];
            total.is_ended = true;
            *total
        };
        self.meter.end(lane);
        let came = total.chunk.sum;
        if let Some(rows) = expected.rows.filter(|rows| *rows != came.rows) {
            bail!("{origin}: {} came in, but metadata.json says {rows}", counted(came.rows, "row"));
        }
        if expected.digest.is_some_and(|digest| digest != came) {
            bail!("{origin}: the digest of the rows that came in is not that of metadata.json");
        }
        let (bytes, time) = (spoken_size(total.chunk.bytes), spoken(total.time));
        self.tell(format!("{}: {}, {bytes} in {time}", table.name, counted(came.rows, "row")));
        Ok(())
    }
}

/// What `run` is to do.
pub(super) struct Plan {
    /// The ways of the tables.
    pub lanes: Vec<Lane>,
    /// What is in the target already.
    pub present: HashMap<(String, i64), Chunk>,
    /// What is to come back; nothing of later stages than `Finish` is looked at.
    pub items: Vec<Recorded>,
    /// Who brings the rows.
    pub producer: Option<Producer>,
    /// Sessions of the source.
    pub sources: Sources,
    /// How many workers.
    pub workers: usize,
    /// How much memory each of them may take for an index, in KiB.
    pub index_memory: u64,
    /// Where the files of what tables' rows are go.
    pub baselines: Option<std::path::PathBuf>,
}

/// Loads what there is to load, and puts back indexes and keys, each table's as soon as its rows are there.
pub(super) async fn run(hold: &Hold, plan: Plan, say: &(dyn Fn(String) + Sync)) -> Result<Vec<Total>> {
    let is_loading = plan.producer.is_some();
    let mut groups = Vec::new();
    let mut items = plan.items;
    for (lane, way) in plan.lanes.iter().enumerate() {
        let own: Vec<Recorded>;
        (own, items) = items.into_iter().partition(|recorded| &recorded.item.table == way.name());
        groups.push(waves(own, is_loading.then_some((lane, way.sidecar.is_some()))));
    }
    // Where nothing is loaded, there are no lanes, and everything is in one group.
    groups.push(waves(items, None));
    let (told, heard) = tokio::sync::mpsc::unbounded_channel();
    let board = Board::new(groups, is_loading, 2);
    if is_loading {
        board.close(plan.lanes.len());
    }
    let totals = Mutex::new(vec![Total::default(); plan.lanes.len()]);
    let meter = Meter::new("loaded", plan.lanes.iter().map(|lane| (lane.name().to_string(), lane.bytes)));
    let Plan { lanes, present, baselines, workers: count, index_memory, sources, producer, .. } = plan;
    let crew = Crew { count, index_memory, sources, producer };
    let floor = Floor { lanes, present, board, totals, told, meter, busy: Mutex::default(), baselines };
    let floor = Arc::new(floor);
    let end = workers(hold, &floor, crew, heard, say).await;
    end.map(|()| floor.totals().clone())
}

/// Validates foreign keys, those of one table one after the other (they exclude each other, and the server's look at the
/// table), those of others beside; and counts rows on whatever is idle meanwhile.
pub(super) async fn settle(
    hold: &Hold,
    items: Vec<Recorded>,
    checks: Vec<Check>,
    workers_wanted: usize,
    index_memory: u64,
    say: &(dyn Fn(String) + Sync),
) -> Result<()> {
    let mut tables: Vec<(TableName, u64, Vec<Vec<Task>>)> = Vec::new();
    for recorded in items {
        let bytes = checks.iter().find(|check| check.name == recorded.item.table).map_or(0, |check| check.bytes);
        let wave = |recorded| vec![Task::PutBack(vec![recorded])];
        match tables.iter_mut().find(|(table, ..)| *table == recorded.item.table) {
            Some((.., waves)) => waves.push(wave(recorded)),
            None => tables.push((recorded.item.table.clone(), bytes, vec![wave(recorded)])),
        }
    }
    for check in &checks {
        let look = vec![Task::Analyze(check.name.clone())];
        match tables.iter_mut().find(|(table, ..)| *table == check.name) {
            Some((.., waves)) => waves.push(look),
            None => tables.push((check.name.clone(), check.bytes, vec![look])),
        }
    }
    // Weighs nothing: nobody waits for a count.
    let counts = checks.into_iter().map(|check| (check.name.clone(), 0, vec![vec![Task::Count(check)]]));
    tables.extend(counts);
    let count = workers_wanted.min(tables.len());
    let (weights, groups): (Vec<u64>, Vec<_>) = tables.into_iter().map(|(_, bytes, waves)| (bytes, waves)).unzip();
    let (told, heard) = tokio::sync::mpsc::unbounded_channel();
    let board = Board::new(groups, false, 1);
    weights.iter().enumerate().for_each(|(group, bytes)| board.weigh(group, *bytes));
    let totals = Mutex::default();
    let (meter, busy) = (Meter::new("counted", []), Mutex::default());
    let floor = Floor { lanes: Vec::new(), present: HashMap::new(), board, totals, told, meter, busy, baselines: None };
    let crew = Crew { count, index_memory, sources: Vec::new(), producer: None };
    workers(hold, &Arc::new(floor), crew, heard, say).await
}

fn waves(items: Vec<Recorded>, loaded: Option<(usize, bool)>) -> Vec<Vec<Task>> {
    let (indexes, rest): (Vec<_>, Vec<_>) = items.into_iter().partition(|recorded| recorded.item.stage == Stage::Index);
    let finish: Vec<Recorded> = rest.into_iter().filter(|recorded| recorded.item.stage == Stage::Finish).collect();
    let mut build: Vec<Task> = indexes.into_iter().map(|recorded| Task::PutBack(vec![recorded])).collect();
    let mut waves = Vec::new();
    if let Some((lane, has_baseline)) = loaded {
        waves.push(vec![Task::Tell(lane)]);
        if has_baseline {
            build.push(Task::Baseline(lane));
        }
    }
    waves.push(build);
    if !finish.is_empty() {
        waves.push(vec![Task::PutBack(finish)]);
    }
    waves
}

/// Who works, and with what.
struct Crew {
    count: usize,
    index_memory: u64,
    sources: Sources,
    producer: Option<Producer>,
}

async fn workers(
    hold: &Hold,
    floor: &Arc<Floor>,
    crew: Crew,
    mut heard: UnboundedReceiver<String>,
    say: Say<'_>,
) -> Result<()> {
    let _given_up = GivenUp(Arc::clone(floor));
    let mut set = JoinSet::new();
    let mut sources = crew.sources.into_iter();
    for _ in 0..crew.count {
        let session = hold.worker().await?;
        session.batch_execute(&format!("SET maintenance_work_mem = {}", crew.index_memory)).await?;
        set.spawn(Arc::clone(floor).work(session, sources.next()));
    }
    if let Some(producer) = crew.producer {
        set.spawn(producer(Arc::clone(floor)));
    }
    let mut pace = tokio::time::interval(PACE);
    pace.tick().await;
    let mut failure = None;
    loop {
        tokio::select! {
            Some(line) = heard.recv() => say(line),
            _ = pace.tick() => floor.progress().into_iter().for_each(say),
            ended = set.join_next() => match ended {
                None => break,
                Some(ended) => {
                    let end = ended.context("a worker was ended").and_then(|end| end);
                    if let Err(error) = end && failure.is_none() {
                        failure = Some(error);
                        floor.board.abandon();
                        set.abort_all();
                    }
                }
            },
        }
    }
    while let Ok(line) = heard.try_recv() {
        say(line);
    }
    failure.map_or(Ok(()), Err)
}

/// Whoever waits for room on the board must not wait for ever when nobody works any more.
struct GivenUp(Arc<Floor>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.board.abandon();
    }
}
