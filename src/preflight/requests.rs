//! What the watcher is to count: each request once, with its code, from the job that it asks about. Law: a count that can never
//! show an error is a failure; one that the watcher would not judge is a warning, with the selector to write instead.

use std::time::Duration;

use super::Ask;
use super::finding::Found;
use crate::adapter::prometheus::{self, RawSeries};
use crate::config::Stabilize;
use crate::judge::series::{Labels, doubled, is_codeless, narrowed, with_code};

/// How far a sample may lie back that counts as one of now: Prometheus itself goes no further.
const NOW: Duration = Duration::from_secs(5 * 60);
/// A project that nobody has used for longer was not used.
const LATELY: Duration = Duration::from_secs(24 * 3600);
/// What Caddy counts.
const CADDY: &str = "caddy_http_request_duration_seconds_count";

/// Looks at the series that the selector matches; nothing where there is no window to watch, nor where what is not deployed
/// yet has counted nothing.
pub(super) async fn check(ask: &Ask<'_>, base: &str, deadline: Duration, is_absent: bool) -> Option<Found> {
    let stabilize = ask.config().stabilize.as_ref()?;
    let (http, selector) = (&ask.asked.http, stabilize.requests.trim());
    let samples = async |selector: &str, window: Duration| {
        let asked = async {
            let now = prometheus::clock_ms(http, base, deadline).await?;
            prometheus::raw(http, base, selector, window, now, deadline).await
        };
        ask.wait(format!("the series of {selector}"), asked).await
    };
    let series = match samples(selector, NOW).await {
        Ok(series) => series,
        Err(error) => return Some(Found::fail(format!("{error:#}"), "correct stabilize.requests")),
    };
    if !series.is_empty() {
        return Some(judge(stabilize, &series));
    }
    if is_absent {
        return None;
    }
    let lately = format!("count(last_over_time({selector}[{}s]))", LATELY.as_secs());
    let was_there = prometheus::number(http, base, &lately, deadline);
    let unasked = |error: anyhow::Error| Found::warn(format!("{selector} has no series now; {error:#}"), "ask again");
    match ask.wait(format!("the query {lately}"), was_there).await {
        Ok(prometheus::Number::Value(_)) => {
            return Some(Found::ok(format!("{selector} has no series now, but had some within a day")));
        }
        Ok(_) => {}
        Err(error) => return Some(unasked(error)),
    }
    // What a person would look up next.
    Some(match samples(CADDY, NOW).await {
        Ok(others) => judge_nothing(selector, &others),
        Err(error) => unasked(error),
    })
}

/// Their labels, and where each stands.
fn stands(series: &[RawSeries]) -> impl Iterator<Item = (&Labels, f64)> {
    series.iter().map(|one| (&one.labels, one.samples.last().map_or(0.0, |(_, value)| *value)))
}

fn write(selector: &str) -> String {
    format!("write stabilize.requests = '{selector}'")
}

fn judge(stabilize: &Stabilize, series: &[RawSeries]) -> Found {
    let selector = stabilize.requests.trim();
    let doubled = doubled(stands(series));
    let matchers = doubled.as_ref().map_or("", |doubled| doubled.matchers.as_str());
    if is_codeless(series.iter().map(|one| &one.labels)) {
        let words = format!(
            "the series of {selector} have no label code: a failed request counts like any other, and the watcher could \
             never find one"
        );
        let advice = with_code(selector).map_or_else(
            || "name a counter in stabilize.requests that has a label code".to_owned(),
            |better| write(&narrowed(&better, matchers)),
        );
        return Found::fail(words, advice);
    }
    if let Some(doubled) = &doubled {
        let words = format!("{selector}: {}, and the watcher would not judge them", doubled.words());
        return Found::warn(words, write(&narrowed(selector, matchers)));
    }
    let job = series.iter().find_map(|one| one.labels.get("job"));
    if let Some(job) = job.filter(|job| **job != stabilize.job) {
        let words = format!(
            "{selector} is of the job {job}, and stabilize.job is {}: the watcher would ask the wrong one",
            stabilize.job
        );
        return Found::warn(words, format!("write stabilize.job = {job:?}"));
    }
    let all = series.len();
    Found::ok(format!("the watcher counts each request once, in {all} series"))
}

fn judge_nothing(selector: &str, others: &[RawSeries]) -> Found {
    let words = format!("{selector} gives no series, nor did it within a day: the watcher could judge no error");
    let Some((labels, _)) = stands(others).max_by(|(_, one), (_, other)| one.total_cmp(other)) else {
        return Found::warn(words, "let Prometheus scrape what counts requests, or correct stabilize.requests");
    };
    let named = ["job", "server", "handler"].into_iter();
    let named = named.filter_map(|label| labels.get(label).map(|value| format!("{label}={value:?}")));
    Found::warn(words, write(&narrowed(CADDY, &named.collect::<Vec<_>>().join(","))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_matches_the_server_that_is_there_is_named() {
        let of = |server: &str, value: f64| {
            let labels = [("server", server), ("handler", "subroute"), ("code", "200")];
            let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            RawSeries { labels, samples: vec![(0, 1.0), (1, value)] }
        };
        let found = judge_nothing("x{server=\"app\"}", &[of("srv0", 3.0), of("srv1", 40.0)]);
        assert_eq!(
            found.advice.as_deref(),
            Some(
                "write stabilize.requests = 'caddy_http_request_duration_seconds_count{server=\"srv1\",handler=\"subroute\"}'"
            )
        );
        assert!(judge_nothing("x", &[]).advice.is_some_and(|advice| advice.contains("scrape")));
    }
}
