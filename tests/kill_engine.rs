//! The real program is killed at every boundary and inside every step: what `resume` or `rollback` then brings about is
//! what an undisturbed run brings about.
//!
//! `CUTOVER_KILL_SEED` repeats a choice, `CUTOVER_KILL_ONLY` takes only the places that contain a word.

#![expect(clippy::disallowed_methods, reason = "tests start the program and ask the engine as a person would")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by it, and a long one says how far it is")]

mod support;

#[path = "kill_engine/events.rs"]
mod events;
#[path = "kill_engine/orphans.rs"]
mod orphans;
#[path = "kill_engine/points.rs"]
mod points;
#[path = "kill_engine/site.rs"]
mod site;
#[path = "kill_engine/trial.rs"]
mod trial;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use cutover::journal::{Entry, Fact};
use points::{Point, Sync, boundaries, inside, syncs};
use site::{Site, Told};
use support::kill::{When, trace};
use trial::{Act, Hits, Trial, Way};

/// Fewer kills than this prove nothing.
const FEWEST: usize = 60;
/// After so many trials that failed, the rest is left.
const MOST_FAILURES: usize = 6;

/// Numbers that look random and come again with their seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for index in (1..list.len()).rev() {
            list.swap(index, usize::try_from(self.below(index as u64 + 1)).unwrap());
        }
    }
}

/// A site for an act that needs one of its own.
fn fresh(act: Act) -> Site {
    let mut site = Site::new("first");
    if act == Act::Adopted {
        site.adopt();
    }
    site
}

/// Does an act without disturbing it, and learns where its boundaries are.
fn learn(site: &mut Site, act: Act) -> (Vec<Sync>, Vec<Entry>) {
    if act == Act::Deploy {
        site.unmigrate();
    }
    site.project.set("TAG", act.tag());
    let file = site.project.path("trace");
    let output = trace(&mut site.project.command(act.arguments()), &file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(act.end().0), "{act:?} undisturbed said: {said}");
    site.at = act.end().1;
    site.judge(site.at).unwrap_or_else(|told| panic!("{act:?} undisturbed: {told}\n{said}"));
    let entries = site.runs().unwrap().last().unwrap().entries().unwrap();
    let found = syncs(&file);
    std::fs::remove_file(&file).unwrap();
    (found, entries)
}

/// A site that stands at release 1, to which a rollback has brought it: from here every act finds the same world.
fn ready(label: &str) -> Site {
    let mut site = Site::new(label);
    for act in [Act::First, Act::Deploy, Act::Rollback] {
        learn(&mut site, act);
    }
    site
}

fn trials(random: &mut Random) -> Vec<Trial> {
    let mut site = Site::new("learn");
    let first = learn(&mut site, Act::First);
    learn(&mut site, Act::Deploy);
    learn(&mut site, Act::Rollback);
    let mut all = Vec::new();
    for act in [Act::First, Act::Adopted, Act::Deploy, Act::Rollback, Act::Failing] {
        let (found, entries) = match act {
            Act::First => first.clone(),
            Act::Adopted => learn(&mut fresh(act), act),
            _ => learn(&mut site, act),
        };
        let mut points = boundaries(&found, &entries);
        let within = inside(&found, &entries, |limit| random.below(limit));
        println!("{act:?}: {} fsyncs, {} lines, {} places inside steps", found.len(), entries.len(), within.len());
        points.extend(within);
        if act == Act::Failing {
            // Until it fails it does what a deploy does.
            let turn = entries.iter().position(|entry| matches!(entry.fact, Fact::Failed { .. })).unwrap();
            let turn = found.iter().filter(|sync| sync.is_line).nth(turn).unwrap().number;
            points.retain(|point| point.number >= turn);
        } else {
            let place = "before the first fsync".into();
            points.push(Point { number: 1, when: When::Before, place });
        }
        random.shuffle(&mut points);
        if act == Act::Adopted {
            // All that is new here is that what runs has to be kept first.
            points.retain(|point| point.place.contains("pin_release"));
        }
        let most = if matches!(act, Act::First | Act::Adopted) { 6 } else { usize::MAX };
        for (index, point) in points.into_iter().take(most).enumerate() {
            let way = |random: &mut Random| if random.below(2) == 0 { Way::Resume } else { Way::Rollback };
            let again = (index % 4 == 3).then(|| {
                let when = if random.below(2) == 0 { When::Before } else { When::After };
                (u32::try_from(1 + random.below(14)).unwrap(), when, way(random))
            });
            let way = if index % 2 == 0 { Way::Resume } else { Way::Rollback };
            all.push(Trial { act, point, way, again, is_deploy_tried: index % 3 == 0 });
        }
    }
    random.shuffle(&mut all);
    all
}

/// Seconds after which no trial is begun any more, once there were enough; an idle machine with 4 cores does all of them before.
fn budget() -> u64 {
    std::env::var("CUTOVER_KILL_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(200)
}

/// Takes a trial that can begin where the site stands; else any.
fn next(queue: &Mutex<Vec<Trial>>, at: u8) -> Option<Trial> {
    let mut queue = queue.lock().unwrap();
    let fitting = queue.iter().position(|trial| trial.act.from() == at).unwrap_or(0);
    (!queue.is_empty()).then(|| queue.remove(fitting))
}

/// Carries one trial out, on the site or, where nothing may be there, on a site of its own.
fn attempt(site: &mut Site, trial: &Trial) -> Told<Hits> {
    let guarded = |site: &mut Site| {
        let outcome = catch_unwind(AssertUnwindSafe(|| trial::carry_out(site, trial)));
        outcome.unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().cloned();
            Err(words.or(panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default())
        })
    };
    if matches!(trial.act, Act::First | Act::Adopted) {
        return guarded(&mut fresh(trial.act));
    }
    if site.at != trial.act.from() {
        learn(site, if site.at == 1 { Act::Deploy } else { Act::Rollback });
    }
    guarded(site)
}

#[derive(Default)]
struct Results {
    kills: usize,
    trials: usize,
    places: BTreeMap<(Act, String), usize>,
    failures: Vec<String>,
}

fn work(label: &str, queue: &Mutex<Vec<Trial>>, results: &Mutex<Results>, watch: Instant) {
    let mut site = ready(label);
    let is_enough = || {
        let results = results.lock().unwrap();
        let is_late = watch.elapsed().as_secs() >= budget() && results.kills >= FEWEST;
        is_late || results.failures.len() >= MOST_FAILURES
    };
    while !is_enough()
        && let Some(trial) = next(queue, site.at)
    {
        let begun = Instant::now();
        let outcome = attempt(&mut site, &trial);
        let mut all = results.lock().unwrap();
        all.trials += 1;
        match outcome {
            Ok(hits) => {
                println!("{:>5} ms {} kills {}", begun.elapsed().as_millis(), hits.kills, trial.words());
                all.kills += hits.kills;
                *all.places.entry((trial.act, hits.place)).or_default() += hits.kills.min(1);
            }
            Err(told) => {
                println!("FAILED {}\n{told}\n", trial.words());
                all.failures.push(format!("{}\n{told}\n", trial.words()));
                drop(all);
                if !matches!(trial.act, Act::First | Act::Adopted) {
                    site = ready(label);
                }
            }
        }
    }
}

#[test]
fn a_kill_anywhere_leaves_nothing_that_resume_or_rollback_does_not_put_right() {
    let begun = Instant::now();
    let given = std::env::var("CUTOVER_KILL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs());
    println!("seed {seed}");
    let mut list = trials(&mut Random(seed.max(1)));
    if let Ok(only) = std::env::var("CUTOVER_KILL_ONLY") {
        list.retain(|trial| trial.words().contains(&only));
    }
    let (queue, results) = (Mutex::new(list), Mutex::new(Results::default()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (queue, results) = (&queue, &results);
            scope.spawn(move || work(&format!("kill{worker}"), queue, results, begun));
        }
    });
    let results = results.into_inner().unwrap();
    let (left, took) = (queue.into_inner().unwrap().len(), begun.elapsed().as_secs());
    println!("{} kills in {} trials, {took} s, {left} trials left out for want of time", results.kills, results.trials);
    for ((act, place), hits) in &results.places {
        println!("  {act:?} in {place:?}: {hits}");
    }
    let told = results.failures.join("\n");
    assert!(told.is_empty(), "seed {seed}: {} trials failed\n{told}", results.failures.len());
    assert!(results.kills >= FEWEST, "seed {seed}: only {} kills", results.kills);
}
