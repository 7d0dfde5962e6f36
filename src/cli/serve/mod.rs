//! `serve`: a page that shows how it stands, and numbers for Prometheus. It takes no lock, writes nothing, and runs no script.

mod guard;
mod pages;

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use clap::Args;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};

use super::global::Global;
use super::setup::{self, Setup};
use super::{exit, out};
use crate::config::Listen;
use crate::run::Refusal;

/// Where it listens when nothing is said.
const USUAL: &str = "127.0.0.1:9180";

/// `serve`.
#[derive(Args, Debug)]
pub struct Serve {
    /// Where it listens, instead of serve.listen: a loopback address with its port, or unix:/run/cutover/serve.sock
    #[arg(long, value_name = "WHERE")]
    pub listen: Option<String>,
}

/// What every answer is made from.
pub struct Desk {
    setup: Setup,
    project: String,
    environment: String,
    guard: guard::Guard,
}

/// The verb.
///
/// # Errors
/// When the place cannot be listened at.
pub async fn run(global: &Global, verb: &Serve) -> Result<u8> {
    let (state, config) = setup::state_directory(global)?;
    let own = config.as_ref().and_then(|config| config.serve.clone());
    let listen = match (&verb.listen, &own) {
        (Some(text), _) => parsed(text)?,
        (None, Some(own)) => own.listen.clone(),
        (None, None) => parsed(USUAL)?,
    };
    let hosts = own.map_or_else(|| vec!["localhost".to_owned()], |own| own.hosts);
    let setup = Setup::without_engine(global, state, config.as_ref())?;
    let text = |of: fn(&crate::config::Config) -> String| config.as_ref().map(of).unwrap_or_default();
    let desk = Arc::new(Desk {
        guard: guard::Guard::new(&listen, hosts),
        project: text(|config| config.compose_project().to_owned()),
        environment: text(|config| config.project.environment.clone()),
        setup,
    });
    let router = Router::new().fallback(answer).with_state(desk);
    match &listen {
        Listen::Address(address) => {
            let listener = TcpListener::bind(address).await;
            let listener = listener.with_context(|| format!("cannot listen on {address}; is another one there?"))?;
            out::say(&format!("listening on http://{}/", listener.local_addr()?));
            axum::serve(listener, router).with_graceful_shutdown(end()).await?;
        }
        Listen::Socket(path) => {
            let listener = socket(path).await?;
            out::say(&format!("listening on unix:{}", path.display()));
            axum::serve(listener, router).with_graceful_shutdown(end()).await?;
            // A socket without a server would be in the next one's way.
            crate::adapter::files::remove_if_there(path)?;
        }
    }
    Ok(exit::DONE)
}

fn parsed(text: &str) -> Result<Listen> {
    let refusal = || Refusal::Usage(format!("--listen {text}: wants a loopback address with its port, or unix:/PATH"));
    let listen = Listen::parse(text).ok_or_else(refusal)?;
    match &listen {
        Listen::Address(address) if !address.ip().is_loopback() => Err(refusal().into()),
        _ => Ok(listen),
    }
}

/// A socket of our own; one that nobody answers at is left over from a server that was killed.
async fn socket(path: &Path) -> Result<UnixListener> {
    let is_socket = path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket());
    if is_socket && UnixStream::connect(path).await.is_err() {
        crate::adapter::files::remove_if_there(path)?;
    }
    let listener = UnixListener::bind(path);
    let listener = listener.with_context(|| format!("cannot listen at {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))
        .with_context(|| format!("cannot close {} to others", path.display()))?;
    Ok(listener)
}

/// Somebody ended the program.
async fn end() {
    let both = signal(SignalKind::interrupt()).and_then(|first| Ok((first, signal(SignalKind::terminate())?)));
    match both {
        Ok((mut interrupt, mut terminate)) => {
            tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
        }
        // Without handlers the signals end the program themselves.
        Err(_) => std::future::pending().await,
    }
}

async fn answer(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    match desk.guard.refusal(&request) {
        Some(refused) => refused,
        None => desk.guard.sealed(pages::of(&desk, request.uri().path()).await),
    }
}
