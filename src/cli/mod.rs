//! The command line: one file per verb, each plans, shows, confirms and goes. The only place that parses and prints.

mod apply;
mod arguments;
mod backup;
mod carry;
mod completions;
mod config;
mod confirm;
mod data;
mod deploy;
mod dns;
pub mod exit;
mod flags;
mod global;
mod history;
mod init;
mod maintenance;
mod new_file;
mod notify;
mod out;
mod places;
mod plan;
mod preflight;
mod releases;
mod report;
mod resume;
mod rollback;
mod runbook;
mod secrets;
mod serve;
mod setup;
mod status;
mod telling;
mod watch;

use clap::Parser;

use arguments::{Arguments, Verb};

/// Runs the program and gives its exit code.
pub fn main() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, is_json_asked(std::env::args_os())),
    };
    log(arguments.global.verbose);
    let is_json = arguments.global.is_json();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            let code = exit::of_error(&error);
            complain(&error, code, is_json);
            code
        }
    }
}

fn usage(error: &clap::Error, is_json: bool) -> u8 {
    let text = error.render().to_string();
    if !error.use_stderr() {
        out::result(&text);
        return exit::DONE;
    }
    if is_json {
        out::json(problem(text.trim_end(), exit::USAGE, None));
    } else {
        out::say(&text);
    }
    exit::USAGE
}

/// What was typed cannot be parsed, so this looks at the words themselves.
fn is_json_asked(words: impl Iterator<Item = std::ffi::OsString>) -> bool {
    let words: Vec<_> = words.collect();
    words.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json")
        || words.iter().any(|word| word == "--output=json")
}

fn problem(words: &str, code: u8, problems: Option<serde_json::Value>) -> serde_json::Value {
    serde_json::json!({ "schema": "cutover/v1", "error": words, "exit": code, "problems": problems })
}

fn complain(error: &anyhow::Error, code: u8, is_json: bool) {
    if is_json {
        let problems = error.downcast_ref::<crate::config::Problems>().map(serde_json::to_value).and_then(Result::ok);
        out::json(problem(&words(error), code, problems));
    } else {
        out::say(&format!("cutover: {}", words(error)));
    }
}

/// An error with its causes, each once; and what to do where this user may not.
fn words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if words.ends_with(&cause) {
            continue;
        }
        if !words.is_empty() {
            words.push_str(": ");
        }
        words.push_str(&cause);
    }
    let is_denied = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::PermissionDenied;
    if error.chain().filter_map(|cause| cause.downcast_ref()).any(is_denied) {
        words.push_str("; call cutover as the user to whom that belongs, mostly root (sudo)");
    }
    words
}

fn log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "cutover=debug",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::new(level);
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| out::Log).with_ansi(false);
    if let Err(error) = subscriber.try_init() {
        out::say(&format!("cutover: no log: {error}"));
    }
}

fn dispatch(arguments: &Arguments) -> anyhow::Result<u8> {
    let global = &arguments.global;
    match &arguments.verb {
        Verb::Init(verb) => wait(init::run(global, verb)),
        Verb::Preflight(verb) => wait(preflight::run(global, verb)),
        Verb::Deploy(verb) => wait(deploy::run(global, verb)),
        Verb::Rollback(verb) => wait(rollback::run(global, verb)),
        Verb::Plan(verb) => wait(plan::run(global, verb)),
        Verb::Apply(verb) => wait(apply::run(global, verb)),
        Verb::Resume(verb) => wait(resume::run(global, verb)),
        Verb::Run(verb) => wait(runbook::run::run(global, verb)),
        Verb::Rehearse(verb) => wait(runbook::rehearse::run(global, verb)),
        Verb::Approve(verb) => wait(runbook::approve::run(global, verb)),
        Verb::Runbook(verb) => runbook::look(global, verb),
        Verb::Status => wait(status::run(global)),
        Verb::History(verb) => history::run(global, verb),
        Verb::Report(verb) => report::run(global, verb),
        Verb::Releases(verb) => wait(releases::run(global, verb)),
        Verb::Maintenance(verb) => wait(maintenance::run(global, verb)),
        Verb::Dns(verb) => wait(dns::run(global, verb)),
        Verb::Data(verb) => wait(data::run(global, verb)),
        Verb::Backup(verb) => wait(backup::run(global, verb)),
        Verb::Watch(verb) => wait(watch::run(global, verb)),
        Verb::Notify(verb) => wait(notify::run(global, verb)),
        Verb::Config(verb) => config::run(global, verb),
        Verb::Serve(verb) => wait(serve::run(global, verb)),
        Verb::Completions { shell } => completions::completions(global, *shell),
        Verb::Man => completions::man(global),
    }
}

fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let answer = runtime.block_on(work);
    // A blocked helper thread must not keep a finished command from ending.
    runtime.shutdown_background();
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once_and_who_may_not_is_told_who_may() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot list the journal: {source}")]
        struct Unlisted {
            source: std::io::Error,
        }
        let of = |kind: std::io::ErrorKind| anyhow::Error::from(Unlisted { source: kind.into() }).context("no runs");
        let told = words(&of(std::io::ErrorKind::PermissionDenied));
        assert_eq!(told.matches("denied").count(), 1, "{told}");
        assert!(told.starts_with("no runs: cannot list the journal: ") && told.ends_with("(sudo)"), "{told}");
        assert!(!words(&of(std::io::ErrorKind::StorageFull)).contains("sudo"));
    }
}
