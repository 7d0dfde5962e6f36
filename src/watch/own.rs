//! The configuration's own rules: a query, an address, lines of a log, rows that must come in. Each can fail, and each can not know.

use std::time::Duration;

use super::database;
use super::host::Number;
use super::window::Window;
use crate::adapter::http::Http;
use crate::adapter::prometheus::{self, Number as Answer};
use crate::adapter::{clock, loki};
use crate::config::{RuleKind, RuleLevel, RuleSide, StabilizeRule};
use crate::data::plural::counted;
use crate::judge::ladder::Level;
use crate::judge::rules::{Bounds, Finding, Rule};
use crate::step::Databases;

/// Where the rules ask.
#[derive(Clone, Debug)]
pub struct Places {
    /// HTTP.
    pub http: Http,
    /// Prometheus.
    pub prometheus: Option<String>,
    /// Loki.
    pub loki: Option<String>,
    /// Databases.
    pub databases: Databases,
    /// The longest wait for one answer.
    pub deadline: Duration,
}

/// What a rule weighs and advises.
pub fn rule(own: &StabilizeRule) -> Rule {
    let level = match own.level {
        RuleLevel::Watch => Level::Watch,
        RuleLevel::Hold => Level::Hold,
        RuleLevel::Rollback => Level::RollbackRecommended,
    };
    Rule { name: own.name.clone(), level, patience_s: own.patience.as_secs(), advice: own.advice.clone() }
}

/// Asks one rule.
pub async fn ask(own: &StabilizeRule, places: &Places, window: &Window) -> (Finding, Vec<Number>) {
    let bounds = Bounds { above: own.above, below: own.below };
    let query = own.query.as_deref().unwrap_or_default();
    let finding = match own.kind {
        RuleKind::Query => match &places.prometheus {
            None => Finding::cannot_ask("[prometheus] is not in the configuration"),
            Some(base) => match prometheus::number(&places.http, base, query, places.deadline).await {
                Ok(Answer::Value(value)) => bounds.judge(value, ""),
                Ok(Answer::Nothing(why) | Answer::Unclear(why)) => Finding::no_data(why),
                Err(error) => Finding::cannot_ask(format!("{error:#}")),
            },
        },
        RuleKind::Log => match &places.loki {
            None => Finding::cannot_ask("stabilize.loki is not in the configuration"),
            Some(base) => match loki::count(&places.http, base, query, places.deadline).await {
                Ok(lines) => bounds.judge(lines, " lines"),
                Err(error) => Finding::cannot_ask(format!("{error:#}")),
            },
        },
        RuleKind::Url => url(own, places).await,
        RuleKind::Rows => return rows(own, places, window).await,
    };
    (finding, Vec::new())
}

async fn url(own: &StabilizeRule, places: &Places) -> Finding {
    let Some(url) = &own.url else { return Finding::cannot_ask("no url is set") };
    match places.http.get(url.as_str(), places.deadline).await {
        Ok(answer) if answer.status < 400 => Finding::ok(format!("{url} answers {}", answer.status)),
        Ok(answer) => Finding::breach(format!("{url} answered {}", answer.status)),
        Err(error) => Finding::breach(format!("{url}: {error:#}")),
    }
}

/// The silence detector: a table that always gained rows and gains none any more.
async fn rows(own: &StabilizeRule, places: &Places, window: &Window) -> (Finding, Vec<Number>) {
    let side = match own.side {
        RuleSide::Target => "target",
        RuleSide::Source => "source",
    };
    let table = own.table.as_deref().unwrap_or_default();
    let asked = match places.databases.side(side) {
        Ok(place) => database::inserted(place, table).await,
        Err(error) => Err(error),
    };
    let now = match asked {
        Ok(now) => now,
        Err(error) => return (Finding::cannot_ask(format!("{error:#}")), Vec::new()),
    };
    let name = format!("rows {}", own.name);
    let within_ms = u64::try_from(own.within.as_millis()).unwrap_or(u64::MAX);
    let finding = gained(own, window.first(&name), now, within_ms);
    (finding, vec![(name, now, within_ms)])
}

fn gained(own: &StabilizeRule, first: Option<(i64, u64)>, now: i64, within_ms: u64) -> Finding {
    let least = own.below.unwrap_or(1.0);
    let within = clock::spoken(own.within);
    let Some((before, ago_ms)) = first else { return Finding::no_data("counted for the first time") };
    let more = now - before;
    if more < 0 {
        return Finding::no_data("the server's statistics were reset");
    }
    let said = format!(
        "{} came in within {}",
        counted(more, "row"),
        clock::spoken(Duration::from_millis(ago_ms.min(within_ms)))
    );
    match (more as f64 >= least, ago_ms >= within_ms, own.above) {
        (_, _, Some(above)) if more as f64 > above => Finding::breach(format!("{said}, more than {above}")),
        (true, ..) => Finding::ok(said),
        (false, true, _) => {
            let were = if least > 1.0 { "were" } else { "was" };
            Finding::breach(format!("{said}, at least {least} {were} expected in {within}"))
        }
        (false, false, _) => Finding::no_data(format!("{said}; it takes {within} to tell")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::rules::Verdict;

    #[test]
    fn silence_is_found_after_its_time_and_not_before() {
        let own = StabilizeRule {
            name: "orders".into(),
            kind: RuleKind::Rows,
            query: None,
            url: None,
            table: Some("public.orders".into()),
            side: RuleSide::Target,
            within: Duration::from_secs(1800),
            above: None,
            below: None,
            patience: Duration::ZERO,
            level: RuleLevel::Hold,
            advice: String::new(),
        };
        let verdict = |first, now| gained(&own, first, now, 1_800_000).verdict;
        assert_eq!(verdict(None, 7), Verdict::NoData);
        assert_eq!(verdict(Some((7, 60_000)), 7), Verdict::NoData);
        assert_eq!(verdict(Some((7, 60_000)), 8), Verdict::Ok);
        assert_eq!(verdict(Some((7, 1_800_000)), 7), Verdict::Breach);
        assert_eq!(verdict(Some((7, 1_800_000)), 3), Verdict::NoData, "statistics can be reset");
    }
}
