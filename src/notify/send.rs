//! Sending: to every channel that wants to hear of it, side by side, each tried a few times; what came of it is kept.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;

use super::channels::{Listed, Topic, listed, rules};
use super::kept;
use crate::adapter::clock;
use crate::adapter::notify::{Notice, Parcel};
use crate::adapter::outbound::{Outbound, Undelivered};
use crate::config::{Config, Environment};
use crate::redact::Redactor;

/// The pause before the second try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Letters of a title, at most.
const LONGEST_TITLE: usize = 330;

/// What came of telling one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The channel.
    pub channel: String,
    /// Its kind.
    pub kind: String,
    /// What it was told of.
    pub event: String,
    /// Whether it arrived.
    pub has_arrived: bool,
    /// What was answered, or why it did not arrive.
    pub said: String,
    /// How often it was tried.
    pub tries: u32,
    /// Whether it came out otherwise than the last time: what comes every minute is said once.
    #[serde(skip)]
    pub is_news: bool,
}

impl Delivery {
    /// One line.
    pub fn words(&self) -> String {
        let Self { channel, kind, said, tries, .. } = self;
        match (self.has_arrived, tries) {
            (true, _) => format!("{channel} ({kind}) was told: {said}"),
            (false, 0 | 1) => format!("{channel} ({kind}) was not told: {said}"),
            (false, tries) => format!("{channel} ({kind}) was not told, after {tries} tries: {said}"),
        }
    }
}

/// Everybody who can be told. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Notifier {
    channels: Vec<Listed>,
    outbound: Outbound,
    attempts: u32,
    state: PathBuf,
    redactor: Redactor,
}

impl Notifier {
    /// As configured; none where there is no [notify].
    pub fn new(config: &Config, environment: &Environment, redactor: &Redactor) -> Option<Self> {
        let notify = config.notify.as_ref()?;
        Some(Self {
            channels: listed(config, environment, redactor),
            outbound: Outbound::new(rules(notify), notify.timeout),
            attempts: notify.attempts,
            state: config.state.directory.clone(),
            redactor: redactor.clone(),
        })
    }

    /// The same, keeping what came of it elsewhere.
    #[must_use]
    pub fn keeping_in(self, state: PathBuf) -> Self {
        Self { state, ..self }
    }

    /// The channels.
    pub fn channels(&self) -> &[Listed] {
        &self.channels
    }

    /// Who can be asked.
    pub fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// The channels that a notice on this topic goes to.
    pub fn wanting(&self, topic: Topic) -> Vec<&Listed> {
        let is_told = |one: &&Listed| one.wants(topic) && takes_notices(one);
        self.channels.iter().filter(is_told).collect()
    }

    /// Tells a notice to all who want to hear of its topic.
    pub async fn tell(&self, topic: Topic, notice: &Notice) -> Vec<Delivery> {
        self.tell_these(&self.wanting(topic), notice).await
    }

    /// Tells a notice to these.
    pub async fn tell_these(&self, channels: &[&Listed], notice: &Notice) -> Vec<Delivery> {
        let notice = self.cleaned(notice);
        let parcel = Parcel::Notice(&notice);
        join_all(channels.iter().map(|one| self.deliver(one, parcel, &notice.event, self.attempts))).await
    }

    /// Gives a sign of life to whoever waits for one. It is tried once: the next one comes soon.
    pub async fn live(&self, is_well: bool, words: &str) -> Vec<Delivery> {
        let words = self.redactor.clean(words);
        self.signal(Parcel::Alive { is_well, words: &words }, "alive").await
    }

    /// Hands numbers to whoever keeps them.
    pub async fn count(&self, text: &str) -> Vec<Delivery> {
        self.signal(Parcel::Numbers(text), "numbers").await
    }

    /// Tries these channels: each is told what it takes, once.
    pub async fn test(&self, channels: &[&Listed], notice: &Notice, numbers: &str) -> Vec<Delivery> {
        let notice = self.cleaned(notice);
        let words = self.redactor.clean(&notice.title);
        let parcel = |one: &Listed| match one.kind {
            "kuma" => Parcel::Alive { is_well: true, words: &words },
            "pushgateway" | "textfile" => Parcel::Numbers(numbers),
            _ => Parcel::Notice(&notice),
        };
        join_all(channels.iter().map(|one| self.deliver(one, parcel(one), "test", 1))).await
    }

    async fn signal(&self, parcel: Parcel<'_>, event: &str) -> Vec<Delivery> {
        let is_told = |one: &&Listed| match &one.channel {
            Ok(channel) => channel.takes(parcel),
            Err(_) => match parcel {
                Parcel::Alive { .. } => one.kind == "kuma",
                _ => ["pushgateway", "textfile"].contains(&one.kind),
            },
        };
        join_all(self.channels.iter().filter(is_told).map(|one| self.deliver(one, parcel, event, 1))).await
    }

    async fn deliver(&self, one: &Listed, parcel: Parcel<'_>, event: &str, attempts: u32) -> Delivery {
        let mut delivery = Delivery {
            channel: one.name.clone(),
            kind: one.kind.to_owned(),
            event: event.to_owned(),
            has_arrived: false,
            said: String::new(),
            tries: 0,
            is_news: false,
        };
        match &one.channel {
            Err(why) => delivery.said.clone_from(why),
            Ok(channel) => {
                let mut pause = FIRST_PAUSE;
                loop {
                    delivery.tries += 1;
                    let answer = channel.hand_over(&self.outbound, parcel).await;
                    delivery.has_arrived = answer.is_ok();
                    let is_worth_another = matches!(answer, Err(Undelivered::Away(_)));
                    delivery.said = self.redactor.clean(&answer.unwrap_or_else(|error| error.to_string()));
                    if !is_worth_another || delivery.tries >= attempts {
                        break;
                    }
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            }
        }
        match kept::keep(&self.state, &delivery, &clock::now()) {
            Ok(is_news) => delivery.is_news = is_news,
            Err(error) => {
                tracing::warn!("what came of telling {} could not be kept: {error:#}", one.name);
                delivery.is_news = !delivery.has_arrived;
            }
        }
        delivery
    }

    fn cleaned(&self, notice: &Notice) -> Notice {
        Notice {
            // Only then in one line, and cut: half a secret, or one whose spaces are gone, is not recognised any more.
            title: one_line(&self.redactor.clean(&notice.title)),
            text: self.redactor.clean(&notice.text),
            facts: self.redactor.clean_json(notice.facts.clone()),
            ..notice.clone()
        }
    }
}

/// As it can be a subject: without breaks, and not longer than somebody reads.
fn one_line(title: &str) -> String {
    title.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST_TITLE).collect()
}

fn takes_notices(one: &Listed) -> bool {
    !["kuma", "pushgateway", "textfile"].contains(&one.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::notify::Severity;

    const SECRET: &str = "xyzzy  plugh-plover";

    fn cleaned(title: &str) -> Notice {
        let notifier = Notifier {
            channels: Vec::new(),
            outbound: Outbound::new(crate::adapter::outbound::Rules::default(), Duration::from_secs(1)),
            attempts: 1,
            state: PathBuf::new(),
            redactor: Redactor::new([SECRET.to_owned()]),
        };
        notifier.cleaned(&Notice {
            id: String::new(),
            event: "verdict_changed".into(),
            severity: Severity::Bad,
            at_ms: 0,
            project: "shop".into(),
            environment: "production".into(),
            title: title.into(),
            text: format!("What: {SECRET}"),
            facts: serde_json::json!({ "why": SECRET }),
        })
    }

    #[test]
    fn no_secret_is_in_a_title_neither_whole_nor_cut_in_half_nor_with_its_spaces_gone() {
        let notice = cleaned(&format!("shop production: HOLD:\n {SECRET}"));
        assert_eq!(notice.title, "shop production: HOLD: [secret]");
        assert_eq!(
            (notice.text.as_str(), &notice.facts),
            ("What: [secret]", &serde_json::json!({ "why": "[secret]" }))
        );
        let long = cleaned(&format!("{}{SECRET}", "o".repeat(LONGEST_TITLE - 8)));
        assert!(!long.title.contains("xyzzy") && long.title.chars().count() == LONGEST_TITLE, "{}", long.title);
    }
}
