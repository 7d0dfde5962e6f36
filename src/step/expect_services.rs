//! Expect services: every container of the services is up and healthy, and stays so for a stretch.
//!
//! Decided from inspect, per service: running and healthy, running without a health check, or ended with 0 where
//! nothing restarts it (an init container). Health of an earlier start is not seen: the engine begins anew with each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, Say, Seen};
use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::docker::{Container, Docker, has_ended_well};

/// How often the engine is asked.
const PACE: Duration = Duration::from_millis(100);
/// How many lines of its log are shown for a container that is not well.
const SHOWN_LINES: usize = 12;
/// A container that the engine restarted this often since the gate began to look will not come up.
const MOST_RESTARTS: i64 = 3;

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExpectServices {
    /// Compose project.
    pub project: String,
    /// Service and how many containers.
    pub services: BTreeMap<String, usize>,
    /// How long they must stay healthy, milliseconds.
    pub stable_ms: u64,
    /// The longest it may take until they are, seconds.
    pub deadline_s: u64,
    /// Services that have to end with 0: while they run they are not done, whatever else they are.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ending: BTreeSet<String>,
}

/// What a look at a service gives.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Look {
    Well,
    NotYet(String),
    Lost(String),
}

impl ExpectServices {
    /// Asks until all are well for the stretch, one is lost, or the deadline ends.
    ///
    /// # Errors
    /// None for what it sees; an engine that does not answer within the deadline is a refusal with its words.
    pub async fn ask(&self, docker: &Docker, say: Say<'_>) -> Result<Seen> {
        let docker = docker.with_patience(Duration::ZERO);
        let watch = Stopwatch::start();
        let deadline = Duration::from_secs(self.deadline_s);
        let stretch = Duration::from_millis(self.stable_ms);
        let mut since: Option<(Stopwatch, Vec<String>)> = None;
        let mut restarts_before: Option<BTreeMap<String, i64>> = None;
        loop {
            let (waits, lost) = match docker.containers(&self.project).await {
                Err(error) => {
                    if watch.left(deadline + stretch).is_none() {
                        let words = format!("the engine could not be asked for {}: {error:#}", spoken(watch.elapsed()));
                        return Ok(Seen { answer: Answer::Unknown, words, data: Value::Null });
                    }
                    (vec![format!("{error:#}")], None)
                }
                Ok(all) => {
                    let before = restarts_before.get_or_insert_with(|| restarts(&all));
                    let looks: Vec<(&String, Look)> = self
                        .services
                        .iter()
                        .map(|(service, count)| (service, self.look(service, *count, &all, before)))
                        .collect();
                    let ids: Vec<String> = all
                        .iter()
                        .map(|container| format!("{} {}", container.id, container.state.started_at))
                        .collect();
                    if looks.iter().all(|(_, look)| *look == Look::Well) {
                        // Another container, or another start, begins the stretch anew.
                        let stable = match since.take() {
                            Some((watch, known)) if known == ids => (watch, known),
                            _ => (Stopwatch::start(), ids),
                        };
                        if stable.0.elapsed() >= stretch {
                            return Ok(self.passed(&watch, stretch));
                        }
                        say(format!("healthy for {} of {}", spoken(stable.0.elapsed()), spoken(stretch)));
                        since = Some(stable);
                        (Vec::new(), None)
                    } else {
                        judge(&looks, since.is_some())
                    }
                }
            };
            if let Some(why) = lost {
                return Ok(refused(why + &self.last_lines(&docker).await));
            }
            if !waits.is_empty() {
                since = None;
                say(format!("waiting for {}", waits.join("; ")));
            }
            if watch.left(deadline + stretch).is_none() {
                let why = format!("not all healthy after {}: {}", spoken(watch.elapsed()), waits.join("; "));
                return Ok(refused(why + &self.last_lines(&docker).await));
            }
            tokio::time::sleep(PACE).await;
        }
    }

    fn look(&self, service: &str, count: usize, all: &[Container], before: &BTreeMap<String, i64>) -> Look {
        let is_at_work = || all.iter().any(|one| one.service == service && one.state.status == "running");
        match look(service, count, all, before) {
            Look::Well if self.ending.contains(service) && is_at_work() => {
                Look::NotYet("is at work, and has to end with 0".into())
            }
            look => look,
        }
    }

    /// The last lines of every container that is not well, for whoever reads the refusal.
    async fn last_lines(&self, docker: &Docker) -> String {
        last_lines_of(docker, &self.project, |one| {
            self.services.contains_key(&one.service) && look_at(one, 0) != Look::Well
        })
        .await
    }

    fn passed(&self, watch: &Stopwatch, stretch: Duration) -> Seen {
        let names: Vec<&str> = self.services.keys().map(String::as_str).collect();
        let for_a_stretch = if stretch.is_zero() { String::new() } else { format!(" for {}", spoken(stretch)) };
        Seen {
            answer: Answer::Passed,
            words: format!("healthy{for_a_stretch}: {}", names.join(", ")),
            data: json!({ "waited_ms": u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX), "stable_ms": self.stable_ms }),
        }
    }
}

/// The last lines of the containers that ended badly or are unhealthy, of those that compose named when it gave up: it tells
/// that one failed, and never why.
pub(super) async fn last_lines_of_failed(docker: &Docker, project: &str, said: &str) -> String {
    let has_failed = |one: &Container| match one.state.status.as_str() {
        "exited" | "dead" | "restarting" => one.state.exit_code != 0,
        _ => one.state.health.as_deref() == Some("unhealthy"),
    };
    last_lines_of(docker, project, |one| has_failed(one) && said.contains(&one.name)).await
}

/// The last lines of a project's containers that are asked for.
async fn last_lines_of(docker: &Docker, project: &str, is_asked: impl Fn(&Container) -> bool) -> String {
    let mut text = String::new();
    for container in docker.containers(project).await.unwrap_or_default().iter().filter(|one| is_asked(one)) {
        // The refusal stands without its log too.
        let lines = docker.log_tail(&container.id, SHOWN_LINES).await.unwrap_or_default();
        if !lines.is_empty() {
            text.push_str(&format!("\nlast lines of {}:", container.name));
            lines.iter().for_each(|line| text.push_str(&format!("\n  {line}")));
        }
    }
    text
}

fn refused(words: String) -> Seen {
    Seen { answer: Answer::Refused, words, data: Value::Null }
}

/// What is waited for, and what is lost. Once all were well, a service that is not any more is lost: it flaps.
fn judge(looks: &[(&String, Look)], were_well: bool) -> (Vec<String>, Option<String>) {
    let mut waits = Vec::new();
    let mut lost = Vec::new();
    for (service, look) in looks {
        match look {
            Look::Well => {}
            Look::Lost(why) => lost.push(format!("{service} {why}")),
            Look::NotYet(why) if were_well => lost.push(format!("{service} was healthy and is not any more: {why}")),
            Look::NotYet(why) => waits.push(format!("{service} ({why})")),
        }
    }
    (waits, if lost.is_empty() { None } else { Some(lost.join("; ")) })
}

fn restarts(all: &[Container]) -> BTreeMap<String, i64> {
    all.iter().map(|container| (container.id.clone(), container.state.restarts)).collect()
}

fn look(service: &str, count: usize, all: &[Container], before: &BTreeMap<String, i64>) -> Look {
    let own: Vec<&Container> = all.iter().filter(|container| container.service == service).collect();
    if own.len() != count {
        return Look::NotYet(format!("{} of {count} containers", own.len()));
    }
    let mut worst = Look::Well;
    for container in own {
        match look_at(container, before.get(&container.id).copied().unwrap_or(0)) {
            Look::Lost(why) => return Look::Lost(why),
            Look::NotYet(why) => worst = Look::NotYet(why),
            Look::Well => {}
        }
    }
    worst
}

fn look_at(container: &Container, restarts_before: i64) -> Look {
    let state = &container.state;
    let restarts = state.restarts - restarts_before;
    if state.was_oom_killed && state.status != "running" {
        return Look::Lost("was ended by the kernel for want of memory".into());
    }
    if restarts >= MOST_RESTARTS {
        return Look::Lost(restarted(restarts, container));
    }
    let said = state.health_said.as_ref().map_or_else(String::new, |said| format!(": {said}"));
    match (state.status.as_str(), state.health.as_deref()) {
        ("running", None | Some("healthy")) if restarts == 0 => Look::Well,
        ("running", None | Some("healthy")) => Look::NotYet(restarted(restarts, container)),
        ("running", Some("unhealthy")) => Look::Lost(format!("is unhealthy{said}")),
        ("running", Some(_)) => Look::NotYet("health check starting".into()),
        ("exited", _) if has_ended_well(container) => Look::Well,
        ("exited" | "dead", _) if container.restart == "no" || state.exit_code == 137 || state.exit_code == 143 => {
            Look::Lost(format!("exited with {}{}", state.exit_code, hint(state.exit_code)))
        }
        ("created", _) if !state.error.is_empty() => Look::Lost(format!("could not be started: {}", state.error)),
        ("restarting", _) => Look::NotYet(format!("is being restarted, last exit code {}", state.exit_code)),
        ("exited" | "dead", _) => Look::NotYet(format!("exited with {}", state.exit_code)),
        (status, _) => Look::NotYet(status.to_owned()),
    }
}

/// While it runs again the engine tells no exit code of before: then none is told.
fn restarted(restarts: i64, container: &Container) -> String {
    let times = if restarts == 1 { "once".to_owned() } else { format!("{restarts} times") };
    match container.state.status.as_str() {
        "running" => format!("was restarted {times}"),
        _ => format!("was restarted {times}, last exit code {}", container.state.exit_code),
    }
}

fn hint(code: i64) -> &'static str {
    match code {
        137 => " (SIGKILL; somebody or the kernel ended it)",
        143 => " (SIGTERM; somebody stopped it)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(status: &str, health: Option<&str>, exit_code: i64) -> Container {
        let mut made =
            Container { id: "1".into(), service: "web".into(), restart: "no".into(), ..Container::default() };
        made.state.status = status.into();
        made.state.health = health.map(str::to_owned);
        made.state.exit_code = exit_code;
        made
    }

    fn look_of(container: Container) -> Look {
        look("web", 1, &[container], &BTreeMap::new())
    }

    #[test]
    fn running_and_healthy_or_without_a_check_is_well() {
        assert_eq!(look_of(container("running", Some("healthy"), 0)), Look::Well);
        assert_eq!(look_of(container("running", None, 0)), Look::Well);
    }

    #[test]
    fn an_init_container_that_ended_with_0_is_well_and_one_that_failed_is_lost() {
        assert_eq!(look_of(container("exited", None, 0)), Look::Well);
        assert!(matches!(look_of(container("exited", None, 1)), Look::Lost(_)));
    }

    #[test]
    fn an_init_container_that_others_wait_for_is_not_done_while_it_runs() {
        let gate = ExpectServices {
            project: "shop".into(),
            services: BTreeMap::from([("web".to_owned(), 1)]),
            stable_ms: 0,
            deadline_s: 1,
            ending: BTreeSet::from(["web".to_owned()]),
        };
        let look = |one: Container| gate.look("web", 1, &[one], &BTreeMap::new());
        assert!(matches!(look(container("running", None, 0)), Look::NotYet(_)));
        assert_eq!(look(container("exited", None, 0)), Look::Well);
    }

    #[test]
    fn a_service_that_should_run_and_ended_with_0_is_not_well() {
        let mut ended = container("exited", None, 0);
        ended.restart = "unless-stopped".into();
        assert!(matches!(look_of(ended), Look::NotYet(_)));
    }

    #[test]
    fn a_starting_check_is_waited_for_and_an_unhealthy_one_is_lost() {
        assert!(matches!(look_of(container("running", Some("starting"), 0)), Look::NotYet(_)));
        assert!(matches!(look_of(container("running", Some("unhealthy"), 0)), Look::Lost(_)));
    }

    #[test]
    fn a_container_that_crashes_again_and_again_is_lost_although_it_runs_at_the_moment() {
        let mut looping = container("running", None, 0);
        looping.state.restarts = 3;
        assert!(matches!(look_of(looping), Look::Lost(_)));
    }

    #[test]
    fn once_all_were_well_a_service_that_is_not_any_more_is_lost() {
        let name = "web".to_owned();
        let looks = [(&name, Look::NotYet("health check starting".into()))];
        assert!(judge(&looks, false).1.is_none());
        assert!(judge(&looks, true).1.is_some());
    }
}
