//! Generated traffic through a real Caddy to real demo backends, scraped by a real Prometheus: 7 shares of errors at 3 rates, side by
//! side, and each verdict as predicted.
//!
//! Time is compressed, and only here: a minute takes [`MINUTE_MS`] milliseconds, and Prometheus scrapes twice in it. What it
//! scraped is stretched to real minutes before it is judged; counts, series, resets and order are untouched. The prediction
//! is the same judge, fed with what the client itself was answered, minute by minute.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cutover::adapter::http::Http;
use cutover::adapter::{clock, prometheus};
use cutover::judge::counts::{self, Sample, Series};
use cutover::judge::cusum::{Alarm, Cusum, Terms};
use cutover::judge::ladder::Level;
use cutover::watch::tick::{Fetched, Inputs, tick};
use cutover::watch::window::{Now, TICK_MS, Window};

use super::front::docker;

/// Milliseconds that a minute takes here.
const MINUTE_MS: i64 = 500;
/// Minutes of traffic for each rate: long enough to see what can be seen, and no longer.
const MINUTES: [i64; 3] = [50, 50, 30];
/// Requests per minute of one connection: an answer that comes late must not slow a whole cell down.
const OF_A_CONNECTION: u64 = 6;
/// Shares of errors, in the words of the demo backend's fault.
const SHARES: [&str; 7] = ["0", "0.005", "0.02", "0.05", "0.1", "0.5", "1"];
/// Requests per minute.
const RATES: [u64; 3] = [1, 6, 60];

/// The containers; gone when the value is dropped.
struct Mill {
    network: String,
    home: tempfile::TempDir,
    names: Vec<String>,
}

impl Mill {
    fn up() -> Self {
        let home = tempfile::Builder::new().prefix("cutover-mill-").tempdir().unwrap();
        let network = home.path().file_name().unwrap().to_str().unwrap().replace('.', "").to_lowercase();
        docker(&["network", "create", &network]);
        let mut mill = Self { network, home, names: Vec::new() };
        let mut caddyfile = "{\n\tadmin off\n\tmetrics\n".to_owned();
        let mut sites = String::new();
        for (backend, port) in
            (0..SHARES.len()).flat_map(|share| (0..RATES.len()).map(move |rate| (share, port(share, rate))))
        {
            caddyfile += &format!("\tservers :{port} {{\n\t\tname cell{port}\n\t}}\n");
            sites += &format!(":{port} {{\n\treverse_proxy backend{backend}:3000\n}}\n");
        }
        caddyfile += &format!("}}\n{sites}:9180 {{\n\tmetrics /metrics\n}}\n");
        let scrape = MINUTE_MS / 2;
        let config = format!(
            "global: {{ scrape_interval: {scrape}ms, scrape_timeout: {scrape}ms }}\nscrape_configs:\n\
             - {{ job_name: caddy, static_configs: [ {{ targets: [\"caddy:9180\"] }} ] }}\n"
        );
        std::fs::write(mill.home.path().join("Caddyfile"), caddyfile).unwrap();
        std::fs::write(mill.home.path().join("prometheus.yml"), config).unwrap();
        std::fs::set_permissions(mill.home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        for (number, share) in SHARES.iter().enumerate() {
            let fault = format!("DEMO_FAULT_ERROR_RATIO={share}");
            let name = format!("backend{number}");
            mill.run(&name, &["--env", &fault], "cutover-lab/demo:2", &["demo-backend", "serve"]);
        }
        let mut ports: Vec<String> = Vec::new();
        for share in 0..SHARES.len() {
            ports.extend(
                (0..RATES.len()).flat_map(|rate| ["--publish".into(), format!("127.0.0.1::{}", port(share, rate))]),
            );
        }
        let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
        mill.run("caddy", &ports, "cutover-lab/caddy:2", &["caddy", "run", "--config", "/test/Caddyfile"]);
        let command = ["prometheus", "--config.file=/test/prometheus.yml", "--storage.tsdb.path=/tmp/data"];
        mill.run("prometheus", &["--publish", "127.0.0.1::9090"], "cutover-lab/prometheus:2", &command);
        mill
    }

    fn run(&mut self, what: &str, more: &[&str], image: &str, command: &[&str]) {
        let (name, volume) = (format!("{}-{what}", self.network), format!("{}:/test:ro", self.home.path().display()));
        let mut words = vec!["run", "--detach", "--name", &name, "--network", &self.network, "--network-alias", what];
        words.extend(["--volume", &volume, "--user", "0"]);
        words.extend(more);
        words.extend(["--entrypoint", command[0], image]);
        words.extend(&command[1..]);
        docker(&words);
        self.names.push(name);
    }

    fn address(&self, what: &str, port: u16) -> String {
        let printed = docker(&["port", &format!("{}-{what}", self.network), &port.to_string()]);
        printed.lines().next().unwrap().to_owned()
    }
}

impl Drop for Mill {
    fn drop(&mut self) {
        let mut words = vec!["rm", "--force", "--volumes"];
        words.extend(self.names.iter().map(String::as_str));
        docker(&words);
        docker(&["network", "rm", &self.network]);
    }
}

fn port(share: usize, rate: usize) -> u16 {
    u16::try_from(8000 + share * 10 + rate).unwrap()
}

/// What a client was answered: when, milliseconds of Unix time, and whether it was a failure.
type Answered = Vec<(i64, bool)>;

/// Sends requests at an even pace, and keeps every answer.
fn send(address: &str, rate: usize, from: Instant) -> Answered {
    let connections = RATES[rate].div_ceil(OF_A_CONNECTION);
    let one = |number: u64| {
        let address = address.to_owned();
        std::thread::spawn(move || send_some(&address, rate, (number, connections), from))
    };
    let all: Vec<_> = (0..connections).map(one).collect();
    all.into_iter().flat_map(|one| one.join().unwrap()).collect()
}

/// Every so-many-th of the requests, over one connection.
fn send_some(address: &str, rate: usize, (first, of): (u64, u64), from: Instant) -> Answered {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    let pause = Duration::from_micros(u64::try_from(MINUTE_MS).unwrap() * 1000 / RATES[rate]);
    let all = RATES[rate] * u64::try_from(MINUTES[rate]).unwrap();
    let mut answered = Answered::new();
    for number in (first..all).step_by(usize::try_from(of).unwrap()) {
        let due = pause * u32::try_from(number).unwrap();
        std::thread::sleep(due.saturating_sub(from.elapsed()));
        let is_failure = exchange(&mut stream);
        answered.push((clock::wall_ms(), is_failure));
    }
    answered
}

/// One request; whether it was answered with a failure.
fn exchange(stream: &mut BufReader<TcpStream>) -> bool {
    stream.get_mut().write_all(b"GET /slow?ms=0 HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut status = String::new();
    stream.read_line(&mut status).unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) =
            line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        {
            length = value.trim().parse().unwrap_or_else(|_| panic!("{name}"));
        }
    }
    stream.read_exact(&mut vec![0; length]).unwrap();
    status.contains(" 5")
}

/// Stretches a moment: so many real minutes after the begin as compressed ones.
fn stretched(at_ms: i64, from_ms: i64) -> i64 {
    (at_ms - from_ms) * TICK_MS / MINUTE_MS
}

fn stretch(raw: &[prometheus::RawSeries], from_ms: i64, is_time: bool) -> Vec<Series> {
    let value = |value: f64| if is_time { stretched((value * 1000.0) as i64, from_ms) as f64 / 1000.0 } else { value };
    let of = |one: &prometheus::RawSeries| Series {
        labels: one.labels.clone(),
        samples: one
            .samples
            .iter()
            .map(|(at, it)| Sample { at_ms: stretched(*at, from_ms), value: value(*it) })
            .collect(),
    };
    raw.iter().map(of).collect()
}

/// What came of a cell: requests, failures, and the minute in which going back was recommended.
#[derive(Debug, PartialEq)]
struct Outcome {
    requests: u64,
    errors: u64,
    recommended: Option<i64>,
    level: Level,
}

/// Judges what Prometheus scraped.
fn judged(fetched: &counts::Window, minutes: i64, terms: &Terms) -> Outcome {
    let now = |minute: i64| Now {
        wall_ms: minute * TICK_MS + 10_000,
        boot_ms: u64::try_from(minute * TICK_MS).unwrap(),
        boot: "a".into(),
    };
    let mut window = Window::begin(now(0), String::new(), 1440, terms.clone(), None);
    window.grid_ms = 0;
    let mut outcome = Outcome { requests: 0, errors: 0, recommended: None, level: Level::Ok };
    for minute in 1..=minutes {
        let upto_ms = minute * TICK_MS;
        let counts = Fetched { window: fetched.clone(), upto_ms, maintenance: Vec::new() };
        let (next, verdicts) = tick(&Inputs::quiet(now(minute)).counted(Ok(counts)), window);
        window = next;
        if verdicts.level == Level::RollbackRecommended {
            outcome.recommended.get_or_insert(minute);
        }
        outcome.level = outcome.level.max(verdicts.level);
    }
    (outcome.requests, outcome.errors) = (window.evidence.requests, window.evidence.errors);
    outcome
}

/// When Prometheus asked, milliseconds of Unix time, and whether it was answered.
type Scrapes = Vec<(i64, bool)>;

fn scrapes_of(up: &[prometheus::RawSeries]) -> Scrapes {
    let samples = up.iter().flat_map(|one| &one.samples);
    let mut scrapes: Scrapes = samples.map(|(at, value)| (*at, *value > 0.5)).collect();
    scrapes.sort_unstable();
    scrapes
}

/// The longest time between two answered scrapes, in minutes of here.
fn longest_gap(scrapes: &Scrapes) -> f64 {
    let good: Vec<i64> = scrapes.iter().filter(|(_, is_good)| *is_good).map(|(at, _)| *at).collect();
    good.windows(2).map(|two| two[1] - two[0]).max().unwrap_or(i64::MAX) as f64 / MINUTE_MS as f64
}

/// What the judge says to the client's own list: an answer counts in the minute of the scrape that saw it first, and on
/// a busy machine that comes late, or fails.
fn predicted(answered: &Answered, scrapes: &Scrapes, from_ms: i64, minutes: i64, terms: &Terms) -> Outcome {
    let (mut cusum, mut outcome) =
        (Cusum::default(), Outcome { requests: 0, errors: 0, recommended: None, level: Level::Ok });
    let mut counted_ms = i64::MIN;
    for minute in 1..=minutes {
        let before = |at: i64| at <= from_ms + minute * MINUTE_MS;
        let is_fine = scrapes.iter().rfind(|(at, _)| before(*at)).is_some_and(|(_, is_good)| *is_good);
        let good = scrapes.iter().rfind(|(at, is_good)| before(*at) && *is_good);
        let upto_ms = good.map_or(counted_ms, |(at, _)| *at);
        let is_in = |at: &i64| counted_ms < *at && *at <= upto_ms;
        let of: Vec<bool> = answered.iter().filter(|(at, _)| is_in(at)).map(|(_, is_error)| *is_error).collect();
        counted_ms = upto_ms;
        let (requests, errors) = (of.len() as u64, of.iter().filter(|is_error| **is_error).count() as u64);
        outcome.requests += requests;
        outcome.errors += errors;
        let level = match cusum.tick(terms, requests, errors, is_fine) {
            Alarm::Quiet => Level::Ok,
            Alarm::Quarter => Level::Watch,
            Alarm::Half => Level::Hold,
            Alarm::Full => Level::RollbackRecommended,
        };
        if level == Level::RollbackRecommended {
            outcome.recommended.get_or_insert(minute);
        }
        outcome.level = outcome.level.max(level);
    }
    outcome
}

/// The predictions for the moments at which a request may have been counted: the client notes its answer a little later than Caddy
/// counts it, Prometheus reads a little later than the time it writes down, and one failure more or less in a minute moves
/// the minute of the alarm.
fn all_predicted(answered: &Answered, scrapes: &Scrapes, from_ms: i64, minutes: i64, terms: &Terms) -> Vec<Outcome> {
    let moved = |by: i64| answered.iter().map(|(at, is_error)| (at + by, *is_error)).collect();
    let of = |by: i64| predicted(&moved(by), scrapes, from_ms, minutes, terms);
    [0, -20, -50, -100, -200, 20, 50].map(of).into()
}

/// Whether the alarm came when one of the predictions says, give or take three minutes.
fn is_near(found: &Outcome, all: &[Outcome], last: i64) -> bool {
    let or_never = |outcome: &Outcome| outcome.recommended.unwrap_or(last);
    let earliest = all.iter().map(or_never).min().unwrap();
    let latest = all.iter().map(or_never).max().unwrap();
    (earliest - 3..=latest + 3).contains(&or_never(found))
}

#[tokio::test]
async fn every_share_of_errors_at_every_rate_is_judged_as_predicted() {
    let mill = Mill::up();
    let base = format!("http://{}", mill.address("prometheus", 9090));
    let http = Http::new().unwrap();
    let deadline = Duration::from_secs(10);
    let begun = clock::Stopwatch::start();
    // A series is known to be new only after a scrape without it.
    while !matches!(
        prometheus::number(&http, &base, "min(sum_over_time(up[2s])) >= 3", deadline).await,
        Ok(prometheus::Number::Value(_))
    ) {
        assert!(begun.elapsed() < Duration::from_secs(60), "Prometheus does not reach Caddy");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let cells: Vec<(usize, usize)> =
        (0..SHARES.len()).flat_map(|share| (0..RATES.len()).map(move |rate| (share, rate))).collect();
    let addresses: Vec<String> = cells.iter().map(|(share, rate)| mill.address("caddy", port(*share, *rate))).collect();
    let (from, from_ms) = (Instant::now(), clock::wall_ms());
    let senders: Vec<_> = cells
        .iter()
        .zip(addresses)
        .map(|((_, rate), address)| {
            let rate = *rate;
            tokio::task::spawn_blocking(move || send(&address, rate, from))
        })
        .collect();
    let mut answers = Vec::new();
    for sender in senders {
        answers.push(Arc::new(sender.await.unwrap()));
    }
    // Two more scrapes have it all.
    let end = clock::wall_ms();
    let newest = format!("max(timestamp(up)) * 1000 > {}", end + MINUTE_MS);
    while !matches!(prometheus::number(&http, &base, &newest, deadline).await, Ok(prometheus::Number::Value(_))) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let upto_ms = clock::wall_ms();
    let minutes = (upto_ms - from_ms) / MINUTE_MS;
    let reach = Duration::from_millis(u64::try_from(upto_ms - from_ms + 3000).unwrap());
    let up = prometheus::raw(&http, &base, "up", reach, upto_ms, deadline).await.unwrap();
    let starts = prometheus::raw(&http, &base, "process_start_time_seconds", reach, upto_ms, deadline).await.unwrap();
    let scrapes = scrapes_of(&up);
    let gap = longest_gap(&scrapes);
    // On a machine that is busy with other things the traffic is slower than meant, or scrapes come late; then only the prediction counts.
    let is_in_time = minutes <= MINUTES[0] + 6 && gap <= 2.0;
    let mut lines = Vec::new();
    for ((share, rate), answered) in cells.iter().zip(&answers) {
        let selector = format!("caddy_http_request_duration_seconds_count{{server=\"cell{}\"}}", port(*share, *rate));
        let counters = prometheus::raw(&http, &base, &selector, reach, upto_ms, deadline).await.unwrap();
        let window = counts::Window {
            counters: stretch(&counters, from_ms, false),
            up: stretch(&up, from_ms, false),
            starts: stretch(&starts, from_ms, true),
        };
        let terms = Terms::new(0.01, 0.05, RATES[*rate] * 1440);
        let found = judged(&window, minutes, &terms);
        let expected = all_predicted(answered, &scrapes, from_ms, minutes, &terms);
        let name = format!("{} at {}/min", SHARES[*share], RATES[*rate]);
        lines.push(format!("{name}: {found:?}, predicted {:?}", expected[0]));
        let all = (answered.len() as u64, answered.iter().filter(|(_, is_error)| *is_error).count() as u64);
        assert_eq!((found.requests, found.errors), all, "{name}: {found:?}");
        assert!(is_near(&found, &expected, MINUTES[*rate]), "{name}: {found:?}, predicted {expected:?}, gap {gap} min");
        if is_in_time {
            assert_by_design(*share, RATES[*rate], &found);
        }
    }
    println!("in time: {is_in_time}, longest gap {gap} min\n{}", lines.join("\n"));
}

/// What facts.md promises of a cell, as far as the time reaches.
fn assert_by_design(share: usize, rate: u64, found: &Outcome) {
    let latest = match (SHARES[share], rate) {
        ("1", 1) => Some(18),
        ("1", _) => Some(8),
        ("0.5", 1) => Some(34),
        ("0.5", _) => Some(10),
        ("0.1", 6) => Some(43),
        ("0.1", 60) => Some(9),
        ("0.05", 60) => Some(22),
        _ => None,
    };
    if let Some(latest) = latest {
        let minute = found.recommended.unwrap_or(i64::MAX);
        assert!(minute <= latest + 2, "{} at {rate}/min: {found:?}, by design within {latest} min", SHARES[share]);
    }
    if ["0", "0.005", "0.02"].contains(&SHARES[share]) {
        assert!(found.recommended.is_none(), "{} at {rate}/min: {found:?}", SHARES[share]);
    }
}
