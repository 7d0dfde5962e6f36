//! The watcher against a real Prometheus and a real Caddy: what was sent is what was counted, and what is not known is said.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![allow(clippy::disallowed_methods, reason = "a test starts programs and waits by itself")]

#[path = "watch/daemon.rs"]
mod daemon;
#[path = "watch/front.rs"]
mod front;
#[path = "watch/going_back.rs"]
mod going_back;
#[path = "watch/matrix.rs"]
mod matrix;
mod support;

use std::time::Duration;

use cutover::adapter::http::Http;
use cutover::judge::counts::{Counted, Counter, Quality};
use cutover::judge::ladder::Level;
use cutover::judge::rules::Verdict;
use cutover::watch::requests::Source;
use cutover::watch::tick::{ERRORS, Fetched, Inputs, tick};
use cutover::watch::window::{Now, Window};
use front::Front;
use support::receiver::Receiver;

const NEVER: Duration = Duration::from_secs(60);

fn source(front: &Front, job: &str) -> Source {
    Source {
        base: front.prometheus(),
        selector: format!("caddy_http_request_duration_seconds_count{{server=\"srv0\",job=~\"{job}\"}}"),
        job: "caddy".into(),
        deadline: Duration::from_secs(30),
    }
}

/// A window whose minutes are over: what is asked for ends now.
fn window(from_ms: i64) -> Window {
    let now = Now { wall_ms: cutover::adapter::clock::wall_ms() + 11_000 + 60_000, boot_ms: 0, boot: String::new() };
    let mut window = Window::begin(now, String::new(), 60, cutover::judge::cusum::Terms::new(0.01, 0.05, 0), None);
    window.grid_ms = from_ms;
    window
}

/// Counts again and again, as ticks do, until so many requests were seen and the last scrape came through: on a busy machine
/// one may fail.
async fn count(source: &Source, counter: &mut Counter, from_ms: i64, wanted: u64) -> (u64, u64) {
    let http = Http::new().unwrap();
    let deadline = cutover::adapter::clock::Stopwatch::start();
    let mut sum = (0, 0);
    loop {
        let fetched: Fetched = source.fetch(&http, &window(from_ms)).await.unwrap();
        let Counted { requests, errors, quality } = counter.tick(&fetched.window, cutover::adapter::clock::wall_ms());
        sum = (sum.0 + requests, sum.1 + errors);
        if sum.0 >= wanted && quality.is_fine() {
            return sum;
        }
        assert!(deadline.left(NEVER).is_some(), "{sum:?} of {wanted} were counted, {quality:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn what_was_sent_is_what_is_counted_also_the_first_error_and_what_came_after_a_restart() {
    let front = Front::up();
    let from_ms = cutover::adapter::clock::wall_ms();
    let source = source(&front, "caddy");
    let mut counter = Counter::since(from_ms);
    front.ask("/well", 20).await;
    assert_eq!(count(&source, &mut counter, from_ms, 20).await, (20, 0));
    // The first 502 of a quiet application: a rate would lose it.
    front.ask("/ill", 1).await;
    assert_eq!(count(&source, &mut counter, from_ms, 1).await, (1, 1));
    front.restart_caddy().await;
    front.ask("/ill", 3).await;
    front.ask("/well", 30).await;
    let counted = count(&source, &mut counter, from_ms, 33).await;
    assert_eq!(counted, (33, 3), "a counter that begins anew counts from 0");
}

#[tokio::test]
async fn no_prometheus_no_series_and_two_jobs_are_never_taken_for_health() {
    let front = Front::up();
    let from_ms = cutover::adapter::clock::wall_ms();
    let http = Http::new().unwrap();
    front.ask("/well", 5).await;
    count(&source(&front, "caddy"), &mut Counter::since(from_ms), from_ms, 5).await;

    let twice = source(&front, "caddy|again");
    let begun = cutover::adapter::clock::Stopwatch::start();
    loop {
        let fetched = twice.fetch(&http, &window(from_ms)).await.unwrap();
        let now = cutover::adapter::clock::wall_ms();
        match Counter::since(from_ms).tick(&fetched.window, now).quality {
            Quality::Unclear(why) => break assert!(why.contains("counted twice"), "{why}"),
            // The second job has not asked Caddy since the requests.
            _ => assert!(begun.left(NEVER).is_some(), "two jobs were taken for one"),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    let nothing = source(&front, "nobody").fetch(&http, &window(from_ms)).await.unwrap();
    let quality = Counter::since(from_ms).tick(&nothing.window, cutover::adapter::clock::wall_ms()).quality;
    assert!(matches!(quality, Quality::NoData(why) if why.contains("no series")));

    let asked = source(&front, "caddy");
    front.stop_prometheus();
    let error = asked.fetch(&http, &window(from_ms)).await.unwrap_err();
    assert!(format!("{error:#}").contains("cannot ask Prometheus"), "{error:#}");
}

/// What a tick makes of what can be had now: the verdict of the rule on errors, its evidence, and the level.
async fn verdict(source: &Source, window: Window) -> (Verdict, String, Level) {
    let http = Http::new().unwrap();
    let fetched = source.fetch(&http, &window).await.map_err(|error| format!("{error:#}"));
    let now = Now { wall_ms: cutover::adapter::clock::wall_ms() + 71_000, boot_ms: 60_000, boot: String::new() };
    let (_, verdicts) = tick(&Inputs::quiet(now).counted(fetched), window);
    let errors = verdicts.rules.iter().find(|said| said.rule.name == ERRORS).unwrap();
    (errors.standing.verdict, errors.standing.evidence.clone(), verdicts.level)
}

/// Until the rule on errors says something that holds these words.
async fn until_said(source: &Source, from_ms: i64, words: &str) -> (Verdict, Level) {
    let begun = cutover::adapter::clock::Stopwatch::start();
    loop {
        let (verdict, evidence, level) = verdict(source, window(from_ms - 60_000)).await;
        if evidence.contains(words) {
            return (verdict, level);
        }
        assert!(begun.left(NEVER).is_some(), "{words:?} was never said: {verdict:?} {evidence}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn what_prometheus_cannot_tell_is_unknown_and_never_ok_and_never_a_reason_to_go_back() {
    let front = Front::up();
    let from_ms = cutover::adapter::clock::wall_ms();
    let caddy = source(&front, "caddy");
    front.ask("/ill", 30).await;
    count(&caddy, &mut Counter::since(from_ms), from_ms, 30).await;

    // Not a number.
    let mut nan = source(&front, "nan");
    nan.job = "nan".into();
    assert_eq!(until_said(&nan, from_ms, "is NaN").await, (Verdict::NoData, Level::Ok));
    // Two series where one is expected.
    let twice = source(&front, "caddy|again");
    assert_eq!(until_said(&twice, from_ms, "counted twice").await, (Verdict::NoData, Level::Ok));
    // No series at all.
    let nobody = Source { job: "nobody".into(), ..source(&front, "nobody") };
    assert_eq!(until_said(&nobody, from_ms, "no target").await, (Verdict::NoData, Level::Ok));
    // A clock that is off. A real Prometheus has no other clock than this machine's: this one is a double of its answer.
    let skewed = Receiver::plain();
    skewed.says("{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1700000000,\"1700000000\"]}}");
    let off = Source { base: skewed.url("127.0.0.1", ""), ..source(&front, "caddy") };
    assert_eq!(until_said(&off, from_ms, "the clock of Prometheus is").await, (Verdict::CannotAsk, Level::Ok));

    // Started anew, it has what it had: nothing is lost, and nothing counts twice.
    let mut counter = Counter::since(from_ms);
    assert_eq!(count(&caddy, &mut counter, from_ms, 30).await.0, 30);
    front.restart_prometheus();
    let caddy = source(&front, "caddy");
    front.ask("/well", 12).await;
    let counted = count(&caddy, &mut counter, from_ms, 12).await;
    assert_eq!(counted, (12, 0), "the 30 from before were counted before");

    // The target is gone: it does not answer Prometheus, and nobody knows.
    front.stop_caddy();
    assert_eq!(until_said(&caddy, from_ms, "does not answer Prometheus").await, (Verdict::NoData, Level::Ok));
    // Prometheus is gone.
    front.stop_prometheus();
    assert_eq!(until_said(&caddy, from_ms, "cannot ask Prometheus").await, (Verdict::CannotAsk, Level::Ok));
}

/// `cutover` in a directory whose configuration asks this Prometheus and counts by this selector; exit code, stdout, stderr.
fn cutover(home: &std::path::Path, base: &str, selector: &str, arguments: &[&str]) -> (i32, String, String) {
    let text = format!(
        "schema = \"cutover/v1\"\n[project]\nname = \"demo\"\nenvironment = \"staging\"\n[state]\ndirectory = \"state\"\n\
         [preflight]\nmin_disk = \"0B\"\ndeadline = \"30s\"\n[prometheus]\nurl = \"{base}\"\ntimeout = \"20s\"\n\
         [stabilize]\nwindow = \"1h\"\nrequests = '{selector}'\n"
    );
    std::fs::write(home.join("cutover.toml"), text).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cutover"));
    let ran = command.current_dir(home).args(arguments).output().unwrap();
    (ran.status.code().unwrap(), String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap())
}

/// Preflight's word on Prometheus, once it says this.
fn preflight_says(home: &std::path::Path, base: &str, selector: &str, words: &str) -> (i32, String) {
    let begun = cutover::adapter::clock::Stopwatch::start();
    loop {
        let asked = ["preflight", "--only", "prometheus", "--output", "json"];
        let (code, said, more) = cutover(home, base, selector, &asked);
        let document: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{more}"));
        let said =
            format!("{}\n{}", document["findings"][0]["seen"], document["findings"][0]["advice"]).replace("\\\"", "\"");
        if said.contains(words) {
            return (code, said);
        }
        assert!(begun.left(NEVER).is_some(), "{words:?} was never said: {said}{more}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// The selector that it says to write.
fn advised(said: &str) -> &str {
    said.split("write stabilize.requests = '").nth(1).unwrap().split('\'').next().unwrap()
}

#[tokio::test]
async fn a_chain_of_handlers_counts_a_request_three_times_and_preflight_names_the_selector_that_counts_it_once() {
    let (front, home) = (Front::up(), tempfile::tempdir().unwrap());
    let base = front.prometheus();
    let from_ms = cutover::adapter::clock::wall_ms();
    front.ask_at("81", "/well", 4).await;
    // Nothing listens behind the proxy: Caddy itself answers 502.
    front.ask_at("81", "/ill", 3).await;
    let chain = "caddy_http_request_duration_seconds_count{job=\"caddy\",server=\"chain\"}";
    let (code, said) = preflight_says(home.path(), &base, chain, "a request may be counted");
    assert_eq!(code, 0, "a warning stops nothing: {said}");
    assert!(said.contains("the series differ in handler ("), "{said}");
    let better = advised(&said).to_owned();
    // The watcher says the same, and judges nothing.
    let of = |selector: &str| Source { selector: selector.into(), ..source(&front, "caddy") };
    let (verdict, level) = until_said(&of(chain), from_ms, "to stabilize.requests").await;
    assert_eq!((verdict, level), (Verdict::NoData, Level::Ok));
    // Who does as he is told counts every request once, and every failure.
    let counted = count(&of(&better), &mut Counter::since(from_ms), from_ms, 7).await;
    assert_eq!(counted, (7, 3), "{better}");
    preflight_says(home.path(), &base, &better, "the watcher counts each request once");

    // A counter without codes could never show a failure.
    let codeless = "caddy_http_requests_total{server=\"chain\",job=\"caddy\"}";
    let (code, said) = preflight_says(home.path(), &base, codeless, "have no label code");
    assert_eq!(code, 4, "{said}");
    preflight_says(home.path(), &base, advised(&said), "the watcher counts each request once");
    assert_eq!(until_said(&of(codeless), from_ms, "nobody knows which").await, (Verdict::NoData, Level::Ok));
}

/// What the window of this directory holds, changed.
fn change_window(home: &std::path::Path, change: impl Fn(&mut serde_json::Value)) {
    let path = home.join("state/watch/window.json");
    let mut window: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut window);
    std::fs::write(&path, window.to_string()).unwrap();
}

#[tokio::test]
async fn cron_hears_one_line_when_something_changes_and_none_otherwise_also_where_prometheus_is_gone() {
    let (front, home) = (Front::up(), tempfile::tempdir().unwrap());
    let (base, from_ms) = (front.prometheus(), cutover::adapter::clock::wall_ms());
    front.ask("/well", 3).await;
    count(&source(&front, "caddy"), &mut Counter::since(from_ms), from_ms, 3).await;
    let failed = "caddy_http_request_duration_seconds_count{job=\"caddy\",server=\"srv0\",code=\"502\"}";
    // The selector ends the table of the window; a rule of the house's own follows it.
    let selector = format!(
        "caddy_http_request_duration_seconds_count{{server=\"srv0\",job=\"caddy\"}}'\n[[stabilize.rule]]\nname = \"failures\"\n\
         level = \"hold\"\nfor = \"0s\"\nabove = \"0\"\nadvice = \"read the log of the backend\"\nquery = 'sum({failed}) or vector(0)"
    );
    let once = |more: &[&str]| cutover(home.path(), &base, &selector, &[&["watch", "--once"], more].concat());

    let (code, said, more) = once(&[]);
    assert_eq!((code, said.lines().count()), (0, 1), "{said}{more}");
    assert!(said.starts_with("cutover staging: OK"), "{said}");
    // No minute ends from here on: that one is over would be news, too.
    change_window(home.path(), |window| window["grid_ms"] = (window["grid_ms"].as_i64().unwrap() + 600_000).into());
    assert_eq!(once(&[]), (0, String::new(), String::new()), "nothing has changed");
    assert_eq!(once(&[]), (0, String::new(), String::new()), "and still nothing");

    front.ask("/ill", 1).await;
    let begun = cutover::adapter::clock::Stopwatch::start();
    let said = loop {
        match once(&[]) {
            (0, said, _) if said.is_empty() => assert!(begun.left(NEVER).is_some(), "the failure is never told"),
            (code, said, more) => {
                assert_eq!(code, 4, "{said}{more}");
                break said;
            }
        }
    };
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in
        ["cutover staging: HOLD since ", " (was OK): failures: 1, more than 0", "(to do: read the log of the backend)"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(once(&[]), (4, String::new(), String::new()), "it was told, and still stands");

    front.stop_prometheus();
    let (code, said, _) = once(&[]);
    assert_eq!((code, said.lines().count()), (4, 1), "{said}");
    assert!(
        said.starts_with("cutover staging: HOLD; ") && said.contains(" cannot ask: cannot ask Prometheus at "),
        "{said}"
    );
    assert_eq!(once(&[]), (4, String::new(), String::new()));

    // A window that begins without it: nothing is known, and that is no OK.
    assert_eq!(once(&["--new"]).0, 0);
    let (code, said, _) = once(&["--format", "nagios"]);
    assert_eq!(code, 3, "{said}");
    assert!(said.starts_with("CUTOVER UNKNOWN - OK as far as is known"), "{said}");
    // For more than half an hour it is a reason to hold, and never one to go back.
    change_window(home.path(), |window| {
        for rule in ["errors", "failures"] {
            let since = window["rules"][rule]["since_ms"].as_i64().unwrap();
            window["rules"][rule]["since_ms"] = (since - 31 * 60_000).into();
        }
    });
    let (code, said, _) = once(&["--output", "json"]);
    let document: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &document["verdict"], &document["blind"]), (4, &"HOLD".into(), &true.into()), "{said}");
    assert!(
        document["recommendation"].is_null() && document["why"].to_string().contains("cannot ask Prometheus"),
        "{said}"
    );
}

#[test]
fn cron_is_told_what_is_not_known_and_a_second_watcher_is_turned_away() {
    let home = tempfile::tempdir().unwrap();
    let text = "schema = \"cutover/v1\"\n[project]\nname = \"demo\"\nenvironment = \"staging\"\n[state]\ndirectory = \"state\"\n\
                [preflight]\nmin_disk = \"0B\"\n[prometheus]\nurl = \"http://127.0.0.1:9\"\n[stabilize]\nwindow = \"1h\"\n";
    std::fs::write(home.path().join("cutover.toml"), text).unwrap();
    let watch = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cutover"));
        let ran = command.current_dir(home.path()).arg("watch").args(arguments).output().unwrap();
        (ran.status.code().unwrap(), String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap())
    };
    let (code, said, _) = watch(&["--once", "--format", "nagios"]);
    assert_eq!(code, 3, "{said}");
    assert!(said.starts_with("CUTOVER UNKNOWN - OK as far as is known"), "{said}");
    let (code, said, _) = watch(&["--once"]);
    assert_eq!((code, said.as_str()), (0, ""), "nothing has changed since: cron hears nothing");

    let (code, _, said) = watch(&["--once", "--arm", "2h", "--no-input", "--yes"]);
    assert_eq!(code, 2, "--yes is no phrase: {said}");
    let (code, _, said) = watch(&["--once", "--arm", "2h", "--confirm", "arm staging"]);
    assert_eq!(code, 0, "{said}");
    let (_, said, _) = watch(&["--once", "--output", "json"]);
    let document: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&document["verdict"], &document["blind"]), (&"OK".into(), &true.into()));
    assert!(document["armed"]["by"].is_string(), "{said}");

    let _shelf = cutover::watch::keep::Shelf::open(&home.path().join("state")).unwrap();
    assert_eq!(watch(&["--once"]).0, 5);
}
