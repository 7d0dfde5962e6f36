//! Prometheus: it answers, its targets are up, and the error ratio and the watcher's count have series. Law: a gate that
//! can never fail is itself a failure.

use std::time::Duration;

use super::Ask;
use super::containers::any_runs;
use super::finding::{Found, Limit, Parts, Perf};
use super::requests;
use crate::adapter::prometheus::{Number, number};
use crate::config::Prometheus;

/// Asked when no `error_ratio` is given: requests to Caddy are counted then, by code.
const CADDY: &str = "count(caddy_http_request_duration_seconds_count{code!=\"\"})";

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let Some(prometheus) = &ask.config().prometheus else {
        return Found::skipped("no [prometheus] in the configuration: nothing to ask");
    };
    let base = prometheus.url.as_str().trim_end_matches('/');
    let ready = format!("{base}/-/ready");
    let (answer, ours) = tokio::join!(ask.http(&ready, prometheus.timeout), ask.ours());
    let is_absent = ours.is_ok_and(|ours| !any_runs(&ours));
    match answer {
        Ok(answer) if answer.status == 200 => {}
        _ if is_absent => return Found::ok(format!("{base}: not deployed yet")),
        Ok(answer) => {
            return Found::fail(format!("{ready} answers {}", answer.status), "look at Prometheus's log");
        }
        Err(why) => {
            return Found::fail(
                format!("{ready} does not answer: {why}"),
                "start Prometheus, or correct prometheus.url",
            );
        }
    }
    let query = Queries { ask, base, deadline: ask.patience(prometheus.timeout) };
    let (ratio, counted, targets, up) = tokio::join!(
        ratio(&query, prometheus, is_absent),
        requests::check(ask, base, query.deadline, is_absent),
        query.number("count(up)"),
        query.number("sum(up)")
    );
    let mut parts = Parts::default();
    parts.push(ratio);
    counted.into_iter().for_each(|counted| parts.push(counted));
    parts.push(judge_targets(targets, up));
    parts.found("")
}

struct Queries<'a, 'b> {
    ask: &'a Ask<'b>,
    base: &'a str,
    deadline: Duration,
}

impl Queries<'_, '_> {
    async fn number(&self, query: &str) -> Result<Number, String> {
        let answer = number(&self.ask.asked.http, self.base, query, self.deadline);
        self.ask.wait(format!("the query {query}"), answer).await.map_err(|error| format!("{error:#}"))
    }
}

async fn ratio(queries: &Queries<'_, '_>, prometheus: &Prometheus, is_absent: bool) -> Found {
    let query = prometheus.error_ratio.as_deref().unwrap_or(CADDY);
    let now = queries.number(query).await;
    let nothing = match &now {
        Ok(Number::Value(value)) => return judge_value(query, *value, prometheus.error_ratio.is_some()),
        Ok(Number::Nothing(why) | Number::Unclear(why)) => why.clone(),
        Err(why) => return Found::fail(why.clone(), "correct prometheus.error_ratio"),
    };
    // A quiet project has no sample now; what counts is that the gate has ever been able to speak.
    let lately = queries.number(&format!("count(max_over_time(({query})[1d:1m]) >= 0)")).await;
    judge_nothing(query, &nothing, matches!(lately, Ok(Number::Value(_))), is_absent)
}

fn judge_value(query: &str, value: f64, is_ratio: bool) -> Found {
    if !is_ratio {
        return Found::ok(format!("Caddy's requests are counted in {value} series"));
    }
    if !(0.0..=1.0).contains(&value) {
        let words = format!("{query:?} gives {value}, which is no share from 0 to 1");
        return Found::fail(words, "let prometheus.error_ratio divide failed requests by all requests");
    }
    let mut found = Found::ok(format!("the error ratio is {value:.4}"));
    found.perf.push(Perf { max: Some(1.0), ..Perf::plain("error_ratio", value, "") });
    found
}

fn judge_nothing(query: &str, why: &str, was_lately: bool, is_absent: bool) -> Found {
    let words = format!("{query:?} gives nothing that can be judged ({why})");
    if was_lately {
        return Found::ok(format!("{words}, but it did within a day: there is no traffic now"));
    }
    let advice = "let Prometheus scrape what counts requests, or correct prometheus.error_ratio";
    if is_absent {
        return Found::warn(format!("{words}; not deployed yet"), advice);
    }
    Found::fail(format!("{words}, nor did it within a day: a gate on it could never fail"), advice)
}

fn judge_targets(targets: Result<Number, String>, up: Result<Number, String>) -> Found {
    let (all, up) = match (targets, up) {
        (Ok(Number::Value(all)), Ok(Number::Value(up))) => (all, up),
        (Ok(Number::Nothing(_)), _) => return Found::fail("Prometheus has no targets", "give it scrape_configs"),
        (Err(why) | Ok(Number::Unclear(why)), _) | (_, Err(why) | Ok(Number::Nothing(why) | Number::Unclear(why))) => {
            return Found::unknown(format!("which targets are up is not known: {why}"), "ask Prometheus for `up`");
        }
    };
    let words = format!("{up} of {all} targets are up");
    let mut found = if up < all {
        Found::warn(words, "see Status > Targets in Prometheus, or ask it for `up == 0`")
    } else {
        Found::ok(words)
    };
    let warn = Some(Limit::Below(all));
    found.perf.push(Perf { warn, max: Some(all), ..Perf::plain("targets_up", up, "") });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;

    #[test]
    fn a_gate_that_never_had_a_series_is_a_failure_and_a_quiet_one_is_not() {
        assert_eq!(judge_nothing("q", "no series", false, false).verdict, Verdict::Fail);
        assert_eq!(judge_nothing("q", "NaN", true, false).verdict, Verdict::Ok);
        assert_eq!(judge_nothing("q", "no series", false, true).verdict, Verdict::Warn);
    }

    #[test]
    fn a_ratio_lies_between_0_and_1() {
        assert_eq!(judge_value("q", 0.02, true).verdict, Verdict::Ok);
        assert_eq!(judge_value("q", 2.0, true).verdict, Verdict::Fail);
        assert_eq!(judge_value("q", 12.0, false).verdict, Verdict::Ok);
    }

    #[test]
    fn targets_that_are_down_warn_and_none_at_all_fail() {
        let value = |value| Ok(Number::Value(value));
        let nothing = || Ok(Number::Nothing("no series".into()));
        assert_eq!(judge_targets(value(2.0), value(2.0)).verdict, Verdict::Ok);
        assert_eq!(judge_targets(value(2.0), value(1.0)).verdict, Verdict::Warn);
        assert_eq!(judge_targets(nothing(), nothing()).verdict, Verdict::Fail);
        assert_eq!(judge_targets(Err("away".into()), value(1.0)).verdict, Verdict::Unknown);
    }
}
