//! The demo backend that the lab deploys: small, honest about its health, and able to fail on request.
//!
//! `serve` (default) answers HTTP, `worker` writes heartbeats, `migrate` brings the schema up to this release,
//! `health [URL]` asks a server how it is (for health checks in an image without a shell). Everything is set by
//! the environment; the release comes baked into the image as `DEMO_RELEASE`.
#![expect(
    clippy::disallowed_methods,
    reason = "a program of its own, outside the crate's layers: it reads its environment and clock itself"
)]
#![expect(clippy::print_stderr, reason = "a container's log is its standard error")]

mod database;
mod faults;
mod health;
mod items;
mod metrics;
mod migrate;
mod serve;
mod settings;
mod shutdown;
mod socket;
mod worker;

use settings::Settings;
use std::process::ExitCode;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().unwrap_or_else(|| "serve".to_owned());
    let outcome = match (verb.as_str(), Settings::from_environment()) {
        (_, Err(problem)) => Err(problem),
        ("serve", Ok(settings)) => serve::run(settings).await,
        ("worker", Ok(settings)) => worker::run(settings).await,
        ("migrate", Ok(settings)) => migrate::run(&settings).await,
        ("health", Ok(settings)) => health::ask(arguments.next(), settings.port).await,
        (other, Ok(_)) => Err(anyhow::anyhow!("unknown command `{other}`: use serve, worker, migrate or health [URL]")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            log(&format!("error: {problem:#}"));
            ExitCode::FAILURE
        }
    }
}

/// One line of the container's log.
fn log(line: &str) {
    eprintln!("demo-backend: {line}");
}
