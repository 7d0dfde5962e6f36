//! What a watcher is told: the window, its rules, and who hears of it.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::choices::{ChannelKind, RuleKind, RuleLevel, RuleSide};
use super::later::SecretAt;
use super::table::Table;
use super::units::Percent;

/// `[stabilize]`: the watched window after a cutover.
#[derive(Debug, Clone)]
pub struct Stabilize {
    /// How long it is.
    pub window: Duration,
    /// The share of failed requests of a healthy system (p0).
    pub healthy: Percent,
    /// The share that must be found out (p1); more than `healthy`.
    pub breach: Percent,
    /// The share that the window is accepted with.
    pub accept: Percent,
    /// The selector of the counters of requests.
    pub requests: String,
    /// The job of the target that counts them.
    pub job: String,
    /// The route that is asked directly; none means `caddy.url`.
    pub probe: Option<Url>,
    /// A page elsewhere, asked at the same time.
    pub control: Option<Url>,
    /// How long it is watched closely.
    pub close: Duration,
    /// How often slow questions are asked after that.
    pub pace: Duration,
    /// How old the newest verified backup may be.
    pub backup_age: Duration,
    /// Days that a certificate must still be valid.
    pub certificate_days: u32,
    /// The share of the target's connections that may be in use.
    pub connections: Percent,
    /// How long a person can stop it from going back by itself.
    pub cancel: Duration,
    /// The address of Loki.
    pub loki: Option<Url>,
    /// Rules of the configuration's own.
    pub rules: Vec<StabilizeRule>,
}

/// `[[stabilize.rule]]`: a rule of the configuration's own.
#[derive(Debug, Clone)]
pub struct StabilizeRule {
    /// What it is called.
    pub name: String,
    /// What is asked.
    pub kind: RuleKind,
    /// The query; there for queries and logs.
    pub query: Option<String>,
    /// The address; there for urls.
    pub url: Option<Url>,
    /// The table; there for rows.
    pub table: Option<String>,
    /// The database that holds it.
    pub side: RuleSide,
    /// The time in which rows must have come.
    pub within: Duration,
    /// More is a breach.
    pub above: Option<f64>,
    /// Less is a breach.
    pub below: Option<f64>,
    /// How long a breach must last.
    pub patience: Duration,
    /// How much it weighs.
    pub level: RuleLevel,
    /// What to do about it.
    pub advice: String,
}

/// `[notify]`: who is told.
#[derive(Debug, Clone)]
pub struct Notify {
    /// Where the webhook's address is, if there is one: such addresses carry their own authority.
    pub webhook: Option<SecretAt>,
    /// Where the key that signs notices is.
    pub signing_key: Option<SecretAt>,
    /// Hosts with loopback or private addresses that are allowed all the same.
    pub allow_hosts: Vec<String>,
    /// The longest wait for one delivery.
    pub timeout: Duration,
    /// How often one notice is tried, 1 to 20.
    pub attempts: u32,
    /// Whether a run may not start when the channel does not answer.
    pub required: bool,
    /// Certificates that are believed beside the system's, absolute.
    pub ca_certificate: Option<PathBuf>,
    /// A directory of texts that take the place of the built-in ones, absolute.
    pub templates: Option<PathBuf>,
    /// What users call the service.
    pub product: Option<String>,
    /// Where users can ask.
    pub support: Option<String>,
    /// The page that shows how things are.
    pub status_page: Option<Url>,
    /// When the maintenance begins, as users read it.
    pub begins: Option<String>,
    /// How long it takes at most, as users read it.
    pub length: Option<String>,
    /// Other ways to tell somebody.
    pub channels: Vec<Channel>,
}

/// `[[notify.channel]]`: a way to tell somebody.
#[derive(Debug, Clone)]
pub struct Channel {
    /// What it is called.
    pub name: String,
    /// How.
    pub kind: ChannelKind,
    /// What it is told: of runs, checkpoints, verdicts, notices.
    pub events: Vec<String>,
    /// Where its address is.
    pub url: Option<SecretAt>,
    /// Where its key, token or password is.
    pub key: Option<SecretAt>,
    /// The file to write.
    pub file: Option<PathBuf>,
    /// Who mail comes from.
    pub from: Option<String>,
    /// Who gets it.
    pub to: Vec<String>,
}

pub(super) fn stabilize(table: &Table<'_>, rules: Vec<StabilizeRule>) -> Option<Stabilize> {
    Some(Stabilize {
        window: table.duration("window")?,
        healthy: table.percent("healthy")?,
        breach: table.percent("breach")?,
        accept: table.percent("accept")?,
        requests: table.text("requests")?,
        job: table.text("job")?,
        probe: table.url("probe"),
        control: table.url("control"),
        close: table.duration("close")?,
        pace: table.duration("pace")?,
        backup_age: table.duration("backup_age")?,
        certificate_days: table.number("certificate_days")?,
        connections: table.percent("connections")?,
        cancel: table.duration("cancel")?,
        loki: table.url("loki"),
        rules,
    })
}

pub(super) fn rule(table: &Table<'_>) -> Option<StabilizeRule> {
    let number = |name| table.text(name).and_then(|text| text.parse().ok());
    Some(StabilizeRule {
        name: table.text("name")?,
        kind: table.word("kind", RuleKind::from_word),
        query: table.text("query"),
        url: table.url("url"),
        table: table.text("table"),
        side: table.word("side", RuleSide::from_word),
        within: table.duration("within")?,
        above: number("above"),
        below: number("below"),
        patience: table.duration("for")?,
        level: table.word("level", RuleLevel::from_word),
        advice: table.text("advice")?,
    })
}

pub(super) fn notify(table: &Table<'_>, channels: Vec<Channel>) -> Option<Notify> {
    Some(Notify {
        webhook: table.secret("webhook"),
        signing_key: table.secret("signing_key"),
        allow_hosts: table.list("allow_hosts").unwrap_or_default(),
        timeout: table.duration("timeout")?,
        attempts: table.number("attempts")?,
        required: table.flag("required")?,
        ca_certificate: table.path("ca_certificate"),
        templates: table.path("templates"),
        product: table.text("product"),
        support: table.text("support"),
        status_page: table.url("status_page"),
        begins: table.text("begins"),
        length: table.text("length"),
        channels,
    })
}

pub(super) fn channel(table: &Table<'_>) -> Option<Channel> {
    Some(Channel {
        name: table.text("name")?,
        kind: table.word("kind", ChannelKind::from_word),
        events: table.list("events").unwrap_or_default(),
        url: table.secret("url"),
        key: table.secret("key"),
        file: table.path("file"),
        from: table.text("from"),
        to: table.list("to").unwrap_or_default(),
    })
}
