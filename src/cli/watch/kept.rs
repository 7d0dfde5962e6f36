//! Writing down what was judged. Law: a daemon that cannot write goes on and says so once, and once more when it can again;
//! what is not written moves nothing on this host.

use super::Watching;
use super::telling::complain;
use crate::adapter::clock;
use crate::adapter::notify::Notice;
use crate::cli::{out, telling};
use crate::notify::{Topic, Unkept, Unwritten};
use crate::watch::{keep, record};

impl Watching<'_> {
    /// Writes the window down, as a daemon does.
    pub(super) fn keep(&mut self) {
        let written = self.shelf.write(&self.window);
        let (now, since) = (clock::wall_ms(), self.unkept_ms.take());
        let why = match (written, since) {
            (Ok(()), None) => return,
            (Ok(()), Some(_)) => None,
            (Err(error), since) => {
                self.unkept_ms = Some(since.unwrap_or(now));
                if since.is_some() {
                    return;
                }
                Some(format!("{error:#}"))
            }
        };
        out::say(&match &why {
            Some(why) => {
                format!("cutover: what it judges cannot be written down, and it does not go back by itself: {why}")
            }
            None => "cutover: what it judges is written down again".to_owned(),
        });
        let directory = keep::directory(&self.setup.state).display().to_string();
        let unkept = Unkept { place: self.place(), why, directory, since_ms: since.unwrap_or(now), at_ms: now };
        self.tell_soon(unkept.notice());
    }

    /// Into the journal of the watched run. What cannot be written now waits, fails nothing, and is told once.
    pub(super) fn write_verdicts(&mut self) {
        match record::write(&self.setup.state, &mut self.window) {
            Ok(true) => self.window.is_unwritten_told = false,
            Ok(false) => {}
            Err(error) => {
                let why = format!("{error:#}");
                let verdict = self.window.unwritten.last().map(|(verdict, _)| verdict.clone());
                let told = std::mem::replace(&mut self.window.is_unwritten_told, true);
                if !told {
                    tracing::warn!("{why}");
                }
                if let (false, Some(run), Some(verdict)) = (told, self.window.run, verdict) {
                    let unwritten = Unwritten { place: self.place(), run, verdict, why, at_ms: clock::wall_ms() };
                    self.tell_soon(unwritten.notice());
                }
            }
        }
    }

    pub(super) fn place(&self) -> crate::notify::Place {
        telling::place(&self.config.project.name, &self.config.project.environment)
    }

    /// Tells it in the background.
    pub(super) fn tell_soon(&mut self, notice: Notice) {
        let Some(notifier) = self.setup.notifier.clone() else { return };
        self.telling.spawn(async move { complain(&notifier.tell(Topic::Verdicts, &notice).await) });
    }
}
