//! Clock: is it synchronised? Certificates, tokens and the order of events in a journal lean on it.

use std::path::Path;

use super::Ask;
use super::finding::Found;
use crate::adapter::clock::boot_id;
use crate::adapter::process::Command;

/// Made by systemd-timesyncd once it has set the clock.
const MARK: &str = "/run/systemd/timesync/synchronized";
/// Knows of chrony and ntpd as well, since it asks the kernel.
const TIMEDATECTL: &str = "/usr/bin/timedatectl";

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let (has_mark, has_tool) =
        match ask.files(MARK, || (Path::new(MARK).exists(), Path::new(TIMEDATECTL).exists())).await {
            Ok(seen) => seen,
            Err(found) => return found,
        };
    let boot = format!("boot {}", boot_id());
    if has_mark {
        return Found::ok(format!("synchronised by systemd-timesyncd; {boot}"));
    }
    let answer = if has_tool { timedatectl(ask).await } else { None };
    judge(answer.as_deref(), &boot)
}

async fn timedatectl(ask: &Ask<'_>) -> Option<String> {
    let command = Command::new(TIMEDATECTL, ["show", "--property=NTPSynchronized", "--value"]);
    let bytes = ask.wait("timedatectl", ask.asked.process.run(command, &|_| ())).await.ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

fn judge(answer: Option<&str>, boot: &str) -> Found {
    let advice = "run a time service, such as systemd-timesyncd or chrony; compare with `date -u` on another host";
    match answer {
        Some("yes") => Found::ok(format!("synchronised, as the kernel says; {boot}")),
        Some("no") => Found::warn(format!("the system clock is not synchronised; {boot}"), advice),
        _ => Found::warn(format!("whether the system clock is synchronised is not known; {boot}"), advice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;

    #[test]
    fn a_clock_of_which_nothing_is_known_is_never_ok() {
        assert_eq!(judge(Some("yes"), "").verdict, Verdict::Ok);
        for answer in [Some("no"), Some(""), None] {
            assert_eq!(judge(answer, "").verdict, Verdict::Warn, "{answer:?}");
        }
    }
}
