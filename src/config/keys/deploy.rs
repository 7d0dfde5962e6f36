//! The keys of a deployment: what is deployed, how it is judged, where state and backups go. Declarations only.

use super::Fallback::{Is, Required, Unset};
use super::Kind::{
    Bool, Choice, Command, Duration, Integer, JsonMap, List, Names, OptionalTable, Percent, Services, Size, Table,
    Tables, Text, Url,
};
use super::{Key, Shape, key, table};
use crate::config::choices::{Handling, OnFailure, OnRollback, PullPolicy, Strategy, When};

// One row is one key: it reads as a table, whatever its width.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("schema", Choice(&[crate::config::SCHEMA]), Required, "The version of this file's format."),
    // ---- project
    table("project", Table, "What is deployed, and where this is."),
    key("project.name", Text(Shape::ProjectName), Required, "The name of the project; also the compose project name unless compose.project_name says otherwise. Lower-case letters, digits, `-` and `_`."),
    key("project.environment", Text(Shape::Word), Is("\"production\""), "The name of this environment. It is part of the phrases that destructive steps ask for."),
    // ---- compose
    table("compose", Table, "The compose model that is deployed."),
    key("compose.files", List(Shape::Path), Unset("the first of compose.yaml, compose.yml, docker-compose.yml, docker-compose.yaml beside this file, and its .override file"), "The compose files, in the order in which they are merged."),
    key("compose.env_files", List(Shape::Path), Unset("`.env` beside this file, where there is one"), "Files with variables for the compose model (`--env-file`), in order. Variables of the environment do not reach compose unless secrets.variables names them."),
    key("compose.profiles", List(Shape::Service), Is("[]"), "The compose profiles that are switched on."),
    key("compose.build", List(Shape::Service), Is("[]"), "The services whose images are built here; the others are pulled."),
    key("compose.project_name", Text(Shape::ProjectName), Unset("the value of project.name"), "The compose project name, where it differs from project.name."),
    key("compose.pull", Choice(PullPolicy::WORDS), Is("\"missing\""), "When images are pulled. An image that cannot be pulled fails the deployment; it is never \"continuing anyway\"."),
    // ---- deploy
    table("deploy", Table, "How a release is put in place and when it counts as in place."),
    key("deploy.strategy", Choice(Strategy::WORDS), Is("\"recreate\""), "`recreate` changes containers in place; `blue-green` starts the new side beside the old one and switches between them."),
    key("deploy.services", Services(Handling::WORDS), Unset("every service of the model"), "The services that are deployed, and switched together; as `[deploy.services.NAME]` with how blue-green handles each: `together` with the others, `stop-first` in place, `leave` as it is."),
    key("deploy.on_failure", Choice(OnFailure::WORDS), Is("\"rollback\""), "What happens when a deployment fails after its first change: put the old release back, or stop there for a person."),
    key("deploy.keep_releases", Integer(1, 100), Is("5"), "How many releases are kept with their images, so that a rollback can reach them."),
    key("deploy.stable_for", Duration("0s", "1h"), Is("\"10s\""), "How long every container must stay up without a restart before it counts as started."),
    key("deploy.start_deadline", Duration("1s", "24h"), Is("\"180s\""), "The longest time that services may take to start and become healthy."),
    key("deploy.observe", Duration("0s", "24h"), Is("\"30s\""), "How long the new release is watched once it serves, before the deployment is called done."),
    key("deploy.max_error_ratio", Percent("0%", "100%"), Is("\"5%\""), "The largest share of failed requests while the release is watched."),
    key("deploy.pull_deadline", Duration("1s", "24h"), Is("\"15m\""), "The longest time that pulling all images may take."),
    key("deploy.build_deadline", Duration("1s", "24h"), Is("\"30m\""), "The longest time that building all images may take."),
    key("deploy.stop_timeout", Duration("0s", "1h"), Unset("each service's own stop_grace_period"), "How long a container may take to stop before it is killed."),
    key("deploy.drain_timeout", Duration("0s", "24h"), Is("\"30s\""), "Blue-green: the longest wait for the old side's established connections to end after the switch."),
    key("deploy.keep_warm", Duration("0s", "30d"), Is("\"24h\""), "Blue-green: how long the old side keeps running after the switch, ready for an immediate way back; at the longest until the next deployment. `cutover releases prune` lets it go once that time is over."),
    // ---- deploy.migrate
    table("deploy.migrate", OptionalTable, "The database migration that belongs to a release, run once in a container of its own."),
    key("deploy.migrate.service", Text(Shape::Service), Required, "The service whose image holds the migration."),
    key("deploy.migrate.command", Command, Required, "The program and its arguments, as an array; no shell reads it."),
    key("deploy.migrate.deadline", Duration("1s", "24h"), Is("\"15m\""), "The longest time that the migration may take."),
    key("deploy.migrate.when", Choice(When::WORDS), Is("\"before\""), "Whether it runs before or after the new release is started."),
    key("deploy.migrate.on_rollback", Choice(OnRollback::WORDS), Is("\"keep\""), "What a rollback does about it: keep the new schema, restore the backup taken before it, or run deploy.migrate.undo."),
    key("deploy.migrate.undo", Command, Unset("there is no undo command"), "The program that undoes the migration; goes with on_rollback = \"command\" and only with it."),
    // ---- health
    table("health[]", Tables, "A question whose answer tells whether the project works; all of them are asked."),
    key("health[].name", Text(Shape::Word), Required, "The name under which results are shown; none twice."),
    key("health[].url", Url, Required, "The address that is asked with GET. Redirects are not followed."),
    key("health[].successes", Integer(1, 100), Is("3"), "How many good answers in a row make it healthy."),
    key("health[].interval", Duration("100ms", "1h"), Is("\"1s\""), "The time between two questions."),
    key("health[].timeout", Duration("10ms", "1h"), Is("\"5s\""), "The longest wait for one answer; at most the deadline."),
    key("health[].deadline", Duration("100ms", "24h"), Is("\"90s\""), "The longest time until it must have become healthy."),
    table("health[].expect", Table, "What a good answer looks like; all of it must hold."),
    key("health[].expect.status", Integer(100, 599), Is("200"), "The HTTP status."),
    key("health[].expect.json", JsonMap, Is("{}"), "JSON pointers into the body, and the value that must stand there: { \"/status\" = \"healthy\" }."),
    key("health[].expect.body_contains", Text(Shape::Free), Unset("the body is not searched"), "Text that the body must contain."),
    // ---- state
    table("state", Table, "Where cutover keeps its lock, journals, releases, backups and reports."),
    key("state.directory", Text(Shape::Path), Is("\"/var/lib/cutover\""), "The state directory; created with mode 0700."),
    // ---- secrets
    table("secrets", Table, "Which secrets must be there before anything starts."),
    key("secrets.directory", Text(Shape::Path), Unset("there are no secret files to check"), "The directory that holds the secret files."),
    key("secrets.required", List(Shape::FileName), Is("[]"), "The files in secrets.directory that must exist, hold something that is no placeholder, and be closed to others."),
    key("secrets.variables", List(Shape::Variable), Is("[]"), "The variables that must be set, in the environment or in one of compose.env_files. Those that the environment sets are handed to compose, and win over the files."),
    key("secrets.placeholders", List(Shape::Line), Is(r#"["changeme", "change-me", "change_me", "password", "secret", "todo", "xxx", "replace-me", "replace_me", "example", "your-secret-here", "placeholder"]"#), "Values that are no secrets, whatever their case; a secret file or variable that holds one is refused."),
    // ---- preflight
    table("preflight", Table, "The checks that are asked before anything is changed."),
    key("preflight.deadline", Duration("100ms", "10m"), Is("\"10s\""), "The longest time that one check may take; then its answer is unknown."),
    key("preflight.min_disk", Size("0B", "1024TiB"), Is("\"5GiB\""), "The free space that each place needs: container engine, state, backups."),
    key("preflight.min_memory", Size("0B", "1024TiB"), Is("\"512MiB\""), "The available memory that is needed."),
    key("preflight.skip", List(Shape::Word), Is("[]"), "The ids of checks that are not asked."),
    key("preflight.engine_min", Text(Shape::Version), Is("\"20.10\""), "The oldest container engine that is accepted."),
    key("preflight.compose_min", Text(Shape::Version), Is("\"2.20\""), "The oldest docker compose that is accepted."),
    // ---- caddy
    table("caddy", OptionalTable, "The reverse proxy in front of the project."),
    key("caddy.url", Url, Required, "The public route that is asked throughout a deployment, such as http://127.0.0.1:18080."),
    key("caddy.service", Text(Shape::Service), Unset("Caddy is not a service of the model"), "The compose service that is Caddy; it is left alone by a switch."),
    key("caddy.identity_path", Text(Shape::UrlPath), Is("\"/.well-known/cutover-id\""), "The path at which Caddy tells which release serves."),
    key("caddy.routes", Names, Unset("`app` leads to the first of deploy.services"), "Blue-green: the routes of the snippet, each a file that Caddy reads, and the service that each leads to: { app = \"backend\", sockets = \"sockets\" }."),
    key("caddy.directory", Text(Shape::Path), Unset("blue-green is not possible"), "The directory on this host whose files Caddy reads at request time; renaming a file in it is the switch."),
    // ---- backup
    table("backup", Table, "The database backup that a deployment takes and reads back in full; `cutover backup create` restores it on trial too."),
    key("backup.enabled", Bool, Unset("when the stack owns a database"), "Whether a deployment takes a backup."),
    key("backup.service", Text(Shape::Service), Unset("found by its image"), "The compose service that is the database."),
    key("backup.user", Text(Shape::SqlName), Unset("found in the service's environment"), "The database role that takes the backup."),
    key("backup.database", Text(Shape::SqlName), Unset("found in the service's environment"), "The database that is backed up."),
    key("backup.directory", Text(Shape::Path), Unset("backups/ in the state directory"), "Where backups are kept."),
    key("backup.deadline", Duration("1s", "7d"), Is("\"1h\""), "The longest time that taking and proving a backup may take."),
    key("backup.keep", Integer(1, 1000), Is("5"), "How many backups are kept."),
    key("backup.command", Command, Unset("pg_dump"), "For a target that is not PostgreSQL: the program and its arguments that back it up; {file} stands for the file to write."),
    key("backup.restore", Command, Unset("pg_restore"), "The program and its arguments that bring a backup of backup.command back; {file} stands for it."),
    key("backup.volumes", List(Shape::Service), Is("[]"), "Named volumes that are backed up too."),
    // ---- prometheus
    table("prometheus", OptionalTable, "Where measured error rates come from."),
    key("prometheus.url", Url, Required, "The address of Prometheus, such as http://127.0.0.1:9090."),
    key("prometheus.error_ratio", Text(Shape::Line), Unset("the share of Caddy's requests of the last minute that got a 5xx"), "A PromQL expression that gives one number, the share of failed requests from 0 to 1."),
    key("prometheus.timeout", Duration("10ms", "10m"), Is("\"5s\""), "The longest wait for one answer."),
];
