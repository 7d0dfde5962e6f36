//! Whether a set of counters counts every request once, and tells failed ones apart; if not, which of them to name.
//!
//! Caddy counts a request in every handler that it passes, and in every bucket of a histogram that it fits. A share of errors
//! over such a sum may be anything: it is said, and not judged.

use std::collections::{BTreeMap, BTreeSet};

/// Labels that must not differ within one count: the same request would be counted twice.
const SINGLE: [&str; 5] = ["__name__", "job", "server", "handler", "le"];
/// Caddy's counter without a label `code`, and the one that has it.
const CADDY: (&str, &str) = ("caddy_http_requests_total", "caddy_http_request_duration_seconds_count");
/// Values of a label that are named; of the others the number is told.
const MOST_NAMED: usize = 6;

/// The labels of a series.
pub type Labels = BTreeMap<String, String>;

/// Series of which one request may stand in several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubled {
    /// The labels in which they differ, each with its values.
    differ: Vec<(&'static str, BTreeSet<String>)>,
    /// How often one request may stand in them.
    times: usize,
    /// What to add to the selector, such as `handler="subroute"`.
    pub matchers: String,
}

impl Doubled {
    /// What is wrong.
    pub fn words(&self) -> String {
        let differ = self.differ.iter().map(|(label, values)| {
            let mut named: Vec<String> = values.iter().take(MOST_NAMED).cloned().collect();
            named.extend((values.len() > MOST_NAMED).then(|| format!("{} more", values.len() - MOST_NAMED)));
            format!("{label} ({})", named.join(", "))
        });
        let differ: Vec<String> = differ.collect();
        let times = if self.times == 2 { "twice".to_owned() } else { format!("{} times", self.times) };
        format!("the series differ in {}: a request may be counted {times}", differ.join(" and in "))
    }
}

/// Where they differ, if they do. Each comes with where it stands; the one to name is the one that counted most, because
/// the outermost handler sees every request.
pub fn doubled<'a>(series: impl IntoIterator<Item = (&'a Labels, f64)>) -> Option<Doubled> {
    let of = |labels: &Labels, label: &str| labels.get(label).cloned().unwrap_or_default();
    let all: Vec<(&Labels, f64)> = series.into_iter().collect();
    let values = |label: &'static str| (label, all.iter().map(|(labels, _)| of(labels, label)).collect());
    let differ: Vec<(&'static str, BTreeSet<String>)> =
        SINGLE.into_iter().map(values).filter(|(_, values): &(_, BTreeSet<String>)| values.len() > 1).collect();
    if differ.is_empty() {
        return None;
    }
    let mut groups: BTreeMap<Vec<String>, f64> = BTreeMap::new();
    for (labels, value) in &all {
        let key = differ.iter().map(|(label, _)| of(labels, label)).collect();
        *groups.entry(key).or_default() += if value.is_finite() { *value } else { 0.0 };
    }
    let times = groups.len();
    // Of several that counted the same, the first by name: so that the advice does not change from minute to minute.
    let most = groups.into_iter().reduce(|best, one| if one.1 > best.1 { one } else { best });
    let named: Vec<String> = most.map(|(key, _)| key).unwrap_or_default();
    let matchers = differ.iter().zip(named).map(|((label, _), value)| format!("{label}={value:?}"));
    let matchers = matchers.collect::<Vec<_>>().join(",");
    Some(Doubled { differ, times, matchers })
}

/// Whether none of them tells failed requests from others: what counts there can never be an error.
pub fn is_codeless<'a>(series: impl IntoIterator<Item = &'a Labels>) -> bool {
    series.into_iter().all(|labels| labels.get("code").is_none_or(String::is_empty))
}

/// The selector with more matchers.
pub fn narrowed(selector: &str, matchers: &str) -> String {
    let selector = selector.trim();
    if matchers.is_empty() {
        return selector.to_owned();
    }
    match selector.strip_suffix('}').map(|open| open.trim_end().trim_end_matches(',')) {
        Some(open) if open.trim_end().ends_with('{') => format!("{open}{matchers}}}"),
        Some(open) => format!("{open},{matchers}}}"),
        None => format!("{selector}{{{matchers}}}"),
    }
}

/// The selector that tells failed requests apart, where Caddy has one for it.
pub fn with_code(selector: &str) -> Option<String> {
    selector.contains(CADDY.0).then(|| selector.replace(CADDY.0, CADDY.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_chain_of_handlers_is_counted_once_in_the_one_that_saw_most() {
        let of = |handler: &str, code: &str| labels(&[("server", "srv0"), ("handler", handler), ("code", code)]);
        let (first, again) = (of("headers", "200"), of("headers", "502"));
        let (inner, other) = (of("reverse_proxy", "200"), of("encode", "200"));
        assert_eq!(doubled([(&first, 7.0), (&again, 3.0)]), None, "codes of one handler are different requests");
        let found = doubled([(&inner, 8.0), (&first, 7.0), (&again, 3.0), (&other, f64::NAN)]).unwrap();
        assert_eq!(found.matchers, "handler=\"headers\"");
        assert_eq!(
            found.words(),
            "the series differ in handler (encode, headers, reverse_proxy): a request may be counted 3 times"
        );
        let even = doubled([(&inner, 7.0), (&other, 7.0)]).unwrap();
        assert_eq!(even.matchers, "handler=\"encode\"", "the same advice in every minute");
    }

    #[test]
    fn servers_jobs_names_and_buckets_double_a_request_too() {
        let (one, other) = (labels(&[("server", "app"), ("job", "a")]), labels(&[("server", "srv1"), ("job", "b")]));
        let found = doubled([(&one, 1.0), (&other, 2.0)]).unwrap();
        assert_eq!(found.matchers, "job=\"b\",server=\"srv1\"");
        assert_eq!(
            found.words(),
            "the series differ in job (a, b) and in server (app, srv1): a request may be counted twice"
        );
        let (few, all) = (labels(&[("le", "0.1")]), labels(&[("le", "+Inf")]));
        assert_eq!(doubled([(&few, 1.0), (&all, 9.0)]).unwrap().matchers, "le=\"+Inf\"");
        assert!(doubled([(&labels(&[("__name__", "a")]), 1.0), (&labels(&[("__name__", "b")]), 1.0)]).is_some());
        // Two machines of one job are two sets of requests.
        assert_eq!(doubled([(&labels(&[("instance", "a")]), 1.0), (&labels(&[("instance", "b")]), 1.0)]), None);
    }

    #[test]
    fn a_selector_keeps_what_it_had() {
        for (selector, expected) in [
            ("a_count", "a_count{handler=\"x\"}"),
            ("a_count{}", "a_count{handler=\"x\"}"),
            ("a_count{server=\"app\"}", "a_count{server=\"app\",handler=\"x\"}"),
            (" a_count{ server=~\"a|b\", } ", "a_count{ server=~\"a|b\",handler=\"x\"}"),
        ] {
            assert_eq!(narrowed(selector, "handler=\"x\""), expected);
        }
        assert_eq!(narrowed("a_count ", ""), "a_count");
    }

    #[test]
    fn a_counter_without_codes_is_known_and_so_is_the_one_that_has_them() {
        let (with, without) = (labels(&[("code", "200")]), labels(&[("handler", "x")]));
        assert!(is_codeless([&without]) && !is_codeless([&without, &with]));
        assert_eq!(
            with_code("caddy_http_requests_total{server=\"app\"}").as_deref(),
            Some("caddy_http_request_duration_seconds_count{server=\"app\"}")
        );
        assert_eq!(with_code("nginx_requests"), None);
    }
}
