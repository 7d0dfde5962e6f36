//! A real process is killed with SIGKILL at random moments of a 40-step journal with real fsync, 10,000 times and more.
//!
//! Law: after `resume` or `rollback` the end is that of an undisturbed run, nothing is done twice, no lock is left.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use cutover::adapter::clock::Stopwatch;
use cutover::journal::Outcome;

#[path = "journal_kill/driver.rs"]
mod driver;
#[path = "journal_kill/proof.rs"]
mod proof;
#[path = "journal_kill/world.rs"]
mod world;

use driver::{Order, Verb, folded};
use proof::{Landed, Tale};
use world::{Files, STEPS};

/// Kills of one run of the test.
const KILLS: usize = 10_000;
/// A process lives for a random part of this share of a whole run; the next one goes on where it was killed, so that
/// the moments of all of them are spread over the whole run.
const SHARE: u64 = 12;
/// One process in so many may live for a whole run.
const LONG_LIVES: u64 = 16;

type World = BTreeMap<String, Vec<u8>>;

#[test]
#[ignore = "it is the process that the other tests start and kill"]
fn the_process_that_is_killed() {
    driver::obey();
}

#[test]
fn whenever_a_run_is_killed_its_end_is_that_of_an_undisturbed_run() {
    let watch = Stopwatch::start();
    let seed = seed();
    let workers = std::thread::available_parallelism().map_or(4, |cores| cores.get() * 4);
    let trial = Trial {
        ends: Ends::undisturbed(),
        whole: whole_run(workers),
        tally: Tally::default(),
        has_failed: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        for worker in 0..workers as u64 {
            let trial = &trial;
            scope.spawn(move || trial.work(seed, worker));
        }
    });
    let tally = &trial.tally;
    let (kills, halves) = (tally.kills.load(Ordering::Relaxed), tally.halves.load(Ordering::Relaxed));
    let landed = tally.landed.lock().unwrap();
    let (fewest, place) = fewest(&landed);
    let line = format!(
        "{kills} kills in {:.1} s: {halves} inside an effect, at least {fewest} in each of {STEPS} steps and on each \
         way; a whole run takes {:?}; seed {seed}\n",
        watch.elapsed().as_secs_f64(),
        trial.whole
    );
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    assert!(kills >= KILLS, "{kills} kills");
    assert!(halves > 0, "no kill came between the acts of a step");
    assert!(fewest > 0, "no kill landed {place:?}: {landed:?}");
}

/// The seed of the delays and choices; `CUTOVER_TEST_SEED` repeats one.
#[expect(clippy::disallowed_methods, reason = "it is set by hand, for this test alone")]
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    let given = std::env::var("CUTOVER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| RandomState::new().hash_one(0))
}

/// A state directory on a real file system, with a world in it.
fn place() -> (tempfile::TempDir, Order) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    Files::make(&directory.path().join("world")).unwrap();
    let order = Order { place: directory.path().to_owned(), refused: None, verb: Verb::Go };
    (directory, order)
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// By itself.
    Whole,
    /// By the kill.
    Killed,
}

/// Starts the process and kills it `delay` after it has begun, unless it ends before.
fn live(order: &Order, delay: Duration) -> Life {
    let mut child = order.command().spawn().unwrap();
    let mut pipe = child.stderr.take().unwrap();
    let (said, hears) = channel();
    let reader = std::thread::spawn(move || {
        let mut piece = [0_u8; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut piece) {
            // Nobody listens once the process is killed.
            let _ = said.send(piece[..length].to_vec());
        }
    });
    let mut heard = hears.recv().unwrap_or_default();
    if heard == b"b" {
        match hears.recv_timeout(delay) {
            Ok(piece) => heard.extend(piece),
            Err(RecvTimeoutError::Timeout) => child.kill().unwrap(),
            Err(RecvTimeoutError::Disconnected) => {}
        }
    }
    let status = child.wait().unwrap();
    reader.join().unwrap();
    heard.extend(hears.iter().flatten());
    let is_killed = status.signal() == Some(rustix::process::Signal::KILL.as_raw());
    match heard.as_slice() {
        b"b" if is_killed => Life::Killed,
        // The kill came when everything was over: it counts for nothing.
        b"be" if is_killed || status.success() => Life::Whole,
        _ => panic!("{status}: {}\n{order:?}", String::from_utf8_lossy(&heard)),
    }
}

/// How long a whole run takes here, with as many beside it as there will be.
fn whole_run(workers: usize) -> Duration {
    let one = || {
        let (_directory, order) = place();
        let watch = Stopwatch::start();
        assert_eq!(live(&order, Duration::MAX), Life::Whole);
        watch.elapsed()
    };
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..workers).map(|_| scope.spawn(one)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).max().unwrap()
    })
}

/// The worlds after runs that nobody disturbed.
struct Ends {
    done: World,
    refused: BTreeMap<usize, World>,
    undone: World,
}

impl Ends {
    fn undisturbed() -> Self {
        let run = |refused| {
            let (directory, order) = place();
            let order = Order { refused, ..order };
            assert_eq!(live(&order, Duration::MAX), Life::Whole);
            (directory, order)
        };
        let (_directory, order) = run(None);
        let done = order.files().bytes().unwrap();
        assert_eq!(live(&Order { verb: Verb::Undo, ..order.clone() }, Duration::MAX), Life::Whole);
        let undone = order.files().bytes().unwrap();
        let refused = (5..=STEPS).step_by(5).map(|gate| (gate, run(Some(gate)).1.files().bytes().unwrap())).collect();
        Self { done, refused, undone }
    }
}

/// What the kills hit.
#[derive(Debug, Default)]
struct Tally {
    kills: AtomicUsize,
    halves: AtomicUsize,
    landed: Mutex<BTreeMap<Landed, usize>>,
}

/// Where the fewest kills landed, of all steps on both ways.
fn fewest(landed: &BTreeMap<Landed, usize>) -> (usize, Landed) {
    let places = (0..STEPS).flat_map(|step| [Landed::In(step), Landed::Undoing(step)]);
    places.map(|place| (landed.get(&place).copied().unwrap_or(0), place)).min().unwrap()
}

impl Tally {
    /// Enough kills, and none of the places left out. Where a kill lands depends on the machine: it gets three times as many
    /// to land everywhere.
    fn is_enough(&self) -> bool {
        let kills = self.kills.load(Ordering::Relaxed);
        let is_everywhere = || self.halves.load(Ordering::Relaxed) > 0 && fewest(&self.landed.lock().unwrap()).0 > 0;
        kills >= KILLS && (kills >= 3 * KILLS || is_everywhere())
    }
}

struct Trial {
    ends: Ends,
    whole: Duration,
    tally: Tally,
    has_failed: AtomicBool,
}

impl Trial {
    /// Runs one case after another until there were enough kills.
    fn work(&self, seed: u64, worker: u64) {
        let _alarm = Alarm { seed, has_failed: &self.has_failed };
        let mut dice = Dice(seed ^ worker.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        while !self.tally.is_enough() && !self.has_failed.load(Ordering::Relaxed) {
            match dice.below(3) {
                0 => self.done_then_undone(&mut dice),
                1 => self.refused(&mut dice),
                _ => self.turned_back(&mut dice),
            }
        }
    }

    /// A deploy that is resumed until it is done; then a rollback that is resumed until it is done.
    fn done_then_undone(&self, dice: &mut Dice) {
        let (_directory, order) = place();
        let mut tale = Tale::default();
        while self.life(&order, &mut tale, dice) == Life::Killed {}
        proof::is_same(&order, &self.ends.done);
        let undo = Order { verb: Verb::Undo, ..order };
        while self.life(&undo, &mut tale, dice) == Life::Killed {}
        proof::is_same(&undo, &self.ends.undone);
    }

    /// A deploy that a gate refuses, so that it turns back by itself; resumed until it is home.
    fn refused(&self, dice: &mut Dice) {
        let (_directory, order) = place();
        let gate = (dice.below(STEPS as u64 / 5) as usize + 1) * 5;
        let order = Order { refused: Some(gate), ..order };
        let mut tale = Tale::default();
        while self.life(&order, &mut tale, dice) == Life::Killed {}
        proof::is_same(&order, &self.ends.refused[&gate]);
        proof::is_home(&order);
    }

    /// A deploy that a person resumes or turns back after each kill.
    fn turned_back(&self, dice: &mut Dice) {
        let (_directory, mut order) = place();
        let mut tale = Tale::default();
        while self.life(&order, &mut tale, dice) == Life::Killed {
            order.verb = if dice.below(3) == 0 { Verb::TurnBack } else { Verb::Go };
        }
        match folded(&order.journal()).outcome {
            Some((Outcome::Done, _)) => proof::is_same(&order, &self.ends.done),
            Some((Outcome::RolledBack, _)) => proof::is_home(&order),
            other => panic!("the run has not ended: {other:?}"),
        }
    }

    /// One process, killed at a random moment; everything that always holds is proven after it.
    fn life(&self, order: &Order, tale: &mut Tale, dice: &mut Dice) -> Life {
        let share = if dice.below(LONG_LIVES) == 0 { 1 } else { SHARE };
        let span = u64::try_from(self.whole.as_nanos()).unwrap() / share;
        let life = live(order, Duration::from_nanos(dice.below(span)));
        let (landed, is_half_way) = tale.holds(order);
        if life == Life::Killed {
            self.tally.kills.fetch_add(1, Ordering::Relaxed);
            self.tally.halves.fetch_add(usize::from(is_half_way), Ordering::Relaxed);
            *self.tally.landed.lock().unwrap().entry(landed).or_default() += 1;
        }
        life
    }
}

/// Tells the seed when a case fails, and stops the others.
struct Alarm<'a> {
    seed: u64,
    has_failed: &'a AtomicBool,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.has_failed.store(true, Ordering::Relaxed);
            let line = format!("repeat it with CUTOVER_TEST_SEED={}\n", self.seed);
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

/// SplitMix64: small, seeded, the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}
