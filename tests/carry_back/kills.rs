//! SIGKILL at moments that dice choose (so long after some line of the journal became durable), in `data apply`, in its undoing, and in a rollback that carries changes back;
//! each is followed by `resume`. In the end every row is where an undisturbed run has it.

use std::process::Stdio;
use std::time::Duration;

use crate::site::Site;
use crate::support::cluster::shared;
use crate::support::kill::{When, kill_at, was_killed};
use crate::support::written::WRITES;

/// Numbers that look random and are the same in every run of the test.
struct Dice(u64);

impl Dice {
    fn up_to(&mut self, most: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(most)).unwrap()
    }
}

/// Runs a verb and kills it at some moment, so often, and takes it to its end by `resume`; gives how many were killed.
fn to_its_end(site: &Site<'_>, verb: &[&str], lines: u32, wanted: usize, dice: &mut Dice) -> usize {
    let (mut next, mut killed) = (verb, 0);
    loop {
        let log = site.migration.path("said.txt");
        let file = std::fs::File::create(&log).unwrap();
        let mut command = site.migration.command(next);
        if killed < wanted {
            let delay = Duration::from_millis(u64::from(dice.up_to(300)));
            kill_at(&mut command, 1 + dice.up_to(lines), When::Later(delay));
        }
        let status = command.stdout(Stdio::from(file.try_clone().unwrap())).stderr(Stdio::from(file)).status().unwrap();
        let said = std::fs::read_to_string(log).unwrap();
        match status.code() {
            _ if was_killed(status) => {
                killed += 1;
                next = &["resume"];
            }
            Some(0) => return killed,
            // It was killed before it began, or after its end was written down: the verb itself tells which.
            Some(4) if said.contains("nothing to resume") => next = verb,
            Some(4) if said.contains("was already undone") => return killed,
            code => panic!("{next:?} after {killed} kills of {verb:?} ended with {code:?}:\n{said}"),
        }
    }
}

/// Applies and takes back, with kills; gives how many there were on each way.
fn lane(seed: u64) -> [usize; 2] {
    let cluster = shared();
    let site = Site::new(&cluster, &format!("kills_{seed}"));
    let mut dice = Dice(seed);
    site.move_rows(false);
    let before = site.source_rows();
    site.at_target(WRITES);
    let after = site.target_rows_as_the_source_has_them();
    let (told, _) = site.migration.json(&["data", "diff"]);
    let file = told["changes"]["file"].as_str().unwrap();
    let (apply, back) = (["data", "apply", file, "--yes"], ["rollback", "--yes"]);

    let mut kills = [0; 2];
    while kills[0] < 4 || kills[1] < 4 {
        kills[0] += to_its_end(&site, &apply, 3, 6, &mut dice);
        assert_eq!(site.source_rows(), after, "seed {seed}");
        kills[1] += to_its_end(&site, &back, 3, 6, &mut dice);
        assert_eq!(site.source_rows(), before, "seed {seed}");
    }
    kills
}

#[test]
fn killed_at_any_moment_an_application_and_its_undoing_end_row_for_row_as_if_nothing_had_happened() {
    let lanes: Vec<_> = [11, 23].map(|seed| std::thread::spawn(move || lane(seed))).into();
    let kills: Vec<[usize; 2]> = lanes.into_iter().map(|lane| lane.join().unwrap()).collect();
    println!("killed forth and back, by lane: {kills:?}");
}

/// Rolls a move back, with kills, and again from the beginning until there were enough; gives how many there were.
fn carried_back(seed: u64) -> usize {
    let cluster = shared();
    let (mut dice, mut killed, mut turn) = (Dice(seed), 0, 0);
    while killed < 4 {
        let site = Site::new(&cluster, &format!("back_{seed}_{turn}"));
        site.move_rows(seed.is_multiple_of(2));
        site.at_target(WRITES);
        let written = site.target_rows_as_the_source_has_them();
        killed += to_its_end(&site, &["rollback", "--yes"], 12, 7, &mut dice);
        assert_eq!(site.source_rows(), written, "seed {seed}, turn {turn}");
        assert!(site.takes_writes(&site.migration.source));
        assert_eq!(site.at_target("SELECT count(*) FROM sites"), "0");
        turn += 1;
    }
    killed
}

#[test]
fn killed_at_any_moment_a_rollback_that_carries_changes_back_loses_none() {
    let lanes: Vec<_> = [5, 17, 42].map(|seed| std::thread::spawn(move || carried_back(seed))).into();
    let killed: usize = lanes.into_iter().map(|lane| lane.join().unwrap()).sum();
    assert!(killed >= 10, "{killed}");
}
