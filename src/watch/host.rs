//! Host and engine: services that are ill, restarts, containers killed for memory, room on disks. Read only.

use std::collections::BTreeSet;
use std::path::Path;

use crate::adapter::docker::{Container, Docker};
use crate::adapter::files::spoken_size;
use crate::data::plural::counted;
use crate::judge::ladder::Level;
use crate::judge::probe::Engine;
use crate::judge::rules::{Finding, Rule};

use super::window::Window;

/// For so long a restart is held against a container, milliseconds.
const RESTART_MS: u64 = 30 * 60 * 1000;

/// A container that was seen running in so many ticks of the window is a service: where it ends, nobody has done its work.
const SERVICE_TICKS: i64 = 10;

/// What the numbers of a container are called, before its identifier.
const RESTARTS: &str = "restarts ";
const RAN: &str = "ran ";

/// A number to remember, its name, and for how long (milliseconds).
pub type Number = (String, i64, u64);

/// The side of a release that serves.
pub struct Serving {
    /// Its release.
    pub release: u32,
    /// Its services, as the project's own model names them.
    pub services: BTreeSet<String>,
}

impl Serving {
    /// Services of it that have no container.
    fn gone(&self, containers: &[Container]) -> Vec<String> {
        let is_there = |service: &String| {
            containers.iter().any(|one| one.side_release() == Some(self.release) && one.plain_service() == service)
        };
        let gone = self.services.iter().filter(|service| !is_there(service));
        gone.map(|service| format!("{service} of r{}, which serves, has no container", self.release)).collect()
    }
}

/// What the engine says: the rules, and the voice that a direct question needs beside it.
pub struct Looked {
    /// Whether services are well.
    pub engine: Engine,
    /// Rules and what they saw.
    pub findings: Vec<(Rule, Finding)>,
    /// Numbers to remember.
    pub numbers: Vec<Number>,
}

/// Asks the engine about the containers of a project, and about those of the side that serves beside it, where one does.
/// What is kept warm besides is no reason to call anything ill.
pub async fn look(docker: &Docker, project: &str, serving: Option<&Serving>, window: &Window) -> Looked {
    let services = rule("services", Level::Hold, 60, "look at `docker compose ps` and at the logs of what is ill");
    let restarts = rule("restarts", Level::Watch, 0, "look at the last lines of the log before the restart");
    let memory = rule("memory kills", Level::Hold, 0, "raise the limit in the compose file, or find out who eats it");
    let asked = async {
        let docker = docker.clone().negotiate().await?;
        let (own, sides) = tokio::join!(docker.containers(project), docker.sides(project));
        let (mut all, sides) = (own?, sides?);
        all.extend(
            sides.into_iter().filter(|one| serving.is_some_and(|side| one.side_release() == Some(side.release))),
        );
        Ok::<_, anyhow::Error>(all)
    };
    let containers = match asked.await {
        Ok(containers) => containers,
        Err(error) => {
            let finding = Finding::cannot_ask(format!("{error:#}"));
            let findings = [services, restarts, memory].map(|rule| (rule, finding.clone())).into();
            return Looked { engine: Engine::Unknown(format!("{error:#}")), findings, numbers: Vec::new() };
        }
    };
    let gone = serving.map(|side| side.gone(&containers)).unwrap_or_default();
    let ran = |one: &Container| window.first(&ran_key(one)).map_or(0, |(ticks, _)| ticks);
    let ill: Vec<String> = containers.iter().filter_map(|one| illness(one, ran(one))).chain(gone).collect();
    let (seen, engine) = match (&containers[..], &ill[..]) {
        ([], _) => {
            let said = format!("the project {project} has no container");
            (Finding::breach(said.clone()), Engine::Ill(said))
        }
        (all, []) => (Finding::ok(well(all.len())), Engine::Well),
        _ => (Finding::breach(ill.join("; ")), Engine::Ill(ill.join("; "))),
    };
    let mut numbers: Vec<Number> = containers.iter().map(|one| (key(one), one.state.restarts, RESTART_MS)).collect();
    let running = containers.iter().filter(|one| one.state.status == "running");
    // Of this only the latest is kept.
    numbers.extend(running.map(|one| (ran_key(one), ran(one) + 1, 0)));
    let findings = vec![(services, seen), (restarts, restarted(&containers, window)), (memory, killed(&containers))];
    Looked { engine, findings, numbers }
}

/// Containers that were killed for memory.
fn killed(containers: &[Container]) -> Finding {
    let killed = containers.iter().filter(|one| one.state.was_oom_killed).map(|one| one.name.as_str());
    let killed: Vec<&str> = killed.collect();
    if killed.is_empty() {
        return Finding::ok("none was killed for memory");
    }
    Finding::breach(format!("killed for memory: {}", killed.join(", ")))
}

fn well(containers: usize) -> String {
    if containers == 1 { "its one container is well".into() } else { format!("{containers} containers are well") }
}

fn rule(name: &str, level: Level, patience_s: u64, advice: &str) -> Rule {
    Rule { name: name.into(), level, patience_s, advice: advice.into() }
}

fn key(container: &Container) -> String {
    format!("{RESTARTS}{}", container.id)
}

fn ran_key(container: &Container) -> String {
    format!("{RAN}{}", container.id)
}

/// Lets go of the numbers of containers that are gone; `seen` is what the engine was found to hold, or nothing where it
/// could not be asked.
pub fn forget_gone(window: &mut Window, seen: &[Number]) {
    let there: BTreeSet<&str> = seen.iter().filter_map(|(name, ..)| name.strip_prefix(RESTARTS)).collect();
    if there.is_empty() {
        return;
    }
    let id = |name: &str| name.strip_prefix(RESTARTS).or(name.strip_prefix(RAN)).map(str::to_owned);
    window.forget(|name| id(name).is_some_and(|id| !there.contains(id.as_str())));
}

fn illness(container: &Container, ran: i64) -> Option<String> {
    let (name, state) = (&container.name, &container.state);
    match (state.status.as_str(), state.health.as_deref()) {
        ("running", None | Some("healthy" | "starting")) => None,
        ("running", Some(health)) => {
            let said = state.health_said.as_ref().map_or_else(String::new, |said| format!(" ({said})"));
            Some(format!("{name} is {health}{said}"))
        }
        // One that ends soon by itself and is not started again has done its work.
        ("exited", _) if ran >= SERVICE_TICKS && state.exit_code == 0 => {
            Some(format!("{name} was stopped (it exited with 0 after it had run)"))
        }
        ("exited", _) if state.exit_code == 0 && container.restart == "no" => None,
        ("exited", _) => Some(format!("{name} exited with {}", state.exit_code)),
        (status, _) => Some(format!("{name} is {status}")),
    }
}

/// Restarts in the last half hour.
fn restarted(containers: &[Container], window: &Window) -> Finding {
    let more = containers.iter().filter_map(|container| {
        let (before, _) = window.first(&key(container))?;
        let more = container.state.restarts - before;
        (more > 0).then(|| format!("{} {}", container.name, counted(more, "time")))
    });
    let more: Vec<String> = more.collect();
    if more.is_empty() {
        return Finding::ok("no container was restarted in the last 30 min");
    }
    Finding::breach(format!("restarted in the last 30 min: {}", more.join(", ")))
}

/// Room on the disk that holds a path.
pub fn room(name: &str, path: &Path, least: u64) -> (Rule, Finding) {
    let rule = rule(&format!("disk {name}"), Level::Watch, 0, "make room: old images, logs, backups");
    let finding = match rustix::fs::statvfs(path) {
        Err(error) => Finding::cannot_ask(format!("{}: {error}", path.display())),
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let said = format!("{} free at {}", spoken_size(free), path.display());
            if free < least {
                Finding::breach(format!("{said}, less than {}", spoken_size(least)))
            } else {
                Finding::ok(said)
            }
        }
    };
    (rule, finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::docker::State;
    use crate::judge::rules::Verdict;

    #[test]
    fn a_service_that_ends_with_0_is_ill_and_a_container_that_did_its_work_is_not() {
        let ended = |restart: &str, exit_code: i64| Container {
            name: "shop-backend-1".into(),
            restart: restart.into(),
            state: State { status: "exited".into(), exit_code, ..State::default() },
            ..Container::default()
        };
        assert_eq!(illness(&ended("no", 0), 0), None);
        assert_eq!(illness(&ended("no", 0), SERVICE_TICKS - 1), None);
        let said = illness(&ended("no", 0), SERVICE_TICKS).unwrap();
        assert_eq!(said, "shop-backend-1 was stopped (it exited with 0 after it had run)");
        assert_eq!(illness(&ended("always", 0), 0).unwrap(), "shop-backend-1 exited with 0");
        assert_eq!(illness(&ended("no", 1), SERVICE_TICKS).unwrap(), "shop-backend-1 exited with 1");
    }

    #[test]
    fn numbers_of_containers_that_are_gone_are_let_go_and_none_while_the_engine_does_not_answer() {
        let now = super::super::window::Now { wall_ms: 0, boot_ms: 0, boot: String::new() };
        let terms = crate::judge::cusum::Terms::new(0.01, 0.05, 0);
        let mut window = Window::begin(now, String::new(), 60, terms, None);
        for name in ["restarts old", "ran old", "restarts new", "ran new", "rows orders"] {
            window.remember(name, 1, 0);
        }
        let left = |window: &Window| window.numbers.keys().cloned().collect::<Vec<_>>().join(", ");
        forget_gone(&mut window, &[]);
        assert_eq!(window.numbers.len(), 5);
        // It has ended, and is still there.
        forget_gone(&mut window, &[("restarts new".into(), 0, RESTART_MS)]);
        assert_eq!(left(&window), "ran new, restarts new, rows orders");
    }

    #[test]
    fn a_container_that_was_killed_for_memory_is_named() {
        let one = |name: &str, was_oom_killed| Container {
            name: name.into(),
            state: State { status: "running".into(), was_oom_killed, ..State::default() },
            ..Container::default()
        };
        assert_eq!(killed(&[one("a", false)]).verdict, Verdict::Ok);
        let found = killed(&[one("a", false), one("b", true), one("c", true)]);
        assert_eq!((found.verdict, found.evidence.as_str()), (Verdict::Breach, "killed for memory: b, c"));
    }

    #[test]
    fn room_is_judged_by_what_is_free_and_no_disk_is_not_a_full_one() {
        assert_eq!(room("state", Path::new("/"), 1).1.verdict, Verdict::Ok);
        assert_eq!(room("state", Path::new("/"), u64::MAX).1.verdict, Verdict::Breach);
        assert_eq!(room("state", Path::new("/nowhere/at/all"), 1).1.verdict, Verdict::CannotAsk);
    }
}
