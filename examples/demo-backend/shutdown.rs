//! How the process ends. Law: after SIGTERM what was begun is finished, within a limit.

use crate::log;
use crate::settings::Settings;
use anyhow::Result;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals that ask a container to end.
pub struct Farewell {
    terminate: Signal,
    interrupt: Signal,
    is_deaf: bool,
    limit: Duration,
}

impl Farewell {
    /// Installs the handlers; as process 1 of a container nothing would end us otherwise.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub fn listen(settings: &Settings) -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            is_deaf: settings.faults.ignore_sigterm,
            limit: settings.shutdown,
        })
    }

    /// Returns at the first signal that is obeyed; from then on the limit runs.
    pub async fn wait(mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            if !self.is_deaf {
                break;
            }
            log("asked to end; fault: ignored");
        }
        log("asked to end: finishing what was begun");
        let limit = self.limit;
        tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            log("requests are still open at the limit; ending without them");
            std::process::exit(1);
        });
    }
}
