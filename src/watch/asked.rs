//! Direct questions to the public route, with a control target beside it: who does not answer, they or we?

use std::time::Duration;

use crate::adapter::clock;
use crate::adapter::http::Http;
use crate::judge::probe::{Asked, IN_A_ROW, PACE_MS};

/// The longest wait for one answer.
const DEADLINE: Duration = Duration::from_secs(8);
/// Rounds of one call of cron: the next call is to find this one gone.
const MOST_ROUNDS: usize = 5;

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

    /// For who comes once a minute: one round, and if it fails, more at the daemon's pace until it is known, or the minute is
    /// nearly over. The row of failures is kept, and the next call goes on with it.
    pub async fn ask_until_known(&self, http: &Http, failed_before: u32) -> Vec<Asked> {
        let mut failures = failed_before;
        let mut rounds: Vec<Asked> = Vec::new();
        loop {
            let round = clock::Stopwatch::start();
            let asked = self.ask(http).await;
            let has_failed = asked.failure.is_some();
            rounds.push(asked);
            failures += 1;
            if !has_failed || is_enough(failures, rounds.len()) {
                return rounds;
            }
            tokio::time::sleep(Duration::from_millis(PACE_MS).saturating_sub(round.elapsed())).await;
        }
    }
}

/// Whether so many failures in a row tell enough, or so many rounds take nearly the minute.
fn is_enough(failures: u32, rounds: usize) -> bool {
    failures >= IN_A_ROW || rounds >= MOST_ROUNDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_cron_ends_before_the_next_one_and_the_row_of_failures_goes_on() {
        assert!(!is_enough(1, 1) && !is_enough(4, 4));
        assert!(is_enough(5, MOST_ROUNDS), "the next call asks the sixth time");
        assert!(is_enough(IN_A_ROW, 1), "six in a row are known at once");
        let longest = Duration::from_millis(PACE_MS) * (u32::try_from(MOST_ROUNDS).unwrap() - 1) + DEADLINE;
        assert!(longest < Duration::from_secs(50), "what else a tick asks and tells needs its time");
    }
}
