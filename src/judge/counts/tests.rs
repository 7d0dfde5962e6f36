//! What was counted, against what was sent.

use super::*;
use proptest::prelude::*;

const MIN: i64 = 60_000;

fn labels(code: &str) -> BTreeMap<String, String> {
    let pairs =
        [("job", "caddy"), ("instance", "caddy:9180"), ("server", "app"), ("handler", "subroute"), ("code", code)];
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn target() -> BTreeMap<String, String> {
    labels("").into_iter().filter(|(name, _)| ["job", "instance"].contains(&name.as_str())).collect()
}

fn samples(values: &[(i64, f64)]) -> Vec<Sample> {
    values.iter().map(|&(at_ms, value)| Sample { at_ms, value }).collect()
}

fn window(counters: &[(&str, &[(i64, f64)])], up: &[(i64, f64)]) -> Window {
    Window {
        counters: counters
            .iter()
            .map(|(code, values)| Series { labels: labels(code), samples: samples(values) })
            .collect(),
        up: vec![Series { labels: target(), samples: samples(up) }],
        starts: Vec::new(),
    }
}

fn counted(window: &Window, upto_ms: i64) -> (u64, u64) {
    let counted = Counter::since(0).tick(window, upto_ms);
    (counted.requests, counted.errors)
}

#[test]
fn the_first_error_of_a_quiet_application_is_counted() {
    let window = window(&[("200", &[(-1, 5.0), (60, 9.0)]), ("502", &[(60, 1.0)])], &[(-1, 1.0), (60, 1.0)]);
    assert_eq!(counted(&window, MIN), (5, 1));
}

#[test]
fn a_series_of_a_target_that_was_not_asked_before_starts_where_it_is() {
    let new = window(&[("200", &[(60, 9000.0), (120, 9001.0)])], &[(60, 1.0), (120, 1.0)]);
    assert_eq!(counted(&new, MIN), (1, 0));
    let never_answered = window(&[("200", &[(60, 9000.0), (120, 9001.0)])], &[(1, 0.0), (60, 1.0), (120, 1.0)]);
    assert_eq!(counted(&never_answered, MIN), (1, 0));
}

#[test]
fn a_series_that_was_not_there_in_the_last_good_scrape_counts_from_zero_even_after_failed_ones() {
    let it = window(&[("502", &[(60, 3.0)])], &[(-9, 1.0), (1, 0.0), (30, 0.0), (60, 1.0)]);
    assert_eq!(counted(&it, MIN), (3, 3));
}

#[test]
fn a_series_that_begins_without_a_number_starts_at_its_first_one() {
    let it = window(&[("502", &[(-5, f64::NAN), (60, 300.0), (120, 301.0)])], &[(-5, 1.0), (60, 1.0), (120, 1.0)]);
    assert_eq!(counted(&it, MIN), (1, 1));
}

#[test]
fn a_drop_is_a_reset_and_so_is_a_younger_process_that_has_already_overtaken_the_old_one() {
    let mut it = window(&[("500", &[(-1, 10.0), (60, 3.0)])], &[(-1, 1.0), (60, 1.0)]);
    assert_eq!(counted(&it, MIN), (3, 3));
    it = window(&[("500", &[(-1, 10.0), (60, 12.0)])], &[(-1, 1.0), (60, 1.0)]);
    assert_eq!(counted(&it, MIN), (2, 2));
    it.starts = vec![Series { labels: target(), samples: samples(&[(-1, -100.0), (60, 0.01)]) }];
    assert_eq!(counted(&it, MIN), (12, 12));
}

#[test]
fn what_is_no_number_is_passed_by_and_said() {
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 2.5, 1e300] {
        let window = window(&[("200", &[(-1, 5.0), (30, odd), (60, 9.0)])], &[(-1, 1.0), (60, 1.0)]);
        let counted = Counter::since(0).tick(&window, MIN);
        assert_eq!((counted.requests, counted.errors), (4, 0), "{odd}");
        assert!(matches!(counted.quality, Quality::Unclear(_)), "{odd}");
    }
}

#[test]
fn two_jobs_that_scrape_the_same_server_are_not_added_up_silently() {
    let mut it = window(&[("200", &[(-1, 5.0), (60, 9.0)])], &[(-1, 1.0), (60, 1.0)]);
    let mut twin = it.counters[0].clone();
    twin.labels.insert("job".into(), "caddy-again".into());
    it.counters.push(twin);
    assert!(matches!(Counter::since(0).tick(&it, MIN).quality, Quality::Unclear(why) if why.contains("counted twice")));
}

#[test]
fn nothing_old_empty_or_down_is_fine() {
    let quality = |window: &Window, upto_ms| Counter::since(0).tick(window, upto_ms).quality;
    let good = window(&[("200", &[(1, 5.0)])], &[(1, 1.0)]);
    assert_eq!(quality(&good, STALE_MS), Quality::Fine);
    assert!(matches!(quality(&good, STALE_MS + 2), Quality::NoData(why) if why.contains("5 min old")));
    assert!(matches!(quality(&Window::default(), MIN), Quality::NoData(_)));
    assert!(matches!(quality(&window(&[("200", &[(1, 5.0)])], &[(1, 0.0)]), MIN), Quality::NoData(_)));
    assert!(matches!(quality(&window(&[("200", &[(1, 5.0)])], &[(1, f64::NAN)]), MIN), Quality::NoData(_)));
    assert!(matches!(quality(&window(&[], &[(1, 1.0)]), MIN), Quality::NoData(why) if why.contains("no series")));
}

#[test]
fn labels_with_odd_letters_are_kept_apart() {
    let (mut left, mut right) = (labels("200"), labels("200"));
    left.insert("a".into(), "x,b=1:y".into());
    right.insert("a".into(), "x".into());
    right.insert("b".into(), "y".into());
    assert_ne!(key_of(&left), key_of(&right));
}

/// A day of a counter: per scrape the good and the bad requests before it, whether the scrape came through, whether the
/// process was started anew before.
fn stream() -> impl Strategy<Value = Vec<(u64, u64, bool, bool)>> {
    prop::collection::vec((0u64..20, 0u64..3, prop::bool::weighted(0.9), prop::bool::weighted(0.05)), 1..80)
}

/// The whole stream as raw samples, and what a perfect observer of these scrapes would have counted.
fn scraped(stream: &[(u64, u64, bool, bool)]) -> (Window, u64, u64) {
    let (mut ok, mut bad) = (0, 0);
    let (mut seen_ok, mut seen_bad) = (0, 0);
    let mut start = -1000.0;
    let (mut oks, mut bads, mut ups, mut starts) = (vec![(-1, 0.0)], Vec::new(), vec![(-1, 1.0)], vec![(-1, -1000.0)]);
    for (number, &(good, errors, is_scraped, is_restarted)) in (1..).zip(stream) {
        let at = number * 15_000;
        if is_restarted {
            (ok, bad, start) = (0, 0, (at - 10) as f64 / 1000.0);
        }
        (ok, bad) = (ok + good, bad + errors);
        ups.push((at, f64::from(u8::from(is_scraped))));
        if !is_scraped {
            continue;
        }
        starts.push((at, start));
        if ok > 0 {
            oks.push((at, ok as f64));
        }
        if bad > 0 {
            bads.push((at, bad as f64));
        }
    }
    // The truth, told by who sent the requests: the counts of each life of the process at its last good scrape.
    let (mut life_ok, mut life_bad, mut sum_ok, mut sum_bad) = (0, 0, 0, 0);
    for &(good, errors, is_scraped, is_restarted) in stream {
        if is_restarted {
            (sum_ok, sum_bad) = (sum_ok + seen_ok, sum_bad + seen_bad);
            (life_ok, life_bad, seen_ok, seen_bad) = (0, 0, 0, 0);
        }
        (life_ok, life_bad) = (life_ok + good, life_bad + errors);
        if is_scraped {
            (seen_ok, seen_bad) = (life_ok, life_bad);
        }
    }
    let mut it = window(&[("200", &oks), ("502", &bads)], &ups);
    it.starts = vec![Series { labels: target(), samples: samples(&starts) }];
    (it, sum_ok + seen_ok + sum_bad + seen_bad, sum_bad + seen_bad)
}

fn cut(window: &Window, from_ms: i64, upto_ms: i64) -> Window {
    let cut = |all: &[Series]| {
        all.iter()
            .map(|series| Series {
                labels: series.labels.clone(),
                samples: series
                    .samples
                    .iter()
                    .copied()
                    .filter(|sample| sample.at_ms > from_ms && sample.at_ms <= upto_ms)
                    .collect(),
            })
            .filter(|series: &Series| !series.samples.is_empty())
            .collect()
    };
    Window { counters: cut(&window.counters), up: cut(&window.up), starts: cut(&window.starts) }
}

proptest! {
    #[test]
    fn however_the_time_is_cut_the_count_is_the_same(stream in stream(), cuts in prop::collection::vec((1i64..1_300_000, 0i64..400_000), 0..12)) {
        let (all, requests, errors) = scraped(&stream);
        let end = 15_000 * 100;
        let mut ends: Vec<(i64, i64)> = cuts;
        ends.push((end, 0));
        ends.sort_unstable();
        let (mut counter, mut sums, mut begin) = (Counter::since(0), (0, 0), -10);
        for (upto, overlap) in ends {
            // Restarted in between: the state goes through its file.
            counter = serde_json::from_str(&serde_json::to_string(&counter).unwrap()).unwrap();
            let counted = counter.tick(&cut(&all, begin - overlap, upto), upto);
            sums = (sums.0 + counted.requests, sums.1 + counted.errors);
            begin = upto;
        }
        let once = Counter::since(0).tick(&all, end);
        prop_assert_eq!(sums, (once.requests, once.errors));
        prop_assert!(once.requests <= requests && once.errors <= errors);
    }

    #[test]
    fn with_every_scrape_or_a_known_start_nothing_is_missed(stream in stream()) {
        let complete: Vec<_> = stream.iter().map(|&(good, errors, _, is_restarted)| (good, errors, true, is_restarted)).collect();
        let (all, requests, errors) = scraped(&complete);
        let once = Counter::since(0).tick(&all, 15_000 * 100);
        prop_assert_eq!((once.requests, once.errors), (requests, errors));
    }

    #[test]
    fn no_samples_panic(values in prop::collection::vec((any::<i64>(), any::<f64>()), 0..30), upto: i64) {
        let values: Vec<(i64, f64)> = values.into_iter().map(|(at, value)| (at % (1 << 50), value)).collect();
        let _ = Counter::since(0).tick(&window(&[("500", &values)], &values), upto % (1 << 50));
    }
}
