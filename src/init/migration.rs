//! The command that brings the database's schema up to date, where the project's own files tell it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::stack;
use crate::release::model;

/// What is known of a directory that an image is built from.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The service that is built from it.
    pub service: String,
    /// The directory.
    pub directory: PathBuf,
    /// Names of `scripts` in its package.json.
    pub scripts: Vec<String>,
}

/// A migration, or the reason why none is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// To be run by cutover.
    Command {
        /// The service whose image holds it.
        service: String,
        /// Program and arguments.
        command: Vec<String>,
        /// What told it.
        why: String,
    },
    /// The stack does it by itself.
    ByItself(String),
}

/// Scripts of package.json that migrate, the surest first.
const SCRIPTS: [&str; 12] = [
    "db:migrate:prod",
    "db:migrate:production",
    "migrate:prod",
    "migrate:production",
    "db:migrate:deploy",
    "migrate:deploy",
    "prisma:deploy",
    "prisma:migrate:deploy",
    "db:migrate",
    "migrate:latest",
    "migration:run",
    "migrate",
];
/// Words in a command line that say that it migrates.
const SIGNS: [&str; 9] = [
    "migrate",
    "db:prepare",
    "alembic upgrade",
    "prisma db push",
    "migration:run",
    "ecto.migrate",
    "flyway",
    "liquibase",
    "dbmate",
];
/// A file beside the sources, and the command that goes with it.
const FILES: [(&str, &[&str]); 6] = [
    ("manage.py", &["python", "manage.py", "migrate", "--noinput"]),
    ("bin/rails", &["bin/rails", "db:migrate"]),
    ("artisan", &["php", "artisan", "migrate", "--force"]),
    ("alembic.ini", &["alembic", "upgrade", "head"]),
    ("prisma/schema.prisma", &["npx", "prisma", "migrate", "deploy"]),
    ("knexfile.js", &["npx", "knex", "migrate:latest"]),
];

/// Reads what the build directories of a model tell.
pub fn contexts(model: &Value) -> Vec<Context> {
    let of = |service: String| {
        let build = model::service(model, &service)?.get("build")?;
        let place = build.as_str().or_else(|| build.get("context").and_then(Value::as_str))?;
        let directory = PathBuf::from(place);
        let scripts = scripts(&directory);
        Some(Context { service, directory, scripts })
    };
    model::services(model).into_iter().filter_map(of).collect()
}

fn scripts(directory: &Path) -> Vec<String> {
    // A package.json that cannot be read tells nothing; it is the project's own matter.
    let text = std::fs::read_to_string(directory.join("package.json")).unwrap_or_default();
    let package: Value = serde_json::from_str(&text).unwrap_or_default();
    let scripts = package.get("scripts").and_then(Value::as_object);
    scripts.map(|scripts| scripts.keys().cloned().collect()).unwrap_or_default()
}

/// What can be told about the migration.
pub fn find(model: &Value, contexts: &[Context]) -> Option<Found> {
    for service in model::services(model) {
        let line = stack::command_line(model, &service);
        let is_named = ["migrate", "migration", "migrations", "db-migrate", "flyway", "liquibase"].iter().any(|word| {
            service == *word || service.ends_with(&format!("-{word}")) || service.ends_with(&format!("_{word}"))
        });
        if SIGNS.iter().any(|sign| line.contains(sign)) || is_named {
            return Some(Found::ByItself(format!(
                "the service {service} migrates when it starts; a migration of its own would be backed up before and proven"
            )));
        }
    }
    // The service that answers requests holds the program as it is meant to run; a worker comes last.
    let mut contexts: Vec<&Context> = contexts.iter().collect();
    contexts.sort_by_key(|context| rank(model, &context.service));
    contexts.into_iter().find_map(of_context)
}

/// How far a service is from the one that answers requests.
fn rank(model: &Value, service: &str) -> u8 {
    let words = format!("{service} {}", stack::command_line(model, service)).to_lowercase();
    let has = |signs: &[&str]| signs.iter().any(|sign| words.contains(sign));
    if has(&["gunicorn", "uvicorn", "daphne", "runserver", "puma", "rails s", "php-fpm", "serve"]) {
        0
    } else if has(&["worker", "celery", "beat", "sidekiq", "queue", "cron", "scheduler", "horizon"]) {
        2
    } else {
        1
    }
}

fn of_context(context: &Context) -> Option<Found> {
    let is_there = |name: &str| context.directory.join(name).exists();
    let shown = context.directory.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    if let Some(script) = SCRIPTS.iter().find(|script| context.scripts.iter().any(|known| known == *script)) {
        let runner = match () {
            () if is_there("pnpm-lock.yaml") => vec!["pnpm"],
            () if is_there("yarn.lock") => vec!["yarn"],
            () if is_there("bun.lockb") || is_there("bun.lock") => vec!["bun", "run"],
            () => vec!["npm", "run"],
        };
        let command = runner.into_iter().chain([*script]).map(str::to_owned).collect();
        let why = format!("package.json in {shown} has the script {script:?}");
        return Some(Found::Command { service: context.service.clone(), command, why });
    }
    let (file, command) = FILES.iter().find(|(file, _)| is_there(file))?;
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    let why = format!("{file} is there in {shown}, which the image of {} is built from", context.service);
    Some(Found::Command { service: context.service.clone(), command, why })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn context(files: &[(&str, &str)]) -> (tempfile::TempDir, Value) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let model = json!({ "services": { "api": { "build": { "context": directory.path() } }, "db": { "image": "postgres" } } });
        (directory, model)
    }

    fn command(files: &[(&str, &str)]) -> String {
        let (_directory, model) = context(files);
        match find(&model, &contexts(&model)) {
            Some(Found::Command { service, command, .. }) => format!("{service}: {}", command.join(" ")),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_command_follows_from_the_files_that_an_image_is_built_from() {
        let package = r#"{ "scripts": { "build": "x", "migrate": "y", "db:migrate:prod": "z" } }"#;
        assert_eq!(command(&[("package.json", package), ("pnpm-lock.yaml", "")]), "api: pnpm db:migrate:prod");
        assert_eq!(command(&[("package.json", package)]), "api: npm run db:migrate:prod");
        assert_eq!(command(&[("manage.py", "")]), "api: python manage.py migrate --noinput");
        assert_eq!(command(&[("bin/rails", "")]), "api: bin/rails db:migrate");
        assert_eq!(command(&[("prisma/schema.prisma", "")]), "api: npx prisma migrate deploy");
        assert_eq!(command(&[("package.json", "no JSON")]), "None");
    }

    #[test]
    fn it_is_run_in_the_image_of_the_service_that_answers_requests() {
        let (directory, _) = context(&[("manage.py", "")]);
        let build = json!({ "context": directory.path() });
        let model = json!({ "services": {
            "beat": { "build": build, "command": ["celery", "-A", "shop", "beat"] },
            "other": { "build": build },
            "web": { "build": build, "command": ["gunicorn", "shop.wsgi"] },
        }});
        assert!(matches!(find(&model, &contexts(&model)), Some(Found::Command { service, .. }) if service == "web"));
    }

    #[test]
    fn what_the_stack_migrates_by_itself_is_not_migrated_twice() {
        let (_directory, mut model) = context(&[("manage.py", "")]);
        model["services"]["api"]["command"] = json!(["sh", "-c", "python manage.py migrate && gunicorn shop"]);
        assert!(
            matches!(find(&model, &contexts(&model)), Some(Found::ByItself(why)) if why.contains("the service api"))
        );
    }
}
