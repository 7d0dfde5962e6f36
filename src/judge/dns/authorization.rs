//! CAA: who may issue certificates for a name. A record that forbids our issuer is found before the certificate is needed.

use super::seen::{Authorization, Values};
use super::words::list;
use super::{Demand, Finding, Subject, Verdict};

/// Judges; nothing is said where nobody shall issue.
pub(super) fn judge(one: &Authorization, demand: &Demand) -> Option<Subject> {
    let (first, fallbacks) = demand.issuers.split_first()?;
    let finding = match &one.values {
        Err(why) => {
            let words = format!("the CAA records of {} could not be asked: {why}", one.name);
            let advice = "put the zone's servers right, or ask again: while CAA records cannot be asked, nobody issues a certificate";
            Finding::new("caa", Verdict::Unknown, words, advice)
        }
        Ok(values) => allowed(one, values, first, fallbacks),
    };
    Some(Subject::new(format!("{} CAA", one.name), vec![finding]))
}

fn allowed(one: &Authorization, values: &Values, first: &String, fallbacks: &[String]) -> Finding {
    let is_wildcard = one.name.starts_with("*.");
    let tag = if is_wildcard && values.iter().any(|value| property(value, "issuewild").is_some()) {
        "issuewild"
    } else {
        "issue"
    };
    let Some(issuers) = issuers(values, is_wildcard) else {
        return Finding::new("caa", Verdict::Ok, "no CAA record restricts who may issue certificates", "");
    };
    let may = |issuer: &String| issuers.contains(issuer);
    let said = if issuers.is_empty() { "nobody".to_owned() } else { list(&issuers) };
    let at = &one.at;
    if !may(first) {
        let words = format!("the CAA records at {at} allow {said} to issue certificates, not {first}");
        let advice = format!(
            "add the CAA record 0 {tag} \"{first}\" at {at}: without it there is no certificate after the switch"
        );
        return Finding::new("caa", Verdict::Fail, words, advice);
    }
    let shut: Vec<&String> = fallbacks.iter().filter(|issuer| !may(issuer)).collect();
    if !shut.is_empty() {
        let words = format!(
            "the CAA records at {at} allow {said}, but not {}, which is the way out when {first} fails",
            list(&shut)
        );
        let advice = format!("add 0 {tag} \"{}\" at {at}, or live with one issuer", shut[0]);
        return Finding::new("caa", Verdict::Warn, words, advice);
    }
    Finding::new("caa", Verdict::Ok, format!("the CAA records at {at} allow {said}"), "")
}

/// Who may issue; nothing where no record speaks of it. `issuewild` outdoes `issue` for wildcards.
fn issuers(values: &Values, is_wildcard: bool) -> Option<Vec<String>> {
    let tagged = |tag: &str| -> Option<Vec<String>> {
        let of_tag: Vec<&str> = values.iter().filter_map(|value| property(value, tag)).collect();
        let named = |value: &&str| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        (!of_tag.is_empty()).then(|| of_tag.iter().map(named).filter(|issuer| !issuer.is_empty()).collect())
    };
    let wild = if is_wildcard { tagged("issuewild") } else { None };
    wild.or_else(|| tagged("issue"))
}

/// The value of `0 issue "letsencrypt.org"`, if it has this tag.
fn property<'a>(value: &'a str, tag: &str) -> Option<&'a str> {
    let mut fields = value.splitn(3, ' ');
    let (_, found, text) = (fields.next()?, fields.next()?, fields.next()?);
    (found == tag).then(|| text.trim_matches('"'))
}
