//! The watched window on the page of a run: minutes that the watcher itself judged, errors and all.

use std::collections::BTreeMap;

use cutover::judge::counts::{Sample, Series, Window as Counts};
use cutover::judge::cusum::Terms;
use cutover::watch::tick::{Fetched, Inputs, tick};
use cutover::watch::window::{Now, SETTLE_MS, TICK_MS, Window};
use serde_json::Value;

use super::report::{State, collection, is_whole};

/// 2026-01-02T12:05:00Z, a whole minute.
const BEGIN: i64 = 1_767_355_500_000;

/// A window of an hour after run 7: a minute for each pair of good and failed requests.
fn watched(minutes: &[(u64, u64)]) -> Window {
    let labels = |code: &str| {
        let pairs = [("job", "caddy"), ("instance", "caddy:9180"), ("code", code)];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect::<BTreeMap<_, _>>()
    };
    let first = |value| vec![Sample { at_ms: BEGIN - 1000, value }];
    let (mut good, mut bad, mut up) = (first(0.0), first(0.0), first(1.0));
    let now = |gone: i64| Now { wall_ms: BEGIN + gone, boot_ms: gone.try_into().unwrap(), boot: "a".into() };
    let terms = Terms::new(0.01, 0.05, 8640);
    let mut window = Window::begin(now(0), "2026-01-02T12:05:00.000Z".into(), 60, terms, Some(7));
    for (minute, (well, ill)) in (1..).zip(minutes) {
        let at_ms = BEGIN + minute * TICK_MS - 1000;
        for (samples, more) in [(&mut good, well), (&mut bad, ill)] {
            let value = samples.last().unwrap().value + *more as f64;
            samples.push(Sample { at_ms, value });
        }
        up.push(Sample { at_ms, value: 1.0 });
        let series = |code: &str, samples: &[Sample]| Series { labels: labels(code), samples: samples.to_vec() };
        let counters = vec![series("200", &good), series("502", &bad)];
        let counts = Counts { counters, up: vec![series("", &up)], starts: Vec::new() };
        let fetched = Fetched { window: counts, upto_ms: BEGIN + minute * TICK_MS, maintenance: Vec::new() };
        (window, _) = tick(&Inputs::quiet(now(minute * TICK_MS + SETTLE_MS)).counted(Ok(fetched)), window);
    }
    window
}

/// The page and the document of run 7, with this window beside it.
fn paper(window: &Window) -> (String, Value) {
    let state = State::new();
    state.journal(7, "deploy", std::fs::read(&collection()[0]).unwrap());
    std::fs::create_dir(state.path("state/watch")).unwrap();
    std::fs::write(state.path("state/watch/window.json"), serde_json::to_vec(window).unwrap()).unwrap();
    assert!(state.cutover(&["report", "7", "--out", "run.html"]).status.success());
    let read = |name: &str| std::fs::read_to_string(state.path(name)).unwrap();
    let page = read("run.html");
    is_whole(&page);
    (page, serde_json::from_str(&read("run.json")).unwrap())
}

#[test]
fn the_chart_shows_the_decision_minute_by_minute_with_its_marks_its_faults_and_its_verdicts() {
    let mut minutes = vec![(60, 0); 10];
    minutes.extend([(30, 30); 4]);
    minutes.extend([(60, 0); 6]);
    let window = watched(&minutes);
    let (page, document) = paper(&window);
    let section = page.split("<section id=\"stabilization\">").nth(1).and_then(|rest| rest.split("</section>").next());
    let section = section.unwrap_or_else(|| panic!("the section is not in\n{page}"));
    let highest = window.trail.iter().map(|(_, share, ..)| *share).max().unwrap() as f64 / 1e4;
    assert!(highest > 25.0, "half of the requests failing for minutes is evidence: {highest}");
    for words in [
        "Observed 20 min 00 s of 1 h 00 min, 0 min unknown.".to_owned(),
        "1\u{202f}200 requests, 120 failed.".to_owned(),
        format!("The evidence of errors rose to {highest:.0} % of the alarm at most, at 12:"),
        "<svg class=\"chart\"".to_owned(),
        ">watch</text>".to_owned(),
        ">hold</text>".to_owned(),
        ">alarm</text>".to_owned(),
        ">12:06:00</text>".to_owned(),
        ">12:25:00 UTC</text>".to_owned(),
        "not accepted yet".to_owned(),
        "verdict from then on".to_owned(),
    ] {
        assert!(section.contains(&words), "{words} is not in\n{section}");
    }
    assert_eq!(section.matches("<line class=\"fault\"").count(), 4, "each minute with failed requests is marked");
    let line =
        section.split("<polyline class=\"line\" points=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert_eq!(line.split(' ').count(), 20, "a point for each minute");
    let stable = &document["stabilization"];
    assert_eq!(stable["trail"].as_array().unwrap().len(), 20);
    assert_eq!(
        (&stable["requests"], &stable["minutes"]),
        (&serde_json::json!([1200, 120]), &serde_json::json!([20, 60, 0]))
    );
    let word = window.ladder.level.word();
    assert!(stable["level"] == word && section.contains(word) && !window.levels.is_empty(), "{stable:#}");
}

#[test]
fn one_minute_is_no_chart_and_that_is_said() {
    let (page, _) = paper(&watched(&[(60, 0)]));
    assert!(
        page.contains("The evidence of errors stayed at 0 % of the alarm.") && !page.contains("<svg class=\"chart\"")
    );
    assert!(page.contains("Fewer than two minutes were judged, too few to draw."), "{page}");
}
