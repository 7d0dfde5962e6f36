//! Where the workers stand: one board, one set of lanes, one session each; and what they do with a piece of work.
//!
//! Law: the first failure ends everybody's work; nothing is left running when `run` returns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::baseline;
use super::board::{Board, Job};
use super::hold::Hold;
use super::journal::Chunk;
use super::load::{self, Lane, Unit};
use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::database::Session;
use crate::adapter::files::spoken_size;
use crate::data::catalog::TableName;
use crate::rows::set_aside::{self, Recorded, Stage};

/// What a worker does beside loading rows.
pub(super) enum Task {
    /// Brings things back, one after the other.
    PutBack(Vec<Recorded>),
    /// Lets the server look at a table's rows.
    Analyze(usize),
    /// Counts a table's rows.
    Count(usize),
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
        let is_new = !unit.is_in_target;
        let chunk = load::load(&self.lanes[lane], unit, target, source).await?;
        if is_new {
            self.add(lane, chunk);
        }
        Ok(())
    }

    async fn task(&self, task: Task, target: &mut Session) -> Result<()> {
        match task {
            Task::PutBack(items) => {
                for item in &items {
                    let watch = Stopwatch::start();
                    set_aside::put_back(target, item).await?;
                    if watch.elapsed() > Duration::from_secs(1) {
                        self.tell(format!("{}: put back in {}", item.item.about, spoken(watch.elapsed())));
                    }
                }
                Ok(())
            }
            Task::Analyze(lane) => {
                let (name, total) = (self.lanes[lane].name(), self.totals()[lane]);
                let (rows, bytes) = (total.chunk.sum.rows, spoken_size(total.chunk.bytes));
                self.tell(format!("{name}: {rows} rows, {bytes} in {}", spoken(total.time)));
                target
                    .batch_execute(&format!("ANALYZE {}", name.sql()))
                    .await
                    .with_context(|| format!("cannot analyze {name}"))
            }
            Task::Count(lane) => self.count(lane, target).await,
            Task::Baseline(lane) => {
                let Some(directory) = &self.baselines else { return Ok(()) };
                baseline::write(&self.lanes[lane], directory).await
            }
        }
    }

    async fn count(&self, lane: usize, target: &Session) -> Result<()> {
        let Lane { table, expected, origin, .. } = &self.lanes[lane];
        let came = self.totals()[lane].chunk.sum;
        if expected.rows.is_some_and(|rows| rows != came.rows) {
            bail!("{origin}: {} rows came in, but metadata.json says {}", came.rows, expected.rows.unwrap_or(0));
        }
        if expected.digest.is_some_and(|digest| digest != came) {
            bail!("{origin}: the digest of the rows that came in is not that of metadata.json");
        }
        let query = format!("SELECT pg_catalog.count(*) FROM {}", table.source());
        let rows: i64 =
            target.query_one(&query, &[]).await.with_context(|| format!("cannot count {}", table.name))?.get(0);
        if u64::try_from(rows) != Ok(came.rows) {
            let sent = came.rows;
            bail!("{} holds {rows} rows after {sent} were loaded: somebody else writes into the target", table.name);
        }
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
    let floor = Floor { lanes: plan.lanes, present: plan.present, board, totals, told, baselines: plan.baselines };
    let floor = Arc::new(floor);
    let end = workers(hold, &floor, plan.workers, plan.index_memory, plan.sources, plan.producer, heard, say).await;
    end.map(|()| floor.totals().clone())
}

/// Validates foreign keys: those of one table one after the other (they exclude each other), those of others beside.
pub(super) async fn validate(
    hold: &Hold,
    items: Vec<Recorded>,
    count: usize,
    index_memory: u64,
    say: &(dyn Fn(String) + Sync),
) -> Result<()> {
    let mut tables: Vec<(TableName, Vec<Vec<Task>>)> = Vec::new();
    for recorded in items {
        let wave = |recorded| vec![Task::PutBack(vec![recorded])];
        match tables.iter_mut().find(|(table, _)| *table == recorded.item.table) {
            Some((_, waves)) => waves.push(wave(recorded)),
            None => tables.push((recorded.item.table.clone(), vec![wave(recorded)])),
        }
    }
    let (told, heard) = tokio::sync::mpsc::unbounded_channel();
    let count = count.min(tables.len());
    let board = Board::new(tables.into_iter().map(|(_, waves)| waves).collect(), false, 1);
    let totals = Mutex::default();
    let floor = Floor { lanes: Vec::new(), present: HashMap::new(), board, totals, told, baselines: None };
    workers(hold, &Arc::new(floor), count, index_memory, Vec::new(), None, heard, say).await
}

fn waves(items: Vec<Recorded>, loaded: Option<(usize, bool)>) -> Vec<Vec<Task>> {
    let (indexes, rest): (Vec<_>, Vec<_>) = items.into_iter().partition(|recorded| recorded.item.stage == Stage::Index);
    let finish: Vec<Recorded> = rest.into_iter().filter(|recorded| recorded.item.stage == Stage::Finish).collect();
    let mut build: Vec<Task> = indexes.into_iter().map(|recorded| Task::PutBack(vec![recorded])).collect();
    let mut waves = Vec::new();
    if let Some((lane, has_baseline)) = loaded {
        // First, for what comes then shuts it out; and while others still load, nobody waits for it.
        waves.push(vec![Task::Analyze(lane)]);
        build.push(Task::Count(lane));
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

#[expect(clippy::too_many_arguments, reason = "each is one thing, handed on once")]
async fn workers(
    hold: &Hold,
    floor: &Arc<Floor>,
    count: usize,
    index_memory: u64,
    sources: Sources,
    producer: Option<Producer>,
    mut heard: tokio::sync::mpsc::UnboundedReceiver<String>,
    say: &(dyn Fn(String) + Sync),
) -> Result<()> {
    let _given_up = GivenUp(Arc::clone(floor));
    let mut set = JoinSet::new();
    let mut sources = sources.into_iter();
    for _ in 0..count {
        let session = hold.worker().await?;
        session.batch_execute(&format!("SET maintenance_work_mem = {index_memory}")).await?;
        set.spawn(Arc::clone(floor).work(session, sources.next()));
    }
    if let Some(producer) = producer {
        set.spawn(producer(Arc::clone(floor)));
    }
    let mut failure = None;
    loop {
        tokio::select! {
            Some(line) = heard.recv() => say(line),
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
