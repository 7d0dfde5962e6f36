//! Load for `scripts/bench switch`: people on kept connections and on new ones, some slow, some uploading, until standard input
//! ends; then one line of JSON. Law: a request that got no whole answer below 500 is a failure, whatever the reason.

#![allow(clippy::print_stdout, reason = "the line of JSON is what it is for")]
#![allow(clippy::disallowed_methods, reason = "an example measures by the ordinary clock")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a person does.
#[derive(Clone, Copy)]
struct Person {
    request: &'static str,
    is_kept: bool,
    is_uploading: bool,
    pause: Duration,
}

/// What all of them met.
#[derive(Default)]
struct Met {
    micros: Vec<u32>,
    failures: Vec<String>,
    last_good: Option<Instant>,
    stall: Duration,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:80".into());
    let people: usize = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(20);
    let person = |request, is_kept, is_uploading, ms| Person {
        request,
        is_kept,
        is_uploading,
        pause: Duration::from_millis(ms),
    };
    let kinds = [
        person("GET /health", true, false, 10),
        person("GET /health", true, false, 10),
        person("GET /health", false, false, 10),
        person("GET /slow?ms=200", true, false, 0),
        person("POST /items", false, true, 100),
    ];
    let (met, is_over) = (Arc::new(Mutex::new(Met::default())), Arc::new(AtomicBool::new(false)));
    let threads: Vec<_> = (0..people)
        .map(|index| {
            let (met, is_over, address) = (Arc::clone(&met), Arc::clone(&is_over), address.clone());
            let person = kinds[index % kinds.len()];
            std::thread::spawn(move || live(&address, person, &met, &is_over))
        })
        .collect();
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
    is_over.store(true, Ordering::Relaxed);
    let broken = threads.into_iter().map(std::thread::JoinHandle::join).filter(Result::is_err).count();
    let Ok(mut met) = met.lock() else { return };
    met.micros.sort_unstable();
    let at = |share: f64| met.micros.get((met.micros.len() as f64 * share) as usize).copied().unwrap_or(0) / 1000;
    let failed = met.failures.len() + broken;
    let line = serde_json::json!({
        "asked": met.micros.len() + met.failures.len(), "failed": failed, "longest_stall_ms": met.stall.as_millis() as u64,
        "median_ms": at(0.5), "p99_ms": at(0.99), "first_failure": met.failures.first(),
    });
    println!("{line}");
}

fn live(address: &str, person: Person, met: &Mutex<Met>, is_over: &AtomicBool) {
    let mut kept = None;
    while !is_over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let answer = ask(address, person, &mut kept);
        if answer.is_err() || !person.is_kept {
            kept = None;
        }
        let took = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
        if let Ok(mut met) = met.lock() {
            match answer {
                Ok(()) => {
                    let now = Instant::now();
                    let since = met.last_good.replace(now).map(|last| now.duration_since(last));
                    met.stall = met.stall.max(since.unwrap_or_default());
                    // A slow request takes as long as it was asked to; its time says nothing of the way.
                    if !person.request.contains("slow") {
                        met.micros.push(took);
                    } else {
                        met.micros.push(took.saturating_sub(200_000));
                    }
                }
                Err(why) => met.failures.push(format!("{}: {why}", person.request)),
            }
        }
        std::thread::sleep(person.pause);
    }
}

fn ask(address: &str, person: Person, kept: &mut Option<TcpStream>) -> Result<(), String> {
    let plainly = |error: std::io::Error| error.to_string();
    if kept.is_none() {
        let stream = TcpStream::connect(address).map_err(plainly)?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(plainly)?;
        stream.set_nodelay(true).map_err(plainly)?;
        *kept = Some(stream);
    }
    let Some(stream) = kept else { return Err("no connection".into()) };
    let body = if person.is_uploading { format!("{{\"name\":\"{}\"}}", "x".repeat(50_000)) } else { String::new() };
    let connection = if person.is_kept { "keep-alive" } else { "close" };
    let head = format!(
        "{} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        person.request,
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).map_err(plainly)?;
    let (mut bytes, mut piece) = (Vec::new(), [0_u8; 8192]);
    loop {
        if let Some(status) = whole(&bytes) {
            return if status < 500 { Ok(()) } else { Err(format!("status {status}")) };
        }
        match stream.read(&mut piece).map_err(plainly)? {
            0 => return Err("cut off".into()),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

fn whole(bytes: &[u8]) -> Option<u16> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    (bytes.len() >= end + 4 + length.unwrap_or(0)).then_some(status)
}
