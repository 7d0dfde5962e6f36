//! `notify`: try the channels, and send the notices to users. Nothing of it is a run.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::global::Global;
use super::setup::{self, Setup};
use super::telling::place;
use super::{confirm, exit, out};
use crate::adapter::notify::{Notice as Told, Severity};
use crate::adapter::{clock, files};
use crate::config::{Config, Environment};
use crate::journal::runs;
use crate::notify::{Delivery, Listed, Notifier, Text, Topic, Values, text_of};
use crate::report::text::moment;
use crate::run::Refusal;
use crate::watch::metrics;

/// `notify`.
#[derive(Args, Debug)]
pub struct Notify {
    /// What to do
    #[command(subcommand)]
    pub what: NotifyVerb,
}

/// What can be done with channels.
#[derive(Debug, Subcommand)]
pub enum NotifyVerb {
    /// Send a test to every channel, or to one, and say what came of it
    Test(Test),
    /// Send one of the notices to users: 48h, 24h, start, done, rolled-back
    Send(Send),
}

/// `notify test`.
#[derive(Args, Debug)]
pub struct Test {
    /// Only this channel
    pub channel: Option<String>,
}

/// `notify send`.
#[derive(Args, Debug)]
pub struct Send {
    /// 48h, 24h, start, done or rolled-back
    pub notice: String,
    /// Only these channels, whatever they want to hear of otherwise
    #[arg(long, value_name = "CHANNEL", value_delimiter = ',')]
    pub channel: Vec<String>,
    /// A value of the text, such as begins="Saturday, 02:00 UTC"
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
    /// Send it although it was sent before
    #[arg(long)]
    pub again: bool,
    /// Show the text and who would get it, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// As a step of the run whose number is in CUTOVER_RUN: once for each run, and a channel that fails fails nothing
    #[arg(long, hide = true)]
    pub in_run: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// The verb.
///
/// # Errors
/// When the configuration is not valid or names no channel.
pub async fn run(global: &Global, verb: &Notify) -> Result<u8> {
    let config = setup::config(global)?;
    let setup = Setup::without_engine(global, config.state.directory.clone(), Some(&config))?;
    let Some(notifier) = setup.notifier.clone() else { return Err(nobody().into()) };
    match &verb.what {
        NotifyVerb::Test(verb) => test(global, &config, &setup, &notifier, verb).await,
        NotifyVerb::Send(verb) => send(global, &config, &setup, &notifier, verb).await,
    }
}

fn chosen<'a>(notifier: &'a Notifier, names: &[String]) -> Result<Vec<&'a Listed>> {
    let all = notifier.channels();
    for name in names {
        if !all.iter().any(|one| one.name == *name) {
            let known: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
            let why = format!("there is no channel {name:?}; there are {}", known.join(", "));
            return Err(Refusal::Usage(why).into());
        }
    }
    Ok(all.iter().filter(|one| names.is_empty() || names.contains(&one.name)).collect())
}

async fn test(global: &Global, config: &Config, setup: &Setup, notifier: &Notifier, verb: &Test) -> Result<u8> {
    let names: Vec<String> = verb.channel.iter().cloned().collect();
    let channels = chosen(notifier, &names)?;
    let place = place(&config.project.name, &config.project.environment);
    let text = format!(
        "What: somebody tries whether this channel works ({}).\nHow bad: nothing is wrong.\nWhat to do: nothing.\n",
        setup::by()
    );
    let at_ms = clock::wall_ms();
    let notice = Told {
        id: files::sha256(format!("test {at_ms}").as_bytes())[..24].to_owned(),
        event: "test".into(),
        severity: Severity::Info,
        at_ms,
        title: format!("{} {}: a test from {}", place.project, place.environment, place.host),
        project: place.project,
        environment: place.environment,
        text,
        facts: json!({ "host": place.host }),
    };
    let numbers = metrics::text(&setup.state, &notice.project, &notice.environment)?;
    let told = notifier.test(&channels, &notice, &numbers).await;
    show(global, &told, "every channel works");
    Ok(if told.iter().all(|one| one.has_arrived) { exit::DONE } else { exit::REFUSED })
}

fn show(global: &Global, told: &[Delivery], all_well: &str) {
    if global.is_json() {
        let is_well = told.iter().all(|one| one.has_arrived);
        return out::json(json!({ "schema": "cutover/v1", "told": told, "ok": is_well }));
    }
    let mut lines: Vec<String> = told.iter().map(Delivery::words).collect();
    let failed = told.iter().filter(|one| !one.has_arrived).count();
    lines.push(match failed {
        0 => all_well.to_owned(),
        1 => "1 channel does not work; put it right, then: cutover notify test".into(),
        _ => format!("{failed} channels do not work; put them right, then: cutover notify test"),
    });
    out::result(&lines.join("\n"));
}

/// That a notice was sent.
#[derive(Serialize, Deserialize)]
struct Sent {
    at: String,
    by: String,
    to: Vec<String>,
    /// The run whose step it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<u32>,
}

/// The run that this process is a step of.
fn run_of_process(verb: &Send) -> Result<Option<u32>> {
    if !verb.in_run {
        return Ok(None);
    }
    let number = Environment::of_process().get("CUTOVER_RUN").and_then(|number| number.parse().ok());
    let why = || Refusal::Usage("--in-run is for steps of a run: CUTOVER_RUN holds no number of one".into());
    Ok(Some(number.ok_or_else(why)?))
}

/// Whether a notice could be sent as the configuration stands: its text is whole, and somebody gets it. A runbook is told
/// so before it begins, and not in the middle of the night.
///
/// # Errors
/// What is missing, in words.
pub fn can_be_sent(config: &Config, setup: &Setup, notice: &str) -> Result<()> {
    let verb = Send {
        notice: notice.to_owned(),
        channel: Vec::new(),
        set: Vec::new(),
        again: false,
        dry_run: true,
        in_run: true,
    };
    let Some(notifier) = &setup.notifier else { return Err(nobody().into()) };
    recipients(notifier, &verb)?;
    written(config, setup, &verb).map(drop)
}

fn nobody() -> Refusal {
    Refusal::Usage("there is nobody to tell: add [notify] with a [[notify.channel]] to the configuration".into())
}

fn written(config: &Config, setup: &Setup, verb: &Send) -> Result<Text> {
    let templates = config.notify.as_ref().and_then(|notify| notify.templates.as_deref());
    Ok(text_of(&verb.notice, templates, &values(config, setup, verb)?).map_err(Refusal::Usage)?)
}

async fn send(global: &Global, config: &Config, setup: &Setup, notifier: &Notifier, verb: &Send) -> Result<u8> {
    let run = run_of_process(verb)?;
    let text = written(config, setup, verb)?;
    let channels = recipients(notifier, verb)?;
    let names: Vec<String> = channels.iter().map(|one| one.name.clone()).collect();
    let kept = setup.state.join("notify").join("sent").join(format!("{}.json", verb.notice));
    let before: Option<Sent> = if kept.exists() { Some(files::read_json(&kept)?) } else { None };
    if verb.dry_run {
        preview(global, &verb.notice, &text, &channels, before.as_ref());
        return Ok(exit::DONE);
    }
    // A run that is gone on with has sent it; what an earlier run sent was about that one.
    if let Some(before) = before.as_ref().filter(|before| run.is_some() && before.run == run) {
        out::result(&format!("the notice {} was sent by this run already, {}", verb.notice, moment(&before.at)));
        return Ok(exit::DONE);
    }
    if let Some(before) = before.filter(|_| !verb.again && run.is_none()) {
        return Err(Refusal::Gate(format!(
            "the notice {} was sent {} by {} to {}; if users shall get it once more, add --again",
            verb.notice,
            moment(&before.at),
            before.by,
            before.to.join(", ")
        ))
        .into());
    }
    let question = format!("Send {:?} to {}?", text.subject, names.join(", "));
    confirm::confirm_plainly(global, &question)?;
    let place = place(&config.project.name, &config.project.environment);
    let at_ms = clock::wall_ms();
    let notice = Told {
        // Tried again after a failure it is the same message, which mail programs know by its id.
        id: files::sha256(format!("{}\n{}\n{}", verb.notice, text.subject, text.body).as_bytes())[..24].to_owned(),
        event: format!("notice_{}", verb.notice.replace('-', "_")),
        severity: Severity::Info,
        at_ms,
        project: place.project,
        environment: place.environment,
        title: text.subject.clone(),
        text: text.body.clone(),
        facts: json!({ "notice": verb.notice }),
    };
    let told = notifier.tell_these(&channels, &notice).await;
    let to: Vec<String> = told.iter().filter(|one| one.has_arrived).map(|one| one.channel.clone()).collect();
    if !to.is_empty() {
        if let Some(directory) = kept.parent() {
            files::make_private_directory(directory)?;
        }
        files::write_json(&kept, &Sent { at: clock::now(), by: setup::by(), to, run }, 0o600)?;
    }
    if verb.in_run {
        out::result(&in_one_line(&verb.notice, &told));
        return Ok(exit::DONE);
    }
    show(global, &told, &format!("the notice {} was sent", verb.notice));
    Ok(if told.iter().all(|one| one.has_arrived) { exit::DONE } else { exit::REFUSED })
}

/// What came of it, for the line of a step: who got it, and who did not.
fn in_one_line(notice: &str, told: &[Delivery]) -> String {
    let (arrived, failed): (Vec<&Delivery>, Vec<&Delivery>) = told.iter().partition(|one| one.has_arrived);
    let names =
        |all: &[&Delivery], between| all.iter().map(|one| one.channel.as_str()).collect::<Vec<_>>().join(between);
    let failures = || failed.iter().map(|one| one.words()).collect::<Vec<_>>().join("; ");
    let again = format!("cutover notify send {notice} --again --channel {:?}", names(&failed, ","));
    match (arrived.is_empty(), failed.is_empty()) {
        (_, true) => format!("the notice {notice} was sent to {}", names(&arrived, ", ")),
        (false, _) => {
            format!("the notice {notice} was sent to {}; {}; to try again: {again}", names(&arrived, ", "), failures())
        }
        (true, _) => format!("the notice {notice} reached nobody: {}; to try again: {again}", failures()),
    }
}

fn recipients<'a>(notifier: &'a Notifier, verb: &Send) -> Result<Vec<&'a Listed>> {
    let named = chosen(notifier, &verb.channel)?;
    let channels: Vec<&Listed> = if verb.channel.is_empty() { notifier.wanting(Topic::Notices) } else { named };
    if channels.is_empty() {
        let why = "no channel takes notices to users; give one events = [\"notices\"], or name one with --channel";
        return Err(Refusal::Usage(why.into()).into());
    }
    Ok(channels)
}

fn preview(global: &Global, notice: &str, text: &Text, channels: &[&Listed], before: Option<&Sent>) {
    let shown = |one: &&Listed| match &one.channel {
        Ok(channel) => format!("{} ({}): {}", one.name, one.kind, channel.shown()),
        Err(why) => format!("{} ({}): cannot be told: {why}", one.name, one.kind),
    };
    let to: Vec<String> = channels.iter().map(shown).collect();
    if global.is_json() {
        return out::json(json!({
            "schema": "cutover/v1",
            "notice": notice,
            "subject": text.subject,
            "body": text.body,
            "source": text.source,
            "to": to,
            "sent_before": before,
        }));
    }
    let before = before.map_or_else(String::new, |before| {
        format!("Sent before: {} to {}\n", moment(&before.at), before.to.join(", "))
    });
    out::result(&format!(
        "To: {}\nText: {}\n{before}Subject: {}\n\n{}",
        to.join("\n    "),
        text.source,
        text.subject,
        text.body
    ));
}

/// What is known: the configuration, the last run, and what was typed, which wins.
fn values(config: &Config, setup: &Setup, verb: &Send) -> Result<Values> {
    let mut values = Values::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            values.insert(name.to_owned(), value);
        }
    };
    let notify = config.notify.as_ref();
    set("project", Some(config.project.name.clone()));
    set("environment", Some(config.project.environment.clone()));
    let product = notify.and_then(|notify| notify.product.clone());
    set("product", product.or_else(|| Some(config.project.name.clone())));
    set("begins", notify.and_then(|notify| notify.begins.clone()));
    set("length", notify.and_then(|notify| notify.length.clone()));
    set("support", notify.and_then(|notify| notify.support.clone()));
    set("status_page", notify.and_then(|notify| notify.status_page.as_ref().map(ToString::to_string)));
    // What was done last tells since when it is closed, and since when it is open again.
    let run = runs::last(&setup.state.join("runs"))?;
    let times = run.as_ref().and_then(|run| run.times.clone());
    let short =
        |at: &str| moment(at).rsplit_once(':').map_or_else(|| moment(at), |(minute, _)| format!("{minute} UTC"));
    let since = times.as_ref().map_or_else(clock::now, |(first, _)| first.clone());
    set("since", Some(short(&since)));
    let until = run.filter(|run| run.outcome.is_some()).and(times).map_or_else(clock::now, |(_, last)| last);
    set("until", Some(short(&until)));
    values.extend(verb.set.iter().cloned());
    Ok(values)
}

/// The notifier of a configuration.
pub fn notifier(config: &Config, environment: &Environment, state: &std::path::Path) -> Option<Notifier> {
    Notifier::new(config, environment, &out::redactor()).map(|notifier| notifier.keeping_in(state.to_owned()))
}
