//! A day of the watcher in a minute: 1,440 ticks with 50 rules, over real sockets, and what they cost in memory, descriptors
//! and time. Called by `scripts/bench watch`. Exit code 1: a target was missed.
//!
//! Only the clock is faster: each tick is told that a minute has passed. Questions, answers, the judge, the file of the window,
//! the dead man's switch and the numbers are the real ones. What is asked is a process of its own, so that its memory is not
//! counted.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot be made ends here, and says why"
)]
#![allow(clippy::disallowed_methods, reason = "it starts the process that answers, and measures by itself")]

mod answers;

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use cutover::adapter::clock;
use cutover::adapter::http::Http;
use cutover::config::{self, Environment, RuleKind, RuleLevel, RuleSide, StabilizeRule};
use cutover::judge::cusum::Terms;
use cutover::notify::Notifier;
use cutover::redact::Redactor;
use cutover::step::Databases;
use cutover::watch::asked::Route;
use cutover::watch::gather::{Watcher, now};
use cutover::watch::keep::Shelf;
use cutover::watch::own::Places;
use cutover::watch::requests::Source;
use cutover::watch::window::{Now, Window};
use cutover::watch::{metrics, words};

/// Minutes of a day.
const TICKS: i64 = 1440;
const RULES: usize = 50;
/// After so many ticks everything is warm.
const WARM: i64 = 120;
/// The most memory, bytes; and the most that it may grow once warm.
const MEMORY: u64 = 40 * 1024 * 1024;
const GROWTH: u64 = 2 * 1024 * 1024;
const TICK: Duration = Duration::from_secs(1);

/// Minutes that have passed, as the watcher is told.
static MINUTE: AtomicI64 = AtomicI64::new(0);

/// The clocks of that day: it ends now, so that Prometheus's clock and ours are the same.
fn told() -> Now {
    let (real, minutes) = (now(), MINUTE.load(Ordering::Relaxed));
    Now {
        wall_ms: real.wall_ms - (TICKS - minutes) * 60_000,
        boot_ms: u64::try_from(minutes).unwrap() * 60_000,
        boot: "a day".into(),
    }
}

/// Resident memory in bytes, and open descriptors.
fn cost() -> (u64, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
    (kib * 1024, std::fs::read_dir("/proc/self/fd").unwrap().count())
}

fn rule(number: usize, base: &str) -> StabilizeRule {
    let kind = [RuleKind::Query, RuleKind::Url, RuleKind::Log][number % 3];
    StabilizeRule {
        name: format!("rule {number}"),
        kind,
        query: Some(format!("sum(rate(something_total{{number=\"{number}\"}}[5m]))")),
        url: Some(format!("{base}/page/{number}").parse().unwrap()),
        table: None,
        side: RuleSide::Target,
        within: Duration::from_secs(1800),
        above: Some(1e9),
        below: None,
        patience: Duration::ZERO,
        level: RuleLevel::Watch,
        advice: "look".into(),
    }
}

fn watcher(base: &str, state: &std::path::Path) -> Watcher {
    let http = Http::new().unwrap();
    let deadline = Duration::from_secs(10);
    Watcher {
        source: Some(Source {
            base: base.to_owned(),
            selector: "caddy_http_request_duration_seconds_count{server=\"app\"}".into(),
            job: "caddy".into(),
            deadline,
        }),
        route: Some(Route { url: format!("{base}/page"), control: Some(format!("{base}/control")) }),
        maintenance: None,
        engine: None,
        rooms: vec![("state".into(), state.to_owned(), 1)],
        state: state.to_owned(),
        places: Places {
            http,
            prometheus: Some(base.to_owned()),
            loki: Some(base.to_owned()),
            databases: Databases::default(),
            deadline,
        },
        rules: (0..RULES).map(|number| rule(number, base)).collect(),
        has: (false, false),
        connections: 0.8,
        backups: None,
        others: Vec::new(),
        accept: 0.01,
        clock: told,
        // Closely watched all day: every question in every tick.
        cadence: (u64::MAX, 60_000),
    }
}

fn notifier(base: &str, home: &std::path::Path) -> Notifier {
    let text = format!(
        "schema = \"cutover/v1\"\n[project]\nname = \"day\"\n[state]\ndirectory = {:?}\n[notify]\nallow_hosts = [\"127.0.0.1\"]\n\
         [[notify.channel]]\nname = \"kuma\"\nkind = \"kuma\"\nurl_env = \"U\"\n\
         [[notify.channel]]\nname = \"push\"\nkind = \"pushgateway\"\nurl_env = \"U\"\n\
         [[notify.channel]]\nname = \"file\"\nkind = \"textfile\"\nfile = \"cutover.prom\"\n",
        home.join("state")
    );
    let push = format!("{base}/push");
    let environment = Environment::from_pairs([("U", push.as_str())]);
    let config = config::parse(&text, &home.join("cutover.toml"), &environment).unwrap();
    Notifier::new(&config, &environment, &Redactor::default()).unwrap()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("answers") {
        answers::serve();
        return ExitCode::SUCCESS;
    }
    let mut child =
        Command::new(std::env::current_exe().unwrap()).arg("answers").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let base = format!("http://127.0.0.1:{}", line.trim());
    let code = day(&base).await;
    child.kill().unwrap();
    child.wait().unwrap();
    code
}

async fn day(base: &str) -> ExitCode {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let (watcher, notifier, shelf) = (watcher(base, &state), notifier(base, home.path()), Shelf::open(&state).unwrap());
    let terms = Terms::new(0.01, 0.05, 60 * 1440);
    let mut window = Window::begin(told(), clock::now(), 1440, terms, None);
    let (mut longest, mut sum) = (Duration::ZERO, Duration::ZERO);
    let (mut warm, mut most) = ((0, 0), (0, 0));
    let (mut unknown, mut undelivered) = (0, 0);
    for minute in 1..=TICKS {
        MINUTE.store(minute, Ordering::Relaxed);
        let begun = Instant::now();
        let route = watcher.route.as_ref().unwrap();
        let probes = vec![route.ask(&watcher.places.http).await];
        let (next, verdicts) = watcher.tick(window, Some(probes)).await;
        window = next;
        shelf.write(&window).unwrap();
        let took = begun.elapsed();
        let told = notifier.live(true, &words::status(&verdicts, &window)).await;
        let counted = notifier.count(&metrics::text(&state, "day", "test").unwrap()).await;
        undelivered += told.iter().chain(&counted).filter(|one| !one.has_arrived).count();
        (longest, sum) = (longest.max(took), sum + took);
        unknown += verdicts.rules.iter().filter(|said| said.standing.verdict.is_unknown()).count();
        let (memory, open) = cost();
        if minute == WARM {
            warm = (memory, open);
        }
        most = (most.0.max(memory), most.1.max(open));
    }
    report(&window, &Measured { longest, mean: sum / 1440, warm, most, last: cost(), unknown, undelivered })
}

struct Measured {
    longest: Duration,
    mean: Duration,
    warm: (u64, usize),
    most: (u64, usize),
    last: (u64, usize),
    unknown: usize,
    undelivered: usize,
}

fn report(window: &Window, it: &Measured) -> ExitCode {
    let mib = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{TICKS} ticks with {RULES} rules, {} requests counted, {} min observed",
        window.evidence.requests, window.evidence.observed_min
    );
    println!(
        "  memory       {:.1} MiB after {WARM} ticks, {:.1} at the end, {:.1} at most",
        mib(it.warm.0),
        mib(it.last.0),
        mib(it.most.0)
    );
    println!("  descriptors  {} after {WARM} ticks, {} at the end, {} at most", it.warm.1, it.last.1, it.most.1);
    println!("  a tick       {:.1} ms in the mean, {:.1} ms at most", ms(it.mean), ms(it.longest));
    let targets = [
        (it.most.0 < MEMORY, format!("memory: {:.1} MiB, less than 40", mib(it.most.0))),
        (
            it.last.0 <= it.warm.0 + GROWTH,
            format!("memory is flat: {:+.1} MiB since it was warm, at most 2", mib(it.last.0) - mib(it.warm.0)),
        ),
        (it.last.1 <= it.warm.1, format!("descriptors are flat: {} and {}", it.warm.1, it.last.1)),
        (it.longest < TICK, format!("a tick with {RULES} rules: {:.1} ms at most, less than 1000", ms(it.longest))),
        (
            window.evidence.requests == 60 * window.evidence.observed_min && window.unknown_min == 0,
            format!(
                "requests: {} in {} min, 60 a minute were sent",
                window.evidence.requests, window.evidence.observed_min
            ),
        ),
        (
            it.unknown <= 2 && it.undelivered == 0,
            format!("not known: {}, not delivered: {}", it.unknown, it.undelivered),
        ),
    ];
    for (is_met, words) in &targets {
        println!("{}  {words}", if *is_met { "PASS" } else { "FAIL" });
    }
    if targets.iter().all(|(is_met, _)| *is_met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
