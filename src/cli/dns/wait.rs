//! `dns wait`: looks again and again until the records have arrived; says what is missing, and how long that can take.

use anyhow::Result;

use super::arguments::Wait;
use super::look::{Look, settings};
use crate::adapter::clock::{Stopwatch, spoken};
use crate::cli::global::Global;
use crate::cli::{exit, out, setup};
use crate::config::Environment;
use crate::judge::dns::Picture;
use crate::report::dns as show;

/// The verb.
///
/// # Errors
/// When the configuration is not valid, or names no record.
pub async fn run(global: &Global, verb: &Wait) -> Result<u8> {
    let config = setup::config(global)?;
    let (deadline, interval) = {
        let settings = settings(&config)?;
        (verb.deadline.unwrap_or(settings.deadline), settings.interval)
    };
    let look = Look::new(&config, &[])?;
    let watch = Stopwatch::start();
    let is_there = |picture: &Picture| match verb.authority {
        true => picture.is_at_authorities(),
        false => picture.has_arrived(),
    };
    let mut last = String::new();
    let picture = loop {
        let (_, picture) = look.once().await?;
        if is_there(&picture) {
            break picture;
        }
        let missing = picture.missing();
        if missing != last && !global.quiet {
            out::say(&format!("{}: {missing}", spoken(watch.elapsed())));
            last = missing;
        }
        match watch.left(deadline) {
            Some(left) => tokio::time::sleep(interval.min(left)).await,
            None => break picture,
        }
    };
    let style = setup::style(global, &Environment::of_process(), out::is_result_shown());
    if global.is_json() {
        out::json(show::json(&picture));
    } else {
        out::result(&show::text(&picture, &style));
        if !is_there(&picture) {
            out::result(&format!("after {}: {}", spoken(watch.elapsed()), picture.missing()));
        }
    }
    Ok(if is_there(&picture) { exit::DONE } else { exit::REFUSED })
}
