//! A world of files for a synthetic plan of 40 steps and 8 gates: a kill inside a step leaves it between two states.
//!
//! Law: an effect and its count change in one rename, so what is done twice is counted twice, whenever the kill comes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cutover::step::plan::{Item, Plan, RunKind};
use cutover::step::{Actor, Answer, Say, Seen, Undone, World};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Steps of the plan.
pub const STEPS: usize = 40;
/// After every so many steps stands a gate.
const GATE_EVERY: usize = 5;

/// What the plan holds.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Deed {
    /// Sets one file from off to on.
    Set {
        /// Number of the step.
        step: usize,
        /// Whether its effect stays on the way back.
        stays: bool,
    },
    /// Asks whether the steps before it are on, back to the last gate; with none before it, whether all are off.
    Expect {
        /// How many steps are before it.
        on: usize,
        /// Whether it refuses all the same.
        refuses: bool,
    },
}

/// One file's content.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct State {
    /// Whether the step's effect is there.
    pub is_on: bool,
    /// How often it was done.
    pub done: u32,
    /// How often it was undone.
    pub undone: u32,
}

/// The directory of the files.
#[derive(Clone, Debug)]
pub struct Files(pub PathBuf);

impl Files {
    /// Makes the world as it is before the run.
    pub fn make(path: &Path) -> io::Result<Self> {
        fs::create_dir(path)?;
        let files = Self(path.to_owned());
        for step in 0..STEPS {
            fs::write(files.file(step), words(State::default()))?;
        }
        Ok(files)
    }

    fn file(&self, step: usize) -> PathBuf {
        self.0.join(format!("{step:02}"))
    }

    /// What a step prepares before its effect.
    pub fn next(&self, step: usize) -> PathBuf {
        self.0.join(format!("{step:02}.next"))
    }

    /// What the undoing of a step prepares.
    pub fn back(&self, step: usize) -> PathBuf {
        self.0.join(format!("{step:02}.back"))
    }

    /// One step's state.
    pub fn state(&self, step: usize) -> Result<State> {
        let path = self.file(step);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).context("the world's file is torn")
    }

    /// Whether a kill left the step half-way.
    pub fn is_between(&self, step: usize) -> bool {
        self.next(step).exists() || self.back(step).exists()
    }

    /// All steps at one look: the state of each, and whether something is prepared beside it.
    pub fn all(&self) -> Result<Vec<(State, bool)>> {
        let mut all = vec![(State::default(), false); STEPS];
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            let (step, aside) = name.to_str().context("not a name of ours")?.split_at(2);
            let step: usize = step.parse()?;
            if aside.is_empty() { all[step].0 = self.state(step)? } else { all[step].1 = true }
        }
        Ok(all)
    }

    /// Every file and its bytes.
    pub fn bytes(&self) -> io::Result<BTreeMap<String, Vec<u8>>> {
        let read = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            Ok((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?))
        };
        fs::read_dir(&self.0)?.map(read).collect()
    }

    /// Puts a state in place by way of `aside`, in three acts between which a kill can come.
    fn put(&self, step: usize, aside: &Path, state: State) -> Result<()> {
        let mut file = fs::File::create(aside)?;
        file.write_all(words(state).as_bytes())?;
        fs::rename(aside, self.file(step))?;
        Ok(())
    }
}

fn words(state: State) -> String {
    json!(state).to_string() + "\n"
}

impl Actor for Files {
    type Act = Deed;

    fn is_gate(&self, deed: &Deed) -> bool {
        matches!(deed, Deed::Expect { .. })
    }

    async fn check(&self, deed: &Deed) -> Result<World> {
        let Deed::Set { step, .. } = *deed else { return Ok(World::Before("a gate has no sides".into())) };
        Ok(match self.state(step)? {
            _ if self.is_between(step) => World::Between("something is prepared".into()),
            state if state.is_on => World::After("on".into()),
            _ => World::Before("off".into()),
        })
    }

    async fn run(&self, deed: &Deed, say: Say<'_>) -> Result<Value> {
        let Deed::Set { step, .. } = *deed else { return Ok(Value::Null) };
        say(format!("sets {step}"));
        let state = self.state(step)?;
        self.put(step, &self.next(step), State { is_on: true, done: state.done + 1, ..state })?;
        Ok(json!({ "step": step }))
    }

    async fn undo(&self, deed: &Deed, _: Say<'_>) -> Result<Undone> {
        let Deed::Set { step, stays } = *deed else { return Ok(Undone::Stays("a gate changes nothing".into())) };
        if self.next(step).exists() {
            fs::remove_file(self.next(step))?;
        }
        let state = self.state(step)?;
        if state.is_on && stays {
            return Ok(Undone::Stays("it stays".into()));
        }
        if state.is_on {
            self.put(step, &self.back(step), State { is_on: false, undone: state.undone + 1, ..state })?;
        }
        Ok(Undone::Back)
    }

    async fn ask(&self, deed: &Deed, _: Say<'_>) -> Result<Seen> {
        let Deed::Expect { on, refuses } = *deed else { anyhow::bail!("not a gate") };
        let mut wrong = Vec::new();
        // A step behind the gate is not asked for: the run may have stopped half-way in it, and the gate is asked again
        // because nothing behind it was finished.
        for step in if on == 0 { 0..STEPS } else { on - GATE_EVERY..on } {
            let state = self.state(step)?;
            let is_right = if on == 0 { !state.is_on || stays(step) } else { state.is_on };
            if !is_right || self.is_between(step) {
                wrong.push(step);
            }
        }
        let words = format!("wrong: {wrong:?}");
        let answer = if wrong.is_empty() && !refuses { Answer::Passed } else { Answer::Refused };
        Ok(Seen { answer, words, data: Value::Null })
    }

    fn is_away(&self, _: &anyhow::Error) -> bool {
        false
    }
}

/// Whether a step's effect stays on the way back: every tenth does.
pub fn stays(step: usize) -> bool {
    step % 10 == 7
}

fn set(step: usize, back: bool) -> Item<Deed> {
    let name = format!("{}set_{step:02}", if back { "undo_" } else { "" });
    Item { title: name.clone(), name, back, action: Deed::Set { step, stays: stays(step) } }
}

fn expect(on: usize, refuses: bool) -> Item<Deed> {
    let name = format!("expect_{on:02}");
    Item { title: name.clone(), name, back: false, action: Deed::Expect { on, refuses } }
}

fn plan(kind: RunKind, items: Vec<Item<Deed>>, home: Vec<Item<Deed>>) -> Plan<Deed> {
    Plan { items, home, ..Plan::empty(kind, "steps", "test") }
}

/// 40 steps, and a gate after every fifth; the gate after `refused` steps refuses.
pub fn deploy(refused: Option<usize>) -> Plan<Deed> {
    let mut items = Vec::new();
    for step in 0..STEPS {
        items.push(set(step, false));
        if (step + 1) % GATE_EVERY == 0 {
            items.push(expect(step + 1, refused == Some(step + 1)));
        }
    }
    plan(RunKind::Deploy, items, vec![expect(0, false)])
}

/// The list that undoes a whole deploy in a run of its own.
pub fn rollback() -> Plan<Deed> {
    let mut items: Vec<Item<Deed>> = (0..STEPS).rev().map(|step| set(step, true)).collect();
    items.push(expect(0, false));
    plan(RunKind::Rollback, items, Vec::new())
}
