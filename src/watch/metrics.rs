//! Numbers for Prometheus: the last run and the window, as they stand on disk. Law: a registry of its own each time, so that
//! who asks, who is pushed to and who reads a file see the same.

use std::path::Path;

use anyhow::{Context, Result};
use prometheus::{GaugeVec, Opts, Registry, TextEncoder};

use super::keep;
use super::window::Window;
use crate::journal::{Outcome, RunState, runs};
use crate::judge::ladder::Level;
use crate::judge::rules::Verdict;

/// Puts them together, in Prometheus's text format.
///
/// # Errors
/// When the runs or the window cannot be read.
pub fn text(state: &Path, project: &str, environment: &str) -> Result<String> {
    let page = Page { registry: Registry::new(), project, environment };
    let version = [(env!("CARGO_PKG_VERSION"), 1.0)];
    page.several("cutover_build_info", "The version that wrote these numbers.", Some("version"), &version)?;
    if let Some(run) = runs::last(&state.join("runs")).context("cannot read the runs")? {
        page.run(&run)?;
    }
    if let Some(window) = keep::look(state)? {
        page.window(&window)?;
    }
    Ok(TextEncoder::new().encode_to_string(&page.registry.gather())?)
}

struct Page<'a> {
    registry: Registry,
    project: &'a str,
    environment: &'a str,
}

impl Page<'_> {
    fn one(&self, name: &str, help: &str, value: f64) -> Result<()> {
        self.several(name, help, None, &[("", value)])
    }

    /// Numbers that differ in one label.
    fn several(&self, name: &str, help: &str, label: Option<&str>, values: &[(&str, f64)]) -> Result<()> {
        let labels: Vec<&str> = ["project", "environment"].into_iter().chain(label).collect();
        let gauge = GaugeVec::new(Opts::new(name, help), &labels)?;
        self.registry.register(Box::new(gauge.clone()))?;
        for (own, value) in values {
            let own = label.map(|_| *own);
            let all: Vec<&str> = [self.project, self.environment].into_iter().chain(own).collect();
            gauge.with_label_values(&all).set(*value);
        }
        Ok(())
    }

    fn run(&self, run: &RunState) -> Result<()> {
        self.one("cutover_run_number", "Number of the last run.", f64::from(run.number))?;
        let outcome = match &run.outcome {
            None => "open",
            Some((Outcome::Done, _)) => "done",
            Some((Outcome::Unchanged, _)) => "unchanged",
            Some((Outcome::RolledBack, _)) => "rolled_back",
            Some((Outcome::Held, _)) => "held",
            Some((Outcome::Stuck, _)) => "stuck",
        };
        let all = ["open", "done", "unchanged", "rolled_back", "held", "stuck"];
        let values = all.map(|one| (one, f64::from(u8::from(one == outcome))));
        self.several("cutover_run_outcome", "How the last run ended: 1 for its outcome.", Some("outcome"), &values)?;
        let changed = run.times.as_ref().and_then(|(_, last)| last.parse::<jiff::Timestamp>().ok());
        if let Some(changed) = changed {
            let help = "When the last run wrote its journal last.";
            self.one("cutover_run_changed_timestamp_seconds", help, changed.as_second() as f64)?;
        }
        Ok(())
    }

    fn window(&self, window: &Window) -> Result<()> {
        let level = match window.ladder.level {
            Level::Ok => 0.0,
            Level::Watch => 1.0,
            Level::Hold => 2.0,
            Level::RollbackRecommended => 3.0,
            Level::Rollback => 4.0,
        };
        self.one("cutover_watch_verdict", "0 ok, 1 watch, 2 hold, 3 rollback recommended, 4 rollback.", level)?;
        let tick = window.now.wall_ms as f64 / 1000.0;
        self.one("cutover_watch_tick_timestamp_seconds", "When the watcher judged last.", tick)?;
        let share = window.cusum.share(&window.terms);
        self.one("cutover_watch_evidence_ratio", "Evidence of errors as a share of the alarm.", share)?;
        self.one("cutover_watch_observed_minutes", "Observed minutes.", window.evidence.observed_min as f64)?;
        self.one("cutover_watch_unknown_minutes", "Minutes in which nothing was known.", window.unknown_min as f64)?;
        self.one("cutover_watch_window_minutes", "Observed minutes that are needed.", window.length_min as f64)?;
        self.one("cutover_watch_requests", "Requests that were counted.", window.evidence.requests as f64)?;
        self.one("cutover_watch_errors", "Requests that failed.", window.evidence.errors as f64)?;
        self.one(
            "cutover_watch_accepted",
            "Whether the window was accepted.",
            f64::from(u8::from(window.is_accepted)),
        )?;
        let code = |verdict| match verdict {
            Verdict::Ok => 0.0,
            Verdict::Breach => 1.0,
            Verdict::NoData => 2.0,
            Verdict::CannotAsk => 3.0,
        };
        let rules: Vec<(&str, f64)> =
            window.rules.iter().map(|(name, standing)| (name.as_str(), code(standing.verdict))).collect();
        self.several("cutover_watch_rule", "0 ok, 1 breach, 2 no data, 3 cannot be asked.", Some("rule"), &rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::cusum::Terms;
    use crate::watch::window::Now;

    #[test]
    fn a_window_is_told_in_numbers_and_a_host_without_anything_says_who_it_is() {
        let state = tempfile::tempdir().unwrap();
        let nothing = text(state.path(), "shop", "production").unwrap();
        assert!(nothing.contains("cutover_build_info") && !nothing.contains("cutover_run"), "{nothing}");
        let shelf = keep::Shelf::open(state.path()).unwrap();
        let now = Now { wall_ms: 1_769_126_400_000, boot_ms: 0, boot: "a".into() };
        let window = Window::begin(now, String::new(), 1440, Terms::new(0.01, 0.05, 0), None);
        shelf.write(&window).unwrap();
        let page = text(state.path(), "shop", "pro\"duction").unwrap();
        assert!(page.contains("cutover_watch_verdict{environment=\"pro\\\"duction\",project=\"shop\"} 0\n"), "{page}");
        assert!(page.contains("cutover_watch_tick_timestamp_seconds"), "{page}");
    }
}
