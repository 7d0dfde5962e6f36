//! All cells side by side on every core, the tables, and what the design promises of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::days::{Cell, FalseAlarms, detection, healthy, quantile};
use crate::faults::{Outcome, faulty};

const RATES: [u64; 3] = [1, 6, 60];
const BURSTS: [u64; 3] = [1, 5, 20];
const ERRORS: [f64; 4] = [0.0, 0.001, 0.005, 0.01];
/// At most so many of the healthy days may be called off.
const FALSE_SHARE: f64 = 0.001;
/// How far a measured time may be from the design's: a fifth, and never less than one tick.
const NEAR: f64 = 0.2;

/// Share of errors, and for 1, 6 and 60 requests per minute the median and the 95th percentile in minutes.
const DESIGN: [(f64, [(f64, f64); 3]); 4] = [
    (1.0, [(13.0, 18.0), (8.0, 8.0), (7.0, 7.0)]),
    (0.5, [(22.0, 34.0), (8.0, 10.0), (7.0, 7.0)]),
    (0.1, [(118.0, 209.0), (26.0, 43.0), (7.0, 9.0)]),
    (0.05, [(320.0, 635.0), (70.0, 134.0), (13.0, 22.0)]),
];

/// Runs everything; gives the report and the promises that are broken.
pub fn all(days: u64, faulty_days: u64) -> (String, Vec<String>) {
    let mut broken = Vec::new();
    let mut text = healthy_days(days, &mut broken);
    text += &sick_days(days / 2, &mut broken);
    text += &faulty_watching(faulty_days, &mut broken);
    (text, broken)
}

/// Does the work on every core; answers come back in order.
fn side_by_side<T: Send, R: Send>(work: Vec<T>, act: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let work: Vec<Mutex<T>> = work.into_iter().map(Mutex::new).collect();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = work.get(at) else { return };
                    let answer = act(at, &one.lock().expect("nobody else has it"));
                    done.lock().expect("no thread failed").push((at, answer));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no thread failed");
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, answer)| answer).collect()
}

fn healthy_days(days: u64, broken: &mut Vec<String>) -> String {
    let cells: Vec<Cell> = RATES
        .iter()
        .flat_map(|&rate| BURSTS.iter().flat_map(move |&burst| ERRORS.map(|errors| Cell { rate, burst, errors })))
        .collect();
    let found = side_by_side(cells.clone(), |at, cell| healthy(*cell, days, 1000 + at as u64));
    let mut text = format!(
        "Healthy days called off, of {days} in each row:\n\n| requests/min | errors | come in | cutover | >5 % over 5 min | burn rate |\n|--:|--:|--:|--:|--:|--:|\n"
    );
    for (cell, alarms) in cells.iter().zip(&found) {
        let share = |number: u64| format!("{:.2} %", 100.0 * number as f64 / days as f64);
        let FalseAlarms { ours, five_percent, burn_rate } = *alarms;
        text += &format!(
            "| {} | {} % | {} | {} | {} | {} |\n",
            cell.rate,
            cell.errors * 100.0,
            if cell.burst == 1 { "ones".into() } else { format!("{}s", cell.burst) },
            share(ours),
            share(five_percent),
            share(burn_rate)
        );
        if ours as f64 > FALSE_SHARE * days as f64 {
            broken.push(format!("{cell:?}: {ours} of {days} healthy days were called off"));
        }
    }
    text
}

fn sick_days(days: u64, broken: &mut Vec<String>) -> String {
    let cells: Vec<(f64, u64)> = DESIGN.iter().flat_map(|(share, _)| RATES.map(|rate| (*share, rate))).collect();
    let mut asked = cells.clone();
    asked.extend(RATES.map(|rate| (0.02, rate)));
    let found = side_by_side(asked.clone(), |at, (share, rate)| {
        // The same number of days for each; rare traffic takes longest.
        detection(*rate, *share, days.min(20_000), 5000 + at as u64)
    });
    let mut text = format!(
        "\nMinutes until a sick system is found (median / 95 %), of {} days in each cell:\n\n| failing | 1/min | 6/min | 60/min |\n|--:|--:|--:|--:|\n",
        days.min(20_000)
    );
    for (at, (share, rate)) in asked.iter().enumerate() {
        let (median, late) = (quantile(&found[at], 0.5), quantile(&found[at], 0.95));
        if *rate == 1 {
            text += &format!("| {} % ", share * 100.0);
        }
        let missed = found[at].iter().filter(|minutes| **minutes >= 1440.0).count() as f64 / found[at].len() as f64;
        let said =
            if missed > 0.5 { format!("not in {:.1} %", missed * 100.0) } else { format!("{median:.0} / {late:.0}") };
        text += &format!("| {said} {}", if *rate == 60 { "|\n" } else { "" });
        let Some((_, design)) = DESIGN.iter().find(|(known, _)| known == share) else { continue };
        let (wanted, wanted_late) = design[RATES.iter().position(|known| known == rate).unwrap_or(0)];
        for (what, measured, wanted) in [("median", median, wanted), ("95 %", late, wanted_late)] {
            // The design's table holds whole minutes that have gone by.
            if (measured.floor() - wanted).abs() > (NEAR * wanted).max(1.0) {
                broken.push(format!("{share} at {rate}/min: {what} {measured:.1} min, the design says {wanted}"));
            }
        }
    }
    text
}

fn faulty_watching(days: u64, broken: &mut Vec<String>) -> String {
    let parts = 64.min(days);
    let work: Vec<u64> = (0..parts).map(|part| days / parts + u64::from(part < days % parts)).collect();
    let mut sum = Outcome::default();
    for outcome in side_by_side(work, |at, days| faulty(*days, 9000 + at as u64)) {
        sum.rollbacks += outcome.rollbacks;
        sum.miscounted += outcome.miscounted;
        sum.holds += outcome.holds;
        sum.unknown_ticks += outcome.unknown_ticks;
        sum.ticks += outcome.ticks;
        sum.restarts += outcome.restarts;
    }
    if sum.rollbacks > 0 {
        broken.push(format!("{} days with faults of the monitoring were called off", sum.rollbacks));
    }
    if sum.miscounted > 0 {
        broken.push(format!("{} requests were miscounted", sum.miscounted));
    }
    format!(
        "\nDays on which the monitoring itself fails (Prometheus down, unreachable, target down, NaN and infinities, \
         restarts of the application and of the watcher, overlapping windows): {days}\n\
         ticks {}, of them unknown {:.1} %; watcher restarted {} times; days held for not knowing {}\n\
         called off: {}; requests miscounted: {}\n",
        sum.ticks,
        100.0 * sum.unknown_ticks as f64 / sum.ticks.max(1) as f64,
        sum.restarts,
        sum.holds,
        sum.rollbacks,
        sum.miscounted
    )
}
