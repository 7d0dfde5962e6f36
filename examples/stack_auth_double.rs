//! A double of Stack Auth as a program of its own, for trying `cutover data users` without an account there.
//!
//! `stack_auth_double [--listen ADDRESS] [--project ID] [--key KEY] [--oauth NAME,…] [--store FILE] [--faults FILE]
//! [--latency MILLISECONDS]`: prints its address, then serves until it is ended. `--store` keeps the accounts over
//! restarts; while the file of `--faults` is there, its faults strike, for example `[{"on":"POST","act":{"status":[500,"no"]}}]`.
//! `GET /control/users`, `GET /control/counts` and `POST /control/faults` tell and change what it does.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for tests ends where it cannot go on, and says why"
)]

use std::time::Duration;

#[path = "../tests/support/stack_auth.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod stack_auth;

use stack_auth::{Double, Setup};

#[tokio::main]
async fn main() {
    let mut setup = Setup::default();
    let mut address = "127.0.0.1:0".to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().unwrap_or_else(|| panic!("{flag} wants a value"));
        match flag.as_str() {
            "--listen" => address = value,
            "--project" => setup.project = value,
            "--key" => setup.key = value,
            "--oauth" => setup.oauth = value.split(',').map(str::to_owned).collect(),
            "--store" => setup.store = Some(value.into()),
            "--faults" => setup.faults = Some(value.into()),
            "--latency" => setup.latency = Duration::from_millis(value.parse().unwrap()),
            _ => panic!("{flag} is unknown"),
        }
    }
    let (double, serving) = Double::listen(setup, &address).await;
    println!("{}", double.url);
    serving.await.unwrap().unwrap();
}
