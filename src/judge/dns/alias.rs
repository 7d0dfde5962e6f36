//! Aliases: where they end, whether they run in a circle, and providers that put addresses in the place of an alias.
//!
//! Where a provider does that, addresses say nothing: who answers under the name is what counts.

use super::seen::{Heard, Identity, Said, Set, Wanted};
use super::words::{list, values};
use super::{Finding, Verdict, authority};

/// More aliases in a row than this make resolvers give up.
const LONGEST: usize = 8;

/// Whether the provider answers addresses in the place of the alias, and they lead to the new system.
pub(super) fn is_same_service(set: &Set) -> bool {
    !set.flattened.is_empty() && set.identity.as_ref().is_some_and(is_same)
}

fn is_same(identity: &Identity) -> bool {
    let Ok(wanted) = &identity.wanted else { return false };
    !identity.found.is_empty() && identity.found.iter().all(|(_, found)| found.as_ref() == Ok(wanted))
}

/// Judges an alias; other types have nothing to judge here.
pub(super) fn judge(set: &Set) -> Vec<Finding> {
    let Wanted::Exactly(wanted) = &set.wanted else { return Vec::new() };
    if authority::is_proxied(set) {
        return vec![flattened(set)];
    }
    if set.kind != "CNAME" || wanted.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if !set.flattened.is_empty() {
        findings.push(flattened(set));
    }
    if let Some(end) = &set.end {
        findings.extend(ending(set, end));
    }
    findings
}

fn flattened(set: &Set) -> Finding {
    let Wanted::Exactly(wanted) = &set.wanted else {
        return Finding::new("flattening", Verdict::Unknown, "nothing is wanted", "");
    };
    let place = match (set.kind.as_str(), wanted.is_empty()) {
        ("CNAME", _) => format!("the alias to {}", values(wanted)),
        (_, false) => values(wanted),
        (kind, true) => format!("no {kind} record"),
    };
    let seen = format!("the provider answers addresses ({}) in the place of {place}", values(&set.flattened));
    let Some(identity) = &set.identity else {
        let advice =
            "set dns.origin, so that /.well-known/cutover-id can be asked at the new system and under the name";
        return Finding::new("flattening", Verdict::Unknown, format!("{seen}; where they lead was not asked"), advice);
    };
    let wanted = match &identity.wanted {
        Ok(wanted) => wanted,
        Err(why) => {
            let words = format!("{seen}; the new system itself does not say who it is: {why}");
            let advice =
                "let the new system answer /.well-known/cutover-id (caddy/cutover.caddy has it), then ask again";
            return Finding::new("flattening", Verdict::Unknown, words, advice);
        }
    };
    let others: Vec<String> = identity
        .found
        .iter()
        .filter_map(|(address, found)| match found {
            Ok(found) if found == wanted => None,
            Ok(found) => Some(format!("{address} is {found}")),
            Err(why) => Some(format!("{address}: {why}")),
        })
        .collect();
    if others.is_empty() && !identity.found.is_empty() {
        let words = format!("{seen}; who answers there is the new system ({wanted})");
        return Finding::new("flattening", Verdict::Ok, words, "");
    }
    let words = format!("{seen}; they do not lead to the new system ({wanted}): {}", list(&others));
    let is_known = identity.found.iter().any(|(_, found)| found.as_ref().is_ok_and(|found| found != wanted));
    let (verdict, advice) = match is_known {
        true => {
            (Verdict::Fail, "correct the origin at the provider, and its cache: the old system answers under the name")
        }
        false => {
            let advice = "before the switch that is to be expected; after it ask again, and if it stays so, look at the provider's own \
                          status and at the new system";
            (Verdict::Unknown, advice)
        }
    };
    Finding::new("flattening", verdict, words, advice)
}

fn ending(set: &Set, end: &Heard) -> Option<Finding> {
    let said = match end {
        Heard::Said(said) => said,
        Heard::Silent(_) => return None,
    };
    if let Some(again) = circle(&set.name, said) {
        let words = format!("the aliases run in a circle: {}", path(&set.name, said));
        let advice = format!("let one of them end at an address; {again} comes round again, so nobody finds any");
        return Some(Finding::new("chain", Verdict::Fail, words, advice));
    }
    let last = said.chain.last().unwrap_or(&set.name);
    if said.values.is_empty() {
        let why = match said.code.as_str() {
            "NXDOMAIN" => format!("{last} does not exist"),
            "NOERROR" => format!("{last} has no address"),
            code => format!("a resolver answers {code} for {}", set.name),
        };
        let words = format!("the alias leads nowhere: {why}");
        let advice = match said.code.as_str() {
            "NXDOMAIN" | "NOERROR" => "give that name an address, or let the alias point to another name",
            _ => "look whether the aliases run in a circle, and whether the target's zone is served",
        };
        return Some(Finding::new("chain", Verdict::Fail, words, advice));
    }
    if said.chain.len() > LONGEST {
        let words = format!("{} aliases in a row: {}", said.chain.len(), path(&set.name, said));
        let advice = format!("shorten it: beyond {LONGEST} some resolvers give up, and each one costs visitors time");
        return Some(Finding::new("chain", Verdict::Warn, words, advice));
    }
    let words = format!("it ends at {}", values(&said.values));
    Some(Finding::new("chain", Verdict::Ok, words, ""))
}

/// The name that comes twice.
fn circle<'a>(name: &'a str, said: &'a Said) -> Option<&'a str> {
    let mut seen = vec![name];
    for next in &said.chain {
        if seen.contains(&next.as_str()) {
            return Some(next);
        }
        seen.push(next);
    }
    None
}

fn path(name: &str, said: &Said) -> String {
    let names = std::iter::once(name).chain(said.chain.iter().map(String::as_str));
    names.collect::<Vec<_>>().join(" → ")
}
