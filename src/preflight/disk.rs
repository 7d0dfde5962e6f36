//! Disk: free bytes and inodes where the engine, the state and the backups are. Not where cutover happens to stand.

use std::path::Path;

use super::Ask;
use super::finding::{Found, Limit, Parts, Perf};
use super::places::{self, Room};
use crate::adapter::files::spoken_size;

/// Below this share of free inodes it is a warning, below a fifth of it a failure.
const FEW_INODES: f64 = 0.05;

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let config = ask.config();
    let mut parts = Parts::default();
    let mut places = vec![("state", config.state.directory.clone()), ("backup", config.backup_directory())];
    match ask.facts().await {
        Ok(facts) => {
            let root = facts.root.clone();
            match ask.files(root.display().to_string(), move || root.exists()).await {
                Ok(true) => places.insert(0, ("docker", facts.root.clone())),
                Ok(false) => parts.unknown(
                    format!("the engine keeps its data in {}, which is not seen from here", facts.root.display()),
                    "run cutover on the engine's own host",
                ),
                Err(found) => parts.push(found),
            }
        }
        Err(unread) => parts.push(unread.found("where the engine keeps its data")),
    }
    for (name, path) in places {
        let place = path.clone();
        match ask.files(format!("the file system of {}", path.display()), move || places::room(&place)).await {
            Ok(Ok(room)) => judge(&mut parts, name, &path, &room, config.preflight.min_disk.bytes()),
            Ok(Err(why)) => parts.unknown(format!("{name}: {why}"), "look at its mount"),
            Err(found) => parts.push(found),
        }
    }
    parts.found("no place was asked")
}

fn judge(parts: &mut Parts, name: &str, path: &Path, room: &Room, least: u64) {
    let comfortable = least.saturating_add(least / 2);
    let place = if room.at == path {
        format!("{name} {}", path.display())
    } else {
        format!("{name} {} (not there yet)", path.display())
    };
    let words = format!("{place}: {} free of {}", spoken_size(room.free), spoken_size(room.total));
    let limit = |bytes: u64| Some(Limit::Below(bytes as f64));
    parts.perf(Perf {
        label: format!("disk_{name}"),
        value: room.free as f64,
        unit: "B",
        warn: limit(comfortable),
        crit: limit(least),
        min: Some(0.0),
        max: Some(room.total as f64),
    });
    let advice = format!("free some space in {}, or set preflight.min_disk", room.at.display());
    if room.free < least {
        parts.fail(format!("{words}, {} are needed", spoken_size(least)), advice);
    } else if room.free < comfortable {
        parts.warn(format!("{words}, little more than the {} that are needed", spoken_size(least)), advice);
    } else {
        parts.good(words);
    }
    judge_inodes(parts, name, &place, room);
}

fn judge_inodes(parts: &mut Parts, name: &str, place: &str, room: &Room) {
    if room.inodes == 0 {
        return;
    }
    let all = room.inodes as f64;
    parts.perf(Perf {
        label: format!("inodes_{name}"),
        value: room.inodes_free as f64,
        unit: "",
        warn: Some(Limit::Below((all * FEW_INODES).floor())),
        crit: Some(Limit::Below((all * FEW_INODES / 5.0).floor())),
        min: Some(0.0),
        max: Some(all),
    });
    let share = room.inodes_free as f64 / all;
    let words = format!("{place}: {} of {} inodes are left", room.inodes_free, room.inodes);
    let advice = format!("remove small files in {}", room.at.display());
    if share < FEW_INODES / 5.0 {
        parts.fail(words, advice);
    } else if share < FEW_INODES {
        parts.warn(words, advice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;

    fn verdict(free: u64, inodes_free: u64) -> Verdict {
        let mut parts = Parts::default();
        let room = Room { at: "/srv".into(), free, total: 1000, inodes_free, inodes: 1000 };
        judge(&mut parts, "state", Path::new("/srv/state"), &room, 100);
        parts.found("").verdict
    }

    #[test]
    fn space_and_inodes_are_judged_each_by_itself() {
        assert_eq!(verdict(500, 500), Verdict::Ok);
        assert_eq!(verdict(149, 500), Verdict::Warn);
        assert_eq!(verdict(99, 500), Verdict::Fail);
        assert_eq!(verdict(500, 49), Verdict::Warn);
        assert_eq!(verdict(500, 9), Verdict::Fail);
    }
}
