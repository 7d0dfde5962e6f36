//! SIGKILL at random moments of the whole night: rows, accounts, a deployed release, names; then `resume` to the end, or `rollback`.

#![expect(clippy::disallowed_methods, reason = "tests start the program as a person would")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;

#[path = "../dns/lab.rs"]
#[allow(dead_code, reason = "the names' own tests use more of it")]
mod lab;
mod lane;
mod names;
mod night;
mod rehearsed;
#[path = "../support/mod.rs"]
mod support;
use support::ports;

/// Seeds of the dice, one for each lane: the moments of the kills are the same in every run.
const SEEDS: [u64; 4] = [7, 19, 31, 53];

/// `CUTOVER_KILLS=200` kills as often; the suite itself does a few. `CUTOVER_SEED=1` throws other dice.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_the_night_ends_as_if_nothing_had_happened_or_is_undone_whole() {
    let set = std::env::var("CUTOVER_KILLS").ok().and_then(|kills| kills.parse::<usize>().ok());
    let (kills, lanes) = set.map_or((6, 2), |kills| (kills, SEEDS.len().min(kills.div_ceil(10))));
    let more: u64 = std::env::var("CUTOVER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let names = Arc::new(names::Names::start(lanes));
    let mut all = Vec::new();
    for (number, seed) in SEEDS.into_iter().take(lanes).enumerate() {
        let service = support::stack_auth::Double::start(support::stack_auth::Setup::default()).await;
        let names = Arc::clone(&names);
        all.push(tokio::task::spawn_blocking(move || {
            lane::Lane::new(number, seed + 100 * more, names, service)
                .killed_so_often(kills.div_ceil(lanes), set.is_some())
        }));
    }
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let (mut killed, mut forth, mut back) = (0, 0, 0);
    // Each lane to its end, also where another one failed: the accounts of all live in this process.
    let all = futures_util::future::join_all(all).await;
    let mut failed = Vec::new();
    for lane in all {
        match lane {
            Ok(tally) => {
                println!("{tally:?}");
                (killed, forth, back) = (killed + tally.kills, forth + tally.ended, back + tally.undone);
                tally.places.into_iter().for_each(|(place, times)| *places.entry(place).or_default() += times);
            }
            Err(error) => failed.push(error),
        }
    }
    println!("{killed} kills; {forth} nights went to their end, {back} were undone; killed in: {places:#?}");
    assert!(failed.is_empty(), "{failed:?}");
    assert!(killed >= kills && forth + back >= lanes, "{killed} kills, {forth} to the end, {back} undone");
}
