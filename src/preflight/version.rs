//! Versions as numbers: `20.10.24+dfsg1` is at least `20.10`. Pure.

/// The leading numbers of a version: `v2.26.1-4` is 2, 26, 1.
pub(super) fn numbers(text: &str) -> Vec<u64> {
    let plain = text.trim().trim_start_matches('v');
    let end = plain.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(plain.len());
    plain[..end].split('.').map_while(|part| part.parse().ok()).collect()
}

/// Whether a version is at least another; nothing when one of them is no version. What is left out counts as 0.
pub(super) fn is_at_least(found: &str, least: &str) -> Option<bool> {
    let (mut found, mut least) = (numbers(found), numbers(least));
    if found.is_empty() || least.is_empty() {
        return None;
    }
    let length = found.len().max(least.len());
    found.resize(length, 0);
    least.resize(length, 0);
    Some(found >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers_and_not_as_words() {
        for (found, least) in
            [("20.10.24+dfsg1", "20.10"), ("28.2.2", "20.10"), ("2.26.1-4", "2.20"), ("v2.9", "2.9.0"), ("2.10", "2.9")]
        {
            assert_eq!(is_at_least(found, least), Some(true), "{found} {least}");
        }
        for (found, least) in [("19.03.15", "20.10"), ("2.9", "2.10"), ("2", "2.0.1")] {
            assert_eq!(is_at_least(found, least), Some(false), "{found} {least}");
        }
    }

    #[test]
    fn what_is_no_version_is_not_compared() {
        for (found, least) in [("", "2.20"), ("dev", "2.20"), ("2.20", "newest")] {
            assert_eq!(is_at_least(found, least), None, "{found} {least}");
        }
    }
}
