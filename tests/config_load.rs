//! The example of the documentation loads, and says what it seems to say.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::path::Path;
use std::time::Duration;

use cutover::config::{self, Environment, Strategy};

fn parse(text: &str) -> config::Config {
    config::parse(text, Path::new("/srv/app/cutover.toml"), &Environment::default())
        .unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_example_says_what_it_seems_to_say() {
    let config = parse(include_str!("config/example.toml"));
    assert_eq!(config.project.name, "freshtrack");
    assert_eq!(config.compose.files[0], Path::new("/srv/app/docker-compose.yml"));
    assert_eq!(config.compose.build, ["backend"]);
    assert_eq!(config.deploy.strategy, Strategy::BlueGreen);
    let migrate = config.deploy.migrate.unwrap();
    assert_eq!(migrate.command, ["pnpm", "db:migrate:prod"]);
    assert_eq!(migrate.deadline, Duration::from_secs(900));
    let health = &config.health[0];
    assert_eq!(health.expect.json["/status"], "healthy");
    assert_eq!((health.expect.status, health.successes), (200, 3));
    assert_eq!((health.interval, health.deadline), (Duration::from_secs(1), Duration::from_secs(90)));
    assert_eq!(config.data.user_columns["event_logs"], ["actor_id"]);
    assert_eq!(config.dns.unwrap().records[0].a.len(), 1);
    assert_eq!(config.stabilize.unwrap().breach.ratio(), 0.05);
    assert!(config.caddy.is_none() && config.notify.is_none() && config.serve.is_none());
}
