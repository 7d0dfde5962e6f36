//! The keys of the watched window and of notices: what is judged, how much a breach weighs, who is told. Declarations only.

use super::Fallback::{Is, Required, Unset};
use super::Kind::{Bool, Choice, Duration, Integer, List, OptionalTable, Percent, Tables, Text, Url};
use super::{Key, Shape, key, table};
use crate::config::choices::{ChannelKind, RuleKind, RuleLevel, RuleSide};

const NOT_SET: super::Fallback = Unset("");

// One row is one key: it reads as a table, whatever its width.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    // ---- stabilize
    table("stabilize", OptionalTable, "The watched window after a cutover."),
    key("stabilize.window", Duration("1m", "30d"), Is("\"24h\""), "How long it is; time in which nothing was known does not count."),
    key("stabilize.healthy", Percent("0.001%", "50%"), Is("\"1%\""), "The share of failed requests of a healthy system (p0)."),
    key("stabilize.breach", Percent("0.002%", "100%"), Is("\"5%\""), "The share of failed requests that must be found out (p1); more than stabilize.healthy."),
    key("stabilize.accept", Percent("0.001%", "50%"), Is("\"1%\""), "The window is accepted when the share of failed requests is at most this, with 95 % confidence."),
    key("stabilize.requests", Text(Shape::Line), Is("\"caddy_http_request_duration_seconds_count{server=\\\"app\\\"}\""), "The selector of the counters of requests, with a label `code`; it must name one server and one handler, or a request counts twice."),
    key("stabilize.job", Text(Shape::Line), Is("\"caddy\""), "The job under which Prometheus asks the target that counts the requests."),
    key("stabilize.probe", Url, Unset("caddy.url"), "The route that is asked directly every 10 s; not one that the proxy answers by itself."),
    key("stabilize.control", Url, Unset("an outage is a reason to hold, never one to go back"), "A page elsewhere that is asked at the same time: if it does not answer either, it may be our own network."),
    key("stabilize.close", Duration("0s", "30d"), Is("\"2h\""), "For so long after its begin the window is watched closely: every question is asked every minute."),
    key("stabilize.pace", Duration("1m", "1h"), Is("\"5m\""), "How often slow questions (databases, backups, names, certificates, your own rules) are asked after that."),
    key("stabilize.backup_age", Duration("1m", "365d"), Is("\"26h\""), "How old the newest verified backup may be."),
    key("stabilize.certificate_days", Integer(1, 365), Is("7"), "How many days a served certificate must still be valid."),
    key("stabilize.connections", Percent("1%", "100%"), Is("\"80%\""), "The share of the target's connections that may be in use."),
    key("stabilize.cancel", Duration("1s", "1h"), Is("\"120s\""), "Armed by `watch --arm`: for so long a person can stop it from going back by itself."),
    key("stabilize.loki", Url, NOT_SET, "The address of Loki, for rules of the kind log."),
    table("stabilize.rule[]", Tables, "A rule of your own, judged beside the built-in ones."),
    key("stabilize.rule[].name", Text(Shape::Line), Required, "What it is called in verdicts; none twice."),
    key("stabilize.rule[].kind", Choice(RuleKind::WORDS), Is("\"query\""), "What is asked: a PromQL query that gives one number; a url that must answer below 400; a LogQL query that counts lines (log); rows that a table gained (rows)."),
    key("stabilize.rule[].query", Text(Shape::Line), NOT_SET, "query, log: the query."),
    key("stabilize.rule[].url", Url, NOT_SET, "url: the address."),
    key("stabilize.rule[].table", Text(Shape::Line), NOT_SET, "rows: the table, as SCHEMA.TABLE."),
    key("stabilize.rule[].side", Choice(RuleSide::WORDS), Is("\"target\""), "rows: the database that holds the table."),
    key("stabilize.rule[].within", Duration("1m", "7d"), Is("\"30m\""), "rows: the time in which the rows must have come."),
    key("stabilize.rule[].above", Text(Shape::Number), NOT_SET, "More than this is a breach."),
    key("stabilize.rule[].below", Text(Shape::Number), NOT_SET, "Less than this is a breach; for rows it is how many must have come (1)."),
    key("stabilize.rule[].for", Duration("0s", "1d"), Is("\"5m\""), "How long a breach must last before it counts."),
    key("stabilize.rule[].level", Choice(RuleLevel::WORDS), Is("\"watch\""), "How much it weighs: worth a look, a reason to hold, or a reason to go back."),
    key("stabilize.rule[].advice", Text(Shape::Line), Is("\"look at what the rule measures\""), "What to do about it, in the words of a person at night."),
    // ---- notify
    table("notify", OptionalTable, "Who is told what happened."),
    key("notify.webhook_env", Text(Shape::Variable), NOT_SET, "The environment variable that holds the webhook's address; this or notify.webhook_file, unless there are channels."),
    key("notify.webhook_file", Text(Shape::Path), NOT_SET, "The file that holds the webhook's address; mode 0600."),
    key("notify.signing_key_env", Text(Shape::Variable), Unset("notices are not signed"), "The environment variable that holds the key which signs notices (HMAC-SHA256)."),
    key("notify.signing_key_file", Text(Shape::Path), Unset("notices are not signed"), "The file that holds the key which signs notices; mode 0600."),
    key("notify.allow_hosts", List(Shape::Host), Is("[]"), "Hosts with loopback or private addresses that notices may go to all the same, and without TLS where their address says http."),
    key("notify.ca_certificate", Text(Shape::Path), Unset("the system's certificates"), "A file of certificates that are believed beside the system's, for an internal authority."),
    key("notify.timeout", Duration("100ms", "5m"), Is("\"10s\""), "The longest wait for one delivery."),
    key("notify.attempts", Integer(1, 20), Is("3"), "How often one notice is tried."),
    key("notify.required", Bool, Is("false"), "Whether a run may not start when the channel does not answer."),
    key("notify.templates", Text(Shape::Path), Unset("the built-in texts"), "A directory of texts for `cutover notify send`, as NOTICE.txt; one that is not there is the built-in one."),
    key("notify.product", Text(Shape::Line), Unset("project.name"), "What users call the service, in notices to them."),
    key("notify.support", Text(Shape::Line), NOT_SET, "Where users can ask, in notices to them: an address, a telephone number."),
    key("notify.status_page", Url, NOT_SET, "The page that shows how things are, in notices to users."),
    key("notify.begins", Text(Shape::Line), NOT_SET, "When the maintenance begins, as users read it: \"Saturday, 24 January, 02:00 UTC\"."),
    key("notify.length", Text(Shape::Line), NOT_SET, "How long it takes at most, as users read it: \"8 hours\"."),
    table("notify.channel[]", Tables, "Another way to tell somebody; one that fails never fails a run, and is shown."),
    key("notify.channel[].name", Text(Shape::Line), Required, "What it is called; none twice."),
    key("notify.channel[].kind", Choice(ChannelKind::WORDS), Is("\"slack\""), "A webhook that Slack, Mattermost and others take; our own JSON, signed (webhook); a push monitor of Uptime Kuma; annotations of Grafana; a Pushgateway; a file for node_exporter (textfile); e-mail (smtp)."),
    key("notify.channel[].events", List(Shape::Word), Is("[\"runs\", \"checkpoints\", \"verdicts\"]"), "What it is told, of runs, checkpoints, verdicts, and notices (those to users, by `cutover notify send`). Kuma, Pushgateway and textfile have signals of their own."),
    key("notify.channel[].url_env", Text(Shape::Variable), NOT_SET, "The environment variable that holds the address; this or url_file. For smtp: smtps://USER@HOST:465 or smtp://USER@HOST:587 (with STARTTLS)."),
    key("notify.channel[].url_file", Text(Shape::Path), NOT_SET, "The file that holds the address; mode 0600."),
    key("notify.channel[].key_env", Text(Shape::Variable), NOT_SET, "The environment variable that holds the signing key (webhook), the token (grafana) or the password (smtp)."),
    key("notify.channel[].key_file", Text(Shape::Path), NOT_SET, "The file that holds it; mode 0600."),
    key("notify.channel[].file", Text(Shape::Path), NOT_SET, "textfile: the file to write, ending in .prom."),
    key("notify.channel[].from", Text(Shape::Line), NOT_SET, "smtp: who it comes from."),
    key("notify.channel[].to", List(Shape::Line), Is("[]"), "smtp: who gets it."),
];
