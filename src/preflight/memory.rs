//! Memory: what the kernel says could be had without swapping.

use super::Ask;
use super::finding::{Found, Limit, Perf};
use crate::adapter::files::spoken_size;

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    match ask.files("/proc/meminfo", || std::fs::read_to_string("/proc/meminfo")).await {
        Ok(Ok(text)) => judge(&text, ask.config().preflight.min_memory.bytes()),
        Ok(Err(error)) => Found::unknown(format!("/proc/meminfo cannot be read: {error}"), "mount /proc"),
        Err(found) => found,
    }
}

fn judge(text: &str, least: u64) -> Found {
    let (Some(available), Some(total)) = (field(text, "MemAvailable"), field(text, "MemTotal")) else {
        return Found::unknown("/proc/meminfo does not tell MemAvailable", "use a kernel of 3.14 or later");
    };
    let comfortable = least.saturating_add(least / 2);
    let words = format!("{} available of {}", spoken_size(available), spoken_size(total));
    let advice = "stop what is not needed, or set preflight.min_memory";
    let mut found = if available < least {
        Found::fail(format!("{words}, {} are needed", spoken_size(least)), advice)
    } else if available < comfortable {
        Found::warn(format!("{words}, little more than the {} that are needed", spoken_size(least)), advice)
    } else {
        Found::ok(words)
    };
    found.perf.push(Perf {
        label: "memory".into(),
        value: available as f64,
        unit: "B",
        warn: Some(Limit::Below(comfortable as f64)),
        crit: Some(Limit::Below(least as f64)),
        min: Some(0.0),
        max: Some(total as f64),
    });
    found
}

/// A field of /proc/meminfo, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;

    #[test]
    fn available_memory_counts_and_free_memory_does_not() {
        let text = "MemTotal:       4096 kB\nMemFree:  1 kB\nMemAvailable:   1024 kB\n";
        let mib = 1024 * 1024;
        assert_eq!(judge(text, mib / 2).verdict, Verdict::Ok);
        assert_eq!(judge(text, mib).verdict, Verdict::Warn);
        assert_eq!(judge(text, mib * 2).verdict, Verdict::Fail);
        assert_eq!(judge("MemTotal: 1 kB\n", mib).verdict, Verdict::Unknown);
    }
}
