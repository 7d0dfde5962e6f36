//! Engine: it answers, and is new enough.

use super::finding::Found;
use super::{Ask, version};

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    match ask.facts().await {
        Ok(facts) => judge("the engine", &facts.version, &ask.config().preflight.engine_min, "preflight.engine_min"),
        Err(unread) => Found::fail(unread.why, "start the engine and see that this user may use its socket"),
    }
}

/// Judges a version against the oldest that is accepted.
pub(super) fn judge(what: &str, found: &str, least: &str, key: &str) -> Found {
    let advice = format!("install {least} or later, or set {key}");
    match version::is_at_least(found, least) {
        Some(true) => Found::ok(format!("{what} is {found}, at least {least}")),
        Some(false) => Found::fail(format!("{what} is {found}, older than {least}"), advice),
        None => Found::unknown(format!("{what} says {found:?}, which is no version"), advice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;

    #[test]
    fn an_old_version_fails_and_no_version_is_unknown() {
        assert_eq!(judge("it", "20.10.24+dfsg1", "20.10", "k").verdict, Verdict::Ok);
        assert_eq!(judge("it", "19.3", "20.10", "k").verdict, Verdict::Fail);
        assert_eq!(judge("it", "", "20.10", "k").verdict, Verdict::Unknown);
    }
}
