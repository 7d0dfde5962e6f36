//! The process that is killed: it takes the lock, begins the run or goes on with it, and carries it to its end.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cutover::adapter::clock;
use cutover::journal::entry::FORMAT;
use cutover::journal::{Entry, Fact, Header, Journal, Lock, Outcome, RunState, read, runs, state::fold};
use cutover::redact::Redactor;
use cutover::report::event::Deaf;
use cutover::run::{End, Engine};
use cutover::step::plan::Plan;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::world::{Deed, Files, deploy, rollback};

const ORDER: &str = "CUTOVER_TEST_ORDER";

/// What the process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The state directory; the world is in it as well.
    pub place: PathBuf,
    /// The gate of the deploy that refuses.
    pub refused: Option<usize>,
    /// What a person types.
    pub verb: Verb,
}

/// What a person types.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub enum Verb {
    /// `cutover deploy`, and `cutover resume` after a kill.
    Go,
    /// `cutover rollback` while the run is interrupted: the same run turns back.
    TurnBack,
    /// `cutover rollback` of the finished run: a run of its own, whose items are undone.
    Undo,
}

impl Order {
    /// The journal that the order writes.
    pub fn journal(&self) -> PathBuf {
        let (number, kind) = if self.verb == Verb::Undo { (2, "rollback") } else { (1, "deploy") };
        runs::journal_path(&self.place, number, kind)
    }

    fn plan(&self) -> Plan<Deed> {
        if self.verb == Verb::Undo { rollback() } else { deploy(self.refused) }
    }

    /// The world of the order.
    pub fn files(&self) -> Files {
        Files(self.place.join("world"))
    }

    /// The process that carries the order out: this test binary again. It says `b` on its error output when it
    /// begins and `e` when it has ended.
    #[expect(clippy::disallowed_methods, reason = "the child under test is this binary itself")]
    pub fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "the_process_that_is_killed", "--ignored", "--test-threads=1", "--nocapture"])
            .env(ORDER, serde_json::to_string(self).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

/// Carries out the order in the environment, if there is one.
#[expect(clippy::disallowed_methods, reason = "the parent gives its order by the environment")]
pub fn obey() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let order: Order = serde_json::from_str(&order).unwrap();
    std::io::stderr().write_all(b"b").unwrap();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(carry_out(&order));
    std::io::stderr().write_all(b"e").unwrap();
}

async fn carry_out(order: &Order) {
    let mut lock = Lock::take(&order.place, "deploy", clock::now()).unwrap();
    let (plan, path, files) = (order.plan(), order.journal(), order.files());
    let (mut journal, entries) = opened(&path, &plan);
    let state = fold(1, "deploy", &entries);
    if matches!(state.outcome, Some((Outcome::Done | Outcome::RolledBack, _))) {
        return;
    }
    let (_keep, stop) = watch::channel(0);
    let mut engine = Engine {
        plan: &plan,
        actor: &files,
        journal: &mut journal,
        lock: &mut lock,
        number: state.number,
        listener: &Deaf,
        redactor: &Redactor::default(),
        stop,
    };
    let is_going_back = state.is_going_back || order.verb == Verb::TurnBack;
    let mut now = state.clone();
    if !is_going_back {
        match engine.forward(&state).await.unwrap() {
            End::Done => return engine.finish(Outcome::Done, 0, "done").unwrap(),
            End::Failed { .. } if order.refused.is_some() => now = folded(&path),
            other => panic!("{other:?}"),
        }
    }
    let end = engine.rewind(&now, true).await.unwrap();
    assert_eq!(end, End::Done, "the way home");
    engine.finish(Outcome::RolledBack, 7, "rolled back").unwrap();
}

fn opened(path: &Path, plan: &Plan<Deed>) -> (Journal, Vec<Entry>) {
    let (boot, clock) = (clock::boot_id(), clock::now);
    let (mut journal, mut entries) = if path.exists() {
        Journal::go_on(path, boot, clock).unwrap()
    } else {
        (Journal::create(path, boot, clock).unwrap(), Vec::new())
    };
    let first = if entries.is_empty() {
        let header = Header {
            format: FORMAT,
            number: 1,
            run: plan.kind.word().into(),
            project: plan.project.clone(),
            environment: plan.environment.clone(),
            by: "test".into(),
            version: "0".into(),
            plan_hash: plan.hash(),
            undoes: None,
        };
        Fact::Planned { header, plan: plan.to_json() }
    } else {
        Fact::Note { text: "goes on".into() }
    };
    entries.push(journal.append(first).unwrap());
    (journal, entries)
}

/// The run as its journal tells it.
pub fn folded(path: &Path) -> RunState {
    fold(1, "deploy", &read(path).unwrap())
}
