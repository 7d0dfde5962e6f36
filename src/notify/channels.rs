//! From the configuration to the channels. One that cannot be put together stays on the list, with the reason.

use crate::adapter::notify::{Channel, Mail, Server, Target, Way};
use crate::adapter::outbound::Rules;
use crate::config::{self, ChannelKind, Config, Environment, Notify, SecretAt};
use crate::redact::Redactor;
use crate::secret::Secret;

/// What a notice is about; channels choose among these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A run begins or ends.
    Runs,
    /// A run waits for a person.
    Checkpoints,
    /// The verdict of the watcher changes.
    Verdicts,
    /// A notice to users.
    Notices,
}

impl Topic {
    /// As the configuration has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Checkpoints => "checkpoints",
            Self::Verdicts => "verdicts",
            Self::Notices => "notices",
        }
    }
}

/// A channel of the configuration.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What it is called.
    pub name: String,
    /// Its kind, as the configuration has it.
    pub kind: &'static str,
    /// What it wants to hear of.
    pub events: Vec<String>,
    /// The channel, or why there is none.
    pub channel: Result<Channel, String>,
}

impl Listed {
    /// Whether it wants to hear of this.
    pub fn wants(&self, topic: Topic) -> bool {
        self.events.iter().any(|event| event == topic.word())
    }
}

/// Where notices may go.
pub fn rules(notify: &Notify) -> Rules {
    Rules { allowed: notify.allow_hosts.clone(), ca_certificate: notify.ca_certificate.clone() }
}

/// All channels, in the order of the file; what is secret in them is known to `redactor` before anything else happens.
pub fn listed(config: &Config, environment: &Environment, redactor: &Redactor) -> Vec<Listed> {
    let Some(notify) = &config.notify else { return Vec::new() };
    let maker = Maker { config, environment, redactor };
    let own = notify.webhook.as_ref().map(|url| {
        let made = maker
            .target(Some(url))
            .and_then(|target| Ok(Way::Webhook(target, maker.key(notify.signing_key.as_ref())?)));
        let events = ["runs", "checkpoints", "verdicts"].map(str::to_owned).into();
        maker.listed("webhook", ChannelKind::Webhook, events, made)
    });
    let others =
        notify.channels.iter().map(|one| maker.listed(&one.name, one.kind, one.events.clone(), maker.way(one)));
    own.into_iter().chain(others).collect()
}

struct Maker<'a> {
    config: &'a Config,
    environment: &'a Environment,
    redactor: &'a Redactor,
}

impl Maker<'_> {
    fn listed(&self, name: &str, kind: ChannelKind, events: Vec<String>, way: Result<Way, String>) -> Listed {
        let channel = way.map(|way| Channel { name: name.to_owned(), way });
        // A reason may quote what it could not read.
        let channel = channel.map_err(|why| self.redactor.clean(&why));
        Listed { name: name.to_owned(), kind: kind.as_str(), events, channel }
    }

    fn way(&self, one: &config::Channel) -> Result<Way, String> {
        let url = one.url.as_ref();
        Ok(match one.kind {
            ChannelKind::Slack => Way::Slack(self.target(url)?),
            ChannelKind::Webhook => Way::Webhook(self.target(url)?, self.key(one.key.as_ref())?),
            ChannelKind::Kuma => Way::Kuma(self.target(url)?),
            ChannelKind::Grafana => {
                let token = self.key(one.key.as_ref())?.ok_or("the token is missing: set key_env or key_file")?;
                Way::Grafana(self.target(url)?, token)
            }
            ChannelKind::Pushgateway => {
                let project = &self.config.project;
                let group = [("project", &project.name), ("environment", &project.environment)];
                let group = group.map(|(label, value)| (label.to_owned(), value.clone())).into();
                Way::Pushgateway(self.target(url)?, group)
            }
            ChannelKind::Textfile => Way::Textfile(one.file.clone().ok_or("the file is missing")?),
            ChannelKind::Smtp => {
                let address = self.secret(url)?.ok_or("the address is missing: set url_env or url_file")?;
                let server = Server::parse(&address, self.key(one.key.as_ref())?)?;
                let from = one.from.as_deref().ok_or("from is missing")?;
                Way::Mail(Box::new(Mail::new(server, from, &one.to)?))
            }
        })
    }

    fn target(&self, at: Option<&SecretAt>) -> Result<Target, String> {
        let secret = self.secret(at)?.ok_or("the address is missing: set url_env or url_file")?;
        let target = Target::parse(&secret)?;
        self.redactor.learn(target.secrets());
        Ok(target)
    }

    fn key(&self, at: Option<&SecretAt>) -> Result<Option<Secret>, String> {
        self.secret(at)
    }

    fn secret(&self, at: Option<&SecretAt>) -> Result<Option<Secret>, String> {
        let Some(at) = at else { return Ok(None) };
        let secret = at.read(self.environment).map_err(|error| error.to_string())?;
        self.redactor.learn([secret.expose().to_owned()]);
        Ok(Some(secret))
    }
}
