//! The screen, as a terminal in memory shows it.

use indicatif::InMemoryTerm;

use super::*;

fn screen(width: u16, height: u16) -> (Screen, InMemoryTerm) {
    let term = InMemoryTerm::new(height, width);
    let style = Style { height: height.into(), ..Style::plain(width.into()) };
    let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
    let screen = Screen::on(style, None, target);
    let items = ["build", "start services of r3", "healthy"];
    let items = items.map(|title| (title.replace(' ', "_"), title.to_owned())).to_vec();
    screen.hear(Event::Began { run: 7, kind: "deploy".into(), items, epoch: 1 });
    (screen, term)
}

fn done(item: usize) -> Event {
    Event::Done { item, seen: "as wanted".into(), already: false, took: Duration::from_millis(1_500) }
}

#[test]
fn each_line_turns_from_waiting_to_running_to_done() {
    let (screen, term) = screen(80, 24);
    assert_eq!(term.contents(), "run 7: deploy begins, 3 items\n· build\n· start services of r3\n· healthy");
    screen.hear(Event::Started { item: 0, back: false });
    screen.hear(Event::Says { item: 0, text: "layer 1".into() });
    screen.bar.tick();
    let running = term.contents();
    assert!(running.contains("build                        0 s  layer 1\n· start services"), "{running}");
    screen.hear(done(0));
    assert_eq!(
        term.contents(),
        "run 7: deploy begins, 3 items\n\
         ✓ build                      1.5 s  as wanted\n· start services of r3\n· healthy"
    );
}

#[test]
fn a_failure_stands_in_full_and_so_does_the_way_back() {
    let (screen, term) = screen(80, 24);
    screen.hear(Event::Started { item: 0, back: false });
    screen.hear(done(0));
    screen.hear(Event::Started { item: 1, back: false });
    screen.hear(Event::Failed { item: 1, why: "exited with 1\n  log line one\n\u{1b}[2J  log line two".into() });
    screen.hear(Event::TurnsBack);
    screen.hear(Event::Started { item: 1, back: true });
    screen.hear(Event::Undone { item: 1, seen: "as before".into(), stays: false, took: Duration::from_secs(2) });
    screen.hear(Event::Undone { item: 0, seen: "kept".into(), stays: true, took: Duration::ZERO });
    screen.hear(Event::ProvesHome { title: "healthy".into(), seen: None });
    screen.hear(Event::ProvesHome { title: "healthy".into(), seen: Some((true, "it is".into())) });
    drop(screen);
    assert_eq!(
        term.contents(),
        "run 7: deploy begins, 3 items\n\
         ✓ build                      1.5 s  as wanted\n\
         ✗ start services of r3\n    exited with 1\n      log line one\n      log line two\n\
         going back\n\
         ↩ start services of r3       2.0 s  as before\n\
         ≠ build\n    stays: kept\n\
         ✓ healthy                           it is"
    );
}

#[test]
fn a_narrow_terminal_gives_words_a_line_of_their_own() {
    let (screen, term) = screen(40, 24);
    screen.hear(Event::Started { item: 0, back: false });
    screen.hear(done(0));
    let expected = "run 7: deploy begins, 3 items\n\
                    ✓ build                      1.5 s\n    as wanted\n· start services of r3\n· healthy";
    assert_eq!(term.contents(), expected);
}

#[test]
fn more_items_than_rows_are_counted_and_none_is_lost() {
    let term = InMemoryTerm::new(10, 60);
    let style = Style { height: 10, ..Style::plain(60) };
    let screen = Screen::on(style, None, ProgressDrawTarget::term_like(Box::new(term.clone())));
    let items = (0..30).map(|item| (format!("i{item}"), format!("item {item}"))).collect();
    screen.hear(Event::Began { run: 1, kind: "deploy".into(), items, epoch: 1 });
    assert!(term.contents().ends_with("· item 4\n· and 25 more"), "{}", term.contents());
    (0..30).for_each(|item| screen.hear(done(item)));
    drop(screen);
    let rows: Vec<String> = (21..30).map(|item| format!("✓ item {item}       1.5 s  as wanted")).collect();
    assert!(term.contents().ends_with(&rows.join("\n")), "{}", term.contents());
}

#[test]
fn a_resumed_run_tells_what_was_done_before() {
    let (screen, term) = screen(80, 24);
    screen.hear(Event::Started { item: 2, back: false });
    assert!(term.contents().contains("= 2 items done before"), "{}", term.contents());
}

#[test]
fn a_run_by_a_runbook_shows_its_phases_and_the_time_used_against_the_rehearsal() {
    let term = InMemoryTerm::new(24, 100);
    let style = Style { height: 24, ..Style::plain(100) };
    let budget = [("build", 2_000), ("start_services_of_r3", 4_000)].map(|(name, ms)| (name.to_owned(), ms));
    let phases = vec![(0, "Ready".to_owned()), (1, "Switch".to_owned())];
    let pace = Pace { budget: budget.into(), phases, ..Pace::default() };
    let screen = Screen::on(style, Some(pace), ProgressDrawTarget::term_like(Box::new(term.clone())));
    let items = ["build", "start services of r3", "person"];
    let items = items.map(|title| (title.replace(' ', "_"), title.to_owned())).to_vec();
    screen.hear(Event::Began { run: 7, kind: "cutover".into(), items, epoch: 1 });
    screen.hear(Event::Started { item: 0, back: false });
    screen.hear(done(0));
    screen.hear(Event::Started { item: 1, back: false });
    screen.hear(Event::Says { item: 1, text: "pulls".into() });
    screen.bar.tick();
    let now = term.contents();
    for line in [
        "phase 1 of 2, Ready\n\u{2713} build                      1.5 s  rehearsed in 2.0 s; as wanted\nphase 2 of 2, Switch\n",
        // How many seconds went by meanwhile is the machine's affair.
        " s  of 4.0 s  pulls\n\u{b7} person\nphase 2 of 2, Switch; step 2 of 3; ",
        " s used, 2 s as rehearsed; about ",
    ] {
        assert!(now.contains(line), "{line:?} is not in\n{now}");
    }
    screen.hear(done(1));
    screen.hear(Event::Started { item: 2, back: false });
    screen.hear(Event::Waits { item: 2, missing: vec!["agreed".into()] });
    screen.bar.tick();
    let waits = term.contents();
    assert!(waits.contains("waits: agreed") && waits.ends_with(" s used, 6 s as rehearsed; about 0 s left"), "{waits}");
    screen.hear(done(2));
    drop(screen);
    assert!(!term.contents().contains("about"), "the line goes when the run is over:\n{}", term.contents());
}

#[test]
fn a_runbook_that_goes_back_says_what_is_undone_in_the_words_of_the_undoing_and_how_long_it_may_take() {
    let term = InMemoryTerm::new(24, 100);
    let style = Style { height: 24, ..Style::plain(100) };
    let way = |title: &str, is_gate| Way { title: title.into(), is_gate, ..Way::default() };
    let ways = vec![way("undo a: run `rm a`", false), way("undo: asks", true), way("undo b: run `rm b`", false)];
    let back = [("undo_a", 5_000), ("undo_b", 90_000)].map(|(name, ms)| (name.to_owned(), ms));
    let pace = Pace { back: back.into(), ways, ..Pace::default() };
    let screen = Screen::on(style, Some(pace), ProgressDrawTarget::term_like(Box::new(term.clone())));
    let items = [("a", "run `touch a`"), ("asks", "asks"), ("b", "run `touch b`"), ("c", "run `touch c`")];
    let items = items.map(|(name, title)| (name.to_owned(), title.to_owned())).to_vec();
    screen.hear(Event::Began { run: 7, kind: "cutover".into(), items, epoch: 1 });
    for item in 0..2 {
        screen.hear(Event::Started { item, back: false });
        screen.hear(done(item));
    }
    screen.hear(Event::Started { item: 2, back: false });
    screen.hear(Event::Failed { item: 2, why: "no disk".into() });
    screen.hear(Event::TurnsBack);
    screen.hear(Event::Started { item: 2, back: true });
    screen.bar.tick();
    let now = term.contents();
    assert!(now.contains("undo b: run `rm b`") && !now.contains("undo: run `touch b`"), "{now}");
    // How many seconds went by meanwhile is the machine's affair.
    assert!(now.contains("going back: 0 of 2 undone; ") && now.contains(" used; about 1 min "), "{now}");
    let undone = |item| Event::Undone { item, seen: "gone".into(), stays: false, took: Duration::from_secs(1) };
    screen.hear(undone(2));
    screen.hear(Event::Started { item: 0, back: true });
    screen.bar.tick();
    let now = term.contents();
    assert!(now.contains("\u{21a9} undo b: run `rm b`") && now.contains("going back: 1 of 2 undone; "), "{now}");
    screen.hear(undone(0));
    screen.hear(Event::ProvesHome { title: "healthy".into(), seen: None });
    screen.bar.tick();
    let now = term.contents();
    assert!(now.contains("going back: all of 2 undone, the old state is looked at; "), "{now}");
}
