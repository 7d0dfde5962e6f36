//! A stage for the engine: an actor whose world and answers are scripted, and a record of every act in its order.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use anyhow::{Result, anyhow};
use cutover::journal::{Fact, Journal, JournalError, Lock, RunState, read, state::fold};
use cutover::redact::Redactor;
use cutover::report::event::Deaf;
use cutover::run::{End, Engine};
use cutover::step::plan::{Item, Plan, RunKind};
use cutover::step::{Actor, Answer, Say, Seen, Undone, World};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Whoever takes a lock holds this for reading, whoever starts a child for writing: a child inherits every lock that is held
/// when it is started, and keeps it until its end.
pub static ALONE: RwLock<()> = RwLock::new(());

/// The word that the redactor of the stage knows as a secret.
pub const SECRET: &str = "hunter2-hunter2";

/// A step or a gate, known by its name.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Deed {
    /// Name of the item.
    pub name: String,
    /// Whether it is a gate.
    pub is_gate: bool,
}

/// What happens when an act is carried out, instead of going well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// It ends without an error, and the world stays as it is.
    DoesNothing,
    /// It takes effect and then reports an error.
    FailsAfterwards,
    /// It reports an error.
    Fails,
    /// The engine is away; the world stays as it is.
    IsAway,
    /// The engine is away; the effect took place all the same.
    IsAwayAfterwards,
    /// The engine is away; meanwhile somebody else changed the world.
    IsAwayAndForeign,
    /// It never ends.
    Hangs,
    /// It works for ever, and a person asks to stop once.
    IsAskedToStop,
    /// It never ends, and a person asks to stop twice.
    IsStoppedTwice,
    /// The effect stays.
    Stays,
}

/// On which side a step's world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before.
    Before,
    /// After.
    After,
    /// Half-way.
    Between,
    /// Somebody else's.
    Foreign,
}

/// The actor.
pub struct Stage {
    /// Where the journal is.
    pub place: tempfile::TempDir,
    /// The sides of the steps; `Before` where nothing is said.
    pub sides: RefCell<BTreeMap<String, Side>>,
    /// The scripts of `run`, `undo` and `ask`, by `act name`, used up in their order.
    pub scripts: RefCell<BTreeMap<String, VecDeque<Script>>>,
    /// Every `run`, `undo` and `ask`, and what the journal said last before it.
    pub acts: RefCell<Vec<String>>,
    /// Last lines of the journal as each act found them on disk.
    pub found: RefCell<Vec<Fact>>,
    asks: watch::Sender<u8>,
    stop: watch::Receiver<u8>,
    is_first: Cell<bool>,
}

impl Stage {
    /// An empty stage.
    pub fn new() -> Self {
        let (asks, stop) = watch::channel(0);
        Self {
            place: tempfile::tempdir().unwrap(),
            sides: RefCell::default(),
            scripts: RefCell::default(),
            acts: RefCell::default(),
            found: RefCell::default(),
            asks,
            stop,
            is_first: Cell::new(true),
        }
    }

    /// Puts a step's world on a side.
    pub fn with(self, name: &str, side: Side) -> Self {
        self.sides.borrow_mut().insert(name.into(), side);
        self
    }

    /// Scripts the next act of this kind and name.
    pub fn when(self, act: &str, script: Script) -> Self {
        self.scripts.borrow_mut().entry(act.into()).or_default().push_back(script);
        self
    }

    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.place.path().join("0001-deploy.jsonl")
    }

    /// The run as its journal tells it.
    pub fn state(&self) -> RunState {
        fold(1, "deploy", &read(&self.journal()).unwrap())
    }

    /// The acts since the last time this was asked for.
    pub fn acts(&self) -> Vec<String> {
        self.acts.take()
    }

    /// The facts of the journal as short words: `started a`, `done a`.
    pub fn told(&self) -> Vec<String> {
        read(&self.journal()).unwrap().iter().filter_map(|entry| words(&entry.fact)).collect()
    }

    /// Which side a step is on.
    pub fn side(&self, name: &str) -> Side {
        self.sides.borrow().get(name).copied().unwrap_or(Side::Before)
    }

    fn script(&self, act: &str, name: &str) -> Option<Script> {
        let key = format!("{act} {name}");
        self.acts.borrow_mut().push(key.clone());
        self.found.borrow_mut().extend(read(&self.journal()).unwrap().pop().map(|entry| entry.fact));
        self.scripts.borrow_mut().get_mut(&key).and_then(VecDeque::pop_front)
    }

    async fn play(&self, act: &str, deed: &Deed, goal: Side) -> Result<Option<Script>> {
        let put = |side| self.sides.borrow_mut().insert(deed.name.clone(), side);
        let script = self.script(act, &deed.name);
        match &script {
            None | Some(Script::FailsAfterwards | Script::IsAwayAfterwards) => {
                put(goal);
            }
            Some(Script::IsAwayAndForeign) => {
                put(Side::Foreign);
            }
            Some(Script::IsAskedToStop) => {
                self.asks.send_modify(|times| *times += 1);
                tokio::task::yield_now().await;
                put(goal);
            }
            Some(Script::IsStoppedTwice) => {
                put(Side::Between);
                self.asks.send_modify(|times| *times += 2);
                std::future::pending::<()>().await;
            }
            Some(Script::Hangs) => {
                self.asks.send_modify(|times| *times += 1);
                std::future::pending::<()>().await;
            }
            _ => {}
        }
        match script {
            Some(Script::Fails | Script::FailsAfterwards) => Err(anyhow!("{act} failed: {SECRET}")),
            Some(Script::IsAway | Script::IsAwayAfterwards | Script::IsAwayAndForeign) => Err(anyhow!("away")),
            _ => Ok(script),
        }
    }

    /// Carries the plan out as `cutover deploy` and `cutover resume` do, on one thread.
    pub fn go(&self, plan: &Plan<Deed>, way: Way) -> Result<End, JournalError> {
        let clock = || String::from("2026-01-02T03:04:05.000Z");
        let mut journal = if self.is_first.replace(false) {
            let mut journal = Journal::create(&self.journal(), "boot".into(), clock)?;
            journal.append(super::planned(plan))?;
            journal
        } else {
            Journal::go_on(&self.journal(), "boot".into(), clock)?.0
        };
        let _alone = ALONE.read().unwrap_or_else(PoisonError::into_inner);
        let mut lock = Lock::take(self.place.path(), "deploy", clock()).unwrap();
        let redactor = Redactor::new([SECRET.to_owned()]);
        self.asks.send_modify(|times| *times = 0);
        let state = self.state();
        let mut engine = Engine {
            plan,
            actor: self,
            journal: &mut journal,
            lock: &mut lock,
            number: 1,
            listener: &Deaf,
            redactor: &redactor,
            stop: self.stop.clone(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            match way {
                Way::Forward => engine.forward(&state).await,
                Way::Back => engine.rewind(&state, true).await,
            }
        })
    }
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Forward.
    Forward,
    /// Back.
    Back,
}

fn words(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::Started { name, .. } => format!("started {name}"),
        Fact::Done { name, already: true, .. } => format!("already {name}"),
        Fact::Done { name, .. } => format!("done {name}"),
        Fact::Failed { name, .. } => format!("failed {name}"),
        Fact::Undoing { name, .. } => format!("undoing {name}"),
        Fact::Undone { name, stays: true, .. } => format!("stays {name}"),
        Fact::Undone { name, .. } => format!("undone {name}"),
        Fact::Note { text } => format!("note {text}"),
        _ => return None,
    })
}

impl Actor for Stage {
    type Act = Deed;

    fn is_gate(&self, deed: &Deed) -> bool {
        deed.is_gate
    }

    async fn check(&self, deed: &Deed) -> Result<World> {
        Ok(match self.side(&deed.name) {
            Side::Before => World::Before(format!("before, {SECRET}")),
            Side::After => World::After(format!("after, {SECRET}")),
            Side::Between => World::Between("between".into()),
            Side::Foreign => World::Foreign("another container".into()),
        })
    }

    async fn run(&self, deed: &Deed, say: Say<'_>) -> Result<Value> {
        say(format!("runs {}", deed.name));
        self.play("run", deed, Side::After).await.map(|_| json!({ "made": [SECRET] }))
    }

    async fn undo(&self, deed: &Deed, _: Say<'_>) -> Result<Undone> {
        if self.scripts.borrow().get(&format!("undo {}", deed.name)).and_then(VecDeque::front) == Some(&Script::Stays) {
            self.script("undo", &deed.name);
            return Ok(Undone::Stays("it stays".into()));
        }
        self.play("undo", deed, Side::Before).await.map(|_| Undone::Back)
    }

    async fn ask(&self, deed: &Deed, _: Say<'_>) -> Result<Seen> {
        let script = self.play("ask", deed, Side::After).await?;
        let answer = if script == Some(Script::DoesNothing) { Answer::Refused } else { Answer::Passed };
        Ok(Seen { answer, words: format!("seen by {}", deed.name), data: Value::Null })
    }

    fn is_ground(&self, deed: &Deed) -> bool {
        deed.name.starts_with("ground")
    }

    fn is_away(&self, error: &anyhow::Error) -> bool {
        error.to_string() == "away"
    }
}

/// A plan of these items: `a` is a step, `a?` is a gate, `-a` is a step that is undone.
pub fn plan(items: &[&str], home: &[&str]) -> Plan<Deed> {
    let item = |word: &&str| {
        let name = word.trim_start_matches('-').trim_end_matches('?').to_owned();
        let deed = Deed { name: name.clone(), is_gate: word.ends_with('?') };
        Item { title: name.clone(), name, back: word.starts_with('-'), action: deed }
    };
    let (items, home) = (items.iter().map(item).collect(), home.iter().map(item).collect());
    Plan { items, home, ..Plan::empty(RunKind::Deploy, "stage", "test") }
}
