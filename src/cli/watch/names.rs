//! Names and certificates, as questions of the watcher: asked only once the names were switched, and told from their answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::adapter::clock::spoken;
use crate::cli::dns::look::Look;
use crate::config::Config;
use crate::data::plural::counted;
use crate::dns::certificate::of_origin;
use crate::journal::runs;
use crate::journal::state::Standing;
use crate::judge::certificate::Picture;
use crate::judge::dns::Verdict;
use crate::judge::ladder::Level;
use crate::judge::rules::{Finding, Rule};
use crate::watch::gather::Question;

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// The questions about names, where any are configured.
///
/// # Errors
/// None now: names that are configured can be looked at.
pub fn questions(config: &Config, state: &Path, days: u32) -> Result<Vec<(Rule, Question)>> {
    if config.dns.as_ref().is_none_or(|dns| dns.records.is_empty()) {
        return Ok(Vec::new());
    }
    let look = Arc::new(Look::new(config, &[])?);
    let names = Rule {
        name: "names".into(),
        level: Level::Hold,
        // A name server that is away for a moment is no reason to hold anything.
        patience_s: 300,
        advice: "`cutover dns check` tells which record is wrong where; people may be sent to the old system".into(),
    };
    let certificates = Rule {
        name: "certificates".into(),
        level: Level::Hold,
        patience_s: 300,
        advice: "`cutover dns check --certificates` tells what is served; look into the proxy's log".into(),
    };
    let (of_names, of_certificates) = (look.clone(), look);
    let (one, other): (PathBuf, PathBuf) = (state.to_owned(), state.to_owned());
    let asks_names: Question = Box::new(move || {
        let (look, state) = (of_names.clone(), one.clone());
        Box::pin(async move {
            match is_switched(&state) {
                Ok(false) => not_switched(),
                Ok(true) => names_finding(&look).await,
                Err(error) => Finding::cannot_ask(format!("{error:#}")),
            }
        })
    });
    let asks_certificates: Question = Box::new(move || {
        let (look, state) = (of_certificates.clone(), other.clone());
        Box::pin(async move {
            match is_switched(&state) {
                Ok(false) => not_switched(),
                // They lead here: a certificate that is missing now is missing for everybody.
                Ok(true) => match of_origin(&look.wish, |_| true).await {
                    Ok(pictures) => certificates_finding(&pictures, days, crate::adapter::clock::unix_seconds()),
                    Err(error) => Finding::cannot_ask(format!("{error:#}")),
                },
                Err(error) => Finding::cannot_ask(format!("{error:#}")),
            }
        })
    });
    Ok(vec![(names, asks_names), (certificates, asks_certificates)])
}

fn not_switched() -> Finding {
    Finding::ok("the names were not switched yet")
}

/// Whether a run has switched the names, and none has taken that back since.
fn is_switched(state: &Path) -> Result<bool> {
    for file in runs::list(&state.join("runs"))?.iter().rev() {
        let run = file.state()?;
        let acts = run.plan["items"].as_array().cloned().unwrap_or_default();
        let of_names = run
            .items
            .iter()
            .zip(&acts)
            .rfind(|(item, act)| act["action"]["act"] == "switch_dns" && item.standing != Standing::Waiting);
        if let Some((item, _)) = of_names {
            return Ok(item.standing == Standing::Done && !item.back);
        }
    }
    Ok(false)
}

async fn names_finding(look: &Look) -> Finding {
    let (_, picture) = match look.once().await {
        Ok(seen) => seen,
        Err(error) => return Finding::cannot_ask(format!("{error:#}")),
    };
    let of = |verdict: Verdict| {
        let wrong = picture.subjects.iter().filter(move |subject| subject.verdict == verdict);
        let words = wrong.flat_map(move |subject| {
            let findings = subject.findings.iter().filter(move |finding| finding.verdict == verdict);
            findings.map(|finding| format!("{}: {}", subject.about, finding.words))
        });
        words.take(3).collect::<Vec<_>>()
    };
    let (wrong, unknown) = (of(Verdict::Fail), of(Verdict::Unknown));
    match (wrong.is_empty(), unknown.is_empty()) {
        (false, _) => Finding::breach(wrong.join("; ")),
        (true, false) => Finding::cannot_ask(unknown.join("; ")),
        (true, true) => Finding::ok(format!("{} as configured", counted(picture.subjects.len(), "record set"))),
    }
}

fn certificates_finding(pictures: &[Picture], days: u32, now: u64) -> Finding {
    let words = |verdict: Verdict| {
        let of = pictures.iter().filter(move |picture| picture.verdict == verdict).map(|picture| picture.words.clone());
        of.collect::<Vec<_>>()
    };
    let left = |picture: &Picture| {
        let certificate = picture.certificate.as_ref()?;
        let life = certificate.not_after.saturating_sub(certificate.not_before);
        // One that lives for days only is renewed later; what is left of it is judged by its life.
        let least = (u64::from(days) * DAY_S).min(life / 6);
        Some((certificate.not_after.saturating_sub(now), least, picture.name.clone()))
    };
    let shortest = pictures.iter().filter_map(left).min();
    let wrong = words(Verdict::Fail);
    if !wrong.is_empty() {
        return Finding::breach(wrong.join("; "));
    }
    let ends_soon = pictures.iter().filter_map(left).filter(|(left, least, _)| left < least).min();
    if let Some((few, least, name)) = ends_soon {
        let (few, least) = (span(few), span(least));
        return Finding::breach(format!("the certificate of {name} is valid for {few} more, less than {least}"));
    }
    let unknown = words(Verdict::Unknown);
    if !unknown.is_empty() {
        return Finding::cannot_ask(unknown.join("; "));
    }
    match shortest {
        Some((left, _, name)) => Finding::ok(format!("the first to end is that of {name}, in {}", span(left))),
        None => Finding::no_data("no name is served by a certificate"),
    }
}

/// Whole days, or hours and minutes where it is less than one.
fn span(seconds: u64) -> String {
    match seconds / DAY_S {
        0 => spoken(Duration::from_secs(seconds)),
        days => counted(days, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::certificate::Certificate;
    use crate::judge::rules::Verdict as Rules;

    /// Two months after the certificate was issued.
    const NOW: u64 = 60 * DAY_S;

    fn picture(verdict: Verdict, not_before: u64, not_after: u64) -> Picture {
        let certificate = Certificate {
            names: vec!["a.test".into()],
            issuer: "x".into(),
            not_before,
            not_after,
            chain: 2,
            distrust: None,
        };
        let at = "192.0.2.1:443".parse().unwrap();
        let words = format!("a.test at 192.0.2.1: {}", verdict.word());
        Picture { name: "a.test".into(), at, verdict, words, advice: String::new(), certificate: Some(certificate) }
    }

    #[test]
    fn a_certificate_that_ends_soon_is_a_breach_and_one_that_cannot_be_seen_is_not_known() {
        let of = |verdict, days: u64| certificates_finding(&[picture(verdict, 0, NOW + days * DAY_S)], 7, NOW);
        assert_eq!((of(Verdict::Ok, 30).verdict, of(Verdict::Ok, 6).verdict), (Rules::Ok, Rules::Breach));
        assert!(of(Verdict::Ok, 1).evidence.contains("valid for 1 day more, less than 7 days"));
        assert_eq!(of(Verdict::Unknown, 30).verdict, Rules::CannotAsk);
        assert_eq!(of(Verdict::Fail, 30).verdict, Rules::Breach);
        assert_eq!(certificates_finding(&[], 7, 0).verdict, Rules::NoData);
    }

    #[test]
    fn a_certificate_that_lives_for_hours_is_judged_by_its_life() {
        let of = |hours: u64| {
            let end = NOW + hours * 3600;
            certificates_finding(&[picture(Verdict::Ok, end - DAY_S / 2, end)], 7, NOW)
        };
        assert_eq!((of(3).verdict, of(1).verdict), (Rules::Ok, Rules::Breach));
        assert_eq!(of(1).evidence, "the certificate of a.test is valid for 1 h 00 min more, less than 2 h 00 min");
        // The one that ends first is not always the one that ends too soon.
        let long = picture(Verdict::Ok, 0, NOW + 5 * DAY_S);
        let short = picture(Verdict::Ok, NOW - 3600, NOW + 11 * 3600);
        assert!(certificates_finding(&[short, long], 7, NOW).evidence.contains("5 days more, less than 7 days"));
    }
}
