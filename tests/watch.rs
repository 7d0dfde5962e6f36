//! The watcher against a real Prometheus and a real Caddy: what was sent is what was counted, and what is not known is said.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![allow(clippy::disallowed_methods, reason = "a test starts programs and waits by itself")]

#[path = "watch/front.rs"]
mod front;
#[path = "watch/going_back.rs"]
mod going_back;
mod support;

use std::time::Duration;

use cutover::adapter::http::Http;
use cutover::judge::counts::{Counted, Counter, Quality};
use cutover::watch::requests::Source;
use cutover::watch::tick::Fetched;
use cutover::watch::window::{Now, Window};
use front::Front;

const NEVER: Duration = Duration::from_secs(60);

fn source(front: &Front, job: &str) -> Source {
    Source {
        base: front.prometheus(),
        selector: format!("caddy_http_request_duration_seconds_count{{server=\"srv0\",job=~\"{job}\"}}"),
        job: "caddy".into(),
        deadline: Duration::from_secs(5),
    }
}

/// A window whose minutes are over: what is asked for ends now.
fn window(from_ms: i64) -> Window {
    let now = Now { wall_ms: cutover::adapter::clock::wall_ms() + 11_000 + 60_000, boot_ms: 0, boot: String::new() };
    let mut window = Window::begin(now, String::new(), 60, cutover::judge::cusum::Terms::new(0.01, 0.05, 0), None);
    window.grid_ms = from_ms;
    window
}

/// Counts again and again, as ticks do, until so many requests were seen.
async fn count(source: &Source, counter: &mut Counter, from_ms: i64, wanted: u64) -> (u64, u64, Quality) {
    let http = Http::new().unwrap();
    let deadline = cutover::adapter::clock::Stopwatch::start();
    let mut sum = (0, 0);
    loop {
        let fetched: Fetched = source.fetch(&http, &window(from_ms)).await.unwrap();
        let Counted { requests, errors, quality } = counter.tick(&fetched.window, cutover::adapter::clock::wall_ms());
        sum = (sum.0 + requests, sum.1 + errors);
        if sum.0 >= wanted {
            return (sum.0, sum.1, quality);
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
    assert_eq!(count(&source, &mut counter, from_ms, 20).await, (20, 0, Quality::Fine));
    // The first 502 of a quiet application: a rate would lose it.
    front.ask("/ill", 1).await;
    assert_eq!(count(&source, &mut counter, from_ms, 1).await, (1, 1, Quality::Fine));
    front.restart_caddy().await;
    front.ask("/ill", 3).await;
    front.ask("/well", 30).await;
    let (requests, errors, _) = count(&source, &mut counter, from_ms, 33).await;
    assert_eq!((requests, errors), (33, 3), "a counter that begins anew counts from 0");
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
