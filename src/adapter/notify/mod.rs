//! Channels: the ways to tell somebody, each by its own protocol. One try, one answer; nothing is tried again here.
//!
//! A channel is told notices, or the sign of life of the watcher, or numbers; which of them it takes is its nature.

mod chat;
mod grafana;
mod mail;
mod metrics;
mod push;
mod webhook;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use mail::{Mail, Server};

use super::outbound::{Answered, Outbound, Sending, Undelivered, Verb};
use crate::secret::Secret;
use url::Url;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something ended well.
    Good,
    /// Worth a look.
    Warn,
    /// Somebody is needed.
    Bad,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notice {
    /// The same for every try and every channel, so that who gets it twice can tell.
    pub id: String,
    /// What happened; a word that stays the same.
    pub event: String,
    /// How bad it is.
    pub severity: Severity,
    /// When, milliseconds of Unix time.
    pub at_ms: i64,
    /// The project.
    pub project: String,
    /// The environment.
    pub environment: String,
    /// One line.
    pub title: String,
    /// The whole text.
    pub text: String,
    /// The same for programs.
    pub facts: Value,
}

/// What is handed to a channel.
#[derive(Clone, Copy, Debug)]
pub enum Parcel<'a> {
    /// A notice.
    Notice(&'a Notice),
    /// A sign of life of the watcher: whether all is well, and in words how it is.
    Alive {
        /// Whether all is well.
        is_well: bool,
        /// In words.
        words: &'a str,
    },
    /// Numbers, in Prometheus's text format.
    Numbers(&'a str),
}

/// A way to tell somebody.
#[derive(Clone, Debug)]
pub struct Channel {
    /// What it is called.
    pub name: String,
    /// How.
    pub way: Way,
}

/// How somebody is told. Addresses are secrets: such addresses carry their own authority.
#[derive(Clone, Debug)]
pub enum Way {
    /// A webhook that takes Slack's form.
    Slack(Target),
    /// Our own JSON, signed where there is a key.
    Webhook(Target, Option<Secret>),
    /// A push monitor of Uptime Kuma.
    Kuma(Target),
    /// Annotations of Grafana, with a token.
    Grafana(Target, Secret),
    /// A Pushgateway, and the labels of its group.
    Pushgateway(Target, Vec<(String, String)>),
    /// A file that node_exporter reads.
    Textfile(std::path::PathBuf),
    /// E-mail.
    Mail(Box<Mail>),
}

/// An address that is not printed.
#[derive(Clone)]
pub struct Target(Url);

impl std::fmt::Debug for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Target({})", self.shown())
    }
}

impl Target {
    /// Reads an address.
    ///
    /// # Errors
    /// In words, without the address.
    pub fn parse(secret: &Secret) -> Result<Self, String> {
        let url = Url::parse(secret.expose().trim()).map_err(|error| format!("the address is not a URL: {error}"))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err("the address names no host".into());
        }
        Ok(Self(url))
    }

    /// The host alone, which is no secret.
    pub fn shown(&self) -> String {
        let port = self.0.port().map_or_else(String::new, |port| format!(":{port}"));
        format!("{}{port}", self.0.host_str().unwrap_or_default())
    }

    /// The address with more at the end of its path.
    fn join(&self, more: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(more);
        }
        url
    }

    /// The parts of it that give access, for whoever blots secrets out: the path, the query, a password.
    pub fn secrets(&self) -> Vec<String> {
        let path = self.0.path().trim_matches('/').to_owned();
        let query = self.0.query().unwrap_or_default().to_owned();
        let password = self.0.password().unwrap_or_default().to_owned();
        let long = |text: &String| text.len() >= 12;
        let parts = path.split('/').map(str::to_owned).filter(long).collect::<Vec<_>>();
        let whole = [path, query].into_iter().filter(long);
        whole.chain(parts).chain((!password.is_empty()).then_some(password)).collect()
    }
}

impl Channel {
    /// The kind, as the configuration has it.
    pub fn kind(&self) -> &'static str {
        match self.way {
            Way::Slack(_) => "slack",
            Way::Webhook(..) => "webhook",
            Way::Kuma(_) => "kuma",
            Way::Grafana(..) => "grafana",
            Way::Pushgateway(..) => "pushgateway",
            Way::Textfile(_) => "textfile",
            Way::Mail(_) => "smtp",
        }
    }

    /// Where it goes to, as far as that is no secret.
    pub fn shown(&self) -> String {
        match &self.way {
            Way::Slack(target)
            | Way::Webhook(target, _)
            | Way::Kuma(target)
            | Way::Grafana(target, _)
            | Way::Pushgateway(target, _) => target.shown(),
            Way::Textfile(path) => path.display().to_string(),
            Way::Mail(mail) => mail.shown(),
        }
    }

    /// Whether it takes such a parcel.
    pub fn takes(&self, parcel: Parcel<'_>) -> bool {
        match parcel {
            Parcel::Notice(_) => {
                matches!(self.way, Way::Slack(_) | Way::Webhook(..) | Way::Grafana(..) | Way::Mail(_))
            }
            Parcel::Alive { .. } => matches!(self.way, Way::Kuma(_)),
            Parcel::Numbers(_) => matches!(self.way, Way::Pushgateway(..) | Way::Textfile(_)),
        }
    }

    /// Hands it over, once; gives what the other side said to it.
    ///
    /// # Errors
    /// [`Undelivered`], which tells whether another try is worth while.
    pub async fn hand_over(&self, outbound: &Outbound, parcel: Parcel<'_>) -> Result<String, Undelivered> {
        match (&self.way, parcel) {
            (Way::Slack(target), Parcel::Notice(notice)) => chat::send(outbound, target, notice).await,
            (Way::Webhook(target, key), Parcel::Notice(notice)) => {
                webhook::send(outbound, target, key.as_ref(), notice).await
            }
            (Way::Grafana(target, token), Parcel::Notice(notice)) => {
                grafana::send(outbound, target, token, notice).await
            }
            (Way::Mail(mail), Parcel::Notice(notice)) => mail.send(outbound, notice).await,
            (Way::Kuma(target), Parcel::Alive { is_well, words }) => push::send(outbound, target, is_well, words).await,
            (Way::Pushgateway(target, group), Parcel::Numbers(text)) => {
                metrics::push(outbound, target, group, text).await
            }
            (Way::Textfile(path), Parcel::Numbers(text)) => metrics::write(path, text),
            _ => Err(Undelivered::Refused(format!("a channel of the kind {} does not take this", self.kind()))),
        }
    }

    /// Looks whether it can be reached, and lets in; tells nobody anything.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn look(&self, outbound: &Outbound) -> Result<String, Undelivered> {
        match &self.way {
            // The path of a webhook is asked by nobody but its own messages: the host's root shows that somebody answers.
            Way::Slack(target) | Way::Webhook(target, _) | Way::Kuma(target) => {
                let mut root = target.0.clone();
                root.set_path("/");
                root.set_query(None);
                let answer = outbound.send(Sending { verb: Verb::Get, url: &root, headers: &[], body: None }).await?;
                Ok(format!("{} answers ({})", target.shown(), answer.status))
            }
            Way::Grafana(target, token) => grafana::look(outbound, target, token).await,
            Way::Pushgateway(target, _) => metrics::look(outbound, target).await,
            Way::Textfile(path) => metrics::look_at_file(path),
            Way::Mail(mail) => mail.look(outbound).await,
        }
    }
}

/// What a status means: taken, worth another try, or not.
fn accepted(target: &Target, answer: &Answered) -> Result<String, Undelivered> {
    let (host, status) = (target.shown(), answer.status);
    match status {
        200..=299 => Ok(format!("{host} answered {status}")),
        300..=399 => Err(Undelivered::Refused(format!(
            "{host} answered {status}: it sends on to another address, which is not followed; configure that one"
        ))),
        401 | 403 | 404 | 410 => Err(Undelivered::Refused(format!(
            "{host} answered {status}: the address or its key is not (or no longer) right{}",
            excerpt(target, &answer.body)
        ))),
        408 | 429 | 500..=599 => {
            Err(Undelivered::Away(format!("{host} answered {status}{}", excerpt(target, &answer.body))))
        }
        _ => Err(Undelivered::Refused(format!("{host} answered {status}{}", excerpt(target, &answer.body)))),
    }
}

/// What the other side said beside its status. Error pages quote the address that was asked for; it is blotted out before
/// the text is cut, since half of it is not recognised by anybody any more.
fn excerpt(target: &Target, body: &str) -> String {
    let mut secrets = target.secrets();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let body = secrets.iter().fold(body.to_owned(), |body, secret| body.replace(secret.as_str(), "[secret]"));
    let line: String = body.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(120).collect();
    if line.is_empty() { line } else { format!(": {line}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_the_address_nor_its_path_is_printed() {
        let target = Target::parse(&Secret::new("https://hooks.example.com/services/T0/B0/xyzzy-xyzzy-1".into()));
        let target = target.unwrap();
        let channel = Channel { name: "ops".into(), way: Way::Slack(target.clone()) };
        let printed = format!("{channel:?} {} {target:?}", channel.shown());
        assert!(!printed.contains("xyzzy") && printed.contains("hooks.example.com"), "{printed}");
        assert!(target.secrets().contains(&"xyzzy-xyzzy-1".to_owned()));
    }

    #[test]
    fn an_error_page_that_quotes_the_address_shows_no_half_of_it() {
        let target = Target::parse(&Secret::new(
            "https://hooks.example.com/services/T0/B0/xyzzy-xyzzy-1?token=plugh-plugh-1".into(),
        ));
        let asked = "/services/T0/B0/xyzzy-xyzzy-1?token=plugh-plugh-1";
        for place in 0..120 {
            let body = format!("{} {asked} was not found", "o".repeat(place));
            let said = accepted(target.as_ref().unwrap(), &Answered { status: 404, body }).unwrap_err().to_string();
            assert!(!said.contains("xy") && !said.contains("plu"), "{said}");
        }
    }

    #[test]
    fn what_a_status_means_is_said() {
        let target = Target::parse(&Secret::new("https://a.example/b".into())).unwrap();
        let of = |status| accepted(&target, &Answered { status, body: "no_service".into() });
        assert!(of(200).is_ok() && of(204).is_ok());
        assert!(matches!(of(302), Err(Undelivered::Refused(why)) if why.contains("not followed")));
        assert!(matches!(of(404), Err(Undelivered::Refused(why)) if why.ends_with(": no_service")));
        assert!(matches!(of(429), Err(Undelivered::Away(_))));
        assert!(matches!(of(503), Err(Undelivered::Away(_))));
    }
}
