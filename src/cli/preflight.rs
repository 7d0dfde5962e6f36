//! `preflight`: every check side by side, changing nothing; and the same before a deployment.

use anyhow::Result;

use super::flags::Preflight;
use super::global::{Format, Global};
use super::setup::{self, Setup};
use super::{exit, out};
use crate::config::{Config, Environment};
use crate::preflight::{Asked, Finding, Report, Verdict, run as ask};
use crate::report::preflight as show;
use crate::run::{Refusal, public};

/// The verb.
///
/// # Errors
/// When the configuration is not valid or a check is named that there is not.
pub async fn run(global: &Global, verb: &Preflight) -> Result<u8> {
    let config = match (setup::config(global), verb.format) {
        // A monitoring system reads a plugin's exit code: what could not be asked is unknown, not a usage error.
        (Err(error), Some(Format::Nagios)) => {
            out::result(&format!("CUTOVER UNKNOWN - {error:#}"));
            return Ok(Verdict::Unknown.plugin_code());
        }
        (config, _) => config?,
    };
    let setup = Setup::new(global, config.state.directory.clone(), Some(&config))?;
    let report = checks(&config, &setup, &verb.only, &verb.skip).await?;
    if verb.format == Some(Format::Nagios) {
        let (text, code) = show::nagios(&report);
        out::result(&text);
        return Ok(code);
    }
    let style = setup::style(global, &Environment::of_process(), out::is_result_shown());
    if global.is_json() {
        out::json(show::json(&report));
    } else {
        out::result(&show::text(&report, &style));
    }
    Ok(code_of(report.verdict()))
}

fn code_of(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Ok | Verdict::Warn | Verdict::Skipped => exit::DONE,
        Verdict::Fail | Verdict::Unknown => exit::REFUSED,
    }
}

async fn checks(config: &Config, setup: &Setup, only: &[String], skip: &[String]) -> Result<Report> {
    let asked = Asked {
        config,
        environment: &Environment::of_process(),
        docker: Ok(setup.docker.clone()),
        docker_cli: Some(setup.program.clone()),
        process: setup.process.clone(),
        http: setup.http.clone(),
        redactor: setup.redactor.clone(),
        changed_switch: setup.front.as_ref().and_then(|front| public::changed(front, &setup.state)),
        only: only.to_vec(),
        skip: skip.to_vec(),
    };
    ask(&asked).await.map_err(|error| Refusal::Usage(error.to_string()).into())
}

/// Asks everything before a deployment; what fails or cannot be asked stops it.
///
/// # Errors
/// [`Refusal::Gate`], with what is wrong and what to do.
pub async fn before_deploy(global: &Global, config: &Config, setup: &Setup, is_skipped: bool) -> Result<()> {
    if is_skipped {
        out::say("cutover: the preflight checks were skipped, as you asked");
        return Ok(());
    }
    let report = checks(config, setup, &[], &[]).await?;
    let verdict = report.verdict();
    if !global.quiet && verdict != Verdict::Ok {
        let style = setup::style(global, &Environment::of_process(), out::is_progress_shown());
        out::say(&show::troubles(&report, &style));
    }
    if code_of(verdict) == exit::DONE {
        return Ok(());
    }
    Err(Refusal::Gate(stopped(&report)).into())
}

/// Why a deployment does not begin: also where nothing was shown before, each finding with its words.
fn stopped(report: &Report) -> String {
    let (failed, unknown): (Vec<&Finding>, Vec<&Finding>) =
        report.stopping().partition(|finding| finding.verdict == Verdict::Fail);
    let words = |finding: &&Finding| format!("{}: {}", finding.id, finding.seen);
    let mut found: Vec<String> = failed.iter().map(words).collect();
    if failed.is_empty() {
        found.extend(unknown.iter().map(words));
    } else if !unknown.is_empty() {
        // One thing that is wrong leaves others unknown, each in the same words: those would bury it.
        found.push(format!("not known: {}", unknown.iter().map(|one| one.id).collect::<Vec<_>>().join(", ")));
    }
    format!(
        "nothing was changed: preflight says {} ({}); `cutover preflight` says what to do; put it right, or go on without \
         the checks (--skip-checks)",
        report.verdict().word(),
        found.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn why_a_deployment_does_not_begin_is_told_in_the_words_of_each_finding_and_with_the_command() {
        let finding = |id, verdict, seen: &str| Finding {
            id,
            verdict,
            seen: seen.into(),
            advice: Some("pull it".into()),
            took: Duration::ZERO,
            perf: Vec::new(),
        };
        let findings = vec![
            finding("images", Verdict::Fail, "shop/backend:9 is neither here nor at its registry"),
            finding("clock", Verdict::Ok, "in step"),
        ];
        let words = stopped(&Report { findings, took: Duration::ZERO });
        let expected = "nothing was changed: preflight says fail (images: shop/backend:9 is neither here nor at its \
                        registry); `cutover preflight` says what to do; ";
        assert!(words.starts_with(expected), "{words}");
        let findings = vec![
            finding("model", Verdict::Fail, "is not valid"),
            finding("ports", Verdict::Unknown, "the model is not valid"),
            finding("images", Verdict::Unknown, "the model is not valid"),
        ];
        let words = stopped(&Report { findings, took: Duration::ZERO });
        assert!(words.contains("fail (model: is not valid; not known: ports, images);"), "{words}");
        let findings = vec![finding("engine", Verdict::Unknown, "no answer")];
        let words = stopped(&Report { findings, took: Duration::ZERO });
        assert!(words.contains("unknown (engine: no answer);"), "{words}");
    }
}
