//! What each channel was told last, one small file per channel: a channel that fails is seen in `status` the next morning.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::send::Delivery;
use crate::adapter::files;

/// The last word about a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What the channel is called.
    pub channel: String,
    /// Its kind.
    pub kind: String,
    /// What it was told of.
    pub event: String,
    /// When, RFC 3339.
    pub at: String,
    /// Whether it arrived.
    pub has_arrived: bool,
    /// What was answered, or why it did not arrive.
    pub said: String,
    /// Failures in a row, this one included.
    pub failures: u32,
    /// When it failed first in this row, RFC 3339; empty where it did not fail.
    #[serde(default)]
    pub since: String,
}

fn directory(state: &Path) -> PathBuf {
    state.join("notify")
}

/// A name of a channel may hold any sign; a file's may not.
fn file(state: &Path, channel: &str) -> PathBuf {
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || "-_".contains(sign);
    let plain: String = channel.chars().map(|sign| if is_plain(sign) { sign } else { '_' }).take(40).collect();
    directory(state).join(format!("{plain}-{}.json", &files::sha256(channel.as_bytes())[..8]))
}

/// Keeps it; gives whether it came out otherwise than the last time.
///
/// # Errors
/// When the state directory cannot be written.
pub(super) fn keep(state: &Path, delivery: &Delivery, at: &str) -> Result<bool> {
    files::make_private_directory(&directory(state))?;
    let path = file(state, &delivery.channel);
    let before: Option<Kept> = if path.exists() { files::read_json(&path).ok() } else { None };
    let has_failed = before.as_ref().is_some_and(|before| before.failures > 0);
    let before = before.filter(|_| has_failed && !delivery.has_arrived);
    let failures = before.as_ref().map_or(0, |before| before.failures);
    let kept = Kept {
        channel: delivery.channel.clone(),
        kind: delivery.kind.clone(),
        event: delivery.event.clone(),
        at: at.to_owned(),
        has_arrived: delivery.has_arrived,
        said: delivery.said.clone(),
        failures: if delivery.has_arrived { 0 } else { failures.saturating_add(1) },
        since: match before {
            Some(before) => before.since,
            None if delivery.has_arrived => String::new(),
            None => at.to_owned(),
        },
    };
    files::write_json(&path, &kept, 0o600)?;
    Ok(has_failed == delivery.has_arrived)
}

/// The last word about every channel that was ever told anything, by name. What cannot be read is passed over: it is
/// told to people, and decides nothing.
pub fn last_of_all(state: &Path) -> Vec<Kept> {
    let entries = std::fs::read_dir(directory(state)).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "json"));
    let mut found: Vec<Kept> = paths.filter_map(|path| files::read_json(&path).ok()).collect();
    found.sort_by(|one, other| one.channel.cmp(&other.channel));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_since_the_first_of_them_and_end_with_what_arrives() {
        let state = tempfile::tempdir().unwrap();
        let tell = |has_arrived, at: &str| {
            let delivery = Delivery {
                channel: "on call/ops".into(),
                kind: "slack".into(),
                event: "run_begun".into(),
                has_arrived,
                said: "hooks.example.com answered 503".into(),
                tries: 3,
                is_news: false,
            };
            let is_news = keep(state.path(), &delivery, at).unwrap();
            let [kept] = &last_of_all(state.path())[..] else { panic!("one channel") };
            (kept.failures, kept.since.clone(), is_news)
        };
        assert_eq!(tell(true, "0"), (0, String::new(), false));
        assert_eq!(tell(false, "1"), (1, "1".into(), true));
        assert_eq!(tell(false, "2"), (2, "1".into(), false));
        assert_eq!(tell(true, "3"), (0, String::new(), true));
        assert_eq!(tell(false, "4"), (1, "4".into(), true));
    }
}
