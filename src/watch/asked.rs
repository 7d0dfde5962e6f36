//! Direct questions to the public route, with a control target beside it: who does not answer, they or we?

use std::time::Duration;

use crate::adapter::clock;
use crate::adapter::http::Http;
use crate::judge::probe::{Asked, IN_A_ROW, PACE_MS};

/// The longest wait for one answer.
const DEADLINE: Duration = Duration::from_secs(8);

/// What is asked.
#[derive(Clone, Debug)]
pub struct Route {
    /// The public route.
    pub url: String,
    /// A page elsewhere.
    pub control: Option<String>,
}

impl Route {
    /// One round.
    pub async fn ask(&self, http: &Http) -> Asked {
        let control = async {
            match &self.control {
                // Any answer shows that the way out is open.
                Some(control) => Some(http.get(control, DEADLINE).await.is_ok()),
                None => None,
            }
        };
        let (route, is_control_there) = tokio::join!(http.get(&self.url, DEADLINE), control);
        let failure = match route {
            // What a client got wrong is an answer; what the server got wrong is not.
            Ok(answer) if answer.status < 500 => None,
            Ok(answer) => Some(format!("{} answered {}", self.url, answer.status)),
            Err(error) => Some(format!("{}: {error:#}", self.url)),
        };
        Asked { at_ms: clock::wall_ms(), failure, is_control_there }
    }

    /// For who comes once a minute: one round, and if it fails, as many as it takes to know.
    pub async fn ask_until_known(&self, http: &Http, failed_before: u32) -> Vec<Asked> {
        let mut rounds = vec![self.ask(http).await];
        let mut failures = failed_before + 1;
        while failures < IN_A_ROW && rounds.last().is_some_and(|asked| asked.failure.is_some()) {
            tokio::time::sleep(Duration::from_millis(PACE_MS)).await;
            rounds.push(self.ask(http).await);
            failures += 1;
        }
        rounds
    }
}
