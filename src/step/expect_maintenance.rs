//! Expect maintenance: the public route shows the page, or the application again. Law: a file in its place proves nothing;
//! only what a visitor is answered does.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, Say, Seen};
use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::http::{Http, HttpError, Method, Reply, Request};
use crate::secret::Secret;

/// Between two questions.
const PACE: Duration = Duration::from_millis(50);
/// The longest that one question waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// The header by which the snippet is asked to tell which side answered.
const ASKS: &str = "cutover-probe";
/// The header in which it tells: what has it came from the application, whatever its status.
const TELLS: &str = "cutover-upstream";

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExpectMaintenance {
    /// The public route.
    pub url: String,
    /// The directory whose files Caddy reads.
    pub directory: PathBuf,
    /// Words that the page must hold; none where the application must answer.
    pub page: Option<String>,
    /// For the whole gate, seconds.
    pub deadline_s: u64,
}

impl ExpectMaintenance {
    /// Asks until visitors get what is wanted, or the deadline ends.
    ///
    /// # Errors
    /// None for what it sees.
    pub async fn ask(&self, http: &Http, say: Say<'_>) -> Result<Seen> {
        let watch = Stopwatch::start();
        let deadline = Duration::from_secs(self.deadline_s);
        let headers = [(ASKS, Secret::new("1".into()))];
        loop {
            let patience = PATIENCE.min(deadline);
            let request =
                Request { method: Method::Get, url: &self.url, headers: &headers, json: None, deadline: patience };
            let told = match self.judge(&http.send(&request).await) {
                Ok(words) => {
                    let waited = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
                    return Ok(Seen { answer: Answer::Passed, words, data: json!({ "waited_ms": waited }) });
                }
                Err(told) => told,
            };
            if watch.left(deadline).is_none() {
                let words = format!("after {} {told}; {}", spoken(watch.elapsed()), self.advice());
                return Ok(Seen { answer: Answer::Refused, words, data: Value::Null });
            }
            say(told);
            tokio::time::sleep(PACE).await;
        }
    }

    /// What visitors get, where it is what is wanted; else what they get instead.
    fn judge(&self, answer: &Result<Reply, HttpError>) -> Result<String, String> {
        let url = &self.url;
        let reply = answer.as_ref().map_err(|error| format!("nothing answers at {url}: {error}"))?;
        let status = reply.status;
        match &self.page {
            Some(page) if status == 503 && reply.body.contains(page.as_str()) => {
                Ok(format!("visitors of {url} get 503 with the page"))
            }
            Some(_) if status == 503 => Err(format!("visitors of {url} get 503, but not with this page")),
            Some(_) => Err(format!("visitors of {url} still get {status} and not the page")),
            None if status < 500 => Ok(format!("visitors of {url} get {status}, and not the page")),
            None if reply.header(TELLS).is_some() => {
                Ok(format!("visitors of {url} get {status} from the application itself, and not the page"))
            }
            None => Err(format!("visitors of {url} get {status}, and not the application")),
        }
    }

    fn advice(&self) -> String {
        let file = self.directory.join("maintenance");
        let file = file.display();
        match self.page {
            Some(_) => format!(
                "{file} was in its place, so the Caddy that answers there does not run, or does not read it: start it, \
                 mount the directory at /run/cutover, and use `import cutover PORT` in the site (docs/switching.md)"
            ),
            None => format!(
                "{file} was taken away, so what stands behind Caddy, or Caddy itself, does not answer: `cutover status` \
                 and `cutover preflight --only caddy` look"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(page: Option<&str>) -> ExpectMaintenance {
        let page = page.map(str::to_owned);
        ExpectMaintenance { url: "http://x/".into(), directory: "/d".into(), page, deadline_s: 0 }
    }

    fn reply(status: u16, body: &str, is_of_application: bool) -> Result<Reply, HttpError> {
        let told = is_of_application.then(|| (TELLS.to_owned(), "backend".to_owned()));
        Ok(Reply { status, headers: told.into_iter().collect(), body: body.to_owned() })
    }

    #[test]
    fn only_the_very_page_with_503_is_maintenance() {
        let gate = gate(Some("Back at ten"));
        assert!(gate.judge(&reply(503, "<p>Back at ten</p>", false)).is_ok());
        let still = gate.judge(&reply(200, "<p>Back at ten</p>", true)).unwrap_err();
        assert_eq!(still, "visitors of http://x/ still get 200 and not the page");
        assert!(gate.judge(&reply(503, "no release has been chosen", false)).is_err());
        assert!(gate.judge(&Err(HttpError::Away("refused".into()))).unwrap_err().starts_with("nothing answers at"));
    }

    #[test]
    fn only_what_comes_from_the_application_ends_maintenance() {
        let gate = gate(None);
        assert!(gate.judge(&reply(404, "", true)).is_ok() && gate.judge(&reply(301, "", false)).is_ok());
        assert!(gate.judge(&reply(503, "broken", true)).unwrap().contains("from the application itself"));
        assert!(gate.judge(&reply(503, "the page", false)).is_err() && gate.judge(&reply(502, "", false)).is_err());
    }

    #[tokio::test]
    async fn where_nobody_listens_it_refuses_and_says_what_to_do() {
        // Port 9 is kept for discarding, and nobody here listens on it.
        let mut gate = gate(Some("Back at ten"));
        gate.url = "http://127.0.0.1:9/".into();
        let seen = gate.ask(&Http::new().unwrap(), &|_| ()).await.unwrap();
        assert_eq!(seen.answer, Answer::Refused);
        for part in ["nothing answers at http://127.0.0.1:9/", "/d/maintenance", "import cutover PORT"] {
            assert!(seen.words.contains(part), "{}", seen.words);
        }
    }
}
