//! What holds for every page: no codes without colour, no line beyond the width, colour adds nothing but colour.

use super::history::{history_text, run_text};
use super::manifest::manifest_text;
use super::plan::plan_text;
use super::releases::{Kept, releases_text};
use super::result::result_text;
use super::sample;
use super::status::{Current, HeldFact, ServiceFact, StatusFacts, status_text};
use super::style::Style;
use super::text::{columns, harmless};
use super::way_back::WayBack;
use crate::journal::{Entry, Outcome, RunState};
use crate::release::{Origin, Release, ServiceRecord};
use crate::step::RunKind;

/// Facts of a project where all is well.
pub fn facts(last_run: Option<RunState>) -> StatusFacts {
    let service =
        |service: &str, words: &str| ServiceFact { service: service.into(), words: words.into(), is_well: true };
    StatusFacts {
        project: "shop".into(),
        environment: "production".into(),
        current: Some(Current { number: 3, since: "2026-11-05T03:00:17.250Z".into(), run: 7 }),
        last_run,
        expired: None,
        progress: None,
        held: None,
        kept: vec![1, 2, 3],
        back: Some(WayBack { release: 2, is_warm: false, troubles: Ok(Vec::new()) }),
        is_undoable: true,
        engine: Ok(vec![service("backend", "running, healthy"), service("db", "running")]),
        beside: Vec::new(),
        route: None,
        moves: Vec::new(),
        watched: None,
        untold: Vec::new(),
    }
}

/// A release that was deployed.
pub fn release(number: u32) -> Release {
    let record = ServiceRecord {
        image: "shop/backend:2026.11.2".into(),
        image_id: sample::image('d'),
        repo_digest: None,
        pinned: format!("cutover/shop-backend:r{number}"),
        hash: "h".into(),
        pinned_hash: "p".into(),
        replicas: 1,
    };
    Release {
        format: 1,
        number,
        project: "shop".into(),
        environment: "production".into(),
        origin: Origin::Deployed,
        recorded_at: "2026-11-05T03:00:17.250Z".into(),
        run: number + 4,
        services: [("backend".to_owned(), record)].into(),
        files: Vec::new(),
        side: None,
    }
}

/// Runs of every kind of end, with their journals.
pub fn runs() -> Vec<(Option<Outcome>, Vec<Entry>)> {
    let plan = sample::keeping();
    let ends = [
        (Some(Outcome::Done), sample::well(&plan)),
        (Some(Outcome::RolledBack), sample::rolled_back(&plan, true)),
        (Some(Outcome::Stuck), sample::rolled_back(&plan, false)),
        (Some(Outcome::Held), sample::failed(&plan)),
        (Some(Outcome::Unchanged), sample::failed(&plan)),
        (None, sample::half(&plan)),
    ];
    ends.into_iter().map(|(outcome, facts)| (outcome, sample::entries(facts))).collect()
}

fn pages(style: &Style) -> Vec<String> {
    let plan = sample::keeping();
    let mut held = facts(None);
    held.held = Some(HeldFact { words: "`cutover deploy` holds the lock since long ago".into(), is_owner_alive: true });
    let kept = |number, is_current, is_whole| Kept {
        release: release(number),
        is_current,
        is_warm: Some(!is_current),
        is_whole: Some(is_whole),
        size: Some((9 << 20, 0)),
    };
    let releases = [kept(2, false, false), kept(3, true, true)];
    let mut pages = vec![
        plan_text(&plan, style),
        plan_text(&sample::lossy(), style),
        releases_text(&releases, style),
        status_text(&held, style),
    ];
    for (outcome, entries) in runs() {
        let run = sample::run(&entries);
        pages.push(result_text(RunKind::Deploy, outcome, &run, &plan, style));
        pages.push(run_text(&run, &entries, style));
        pages.push(history_text(&[run.clone(), run.clone()], style));
        pages.push(manifest_text(&run, &entries, None, style));
        pages.push(status_text(&facts(Some(run)), style));
    }
    pages
}

#[test]
fn without_colour_there_is_no_escape_code_and_with_it_nothing_but_colour_is_added() {
    for width in [40, 80, 120] {
        let plain = Style::plain(width);
        let colour = Style { colour: true, ..plain };
        for (plain, coloured) in pages(&plain).into_iter().zip(pages(&colour)) {
            assert!(!plain.contains('\u{1b}'), "{plain}");
            assert_eq!(harmless(&coloured), plain);
            assert_ne!(coloured, plain);
        }
    }
}

#[test]
fn no_line_is_wider_than_the_width_unless_a_word_is() {
    for width in [30, 40, 60, 80, 120] {
        for line in pages(&Style::plain(width)).iter().flat_map(|page| page.lines()) {
            let longest = line.split_whitespace().map(columns).max().unwrap_or(0);
            let is_unbreakable = longest + line.len() - line.trim_start().len() + 12 > width;
            assert!(columns(line) <= width || is_unbreakable, "{width}: {line}");
            assert_eq!(line.trim_end(), line, "no blank at the end");
        }
    }
}

#[test]
fn a_terminal_without_unicode_gets_ascii_marks() {
    let style = Style { unicode: false, ..Style::plain(80) };
    // What the steps said stands as they said it.
    assert!(pages(&style).iter().all(|page| page.is_ascii()));
}

#[test]
fn only_success_is_called_complete() {
    let plan = sample::keeping();
    for (outcome, entries) in runs() {
        for kind in [RunKind::Deploy, RunKind::Rollback] {
            let text = result_text(kind, outcome, &sample::run(&entries), &plan, &Style::plain(80));
            assert_eq!(text.to_lowercase().contains("complete"), outcome == Some(Outcome::Done), "{text}");
        }
    }
}
