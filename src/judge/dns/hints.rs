//! HTTPS records carry address hints, which browsers use before they ask for addresses: stale ones send people to the old place.

use super::seen::{Heard, Set, Values, Wanted};
use super::words::{authorities, values};
use super::{Finding, Verdict};

/// Hinted addresses that are none of the wanted ones.
pub(super) fn strangers(found: &Values, wanted: &Values) -> Values {
    &hinted(found) - wanted
}

/// The addresses that records hint at.
pub(super) fn hinted(records: &Values) -> Values {
    let hints = records.iter().flat_map(|value| {
        let params = value.split_whitespace().filter_map(|param| param.split_once('='));
        params.filter(|(key, _)| matches!(*key, "ipv4hint" | "ipv6hint")).map(|(_, list)| list)
    });
    let addresses = hints.flat_map(|list| list.trim_matches('"').split(','));
    addresses.filter(|address| !address.is_empty()).map(str::to_owned).collect()
}

/// For an HTTPS record that nobody configured: what it is, and its hints that are none of the wanted addresses, if any.
pub fn stale_hints(set: &Set) -> Option<(Values, Values)> {
    let Wanted::Hints(wanted) = &set.wanted else { return None };
    let said = set.authority.iter().filter_map(Heard::said);
    said.map(|said| (said.values.clone(), strangers(&said.values, wanted))).find(|(_, hints)| !hints.is_empty())
}

/// Judges an HTTPS record that is there although none was configured.
pub(super) fn judge(set: &Set) -> Option<Finding> {
    let Wanted::Hints(wanted) = &set.wanted else { return None };
    let stale =
        |heard: &Heard| heard.said().map(|said| strangers(&said.values, wanted)).filter(|found| !found.is_empty());
    // Where nobody could be asked, nothing is known.
    set.authority.iter().filter_map(Heard::said).find(|said| said.is_authoritative)?;
    let found: Vec<Values> = set.authority.iter().filter_map(stale).collect();
    let Some(first) = found.first() else {
        return Some(Finding::new("https-hint", Verdict::Ok, "no HTTPS record hints at another address", ""));
    };
    let of = set.authority.len();
    let words = format!("the HTTPS record hints at {} at {} of {of} {}", values(first), found.len(), authorities(of));
    let advice = "browsers go to its hints before they ask for addresses: write HTTPS = [\"…\"] with the new ones in [[dns.record]], \
                  or HTTPS = [] to delete it, and `cutover dns switch`";
    Some(Finding::new("https-hint", Verdict::Fail, words, advice))
}
