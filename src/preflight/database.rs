//! Database: the stack's own PostgreSQL lets us in, and the dump tools of its image are as new as the server.

use serde_json::Value;

use super::Ask;
use super::finding::{Found, Parts, Perf};
use super::reads::DatabaseSight;
use crate::adapter::files::spoken_size;
use crate::adapter::postgres::{Database, Sight};
use crate::config::Config;
use crate::release::model;

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    match ask.database().await {
        Ok(sight) => judge(&sight),
        Err(unread) => unread.found("the database"),
    }
}

/// The database that the stack owns: as `[backup]` names it, or as the model shows it.
pub(super) fn owned(config: &Config, rendered: &Value) -> Option<Database> {
    let project = config.compose_project();
    let found = match &config.backup.service {
        Some(service) => {
            let environment = model::environment(rendered, service);
            let user = environment.get("POSTGRES_USER").cloned().unwrap_or_else(|| "postgres".to_owned());
            let name = environment.get("POSTGRES_DB").cloned().unwrap_or_else(|| user.clone());
            Some((service.clone(), user, name))
        }
        None => model::postgres_service(rendered, project),
    };
    let (service, user, name) = found?;
    let user = config.backup.user.clone().unwrap_or(user);
    Some(Database { service, user, name: config.backup.database.clone().unwrap_or(name) })
}

fn judge(sight: &DatabaseSight) -> Found {
    match sight {
        DatabaseSight::None => Found::skipped("the stack owns no PostgreSQL that could be recognised: nothing to ask"),
        DatabaseSight::NotDeployed(database) => Found::ok(format!("{}: not deployed yet", database.service)),
        DatabaseSight::NotRunning(database, state) => Found::fail(
            format!("the project runs, but its database {} is {state}", database.service),
            format!("docker compose up -d {}", database.service),
        ),
        DatabaseSight::Asked(database, Err(why)) => Found::fail(
            format!("{} lets {} not into {}: {why}", database.service, database.user, database.name),
            "look at its log; set backup.user and backup.database when the names are others",
        ),
        DatabaseSight::Asked(database, Ok(sight)) => judge_sight(database, sight),
    }
}

fn judge_sight(database: &Database, sight: &Sight) -> Found {
    let mut parts = Parts::default();
    parts.perf(Perf::plain("database", sight.bytes as f64, "B"));
    parts.good(format!(
        "{} is PostgreSQL {}, {} holds {}",
        database.service,
        sight.server,
        database.name,
        spoken_size(sight.bytes)
    ));
    for (tool, version) in [("pg_dump", sight.dump), ("pg_restore", sight.restore)] {
        let advice = "use an image that brings the server's own client tools";
        match version {
            None => parts.fail(format!("{tool} is not in the image of {}", database.service), advice),
            Some(version) if version < sight.server => {
                parts.fail(format!("{tool} is of version {version}, older than the server's {}", sight.server), advice);
            }
            Some(version) => parts.good(format!("{tool} {version}")),
        }
    }
    parts.found("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;

    #[test]
    fn tools_that_are_missing_or_older_than_the_server_fail() {
        let database = Database { service: "db".into(), user: "u".into(), name: "d".into() };
        let judged = |dump, restore| judge_sight(&database, &Sight { server: 15, bytes: 1, dump, restore }).verdict;
        assert_eq!(judged(Some(15), Some(16)), Verdict::Ok);
        assert_eq!(judged(Some(14), Some(15)), Verdict::Fail);
        assert_eq!(judged(Some(15), None), Verdict::Fail);
    }

    #[test]
    fn a_database_that_is_down_while_the_project_runs_fails_and_none_at_all_is_not_asked() {
        let database = Database { service: "db".into(), user: "u".into(), name: "d".into() };
        assert_eq!(judge(&DatabaseSight::NotRunning(database.clone(), "exited".into())).verdict, Verdict::Fail);
        assert_eq!(judge(&DatabaseSight::Asked(database.clone(), Err("no".into()))).verdict, Verdict::Fail);
        assert_eq!(judge(&DatabaseSight::NotDeployed(database)).verdict, Verdict::Ok);
        assert_eq!(judge(&DatabaseSight::None).verdict, Verdict::Skipped);
    }
}
