//! Whether a container that ended has done its work, or is one that others need and somebody stopped. Pure.

use super::Container;

/// Where compose writes what a service waits for, as `NAME:CONDITION:RESTART`, with commas between.
const DEPENDS_ON: &str = "com.docker.compose.depends_on";

/// Whether a container ended with 0 and nothing was to bring it back, as one does that does its work once.
pub fn has_ended_well(one: &Container) -> bool {
    let is_left_alone = matches!(one.restart.as_str(), "no" | "" | "on-failure");
    one.state.status == "exited" && one.state.exit_code == 0 && is_left_alone
}

/// Whether a container did its work once and ended with 0. A database that is stopped ends with 0 too, and compose restarts
/// nothing unless told to: so one that others wait for until it is healthy is never done.
pub fn has_ended_its_work(one: &Container, all: &[Container]) -> bool {
    let is_needed = || all.iter().any(|other| waits_until_healthy(other, &one.service));
    has_ended_well(one) && !is_needed()
}

fn waits_until_healthy(other: &Container, service: &str) -> bool {
    let waits = other.labels.get(DEPENDS_ON).map(String::as_str).unwrap_or_default();
    waits.split(',').any(|one| {
        let mut parts = one.split(':');
        parts.next() == Some(service) && parts.next() == Some("service_healthy")
    })
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn ended(service: &str, waits: &str) -> Container {
        let state = State { status: "exited".into(), ..State::default() };
        let labels = [(DEPENDS_ON.to_owned(), waits.to_owned())].into();
        Container { service: service.into(), restart: "no".into(), state, labels, ..Container::default() }
    }

    #[test]
    fn a_database_that_was_stopped_is_not_taken_for_one_that_has_done_its_work() {
        let all = [
            ended("db", ""),
            ended("once", "db:service_healthy:false"),
            ended("web", "cache:service_started:false,once:service_completed_successfully:false"),
        ];
        assert!(!has_ended_its_work(&all[0], &all));
        assert!(has_ended_its_work(&all[1], &all));
        assert!(has_ended_its_work(&all[0], &all[2..]), "nobody waits for it to be healthy");
    }
}
