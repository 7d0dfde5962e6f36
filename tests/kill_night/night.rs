//! The way through a night as a person goes it: what the journal says stands open is gone on with, approved, or undone.

use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use cutover::journal::{Outcome, RunState, runs};
use cutover::report::checkpoint::shown;

use crate::lane::{Lane, Rows, Tally};
use crate::support::kill::{When, kill_at, trace, was_killed};

/// The most kills of one night, so that each night ends.
const MOST: usize = 12;

/// How long a night takes that nobody disturbs, how often it waits for the disk, and how often one is disturbed.
const NIGHT_MS: u64 = 20_000;
const NIGHT_SYNCS: u32 = 340;
const KILLS_A_NIGHT: u64 = 6;
/// Acts that take long: milliseconds, and calls of fsync.
const USUAL: [(&str, u64, u32); 8] = [
    ("run", 1_500, 12),
    ("resume from production-ready", 1_500, 20),
    ("resume from frozen", 1_000, 27),
    ("resume from exported", 1_000, 50),
    ("resume from users-mapped", 6_000, 77),
    ("resume from a kill", 4_000, 60),
    ("rollback", 6_000, 90),
    ("resume the rollback", 5_000, 60),
];

/// How a night ended.
pub enum End {
    Done,
    Undone,
}

impl Lane {
    /// Nights with kills until there were so many. With `is_measured`, nobody disturbs the first one: it tells how long each
    /// act takes here and now, so that the moments lie all over the night.
    pub fn killed_so_often(mut self, wanted: usize, is_measured: bool) -> Tally {
        if is_measured {
            self.one(0, None);
        }
        while self.tally.kills < wanted {
            // Every second night is given up after some kill; each night that ended well is undone afterwards.
            let gives_up = ((self.nights + self.number) % 2 == 1).then(|| self.tally.kills + 1 + self.below(4));
            self.one(wanted, gives_up);
        }
        std::mem::take(&mut self.tally)
    }

    fn below(&mut self, most: u64) -> usize {
        usize::try_from(self.dice.up_to(most)).unwrap()
    }

    fn one(&mut self, wanted: usize, gives_up: Option<usize>) {
        self.nights += 1;
        self.story.clear();
        let before = self.source_rows();
        let (first, most) = (self.last().map_or(0, |run| run.number), wanted.min(self.tally.kills + MOST));
        let writer = self.begin_to_write();
        let (end, written) = self.walk(first, most, gives_up);
        writer.end();
        match end {
            End::Done => {
                self.judge_end(&before, &self.where_());
                self.tally.ended += 1;
                let (first, most) = (self.last().unwrap().number, wanted.min(self.tally.kills + MOST / 2));
                let written = self.write_to_the_new_side();
                let (end, _) = self.walk(first, most, Some(0));
                assert!(matches!(end, End::Undone), "{}", self.where_());
                self.judge_way_back(&written, &self.where_());
                self.judge_closed(&self.where_());
            }
            End::Undone => {
                self.judge_way_back(&written.unwrap_or(before), &self.where_());
                self.tally.undone += 1;
            }
        }
        // The new side stays closed after a rollback, until a person opens it for another night.
        self.must(0, &["data", "unfreeze", "--of", "target", "--yes"]);
    }

    /// Acts until the night has an end; gives that, and what the old side must hold where the new one was written to.
    pub fn walk(&mut self, first: u32, most: usize, gives_up: Option<usize>) -> (End, Option<Rows>) {
        let mut written = None;
        loop {
            let run = self.last().filter(|run| run.number > first || run.is_open() || gives_up == Some(0));
            let is_given_up = gives_up.is_some_and(|kills| self.tally.kills >= kills);
            let Some(run) = run else {
                let phrase = format!("cutover {}", self.environment);
                self.act(&["run", "night.toml", "--yes", "--confirm", &phrase], "run", &[3], most);
                continue;
            };
            let is_done = matches!(run.outcome, Some((Outcome::Done, _)));
            let is_unchanged = matches!(run.outcome, Some((Outcome::Unchanged, _)));
            let page = shown(&run);
            match (run.kind.as_str(), run.is_open(), is_done) {
                ("rollback", false, true) => return (End::Undone, written),
                // Nothing was changed before the kill: the run itself was ended by `rollback`.
                ("cutover", false, false) if is_given_up && is_unchanged => return (End::Undone, None),
                ("rollback", true, _) => self.act(&["resume"], "resume the rollback", &[0], most),
                ("cutover", false, true) if !is_given_up => return (End::Done, written),
                ("cutover", true, _) | (_, false, true) if is_given_up => {
                    if page.as_ref().is_some_and(|page| page.signal == "cutover-complete") && written.is_none() {
                        written = Some(self.write_to_the_new_side());
                    }
                    let phrase = format!("rollback {}", self.environment);
                    self.act(&["rollback", "--yes", "--confirm", &phrase], "rollback", &[0], most);
                }
                ("cutover", true, _) => match page.filter(|page| !page.missing.is_empty()) {
                    Some(page) => {
                        let names: Vec<&str> = page.statements.iter().map(|one| one.name.as_str()).collect();
                        let act = format!("approve {}", page.signal);
                        self.act(&["approve", &page.signal, "--confirms", &names.join(",")], &act, &[0], most);
                    }
                    None => {
                        let from = shown(&run).map_or("a kill".to_owned(), |page| page.signal);
                        self.act(&["resume"], &format!("resume from {from}"), &[0, 3], most);
                    }
                },
                _ => panic!("run {} ended with {:?}: {}", run.number, run.outcome, self.where_()),
            }
        }
    }

    /// Writes of every kind, by a user of the new service; gives what the old side must hold after the way back.
    pub fn write_to_the_new_side(&mut self) -> Rows {
        let (night, owner) = (self.nights, self.somebody());
        let statements = format!(
            "INSERT INTO sites (name, owner) VALUES ('of night {night}', '{owner}');
             UPDATE units SET name = 'in night {night}' WHERE id = {night}; DELETE FROM log WHERE ctid IN (SELECT ctid FROM log LIMIT 1);
             INSERT INTO log VALUES ('night', 'infinity', '{owner}'); UPDATE parts SET id = 1000 + {night} WHERE id = {night};
             DELETE FROM members WHERE (owner, site) IN (SELECT owner, site FROM members ORDER BY site LIMIT 1);"
        );
        self.cluster.sql(&self.target, &statements);
        self.story.push("written to the new side".into());
        self.target_rows()
    }

    /// The run that says how things stand.
    pub fn last(&self) -> Option<RunState> {
        runs::last(&self.project.state().join("runs")).unwrap()
    }

    /// Does one act, perhaps killed on the way; one that was not killed must end with one of these codes.
    fn act(&mut self, arguments: &[&str], name: &str, codes: &[i32], most: usize) {
        let log = self.project.path("said.txt");
        let file = std::fs::File::create(&log).unwrap();
        let mut command = self.command(arguments);
        command.stdout(Stdio::from(file.try_clone().unwrap())).stderr(Stdio::from(file));
        let (usual_ms, usual_syncs) = self.usual(name);
        let begun = Instant::now();
        // What takes long and what writes much is killed often: the moments are those of the night, not those of its acts.
        let (night_ms, night_syncs) = self.usual.values().fold((0, 0), |(ms, syncs), own| (ms + own.0, syncs + own.1));
        let (night_ms, night_syncs) = (night_ms.max(NIGHT_MS), u64::from(night_syncs.max(NIGHT_SYNCS)));
        let share = usual_ms * 1_000 / night_ms + u64::from(usual_syncs) * 1_000 / night_syncs;
        let again = self.story.iter().rev().take_while(|told| told.contains(": killed")).count();
        let chance = (share / 2 * KILLS_A_NIGHT).min(900) >> again.min(3);
        let is_killed = self.tally.kills < most && self.dice.up_to(1_000) < chance;
        let status = match self.dice.up_to(4) {
            _ if !is_killed => {
                let traced = self.project.path("traced.txt");
                drop(std::fs::remove_file(&traced));
                let status = trace(&mut command, &traced).status().unwrap();
                let syncs = std::fs::read_to_string(&traced).unwrap_or_default().lines().count();
                let took = u64::try_from(begun.elapsed().as_millis()).unwrap();
                self.usual.insert(name.to_owned(), (took, u32::try_from(syncs).unwrap().max(1)));
                status
            }
            0 | 1 => {
                let mut child = command.spawn().unwrap();
                std::thread::sleep(Duration::from_millis(self.dice.up_to(usual_ms + usual_ms / 8)));
                child.kill().unwrap();
                child.wait().unwrap()
            }
            other => {
                let number = 1 + u32::try_from(self.dice.up_to(u64::from(usual_syncs))).unwrap();
                let when = match (other, self.dice.up_to(3)) {
                    (2, _) => When::Later(Duration::from_millis(self.dice.up_to(200))),
                    (_, 0) => When::Before,
                    _ => When::After,
                };
                kill_at(&mut command, number, when).status().unwrap()
            }
        };
        self.heed(name, status, codes, &log);
    }

    /// How long an act takes and how often it waits for the disk.
    fn usual(&self, name: &str) -> (u64, u32) {
        let own = USUAL.iter().find(|(act, ..)| *act == name).map(|(_, ms, syncs)| (*ms, *syncs));
        self.usual.get(name).copied().or(own).unwrap_or((500, 4))
    }

    fn heed(&mut self, name: &str, status: ExitStatus, codes: &[i32], log: &std::path::Path) {
        if was_killed(status) {
            self.tally.kills += 1;
            let place = match self.last().filter(RunState::is_open) {
                None => format!("{name}, nothing open"),
                Some(run) => match (run.stopped_in(), &run.waiting) {
                    (Some(item), _) => format!("{}, {:?} ({})", item.name, item.standing, run.kind).to_lowercase(),
                    (None, Some(_)) => format!("{name}, at a checkpoint"),
                    (None, None) => format!("{name}, between two steps ({})", run.kind),
                },
            };
            self.story.push(format!("{name}: killed ({place}) at {}", cutover::adapter::clock::now()));
            *self.tally.places.entry(place).or_default() += 1;
            return;
        }
        let code = status.code().unwrap();
        let said = std::fs::read_to_string(log).unwrap();
        if name == "run" && code == 5 && said.contains("still at work: ") {
            // Killed while it was planned: what it asked is still asking. A person does what he is told.
            assert!(said.contains("`cutover resume` ends that"), "{said}");
            self.must(4, &["resume"]);
            self.story.push("run: what a killed one had begun to ask was ended".into());
            return;
        }
        assert!(codes.contains(&code), "{name} ended with {code}:\n{said}\n{}", self.where_());
        self.story.push(format!("{name}: {code}"));
    }

    fn must(&self, code: i32, arguments: &[&str]) {
        let output = self.command(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}\n{}", self.where_());
    }

    /// Where we are, for a message.
    fn where_(&self) -> String {
        let filter = format!("label=com.docker.compose.project={}", self.project.name);
        let format = "{{.Names}} {{.Image}} {{.Status}}, ";
        let there = self.project.docker(&["ps", "--all", "--no-trunc", "--format", format, "--filter", &filter]);
        let story = self.story.join("; ");
        format!("lane {}, night {}: {story}; containers: {}", self.number, self.nights, there.replace('\n', ""))
    }
}
