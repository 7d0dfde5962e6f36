//! One trial: begin an act, kill it, go on or go back (and be killed again), and compare. Law: every trial ends at rest.

use std::time::Duration;

use cutover::journal::{ItemState, Outcome, RunState, Standing};

use crate::points::Point;
use crate::site::{Last, Seen, Site, Told, want};
use crate::support::kill::{When, kill_at, was_killed};

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// The first deploy: release 1 where nothing was.
    First,
    /// Release 1, which compose brought up by hand, to release 2.
    Adopted,
    /// Release 1 to release 2.
    Deploy,
    /// Back from release 2 to release 1.
    Rollback,
    /// Release 1 to one that crashes, and back by itself.
    Failing,
}

impl Act {
    /// Which release serves before.
    pub fn from(self) -> u8 {
        match self {
            Self::First => 0,
            Self::Adopted | Self::Deploy | Self::Failing => 1,
            Self::Rollback => 2,
        }
    }

    /// Exit code and release of an undisturbed run.
    pub fn end(self) -> (i32, u8) {
        match self {
            Self::First => (0, 1),
            Self::Adopted | Self::Deploy => (0, 2),
            Self::Rollback => (0, 1),
            Self::Failing => (7, 1),
        }
    }

    pub fn arguments(self) -> &'static [&'static str] {
        if self == Self::Rollback { &["rollback", "--yes"] } else { &["deploy", "--yes"] }
    }

    /// What the env file says when it is called.
    pub fn tag(self) -> &'static str {
        match self {
            Self::First => "1",
            Self::Adopted | Self::Deploy | Self::Rollback => "2",
            Self::Failing => "crash",
        }
    }
}

/// How a trial goes on after a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Resume,
    Rollback,
}

/// A trial.
#[derive(Clone, Debug)]
pub struct Trial {
    pub act: Act,
    pub point: Point,
    pub way: Way,
    /// Where the way on is killed too, and what comes then.
    pub again: Option<(u32, When, Way)>,
    /// Whether a plain `deploy` is tried first, which must refuse.
    pub is_deploy_tried: bool,
}

impl Trial {
    /// In one line.
    pub fn words(&self) -> String {
        let Point { number, when, place } = &self.point;
        let again = self.again.map_or_else(String::new, |(number, when, way)| {
            format!(", killed there {when:?} its fsync {number}, then {way:?}")
        });
        format!("{:?} killed {place} ({when:?} fsync {number}), then {:?}{again}", self.act, self.way)
    }
}

/// What a trial hit.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    /// Kills that really ended a process.
    pub kills: usize,
    /// The step in which the first one hit; empty between two steps.
    pub place: String,
}

/// How things stood when the act was begun.
struct Before {
    runs: usize,
    events: usize,
    lives: std::collections::BTreeMap<String, (String, String)>,
}

/// Carries one trial out. The site is at rest before and, where this gives no error, after.
///
/// # Errors
/// The first expectation that did not hold.
pub fn carry_out(site: &mut Site, trial: &Trial) -> Told<Hits> {
    let Trial { act, point, .. } = trial;
    if site.at == 1 && *act == Act::Deploy {
        site.unmigrate();
    }
    if site.at > 0 {
        site.write_row();
    }
    site.project.set("TAG", act.tag());
    let before = Before { runs: site.runs()?.len(), events: site.events.mark(), lives: site.lives() };
    let mut command = site.project.command(act.arguments());
    let output = kill_at(&mut command, point.number, point.when).output().map_err(|error| error.to_string())?;
    if !was_killed(output.status) {
        want("exit code of a run that was not killed", &output.status.code(), &Some(act.end().0))?;
        return finish(site, act.end().1, Hits::default());
    }
    let mut hits = Hits { kills: 1, place: String::new() };
    let stopped = stopped(site, &before)?;
    if let Stopped::Open(run) = &stopped {
        hits.place = run.stopped_in().map(|item| item.name.clone()).unwrap_or_default();
    }
    if trial.is_deploy_tried {
        refuses_to_deploy(site, &stopped)?;
    }
    let done = done_before(&stopped, &site.look());
    let mut way = trial.way;
    if let Some((number, when, next)) = trial.again {
        let mut command = site.project.command(arguments(way));
        let output = kill_at(&mut command, number, when).output().map_err(|error| error.to_string())?;
        if was_killed(output.status) {
            hits.kills += 1;
            way = next;
        }
    }
    let at = go_on(site, trial, way, &before)?;
    nothing_twice(site, trial, at, &before, &done)?;
    finish(site, at, hits)
}

fn arguments(way: Way) -> &'static [&'static str] {
    if way == Way::Resume { &["resume", "--yes"] } else { &["rollback", "--yes"] }
}

fn finish(site: &mut Site, at: u8, hits: Hits) -> Told<Hits> {
    site.judge(at)?;
    site.at = at;
    Ok(hits)
}

/// How the act stands after a kill.
enum Stopped {
    /// No line of it was durable: it never began.
    Unbegun {
        /// Whether its journal's file is there.
        has_file: bool,
    },
    Open(Box<RunState>),
    Ended(Outcome),
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unbegun { .. } => write!(out, "its birth"),
            Self::Ended(outcome) => write!(out, "its end: {outcome:?}"),
            Self::Open(run) => {
                let standing = |item: &ItemState| format!("{} {:?}", item.name, item.standing);
                write!(out, "{}", run.items.iter().map(standing).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn stopped(site: &Site, before: &Before) -> Told<Stopped> {
    let Some(file) = site.runs()?.into_iter().nth(before.runs) else {
        return Ok(Stopped::Unbegun { has_file: false });
    };
    let own = file.state().map_err(|error| error.to_string())?;
    Ok(match (&own.header, &own.outcome) {
        (None, _) => Stopped::Unbegun { has_file: true },
        (Some(_), Some((outcome, _))) if !own.is_open() => Stopped::Ended(*outcome),
        _ => Stopped::Open(Box::new(own)),
    })
}

/// A plain deploy must not begin while anything is open or at work, and must say what.
fn refuses_to_deploy(site: &Site, stopped: &Stopped) -> Told<()> {
    let Stopped::Open(run) = stopped else { return Ok(()) };
    let verdict = site.status()?;
    let is_known = ["interrupted", "at_work", "held"].contains(&verdict.as_str());
    want(&format!("whether the verdict {verdict:?} tells of an open run"), &is_known, &true)?;
    let output = site.project.cutover(&["deploy", "--yes"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(5) if said.contains("still at work: ") => Ok(()),
        Some(6) if said.contains(&format!("run {} (", run.number)) => Ok(()),
        code => Err(format!("`deploy` over an interrupted run exited {code:?} and said: {said}")),
    }
}

/// Containers of the services whose start was done before the kill.
fn done_before(stopped: &Stopped, all: &[Seen]) -> Vec<Seen> {
    let Stopped::Open(run) = stopped else { return Vec::new() };
    let is_done =
        run.items.iter().any(|item| item.name == "start_services" && item.standing == Standing::Done && item.was_begun);
    if is_done { all.iter().filter(|seen| !seen.is_one_off).cloned().collect() } else { Vec::new() }
}

/// Goes on until the act has an end, and gives the release that must serve.
fn go_on(site: &mut Site, trial: &Trial, way: Way, before: &Before) -> Told<u8> {
    let from = trial.act.from();
    let own = stopped(site, before)?;
    // A rollback that was begun beside the act is the last run; without one the act itself is.
    let last = site.last()?;
    let is_undone = site.runs()?.len() > before.runs + 1 && matches!(last, Last::Ended(Some((_, Outcome::Done))));
    if from > 0 {
        site.write_row();
    }
    let output = site.project.cutover(arguments(way));
    let code = output.status.code().unwrap_or(-1);
    let said = format!(
        "`cutover {}` after a stop at {own}\nstderr: {}\nstdout: {}",
        arguments(way).join(" "),
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    );
    let back = if trial.act == Act::Rollback { 1 } else { from };
    let (codes, at): (&[i32], u8) = match (&last, way) {
        (Last::Open(run), _) if run.kind == "rollback" => (&[0], back),
        (Last::Open(_), Way::Rollback) => (&[0], back),
        (Last::Open(run), Way::Resume) if run.is_going_back => (&[1, 7], back),
        (Last::Open(_), Way::Resume) => (&[trial.act.end().0][..], trial.act.end().1),
        (Last::Ended(_), _) => {
            return ended(site, trial.act, way, &own, is_undone, code).map_err(|told| format!("{told}\n{said}"));
        }
    };
    if codes.contains(&code) { Ok(at) } else { Err(format!("exited {code}, wanted one of {codes:?}: {said}")) }
}

/// Nothing is open: the act never began, or it has its end, or what undid it has.
fn ended(site: &mut Site, act: Act, way: Way, own: &Stopped, is_undone: bool, code: i32) -> Told<u8> {
    let (wanted, at) = match (own, way) {
        _ if is_undone => (4, Some(act.from())),
        (Stopped::Unbegun { .. }, Way::Rollback) if act == Act::Rollback => (0, Some(1)),
        (Stopped::Unbegun { has_file: true }, Way::Rollback) => (0, None),
        (Stopped::Unbegun { .. }, _) => (4, None),
        (Stopped::Ended(Outcome::Done), Way::Rollback) if act != Act::Rollback => (0, Some(act.from())),
        (Stopped::Ended(Outcome::Done), _) => (4, Some(act.end().1)),
        (Stopped::Ended(_), _) => (4, Some(act.from())),
        (Stopped::Open(_), _) => return Err("the act is open, and yet no run is".into()),
    };
    want("exit code where nothing is open", &code, &wanted)?;
    if let Some(at) = at {
        return Ok(at);
    }
    let output = site.project.cutover(act.arguments());
    want("exit code of an act that is begun anew", &output.status.code(), &Some(act.end().0))?;
    Ok(act.end().1)
}

fn nothing_twice(site: &Site, trial: &Trial, at: u8, before: &Before, done: &[Seen]) -> Told<()> {
    let is_migration = |name: &str| name.contains("-migrate-run-");
    let ended_well = site.events.count(before.events, |event| {
        event.action == "die" && is_migration(&event.name) && event.code.as_deref() == Some("0")
    });
    if matches!(trial.act, Act::Deploy | Act::First | Act::Adopted) {
        let begun = |event: &crate::events::Event| event.action == "start" && is_migration(&event.name);
        let is_forward = at == trial.act.end().1;
        if is_forward && !site.events.wait(before.events, Duration::from_secs(60), begun) {
            return Err("no migration was started, and yet it is done".into());
        }
        want("whether the migration ended with 0 at most once", &(ended_well <= 1), &true)?;
        want("whether it was started at most once", &(site.events.count(before.events, begun) <= 1), &true)?;
    }
    let now = site.lives();
    if at == trial.act.end().1 && trial.act == Act::Deploy {
        for seen in done {
            let life = Some(&(seen.id.clone(), seen.started.clone()));
            want(&format!("life of {}, whose start was done before", seen.name), &now.get(&seen.name), &life)?;
        }
    }
    let database = format!("{}-db-1", site.project.name);
    if trial.act != Act::First {
        let life = before.lives.get(&database);
        want("life of the database's container, which nobody may touch", &now.get(&database), &life)?;
    }
    Ok(())
}
