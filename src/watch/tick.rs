//! One tick: what was gathered, and the state, give the next state and the verdicts. Pure; no clock, no question to anybody.

use serde::Serialize;

use super::window::{Now, TICK_MS, Window};
use crate::data::plural::counted as counted_in;
use crate::judge::accept::{self, Acceptance};
use crate::judge::counts::{self, Counted, Quality};
use crate::judge::cusum::{Alarm, Terms};
use crate::judge::honesty;
use crate::judge::ladder::{Level, Voice};
use crate::judge::probe::{Asked, Engine, Outage, Row};
use crate::judge::rules::{Finding, Rule, Standing, Verdict};

/// The rule that counts requests.
pub const ERRORS: &str = "errors";
/// The rule that asks the route directly.
pub const OUTAGE: &str = "outage";
/// What the rule on errors says before anything could be counted.
const FIRST_MINUTE: &str = "the first minute is not over";
/// Why nothing is judged while everybody is shown the maintenance page.
const MAINTENANCE: &str = "the maintenance page is shown";
/// The note of the tick that accepts the window.
pub const ACCEPTED: &str = "the window is accepted";

/// What was gathered for a tick.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The clocks.
    pub now: Now,
    /// Samples since the last tick; none where no Prometheus is configured, an error where it could not be asked.
    pub counts: Option<Result<Fetched, String>>,
    /// Rounds of direct questions since the last tick; none where there is no route to ask.
    pub probes: Option<Vec<Asked>>,
    /// What the engine says about the services.
    pub engine: Engine,
    /// Whether the maintenance page is shown to everybody now.
    pub is_maintenance: bool,
    /// What the other rules saw.
    pub findings: Vec<(Rule, Finding)>,
    /// Whether every rule was asked: then one that is not among the findings is no rule any more.
    pub is_complete: bool,
    /// The share that the window is accepted with.
    pub accept: f64,
}

impl Inputs {
    /// Of a tick in which nothing was asked: the engine is well, nothing was found, and a window is accepted at 1 %.
    pub fn quiet(now: Now) -> Self {
        Self {
            now,
            counts: None,
            probes: None,
            engine: Engine::Well,
            is_maintenance: false,
            findings: Vec::new(),
            is_complete: true,
            accept: 0.01,
        }
    }

    /// The same, where Prometheus was asked for its samples.
    #[must_use]
    pub fn counted(self, counts: Result<Fetched, String>) -> Self {
        Self { counts: Some(counts), ..self }
    }
}

/// Samples, and where they end.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The samples.
    pub window: counts::Window,
    /// The last minute that they cover, milliseconds of Unix time.
    pub upto_ms: i64,
    /// The maintenance flag: while it is 1, failures are meant.
    pub maintenance: Vec<counts::Series>,
}

/// A rule and what it says.
#[derive(Clone, Debug, Serialize)]
pub struct Said {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// What it says.
    #[serde(flatten)]
    pub standing: Standing,
    /// Whether it said something else before.
    pub has_changed: bool,
}

/// What a tick came to.
#[derive(Clone, Debug, Serialize)]
pub struct Verdicts {
    /// The verdict on the whole.
    pub level: Level,
    /// The one before.
    pub before: Level,
    /// Why, and since when.
    pub why: String,
    /// Since when, milliseconds of Unix time.
    pub since_ms: i64,
    /// Every rule.
    pub rules: Vec<Said>,
    /// Whether the window can be accepted.
    pub acceptance: Acceptance,
    /// Observed minutes, requests and errors so far.
    pub evidence: accept::Evidence,
    /// Minutes that do not count.
    pub unknown_min: u64,
    /// Evidence of errors as a share of the alarm.
    pub alarm_share: f64,
    /// What can be found out at this traffic.
    pub honesty: String,
    /// What else is worth a line.
    pub notes: Vec<String>,
}

impl Verdicts {
    /// Whether anything is worth a line.
    pub fn has_changed(&self) -> bool {
        self.level != self.before || !self.notes.is_empty() || self.rules.iter().any(|said| said.has_changed)
    }

    /// Whether the errors themselves cannot be judged now.
    pub fn is_blind(&self) -> bool {
        self.rules
            .iter()
            .any(|said| [ERRORS, OUTAGE].contains(&said.rule.name.as_str()) && said.standing.verdict.is_unknown())
    }
}

/// The tick.
pub fn tick(inputs: &Inputs, mut window: Window) -> (Window, Verdicts) {
    let mut notes: Vec<String> = window.advance(&inputs.now).into_iter().collect();
    let (before, is_first) = (window.ladder.level, window.rules.is_empty());
    let mut findings = inputs.findings.clone();
    findings.extend(outage(inputs, &mut window));
    let minutes = count(inputs, &mut window);
    findings.extend(minutes.finding.map(|finding| (errors_rule(), finding)));
    let rules = stand(&mut window, &findings, inputs, is_first);
    // Errors speak through their evidence, minute by minute; the rule itself only when it knows nothing.
    let is_heard = |said: &&Said| said.rule.name != ERRORS || said.standing.verdict.is_unknown();
    let heard = rules.iter().filter(is_heard);
    let voices: Vec<Voice> = heard.filter_map(|said| said.standing.voice(&said.rule, inputs.now.wall_ms)).collect();
    climb(&mut window, &minutes.done, &voices, inputs);
    // More requests than were expected: the alarm rises with them, so that false ones do not.
    if window.evidence.requests > window.terms.expected {
        let Terms { healthy, breach, .. } = window.terms;
        window.terms = Terms::new(healthy, breach, window.evidence.requests);
    }
    window.trace_level();
    let acceptance = accept::judge(&window.evidence, window.length_min, inputs.accept);
    if matches!(acceptance, Acceptance::Accepted { .. }) && window.ladder.level < Level::Hold && !window.is_accepted {
        window.is_accepted = true;
        notes.push(ACCEPTED.into());
    }
    let per_minute = window.evidence.requests as f64 / window.evidence.observed_min.max(1) as f64;
    let verdicts = Verdicts {
        level: window.ladder.level,
        before,
        why: window.ladder.why.clone(),
        since_ms: window.ladder.since_ms,
        rules,
        acceptance,
        evidence: window.evidence.clone(),
        unknown_min: window.unknown_min,
        alarm_share: window.cusum.share(&window.terms),
        honesty: honesty::sentence(&window.terms, per_minute, inputs.accept),
        notes,
    };
    (window, verdicts)
}

/// One judged minute: its alarm, and whether it was observed.
struct Minute {
    at_ms: i64,
    alarm: Alarm,
    remains: Alarm,
    is_observed: bool,
}

struct Minutes {
    done: Vec<Minute>,
    finding: Option<Finding>,
}

/// Counts every minute since the last tick.
fn count(inputs: &Inputs, window: &mut Window) -> Minutes {
    let has_asked = inputs.probes.as_ref().is_some_and(|probes| !probes.is_empty());
    let (fetched, upto_ms) = match &inputs.counts {
        Some(Ok(fetched)) => (Some(fetched), fetched.upto_ms),
        Some(Err(why)) => {
            // The minutes are kept: they are judged once their samples can be had.
            return Minutes { done: Vec::new(), finding: Some(Finding::cannot_ask(why.clone())) };
        }
        None => (None, Window::settled(&inputs.now)),
    };
    if let Some(why) = window.is_set_back(&inputs.now) {
        return Minutes { done: Vec::new(), finding: fetched.map(|_| Finding::no_data(why)) };
    }
    if fetched.is_none() {
        window.pass_by(upto_ms);
    }
    let (mut done, mut last) = (Vec::new(), None);
    while window.grid_ms + TICK_MS <= upto_ms {
        window.grid_ms += TICK_MS;
        let counted = match fetched {
            Some(fetched) => minute(fetched, window),
            None if inputs.is_maintenance => nothing(Quality::NoData(MAINTENANCE.into())),
            // Without Prometheus only the minute in which the route was asked is known.
            None if has_asked && window.grid_ms + TICK_MS > upto_ms => nothing(Quality::Fine),
            None => nothing(Quality::NoData("nobody asked".into())),
        };
        let is_observed = counted.quality.is_fine();
        let alarm = window.cusum.tick(&window.terms, counted.requests, counted.errors, is_observed);
        window.trace(window.grid_ms, counted.requests, counted.errors);
        window.evidence.requests += counted.requests;
        window.evidence.errors += counted.errors;
        window.evidence.observed_min += u64::from(is_observed);
        window.unknown_min += u64::from(!is_observed);
        let remains = window.cusum.remains(&window.terms);
        done.push(Minute { at_ms: window.grid_ms, alarm, remains, is_observed });
        last = Some(counted);
    }
    let finding = fetched.map(|_| match last {
        Some(counted) => errors_finding(window, &counted),
        None => window.rules.get(ERRORS).map_or_else(
            || Finding::no_data(FIRST_MINUTE),
            |old| Finding { verdict: old.verdict, evidence: old.evidence.clone() },
        ),
    });
    Minutes { done, finding }
}

fn nothing(quality: Quality) -> Counted {
    Counted { requests: 0, errors: 0, quality }
}

/// Counts one minute. What failed while the maintenance page was meant to be shown is counted past, not held against anybody.
fn minute(fetched: &Fetched, window: &mut Window) -> Counted {
    let counted = window.counter.tick(&fetched.window, window.grid_ms);
    let is_in_it = |at_ms: i64| at_ms > window.grid_ms - 2 * TICK_MS && at_ms <= window.grid_ms + TICK_MS;
    let samples = fetched.maintenance.iter().flat_map(|series| &series.samples);
    if samples.into_iter().any(|sample| is_in_it(sample.at_ms) && sample.value >= 1.0) {
        return nothing(Quality::NoData(MAINTENANCE.into()));
    }
    counted
}

fn errors_rule() -> Rule {
    Rule {
        name: ERRORS.into(),
        level: Level::RollbackRecommended,
        patience_s: 0,
        advice: "look at the application's log and at what changed last; `cutover status` names the release".into(),
    }
}

fn errors_finding(window: &Window, counted: &Counted) -> Finding {
    let (requests, errors) = window.cusum.recent();
    let share = 100.0 * errors as f64 / requests.max(1) as f64;
    let said = format!(
        "{errors} of {} failed in the last 10 min ({share:.1} %); evidence at {:.0} % of the alarm",
        counted_in(requests, "request"),
        100.0 * window.cusum.share(&window.terms)
    );
    match &counted.quality {
        Quality::NoData(why) => Finding::no_data(why.clone()),
        Quality::Unclear(why) => Finding::no_data(format!("{why}; {said}")),
        Quality::Fine if window.cusum.alarm(&window.terms) > Alarm::Quiet => Finding::breach(said),
        Quality::Fine => Finding::ok(said),
    }
}

/// What the direct questions say.
fn outage(inputs: &Inputs, window: &mut Window) -> Option<(Rule, Finding)> {
    let probes = inputs.probes.as_ref()?;
    let advice = "open the route yourself; look at `docker compose ps` and the proxy's log".into();
    let rule = |level| Rule { name: OUTAGE.into(), level, patience_s: 0, advice };
    // The rounds since the last tick met the page if it was there then, too.
    if std::mem::replace(&mut window.was_maintenance, inputs.is_maintenance) || inputs.is_maintenance {
        window.row = Row::default();
        return Some((rule(Level::Watch), Finding::no_data(MAINTENANCE)));
    }
    probes.iter().for_each(|asked| window.row.take(asked));
    let (level, finding) = match window.row.outage(&inputs.engine) {
        Outage::None if probes.is_empty() => (Level::Watch, Finding::no_data("the route was not asked")),
        Outage::None => (Level::Watch, Finding::ok("the route answers")),
        Outage::Doubt(said) => (Level::Watch, Finding::breach(said)),
        Outage::Blind(said) => (Level::Hold, Finding::no_data(said)),
        Outage::Alone(said) => (Level::Hold, Finding::breach(said)),
        Outage::Agreed(said) => (Level::RollbackRecommended, Finding::breach(said)),
    };
    Some((rule(level), finding))
}

/// Writes down what each rule says. One that was not asked in this tick says what it said.
fn stand(window: &mut Window, findings: &[(Rule, Finding)], inputs: &Inputs, is_first: bool) -> Vec<Said> {
    let is_asked = |name: &str| findings.iter().any(|(rule, _)| rule.name == name);
    if inputs.is_complete {
        window.rules.retain(|name, _| is_asked(name));
        window.known.retain(|name, _| is_asked(name));
    }
    let mut said = Vec::new();
    for (rule, finding) in findings {
        let mut standing = window.rules.remove(&rule.name);
        let is_new = standing.is_none();
        // Why the errors cannot be judged is news as soon as it is known, and not half an hour later.
        let is_settled = standing.as_ref().is_some_and(|old| old.evidence == FIRST_MINUTE)
            && finding.verdict.is_unknown()
            && finding.evidence != FIRST_MINUTE;
        let has_changed = Standing::take(&mut standing, finding, inputs.now.wall_ms) || is_settled;
        let Some(standing) = standing else { continue };
        window.rules.insert(rule.name.clone(), standing.clone());
        window.known.insert(rule.name.clone(), rule.clone());
        // What is as it should be from the start is no news.
        let is_news = has_changed && !(standing.verdict == Verdict::Ok && (is_first || is_new));
        said.push(Said { rule: rule.clone(), standing, has_changed: is_news });
    }
    for (name, rule) in window.known.iter().filter(|(name, _)| !is_asked(name)) {
        let standing = window.rules.get(name).cloned();
        said.extend(standing.map(|standing| Said { rule: rule.clone(), standing, has_changed: false }));
    }
    said
}

/// Takes the voices up the ladder, minute by minute.
fn climb(window: &mut Window, minutes: &[Minute], voices: &[Voice], inputs: &Inputs) {
    let (requests, errors) = window.cusum.recent();
    let share = 100.0 * errors as f64 / requests.max(1) as f64;
    let requests = counted_in(requests, "request");
    let why = format!("{ERRORS}: {errors} of {requests} failed in the last 10 min ({share:.1} %)");
    let all = |alarm: Alarm, remains: Alarm| {
        let mut all = voices.to_vec();
        all.push(Voice { enters: level_of(alarm), holds: level_of(remains), why: why.clone() });
        all
    };
    for minute in minutes {
        window.ladder.tick(minute.at_ms, &all(minute.alarm, minute.remains), minute.is_observed);
    }
    if minutes.is_empty() {
        // Nothing new was counted: the other voices are heard, but nothing gets worse by errors, and nothing gets calm.
        let voices = all(Alarm::Quiet, window.cusum.remains(&window.terms));
        window.ladder.tick(inputs.now.wall_ms, &voices, false);
    }
}

fn level_of(alarm: Alarm) -> Level {
    match alarm {
        Alarm::Quiet => Level::Ok,
        Alarm::Quarter => Level::Watch,
        Alarm::Half => Level::Hold,
        Alarm::Full => Level::RollbackRecommended,
    }
}

#[cfg(test)]
mod tests;
