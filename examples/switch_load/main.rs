//! Load for `scripts/bench switch`. Law: the pace is constant whatever the answers do (an open loop), a request is timed from when
//! it was meant to begin, and one that got no whole answer below 500 is a failure, whatever the reason.
//!
//! `load PLAIN TLS CERTIFICATE RATE SOCKETS`: people at work until standard input ends, then one line of JSON.
//! `first-answer PLAIN RELEASE PROGRAM…`: starts a program, and prints after how many milliseconds the release answered first.

#![allow(clippy::print_stdout, reason = "the line is what it is for")]
#![allow(clippy::disallowed_methods, reason = "an example measures by the ordinary clock and starts what it measures")]

mod first_answer;
mod http1;
mod http2;
mod met;
mod people;
mod socket;
mod way;

use std::io::{Error, Read, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use met::Met;
use people::People;
use way::Way;

/// The longest that the last answers are waited for.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["load", plain, tls, certificate, rate, sockets] => {
            let number = |word: &str| word.parse().map_err(Error::other);
            let way = Way::new(plain, tls, certificate)?;
            let (rate, sockets) = (number(rate)?, number(sockets)?);
            load(&runtime, Arc::new(People::new(way)), rate, sockets);
            Ok(())
        }
        ["first-answer", plain, release, program, rest @ ..] => {
            let after = runtime.block_on(first_answer::after(plain, release, program, rest))?;
            println!("{:.1}", after.as_secs_f64() * 1000.0);
            Ok(())
        }
        _ => Err(Error::other("load PLAIN TLS CERTIFICATE RATE SOCKETS, or first-answer PLAIN RELEASE PROGRAM…")),
    }
}

fn load(runtime: &tokio::runtime::Runtime, people: Arc<People>, rate: u64, sockets: u64) {
    let (met, open) = (Arc::new(Met::default()), Arc::new(AtomicU64::new(0)));
    for index in 0..sockets {
        runtime.spawn(socket::live(Arc::clone(&people), Arc::clone(&met), index));
    }
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let told = Arc::clone(&is_over);
    std::thread::spawn(move || {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        told.store(true, Ordering::Relaxed);
    });
    let began = Instant::now();
    for index in 0.. {
        let due = began + Duration::from_nanos(index * 1_000_000_000 / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let (people, met, open) = (Arc::clone(&people), Arc::clone(&met), Arc::clone(&open));
        open.fetch_add(1, Ordering::Relaxed);
        runtime.spawn(async move {
            people::ask(&people, &met, index, due).await;
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
    let took = began.elapsed();
    while open.load(Ordering::Relaxed) > 0 && began.elapsed() < took + PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("{}", met.told(took, open.load(Ordering::Relaxed)));
}
