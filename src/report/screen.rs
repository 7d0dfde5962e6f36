//! A run on a terminal: what is over stands above for good, what runs and what waits is drawn over.
//!
//! Only the lowest lines are ever drawn over, so that nothing is lost when the list is longer than the screen.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::event::{Event, Listener};
use super::style::{Mark, Paint, Style};
use super::text::{columns, counted, cut, hang, harmless, pad, short_ids, wrap};
use crate::adapter::clock::spoken;

/// Between two frames of the spinner.
const TICK: Duration = Duration::from_millis(100);
/// Columns of a spoken duration.
const TOOK: usize = 11;
/// With less room than this beside title and duration, words have a line of their own.
const ROOM: usize = 32;
/// The most waiting items that are shown by name.
const MOST_WAITING: usize = 12;

/// The listener.
#[derive(Debug)]
pub struct Screen {
    style: Style,
    /// All lines that are drawn over are one bar: several would have to agree on where each begins.
    bar: ProgressBar,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    titles: Vec<String>,
    /// Columns of the titles.
    column: usize,
    /// Columns for words beside title and duration; none where they have a line of their own.
    beside: Option<usize>,
    /// Items before this one are over, or were before this process began.
    next: usize,
    is_going_back: bool,
    is_running: bool,
}

impl Screen {
    /// Draws on stderr.
    pub fn new(style: Style) -> Self {
        Self::on(style, ProgressDrawTarget::stderr())
    }

    fn on(style: Style, target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        // Nothing is drawn until something runs or waits.
        bar.finish_and_clear();
        Self { style, bar, state: Mutex::new(State::default()) }
    }

    /// Prints a line above what is drawn over; for words that are no event, such as a log.
    pub fn print(&self, text: &str) {
        let _state = self.state();
        self.above(text);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn above(&self, text: &str) {
        self.bar.println(text.trim_end_matches('\n'));
    }

    fn begin(&self, state: &mut State, run: u32, kind: &str, items: Vec<(String, String)>, epoch: u32) {
        state.titles = items.into_iter().map(|(_, title)| harmless(&title)).collect();
        let longest = state.titles.iter().map(|title| columns(title)).max().unwrap_or(0);
        let most = self.style.width.saturating_sub(TOOK + 5);
        state.column = longest.min(most);
        state.beside = Some(most - state.column).filter(|room| *room >= ROOM);
        let verb = if epoch > 1 { "goes on" } else { "begins" };
        let head = format!("run {run}: {kind} {verb}, {}", counted(state.titles.len(), "item"));
        self.above(&self.style.paint(Paint::Strong, &head));
        self.draw(state);
    }

    fn start(&self, state: &mut State, item: usize, back: bool) {
        if !state.is_going_back {
            self.pass(state, item);
        }
        let title = state.titles.get(item).cloned().unwrap_or_default();
        let is_undo = back && state.is_going_back;
        self.run(state, &if is_undo { format!("undo: {title}") } else { title });
    }

    /// Items before `item` that were not heard of were over before an interruption.
    fn pass(&self, state: &mut State, item: usize) {
        if item > state.next {
            let words =
                format!("{} {} done before", self.style.mark(Mark::Already), counted(item - state.next, "item"));
            self.above(&self.style.paint(Paint::Faint, &words));
        }
        state.next = state.next.max(item + 1);
    }

    fn run(&self, state: &mut State, title: &str) {
        state.is_running = true;
        let title = cut(title, state.column.max(10), self.style.ellipsis());
        self.bar.set_prefix(self.style.paint(Paint::Strong, &pad(&title, state.column)));
        self.bar.set_message("");
        self.draw(state);
        self.bar.reset_elapsed();
        self.bar.enable_steady_tick(TICK);
    }

    fn stop(&self, state: &mut State) {
        self.bar.disable_steady_tick();
        state.is_running = false;
    }

    /// Draws what runs and what waits, or nothing.
    fn draw(&self, state: &State) {
        let waiting = self.waiting(state);
        let running = match state.beside {
            Some(_) => "{spinner} {prefix} {took}  {wide_msg}",
            None => "{spinner} {prefix} {took}\n    {wide_msg}",
        };
        let template = match (state.is_running, waiting.is_empty()) {
            (true, true) => running.to_owned(),
            (true, false) => format!("{running}\n{{waiting}}"),
            (false, false) => "{waiting}".to_owned(),
            (false, true) => return self.bar.finish_and_clear(),
        };
        if self.bar.is_finished() {
            self.bar.reset();
        }
        self.bar.set_style(self.drawn_as(&template, waiting));
        self.bar.tick();
    }

    fn drawn_as(&self, template: &str, waiting: String) -> ProgressStyle {
        let frames: &[&str] = if self.style.unicode {
            &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏", " "]
        } else {
            &["|", "/", "-", "\\", " "]
        };
        let frames: Vec<String> = frames.iter().map(|frame| self.style.paint(Paint::Live, frame)).collect();
        let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
        let took = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:>TOOK$}", whole_seconds(state.elapsed()));
        };
        let waiting = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&waiting);
        };
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
            .tick_strings(&frames)
            .with_key("took", took)
            .with_key("waiting", waiting)
    }

    /// The items that wait, by name as far as the screen reaches.
    fn waiting(&self, state: &State) -> String {
        let left = state.titles.get(state.next..).unwrap_or_default();
        if left.is_empty() || state.is_going_back {
            return String::new();
        }
        let shown = left.len().min(MOST_WAITING).min(self.style.height.saturating_sub(5)).max(1);
        let mark = self.style.mark(Mark::Waiting);
        let room = self.style.width.saturating_sub(3);
        let faint = |words: &str| self.style.paint(Paint::Faint, &format!("{mark} {words}"));
        let mut lines: Vec<String> =
            left.iter().take(shown).map(|title| faint(&cut(title, room, self.style.ellipsis()))).collect();
        if left.len() > shown {
            lines.push(faint(&format!("and {} more", left.len() - shown)));
        }
        lines.join("\n")
    }

    /// A line that stays: mark, title, how long, what was seen.
    fn over(&self, state: &mut State, item: usize, mark: Mark, took: Option<Duration>, words: &str) {
        self.stop(state);
        if !state.is_going_back {
            self.pass(state, item);
        }
        let title = state.titles.get(item).cloned().unwrap_or_default();
        self.above(&self.line(&title, state, mark, took, words));
        self.draw(state);
    }

    fn line(&self, title: &str, state: &State, mark: Mark, took: Option<Duration>, words: &str) -> String {
        let style = &self.style;
        let words = short_ids(&harmless(words));
        let took = took.map_or_else(String::new, |took| format!("{:>TOOK$}", spoken(took)));
        let head = format!("{} ", style.painted(mark));
        let faint = |text: &str| style.paint(Paint::Faint, text);
        let fits = columns(title) <= state.column;
        if let Some(room) = state.beside.filter(|_| fits) {
            let words = faint(&cut(&words, room, style.ellipsis()));
            return format!("{head}{} {}  {words}", pad(title, state.column), pad(&faint(&took), TOOK));
        }
        let mut out = if fits {
            format!("{head}{} {}", pad(title, state.column), faint(&took)).trim_end().to_owned() + "\n"
        } else {
            hang(&head, format!("{title} {}", took.trim()).trim_end(), style.width)
        };
        if !words.is_empty() {
            let _ = writeln!(out, "    {}", faint(&cut(&words, style.width.saturating_sub(5), style.ellipsis())));
        }
        out
    }

    /// A failure stands in full: its first line beside the title or below it, the rest below.
    fn fail(&self, state: &mut State, item: usize, why: &str) {
        self.stop(state);
        state.next = state.next.max(state.titles.len());
        self.draw(state);
        let title = state.titles.get(item).cloned().unwrap_or_default();
        let mark = self.style.painted(Mark::Failed);
        let mut out = hang(&format!("{mark} "), &title, self.style.width);
        let why = harmless(why);
        for (index, line) in wrap(&why, self.style.width.saturating_sub(5)).iter().enumerate() {
            let line = if index == 0 { self.style.paint(Paint::Bad, line) } else { line.clone() };
            let _ = writeln!(out, "    {line}");
        }
        self.above(&out);
    }

    /// What stays although the run goes back is never cut.
    fn stays(&self, state: &mut State, item: usize, why: &str) {
        self.stop(state);
        let title = state.titles.get(item).cloned().unwrap_or_default();
        if !state.is_going_back {
            self.pass(state, item);
        }
        let mark = self.style.painted(Mark::Stays);
        let mut out = hang(&format!("{mark} "), &title, self.style.width);
        out.push_str(&hang("    ", &format!("stays: {}", harmless(why)), self.style.width));
        self.above(&out);
        self.draw(state);
    }

    fn prove(&self, state: &mut State, title: &str, seen: Option<(bool, String)>) {
        let title = harmless(title);
        match seen {
            None => self.run(state, &title),
            Some((true, words)) => {
                self.stop(state);
                self.above(&self.line(&title, state, Mark::Done, None, &words));
            }
            Some((false, words)) => {
                self.stop(state);
                let mut out = hang(&format!("{} ", self.style.painted(Mark::Failed)), &title, self.style.width);
                out.push_str(&hang("    ", &harmless(&words), self.style.width));
                self.above(&out);
            }
        }
    }
}

impl Listener for Screen {
    fn hear(&self, event: Event) {
        let state = &mut *self.state();
        match event.as_said() {
            Event::Began { run, kind, items, epoch } => self.begin(state, run, &kind, items, epoch),
            Event::Started { item, back } => self.start(state, item, back),
            Event::Says { text, .. } => {
                let words: Vec<String> = harmless(&text).split_whitespace().map(str::to_owned).collect();
                let room = state.beside.unwrap_or(self.style.width.saturating_sub(5));
                let words = cut(&words.join(" "), room, self.style.ellipsis());
                self.bar.set_message(self.style.paint(Paint::Faint, &words));
            }
            Event::Done { item, seen, already, took } => {
                let (mark, took) = if already { (Mark::Already, None) } else { (Mark::Done, Some(took)) };
                self.over(state, item, mark, took, &seen);
            }
            Event::Failed { item, why } => self.fail(state, item, &why),
            Event::TurnsBack => {
                self.stop(state);
                state.is_going_back = true;
                self.draw(state);
                self.above(&self.style.paint(Paint::Careful, "going back"));
            }
            Event::Undone { item, seen, stays: true, .. } => self.stays(state, item, &seen),
            Event::Undone { item, seen, took, .. } => self.over(state, item, Mark::Undone, Some(took), &seen),
            Event::ProvesHome { title, seen } => self.prove(state, &title, seen),
            Event::Waits { .. } => {}
            Event::Note { text } => {
                self.above(&hang(&format!("{} ", self.style.painted(Mark::Warns)), &harmless(&text), self.style.width));
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.bar.disable_steady_tick();
        self.bar.finish_and_clear();
    }
}

/// While it counts, tenths would only be unrest.
fn whole_seconds(duration: Duration) -> String {
    if duration.as_secs() < 60 { format!("{} s", duration.as_secs()) } else { spoken(duration) }
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    fn screen(width: u16, height: u16) -> (Screen, InMemoryTerm) {
        let term = InMemoryTerm::new(height, width);
        let style = Style { height: height.into(), ..Style::plain(width.into()) };
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        let screen = Screen::on(style, target);
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
        let screen = Screen::on(style, ProgressDrawTarget::term_like(Box::new(term.clone())));
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
}
