//! How often a healthy day is called off, how soon a sick one is found, and what broken monitoring does: simulated, and
//! printed beside two rules that others use. `cargo run --release --example judge_simulation [-- DAYS FAULTY-DAYS]`.
//!
//! Exits with 1 when a promise of the design is broken.

#![allow(clippy::print_stdout, reason = "it prints a report")]

mod days;
mod faults;
mod random;
mod report;

fn main() -> std::process::ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse().ok());
    let days = numbers.next().unwrap_or(20_000);
    let faulty = numbers.next().unwrap_or(50_000);
    let (text, broken) = report::all(days, faulty);
    println!("{text}");
    if broken.is_empty() {
        return std::process::ExitCode::SUCCESS;
    }
    println!("Broken promises:\n{}", broken.join("\n"));
    std::process::ExitCode::FAILURE
}
