//! What this host has left: memory that could be had without swapping, and bytes on the disk of a place. Reads only.

use std::path::Path;

use anyhow::{Context, Result};

/// Available memory, bytes.
///
/// # Errors
/// When the kernel does not tell it.
pub fn memory() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
    available(&text).context("/proc/meminfo does not tell MemAvailable")
}

fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Bytes that this user may still write on the disk of a place, or of its nearest parent that exists.
///
/// # Errors
/// When the file system cannot be asked.
pub fn disk(path: &Path) -> Result<u64> {
    let at = path.ancestors().find(|place| place.exists()).unwrap_or_else(|| Path::new("/"));
    let found = rustix::fs::statvfs(at).with_context(|| format!("cannot ask for the room at {}", at.display()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_counts_and_free_memory_does_not() {
        assert_eq!(available("MemTotal: 9 kB\nMemFree:  1 kB\nMemAvailable:   1024 kB\n"), Some(1024 * 1024));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
        assert!(memory().unwrap() > 0 && disk(Path::new("/nowhere/at/all")).unwrap() > 0);
    }
}
