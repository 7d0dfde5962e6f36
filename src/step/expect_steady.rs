//! Expect steady: for a while after a change nothing restarts, health stays good, and errors stay below the limit.
//!
//! Law: time in which something could not be asked does not count. What stays unasked to the end is unknown: it does
//! not pass, and it causes no rollback. A ratio of no requests at all is no number: it is said, and judged by nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::expect_health::ExpectHealth;
use super::{Answer, Say, Seen};
use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::docker::{Container, Docker, has_ended_well};
use crate::adapter::http::Http;
use crate::adapter::prometheus::{self, Number};

/// How often everything is asked.
const PACE: Duration = Duration::from_secs(1);
/// Failed answers in a row that make a health endpoint bad.
const BAD_IN_A_ROW: u32 = 3;

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct ExpectSteady {
    /// Compose project.
    pub project: String,
    /// Services that are watched.
    pub services: Vec<String>,
    /// How long, milliseconds.
    pub for_ms: u64,
    /// How long it goes on asking what could not be asked, beyond its window, milliseconds.
    #[serde(default)]
    pub patience_ms: u64,
    /// Health endpoints.
    pub health: Vec<ExpectHealth>,
    /// Prometheus, the query for the error ratio, and the highest ratio that is borne.
    pub errors: Option<(String, String, f64)>,
}

/// What was seen so far.
#[derive(Default)]
struct Sight<'a> {
    first: Option<Containers>,
    bad: BTreeMap<&'a str, u32>,
    ratio: Option<f64>,
    ratio_at_first: Option<f64>,
    ratio_bad: u32,
    /// Why there is no ratio although Prometheus answered.
    no_ratio: Option<String>,
    /// What could not be asked in this round.
    unknown: Vec<String>,
}

/// State and restarts by container name.
type Containers = BTreeMap<String, (String, i64)>;

impl ExpectSteady {
    /// Watches for the whole time.
    ///
    /// # Errors
    /// None for what it sees.
    pub async fn ask(&self, docker: &Docker, http: &Http, say: Say<'_>) -> Result<Seen> {
        let watch = Stopwatch::start();
        let (window, patience) = (Duration::from_millis(self.for_ms), Duration::from_millis(self.patience_ms));
        let docker = docker.with_patience(Duration::ZERO);
        let mut sight = Sight::default();
        let mut unasked = Duration::ZERO;
        loop {
            sight.unknown.clear();
            let round = watch.elapsed();
            if let Some(words) = self.look(&docker, http, &mut sight).await {
                let data = json!({ "after_ms": ms(watch.elapsed()) });
                return Ok(Seen { answer: Answer::Refused, words, data });
            }
            let words = sight.words();
            let steady = watch.elapsed().saturating_sub(unasked);
            let is_known = sight.unknown.is_empty();
            if is_known && steady >= window {
                let data = json!({ "error_ratio": sight.ratio, "not_judged": sight.no_ratio });
                return Ok(Seen {
                    answer: Answer::Passed,
                    words: format!("steady for {}{words}", spoken(window)),
                    data,
                });
            }
            if !is_known && watch.elapsed() >= window + patience {
                let words = format!("steady for {} of {}{words}", spoken(steady), spoken(window));
                return Ok(Seen { answer: Answer::Unknown, words, data: json!({ "unknown": sight.unknown }) });
            }
            say(format!("steady for {} of {}{words}", spoken(steady), spoken(window)));
            let left = window.saturating_sub(steady).max(Duration::from_millis(1));
            tokio::time::sleep(if is_known { PACE.min(left) } else { PACE }).await;
            if !is_known {
                unasked += watch.elapsed().saturating_sub(round);
            }
        }
    }

    /// Asks everything once; says what is wrong.
    async fn look<'a>(&'a self, docker: &Docker, http: &Http, sight: &mut Sight<'a>) -> Option<String> {
        if let Some(trouble) = self.look_at_containers(docker, sight).await {
            return Some(trouble);
        }
        match self.look_at_health(docker, http, sight).await {
            None => self.look_at_errors(http, sight).await,
            some => some,
        }
    }

    async fn look_at_containers(&self, docker: &Docker, sight: &mut Sight<'_>) -> Option<String> {
        let all = match docker.containers(&self.project).await {
            Ok(all) => all,
            Err(error) => {
                sight.unknown.push(format!("containers: {error:#}"));
                return None;
            }
        };
        let own = || all.iter().filter(|container| self.services.contains(&container.service));
        if sight.first.is_none()
            && let Some(fallen) = own().find_map(fallen)
        {
            return Some(fallen);
        }
        let now: Containers = own()
            .map(|one| {
                let state = format!("{} since {}", one.state.status, one.state.started_at);
                (one.name.clone(), (state, one.state.restarts))
            })
            .collect();
        difference(sight.first.get_or_insert_with(|| now.clone()), &now)
    }

    async fn look_at_health<'a>(&'a self, docker: &Docker, http: &Http, sight: &mut Sight<'a>) -> Option<String> {
        for health in &self.health {
            let count = sight.bad.entry(&health.name).or_default();
            match health.once(docker, http).await {
                Ok(()) => *count = 0,
                Err(why) => {
                    *count += 1;
                    if *count >= BAD_IN_A_ROW {
                        return Some(format!("{} failed {count} times in a row: {why}", health.place()));
                    }
                }
            }
        }
        None
    }

    /// Errors that stood in the series before the watch began (the gap of the change itself) are not held against
    /// the release: the ratio must be above the limit and above where it began.
    async fn look_at_errors(&self, http: &Http, sight: &mut Sight<'_>) -> Option<String> {
        let (base, query, limit) = self.errors.as_ref()?;
        match prometheus::number(http, base, query, Duration::from_secs(3)).await {
            Ok(Number::Value(value)) => {
                sight.no_ratio = None;
                sight.ratio = Some(value);
                let began = *sight.ratio_at_first.get_or_insert(value);
                sight.ratio_bad = if value > *limit && value > began { sight.ratio_bad + 1 } else { 0 };
                if sight.ratio_bad >= BAD_IN_A_ROW {
                    let (value, limit, began) = (value * 100.0, limit * 100.0, began * 100.0);
                    return Some(format!(
                        "the error ratio is {value:.1} %, more than {limit:.1} %; it began at {began:.1} %"
                    ));
                }
            }
            Ok(Number::Nothing(why)) => {
                sight.ratio_bad = 0;
                sight.no_ratio = Some(why);
            }
            Ok(Number::Unclear(why)) => sight.unknown.push(format!("error ratio: {why}")),
            Err(error) => sight.unknown.push(format!("error ratio: {error:#}")),
        }
        None
    }
}

impl Sight<'_> {
    fn words(&self) -> String {
        let ratio = match (&self.no_ratio, self.ratio) {
            (Some(why), _) => format!(", error ratio not judged: {why}"),
            (None, Some(ratio)) => format!(", error ratio {:.1} %", ratio * 100.0),
            (None, None) => String::new(),
        };
        let unknown =
            if self.unknown.is_empty() { String::new() } else { format!("; unknown: {}", self.unknown.join("; ")) };
        format!("{ratio}{unknown}")
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whoever fell between the gate before and the first look is not steady, however long he lies there.
fn fallen(one: &Container) -> Option<String> {
    let state = &one.state;
    match state.status.as_str() {
        "running" => None,
        // What the gate before let pass falls here no more than there.
        "exited" if has_ended_well(one) => None,
        "exited" => Some(format!("{} exited with {} before the watch began", one.name, state.exit_code)),
        status => Some(format!("{} is {status} as the watch begins", one.name)),
    }
}

fn difference(before: &Containers, now: &Containers) -> Option<String> {
    for (name, (state, restarts)) in before {
        match now.get(name) {
            None => return Some(format!("{name} is gone")),
            Some((now, again)) if again > restarts => {
                return Some(format!("{name} was restarted by the engine ({now})"));
            }
            Some((now, _)) if now != state => return Some(format!("{name} was {state} and is {now}")),
            Some(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(state: &str, restarts: i64) -> Containers {
        BTreeMap::from([("web".to_owned(), (state.to_owned(), restarts))])
    }

    #[test]
    fn a_restart_a_stop_and_a_removal_are_seen() {
        let before = one("running since 1", 0);
        assert_eq!(difference(&before, &before), None);
        assert!(difference(&before, &one("running since 2", 1)).unwrap().contains("restarted"));
        assert!(difference(&before, &one("exited since 1", 0)).unwrap().contains("exited"));
        assert!(difference(&before, &BTreeMap::new()).unwrap().contains("gone"));
    }

    #[test]
    fn a_container_that_fell_before_the_first_look_is_seen_and_one_that_has_done_its_work_is_well() {
        let one = |status: &str, exit_code: i64, restart: &str| {
            let mut one = Container { name: "web".into(), restart: restart.into(), ..Container::default() };
            (one.state.status, one.state.exit_code) = (status.into(), exit_code);
            fallen(&one)
        };
        assert_eq!(one("running", 0, "always"), None);
        assert_eq!(one("exited", 0, "no"), None);
        assert_eq!(one("exited", 0, "on-failure"), None);
        assert!(one("exited", 137, "unless-stopped").unwrap().contains("web exited with 137"));
        assert!(one("exited", 0, "unless-stopped").is_some());
        assert!(one("restarting", 1, "always").unwrap().contains("is restarting"));
    }

    #[tokio::test]
    async fn an_engine_that_cannot_be_asked_makes_it_unknown_neither_good_nor_bad() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("nobody.sock");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let nobody = format!("unix://{}", socket.display());
        let docker = Docker::new(Some(&nobody), Duration::ZERO).unwrap();
        let gate = ExpectSteady {
            project: "p".into(),
            services: vec!["web".into()],
            for_ms: 1,
            patience_ms: 1,
            health: Vec::new(),
            errors: None,
        };
        let seen = gate.ask(&docker, &Http::new().unwrap(), &|_| ()).await.unwrap();
        assert_eq!(seen.answer, Answer::Unknown, "{}", seen.words);
        assert!(seen.words.contains("unknown: containers: "), "{}", seen.words);
    }
}
