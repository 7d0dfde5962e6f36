//! Containers: what runs of the project is well. Nothing runs before the first deployment, and that is well too.

use super::Ask;
use super::finding::{Found, Parts, Perf};
use crate::adapter::docker::{Container, has_ended_its_work};
use crate::data::plural::counted;

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    match ask.ours().await {
        Ok(ours) => judge(&ours),
        Err(unread) => unread.found("what runs"),
    }
}

/// Whether anything of the project runs.
pub(super) fn any_runs(ours: &[Container]) -> bool {
    ours.iter().any(|one| one.state.status == "running")
}

fn judge(ours: &[Container]) -> Found {
    let mut parts = Parts::default();
    let mut well = 0_usize;
    for one in ours {
        match trouble(one, ours) {
            None => well += 1,
            Some(words) => {
                parts.warn(format!("{} {words}", one.name), format!("docker logs --tail 50 {}", one.name));
            }
        }
    }
    let mut found = parts.found(&match ours.len() {
        0 => "not deployed yet: there is no container of the project".to_owned(),
        1 => "1 container, well".to_owned(),
        count => format!("{count} containers, all well"),
    });
    found.perf.push(Perf { max: Some(ours.len() as f64), ..Perf::plain("containers_well", well as f64, "") });
    found
}

fn trouble(one: &Container, all: &[Container]) -> Option<String> {
    let state = &one.state;
    let said = state.health_said.as_ref().map(|words| format!(": {}", words.lines().next().unwrap_or_default()));
    match (state.status.as_str(), state.health.as_deref()) {
        ("running", None | Some("healthy")) => None,
        ("running", Some(health)) => Some(format!("is {health}{}", said.unwrap_or_default())),
        // A container that does its work once ends with 0 and is not brought back.
        ("exited", _) if has_ended_its_work(one, all) => None,
        ("exited", _) if state.was_oom_killed => Some("was ended for want of memory".to_owned()),
        ("exited" | "dead", _) => Some(format!("ended with {}", state.exit_code)),
        ("restarting", _) => Some(format!("starts again and again, {} so far", counted(state.restarts, "time"))),
        (other, _) => Some(format!("is {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::docker::State;
    use crate::preflight::Verdict;

    fn container(status: &str, health: Option<&str>, exit_code: i64, restart: &str) -> Container {
        let health = health.map(str::to_owned);
        let state = State { status: status.into(), health, exit_code, ..State::default() };
        Container { name: "shop-web-1".into(), restart: restart.into(), state, ..Container::default() }
    }

    #[test]
    fn what_runs_healthy_or_ended_its_work_is_well() {
        let well = [
            container("running", None, 0, "always"),
            container("running", Some("healthy"), 0, "always"),
            container("exited", None, 0, "no"),
        ];
        assert_eq!(judge(&well).verdict, Verdict::Ok);
        assert!(judge(&[]).seen.starts_with("not deployed yet"));
    }

    #[test]
    fn everything_else_is_a_warning_that_names_the_container() {
        for one in [
            container("running", Some("unhealthy"), 0, "always"),
            container("running", Some("starting"), 0, "always"),
            container("restarting", None, 1, "always"),
            container("exited", None, 1, "no"),
            container("exited", None, 0, "unless-stopped"),
            container("paused", None, 0, "no"),
            container("created", None, 0, "no"),
        ] {
            let found = judge(std::slice::from_ref(&one));
            assert_eq!(found.verdict, Verdict::Warn, "{one:?}");
            assert!(found.seen.starts_with("shop-web-1 "), "{}", found.seen);
        }
    }
}
