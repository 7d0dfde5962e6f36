//! Whether a database stood still from a moment on: what was read of it then is what it still holds.

use std::path::Path;

use anyhow::{Context, Result};

use super::{FreezeState, read_record, state};
use crate::adapter::database::Place;

/// Since when a freeze with this record stands, looked at in the database itself; none where it is not frozen so.
///
/// # Errors
/// When the database or the record cannot be read.
pub async fn frozen_since(place: &Place, record: &Path) -> Result<Option<String>> {
    let Some(recorded) = read_record(record)? else { return Ok(None) };
    let is_frozen = state(place, Some(&recorded)).await? == FreezeState::Frozen;
    Ok(if is_frozen { recorded.frozen_at } else { None })
}

/// Whether it stands still since this moment, RFC 3339, or longer.
///
/// # Errors
/// As [`frozen_since`], or when a moment is none.
pub async fn is_frozen_since(place: &Place, record: &Path, moment: &str) -> Result<bool> {
    match frozen_since(place, record).await? {
        Some(since) => is_not_after(&since, moment),
        None => Ok(false),
    }
}

/// Whether the first of two moments, RFC 3339, is not after the second.
///
/// # Errors
/// When one of them is none.
pub fn is_not_after(first: &str, second: &str) -> Result<bool> {
    let read = |text: &str| text.parse::<jiff::Timestamp>().with_context(|| format!("{text:?} is no moment"));
    Ok(read(first)? <= read(second)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_compared_as_moments_and_not_as_text() {
        assert!(is_not_after("2026-11-21T07:00:00Z", "2026-11-21T07:00:00.5Z").unwrap());
        assert!(is_not_after("2026-11-21T09:00:00+02:00", "2026-11-21T07:00:00Z").unwrap());
        assert!(!is_not_after("2026-11-21T07:00:01Z", "2026-11-21T07:00:00.999Z").unwrap());
        assert!(is_not_after("yesterday", "2026-11-21T07:00:00Z").is_err());
    }
}
