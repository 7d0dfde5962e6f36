//! The prober: throughout a run it asks the public route, and tells what people would have met. Law: what the proxy answers
//! itself is not counted, and its questions (HEAD) stay out of the series that errors are judged by.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::front::Front;
use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::http::{Http, Method, Request};
use crate::data::plural::counted;
use crate::secret::Secret;

/// Between two questions.
const PACE: Duration = Duration::from_millis(50);
/// The longest that a question waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// The header by which the snippet is asked to tell which side answered.
const ASKS: &str = "cutover-probe";
/// The header in which it tells.
const TELLS: &str = "cutover-upstream";

/// What was met, from the first good answer on: before the first release there is nobody who could be missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The route.
    pub url: String,
    /// Questions that the application had to answer.
    pub asked: u64,
    /// Those that got no answer, or an error of the server.
    pub failed: u64,
    /// What the first of these got.
    pub first_failure: Option<String>,
    /// Questions that the proxy itself answered, with the page of a maintenance.
    pub behind_page: u64,
    /// What the last question got while there was no good answer yet.
    pub last_refusal: Option<String>,
    /// The longest time without a good answer.
    pub longest_stall: Duration,
    /// The side that answered first, where the route tells it.
    pub first_side: Option<String>,
    /// The side that answered after it, and when it first did, from the start of the run.
    pub new_side: Option<(String, Duration)>,
}

impl Tally {
    /// In words, for the journal and for people.
    pub fn words(&self) -> String {
        if self.asked == 0 {
            let last = self.last_refusal.as_ref().map(|last| format!("; the last one: {last}")).unwrap_or_default();
            return format!("public route {}: no good answer of the application yet{last}", self.url);
        }
        let mut words = format!(
            "public route {}: {} of {} failed, longest stall {}",
            self.url,
            self.failed,
            counted(self.asked, "request"),
            spoken(self.longest_stall)
        );
        if let Some((side, after)) = &self.new_side {
            words.push_str(&format!(", first answer of {side} after {}", spoken(*after)));
        }
        if let Some(first) = &self.first_failure {
            words.push_str(&format!("; the first failure: {first}"));
        }
        if self.behind_page > 0 {
            words.push_str(&format!("; {} met the maintenance page", self.behind_page));
        }
        words
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        json!({
            "url": self.url,
            "asked": self.asked,
            "failed": self.failed,
            "first_failure": self.first_failure,
            "behind_page": self.behind_page,
            "longest_stall_ms": ms(self.longest_stall),
            "new_side": self.new_side.as_ref().map(|(side, _)| side),
            "first_answer_ms": self.new_side.as_ref().map(|(_, after)| ms(*after)),
        })
    }

    /// Puts what an earlier process of the same run met before it, as [`Self::to_json`] has it.
    #[must_use]
    pub fn after(mut self, before: &Value) -> Self {
        let number = |key: &str| before.get(key).and_then(Value::as_u64).unwrap_or(0);
        let text = |key: &str| before.get(key).and_then(Value::as_str).map(str::to_owned);
        self.asked += number("asked");
        self.failed += number("failed");
        self.behind_page += number("behind_page");
        self.longest_stall = self.longest_stall.max(Duration::from_millis(number("longest_stall_ms")));
        self.first_failure = text("first_failure").or(self.first_failure);
        let new_side = text("new_side").map(|side| (side, Duration::from_millis(number("first_answer_ms"))));
        self.new_side = new_side.or(self.new_side);
        self
    }

    /// Whether anybody could have met anything.
    pub fn is_of_use(&self) -> bool {
        self.asked > 0 || self.behind_page > 0
    }

    /// Takes an answer in: its status, the side that gave it, and when it came.
    fn take(&mut self, answer: Result<(u16, Option<String>), String>, now: Duration, last_good: &mut Option<Duration>) {
        let trouble = match answer {
            Ok((503, None)) => {
                self.behind_page += u64::from(last_good.is_some());
                if last_good.is_none() {
                    self.last_refusal = Some("status 503 of the proxy itself".to_owned());
                }
                return;
            }
            Ok((status, side)) if status < 500 => {
                self.asked += 1;
                if let Some(last) = last_good {
                    self.longest_stall = self.longest_stall.max(now.saturating_sub(*last + PACE));
                }
                *last_good = Some(now);
                match (side, &self.first_side) {
                    (Some(side), None) => self.first_side = Some(side),
                    (Some(side), Some(first)) if side != *first && self.new_side.is_none() => {
                        self.new_side = Some((side, now));
                    }
                    _ => {}
                }
                return;
            }
            Ok((status, _)) => format!("status {status}"),
            Err(why) => why,
        };
        if last_good.is_some() {
            self.asked += 1;
            self.failed += 1;
            self.first_failure.get_or_insert(trouble);
        } else {
            self.last_refusal = Some(trouble);
        }
    }
}

/// A prober at work.
#[derive(Debug)]
pub struct Prober {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Tally>,
}

impl Prober {
    /// Begins to ask.
    pub fn start(http: &Http, front: &Front) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (http, url) = (http.clone(), front.url.clone());
        Self { stop, task: tokio::spawn(ask_until(http, url, stopped)) }
    }

    /// Ends, and tells what was met; nothing where it broke off.
    pub async fn end(self) -> Option<Tally> {
        // It may have ended by itself: then there is nobody to tell.
        let _ = self.stop.send(());
        self.task.await.ok()
    }
}

async fn ask_until(http: Http, url: String, mut stopped: oneshot::Receiver<()>) -> Tally {
    let watch = Stopwatch::start();
    let mut tally = Tally { url: url.clone(), ..Tally::default() };
    let mut last_good = None;
    let headers = [(ASKS, Secret::new("1".into()))];
    loop {
        let request = Request { method: Method::Head, url: &url, headers: &headers, json: None, deadline: PATIENCE };
        let answer = tokio::select! {
            answer = http.send(&request) => answer,
            _ = &mut stopped => break,
        };
        let answer = answer.map(|reply| (reply.status, reply.header(TELLS).map(str::to_owned)));
        tally.take(answer.map_err(|error| error.to_string()), watch.elapsed(), &mut last_good);
        tokio::select! {
            () = tokio::time::sleep(PACE) => {}
            _ = &mut stopped => break,
        }
    }
    if let Some(last) = last_good {
        // What is silent to the end is a stall too.
        tally.longest_stall = tally.longest_stall.max(watch.elapsed().saturating_sub(last + PACE));
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer<'a> = Result<(u16, Option<&'a str>), &'a str>;

    fn after(answers: &[(Answer<'_>, u64)]) -> Tally {
        let (mut tally, mut last_good) = (Tally { url: "http://x/".into(), ..Tally::default() }, None);
        for (answer, ms) in answers.iter().cloned() {
            let answer = answer.map(|(status, side)| (status, side.map(str::to_owned))).map_err(str::to_owned);
            tally.take(answer, Duration::from_millis(ms), &mut last_good);
        }
        tally
    }

    #[test]
    fn failures_the_longest_stall_and_the_first_answer_of_the_new_side_are_told() {
        let tally = after(&[
            (Ok((200, Some("one"))), 10),
            (Ok((502, None)), 70),
            (Err("refused"), 130),
            (Ok((404, Some("two"))), 1060),
            (Ok((200, Some("one"))), 1120),
        ]);
        assert_eq!((tally.asked, tally.failed, tally.longest_stall.as_millis()), (5, 2, 1000));
        assert_eq!(
            tally.words(),
            "public route http://x/: 2 of 5 requests failed, longest stall 1.0 s, first answer of two after 1.1 s; the \
             first failure: status 502"
        );
        assert_eq!((&tally.to_json()["first_answer_ms"], &tally.to_json()["failed"]), (&json!(1060), &json!(2)));
    }

    #[test]
    fn what_the_process_before_met_is_counted_too() {
        let before = after(&[(Ok((200, Some("one"))), 10), (Err("refused"), 70), (Ok((200, Some("two"))), 900)]);
        let now = after(&[(Ok((200, Some("two"))), 10), (Ok((502, None)), 70), (Ok((200, Some("two"))), 130)]);
        let whole = now.after(&before.to_json());
        assert_eq!((whole.asked, whole.failed, whole.longest_stall.as_millis()), (6, 2, 840));
        assert_eq!(
            (whole.first_failure.as_deref(), whole.new_side.map(|(side, _)| side)),
            (Some("refused"), Some("two".into()))
        );
    }

    #[test]
    fn before_the_first_release_answers_nobody_is_missed() {
        let tally = after(&[(Err("refused"), 10), (Ok((503, None)), 60), (Ok((200, None)), 110)]);
        assert_eq!((tally.asked, tally.failed, tally.behind_page), (1, 0, 0));
        assert!(
            after(&[(Err("refused"), 10)])
                .words()
                .ends_with("no good answer of the application yet; the last one: refused")
        );
    }

    #[test]
    fn the_page_of_a_maintenance_is_no_failure_and_a_503_of_the_application_is_one() {
        let tally = after(&[(Ok((200, None)), 10), (Ok((503, None)), 60), (Ok((503, Some("one"))), 110)]);
        assert_eq!((tally.asked, tally.failed, tally.behind_page), (2, 1, 1));
    }
}
