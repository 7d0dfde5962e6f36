//! The dashboard: how it stands, what is at work, what was. For looking only; it asks for itself again.

use maud::{Markup, html};

use super::parts::{section, table, tag, when};
use super::{class, data, frame, sections, time};
use crate::journal::RunState;
use crate::report::history::ended;
use crate::report::paper::{Paper, Stabilization, Tone};
use crate::report::planned::{deed, release_name, releases, took};
use crate::report::status::{StatusFacts, Verdict, verdict};
use crate::report::style::Paint;

/// Seconds until a page asks again: while something is at work, and else.
const SOON: u32 = 5;
const LATER: u32 = 30;

/// What the dashboard shows.
#[derive(Debug)]
pub struct Board<'a> {
    /// How it stands.
    pub facts: &'a StatusFacts,
    /// The last run on paper, while it is open.
    pub open: Option<&'a Paper>,
    /// The watched window.
    pub window: Option<&'a Stabilization>,
    /// The last runs, newest first.
    pub runs: &'a [RunState],
    /// Now, RFC 3339.
    pub at: &'a str,
}

/// The page.
pub fn dashboard(board: &Board<'_>) -> String {
    let facts = board.facts;
    let (found, words, next) = verdict(facts);
    let again = if found == Verdict::AtWork { SOON } else { LATER };
    let title = format!("{}: {} in {}", found.word(), facts.project, facts.environment);
    let body = html! {
        header.top {
            h1 { (facts.project) " in " (facts.environment) }
            span.soft { (when(board.at)) " UTC, asks again every " (again) " s" }
        }
        div class={ "verdict " (class(tone(found))) } {
            p.word { (found.word()) }
            p.words { (words) }
            @if !next.is_empty() {
                ul.plain { @for (command, why) in &next { li { code { (command) } " " span.soft { (why) } } } }
            }
            dl.facts {
                @if let Some(current) = &facts.current {
                    div { dt { "release" } dd.number { "r" (current.number) } }
                    div { dt { "since" } dd { (when(&current.since)) } }
                }
                div { dt { "kept releases" } dd { (facts.kept.len()) } }
                @if let Some(route) = &facts.route { div { dt { "public route" } dd { (route.words()) } } }
                @if let Some(held) = &facts.held { div { dt { "the lock" } dd { (held.words) } } }
            }
        }
        @if let Some(paper) = board.open {
            @if let Some(steps) = sections::steps(paper) { (section("run", &format!("Run {}: {}", paper.run.number, paper.run.title), "", &steps)) }
            @if let Some(failures) = sections::failures(paper) { (section("failures", "What went wrong", "", &failures)) }
        }
        (section("services", "Services", "", &services(facts)))
        @if let Some(window) = board.window { (section("window", "Stabilization", "", &data::stabilization(window))) }
        (section("runs", "Runs", "", &runs(board.runs)))
        footer { "cutover " (env!("CARGO_PKG_VERSION")) ", for looking only. " a href="/metrics" { "Numbers for Prometheus" } }
    };
    frame(&title, Some(again), &body).into_string()
}

fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Ok => Tone::Good,
        Verdict::Stuck | Verdict::Unwell => Tone::Bad,
        Verdict::Nothing => Tone::Plain,
        _ => Tone::Careful,
    }
}

fn services(facts: &StatusFacts) -> Markup {
    match &facts.engine {
        Err(why) => html! { p { (tag(Tone::Careful, "not known")) " " (why) } },
        Ok(services) if services.is_empty() => html! { p.soft { "No container of the project is there." } },
        Ok(services) => {
            let rows = html! {
                @for one in services {
                    @let (tone, word) = if one.is_well { (Tone::Good, "well") } else { (Tone::Bad, "not well") };
                    tr { td { (one.service) } td { (tag(tone, word)) } td { (one.words) } }
                }
            };
            table(&["service", "", "state"], &rows, None)
        }
    }
}

fn runs(runs: &[RunState]) -> Markup {
    if runs.is_empty() {
        return html! { p.soft { "No run yet." } };
    }
    let undoes = |run: &RunState| run.header.as_ref().and_then(|header| header.undoes);
    let what = |run: &RunState| match (releases(run), undoes(run)) {
        (_, Some(undone)) => format!("{} of run {undone}", run.kind),
        ((None, None), None) => deed(run).to_owned(),
        ((from, to), None) => format!("{}, {} → {}", run.kind, release_name(from), release_name(to)),
    };
    let rows = html! {
        @for run in runs {
            @let (word, paint) = ended(run);
            @let tone = match paint { Paint::Good => Tone::Good, Paint::Bad => Tone::Bad, Paint::Careful => Tone::Careful, _ => Tone::Plain };
            tr {
                td.num { a href={ "/runs/" (run.number) } { (run.number) } }
                td { (what(run)) }
                td.when { @if let Some((first, _)) = &run.times { (when(first)) } }
                td.num { (time::ms(u64::try_from(took(run).as_millis()).unwrap_or(0))) }
                td { (tag(tone, &word)) }
            }
        }
    };
    table(&["#run", "what", "began", "#took", "ended"], &rows, None)
}
