//! Expect health: a URL answers as expected, several times in a row; a wrong body is a refusal, not a warning.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, Say, Seen};
use crate::adapter::answer::Wanted;
use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::docker::Docker;
use crate::adapter::http::Http;
use crate::adapter::switch;
use crate::data::plural::counted;

/// A container that is asked itself, whatever its ports are published as.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Straight {
    /// Compose project.
    pub project: String,
    /// Service, as the project's own model names it.
    pub service: String,
    /// Port that it listens on.
    pub port: u16,
    /// The directory of the switch, where whoever serves at that moment is asked: which side that is, a plan cannot know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<PathBuf>,
}

impl Straight {
    /// The compose project whose containers are asked.
    fn serving(&self) -> Result<String> {
        let told = self.switch.as_ref().map(|directory| switch::read(directory, [])).transpose()?;
        Ok(told.and_then(|pointing| pointing.id).unwrap_or_else(|| self.project.clone()))
    }
}

/// The gate, and the question that other gates ask over and over.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct ExpectHealth {
    /// Name in the configuration.
    pub name: String,
    /// Where to ask.
    pub url: String,
    /// Status code that is wanted.
    pub status: u16,
    /// JSON pointers and the values that must stand there.
    pub json: BTreeMap<String, Value>,
    /// Text that the body must hold.
    pub body_contains: Option<String>,
    /// Good answers in a row.
    pub successes: u32,
    /// Between two questions, milliseconds.
    pub interval_ms: u64,
    /// For one answer, milliseconds.
    pub timeout_ms: u64,
    /// For the whole gate, seconds.
    pub deadline_s: u64,
    /// The containers that are asked at their own addresses, instead of the host in the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub straight: Option<Straight>,
}

impl ExpectHealth {
    /// Asks until enough answers in a row were good, or the deadline ends.
    ///
    /// # Errors
    /// None for what it sees.
    pub async fn ask(&self, docker: &Docker, http: &Http, say: Say<'_>) -> Result<Seen> {
        let watch = Stopwatch::start();
        let deadline = Duration::from_secs(self.deadline_s);
        let mut in_a_row = 0;
        loop {
            let last = match self.once(docker, http).await {
                Ok(()) => {
                    in_a_row += 1;
                    format!("{in_a_row} of {} good answers", self.successes)
                }
                Err(why) => {
                    in_a_row = 0;
                    why
                }
            };
            if in_a_row >= self.successes {
                let words = format!("{}, {} in a row", self.expected(), counted(in_a_row, "time"));
                let waited = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
                return Ok(Seen { answer: Answer::Passed, words, data: json!({ "waited_ms": waited }) });
            }
            // The last answer counts before the deadline does: a success at the last moment is a success.
            if watch.left(deadline).is_none() {
                let words = format!("{} is not as expected after {}: {last}", self.place(), spoken(watch.elapsed()));
                return Ok(Seen { answer: Answer::Refused, words, data: Value::Null });
            }
            say(format!("{}: {last}", self.place()));
            tokio::time::sleep(Duration::from_millis(self.interval_ms)).await;
        }
    }

    /// Where it is asked, in words: nobody needs to listen at an address whose containers are asked themselves.
    pub fn place(&self) -> String {
        let Some(straight) = &self.straight else { return self.url.clone() };
        format!("{} at its containers ({})", straight.service, self.path())
    }

    /// What is expected, in words.
    pub fn expected(&self) -> String {
        let Some(straight) = &self.straight else { return format!("{} answers as expected", self.url) };
        format!("{} answers as expected at its containers: {}", straight.service, self.path())
    }

    fn path(&self) -> String {
        url::Url::parse(&self.url).map_or_else(|_| self.url.clone(), |url| url.path().to_owned())
    }

    /// Asks once.
    ///
    /// # Errors
    /// What is wrong with the answer, or why there is none.
    pub async fn once(&self, docker: &Docker, http: &Http) -> Result<(), String> {
        let Some(straight) = &self.straight else { return self.once_at(&self.url, http).await };
        let urls = self.urls(straight, docker).await.map_err(|error| format!("{error:#}"))?;
        for url in urls {
            self.once_at(&url, http).await.map_err(|why| format!("{url}: {why}"))?;
        }
        Ok(())
    }

    /// The address of every container of the service that is asked straight.
    async fn urls(&self, straight: &Straight, docker: &Docker) -> Result<Vec<String>> {
        let mut urls = Vec::new();
        let project = straight.serving()?;
        for container in docker.containers(&project).await? {
            if container.plain_service() != straight.service {
                continue;
            }
            let place = docker.whereabouts(&container.id).await?;
            let Some(address) = place.and_then(|place| place.addresses.into_iter().next()) else {
                bail!("{} has no address: it is {}", container.name, container.state.status);
            };
            let mut url = url::Url::parse(&self.url)?;
            url.set_ip_host(address).and_then(|()| url.set_port(Some(straight.port))).ok();
            urls.push(url.to_string());
        }
        if urls.is_empty() {
            bail!("{} has no container in {project}", straight.service);
        }
        Ok(urls)
    }

    async fn once_at(&self, url: &str, http: &Http) -> Result<(), String> {
        let answer = http.get(url, Duration::from_millis(self.timeout_ms)).await;
        let answer = answer.map_err(|error| format!("no answer: {error:#}"))?;
        let wanted = Wanted { status: self.status, json: &self.json, body_contains: self.body_contains.as_deref() };
        wanted.compare(&answer)
    }
}
