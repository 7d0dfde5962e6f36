//! A run on a terminal: what is over stands above for good, what runs and what waits is drawn over.
//!
//! Only the lowest lines are ever drawn over, so that nothing is lost when the list is longer than the screen.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::event::{Event, Listener};
use super::style::{Mark, Paint, Style};
use super::text::{columns, counted, cut, hang, harmless, pad, short_ids, wrap};
use crate::adapter::clock::spoken;

/// Between two frames of the spinner.
const TICK: Duration = Duration::from_millis(100);
/// Columns of a spoken duration.
const TOOK: usize = 11;
/// With less room than this beside the title, words have a line of their own.
const ROOM: usize = 34;
/// The most waiting items that are shown by name.
const MOST_WAITING: usize = 12;

/// The listener.
#[derive(Debug)]
pub struct Screen {
    style: Style,
    multi: MultiProgress,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    titles: Vec<String>,
    /// Columns of the titles.
    column: usize,
    /// Items before this one are over, or were before this process began.
    next: usize,
    is_going_back: bool,
    running: Option<ProgressBar>,
    waiting: Option<ProgressBar>,
}

impl Screen {
    /// Draws on stderr.
    pub fn new(style: Style) -> Self {
        Self::on(style, ProgressDrawTarget::stderr())
    }

    fn on(style: Style, target: ProgressDrawTarget) -> Self {
        let multi = MultiProgress::with_draw_target(target);
        // Lines are overwritten in place instead of cleared first: no flicker.
        multi.set_move_cursor(true);
        Self { style, multi, state: Mutex::new(State::default()) }
    }

    /// Prints a line above what is drawn over; for words that are no event, such as a log.
    pub fn print(&self, text: &str) {
        let _state = self.state();
        self.above(text);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A terminal that hung up is no reason to stop.
    fn above(&self, text: &str) {
        let _ = self.multi.println(text.trim_end_matches('\n'));
    }

    fn begin(&self, state: &mut State, run: u32, kind: &str, items: Vec<(String, String)>, epoch: u32) {
        state.titles = items.into_iter().map(|(_, title)| harmless(&title)).collect();
        let longest = state.titles.iter().map(|title| columns(title)).max().unwrap_or(0);
        state.column = longest.min(self.style.width / 2);
        let verb = if epoch > 1 { "goes on" } else { "begins" };
        let head = format!("run {run}: {kind} {verb}, {}", counted(state.titles.len(), "item"));
        self.above(&self.style.paint(Paint::Strong, &head));
        self.show_waiting(state);
    }

    fn start(&self, state: &mut State, item: usize, back: bool) {
        if !state.is_going_back {
            self.pass(state, item);
        }
        let title = state.titles.get(item).cloned().unwrap_or_default();
        let is_undo = back && state.is_going_back;
        self.run(state, &if is_undo { format!("undo: {title}") } else { title });
        self.show_waiting(state);
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
        self.stop(state);
        let bar = ProgressBar::new_spinner().with_style(self.running_style(state.column));
        let bar = self.multi.insert(0, bar);
        let room = self.style.width.saturating_sub(TOOK + 3);
        let title = cut(title, room.min(state.column.max(10)), self.style.ellipsis());
        bar.set_prefix(self.style.paint(Paint::Strong, &pad(&title, state.column.min(room))));
        bar.enable_steady_tick(TICK);
        state.running = Some(bar);
    }

    fn running_style(&self, column: usize) -> ProgressStyle {
        let beside = self.style.width.saturating_sub(column + TOOK + 4) >= ROOM;
        let template =
            if beside { "{spinner} {prefix} {took} {wide_msg}" } else { "{spinner} {prefix} {took}\n    {wide_msg}" };
        let frames: &[&str] = if self.style.unicode {
            &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]
        } else {
            &["|", "/", "-", "\\"]
        };
        let mut frames: Vec<String> = frames.iter().map(|frame| self.style.paint(Paint::Live, frame)).collect();
        frames.push(" ".into());
        let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
        let took = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:>TOOK$}", whole_seconds(state.elapsed()));
        };
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
            .tick_strings(&frames)
            .with_key("took", took)
    }

    fn stop(&self, state: &mut State) {
        if let Some(bar) = state.running.take() {
            bar.finish_and_clear();
            self.multi.remove(&bar);
        }
    }

    /// The items that wait, by name as far as the screen reaches.
    fn show_waiting(&self, state: &mut State) {
        let left = state.titles.get(state.next..).unwrap_or_default();
        if left.is_empty() || state.is_going_back {
            if let Some(bar) = state.waiting.take() {
                bar.finish_and_clear();
                self.multi.remove(&bar);
            }
            return;
        }
        let shown = left.len().min(MOST_WAITING).min(self.style.height.saturating_sub(5)).max(1);
        let mark = self.style.mark(Mark::Waiting);
        let room = self.style.width.saturating_sub(3);
        let line = |title: &String| {
            self.style.paint(Paint::Faint, &format!("{mark} {}", cut(title, room, self.style.ellipsis())))
        };
        let mut lines: Vec<String> = left.iter().take(shown).map(line).collect();
        if left.len() > shown {
            let more = format!("{mark} and {} more", left.len() - shown);
            lines.push(self.style.paint(Paint::Faint, &more));
        }
        let bar = state.waiting.get_or_insert_with(|| {
            let plain = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            self.multi.add(ProgressBar::new_spinner().with_style(plain))
        });
        bar.set_message(lines.join("\n"));
        bar.tick();
    }

    /// A line that stays: mark, title, how long, what was seen.
    fn over(&self, state: &mut State, item: usize, mark: Mark, took: Option<Duration>, words: &str) {
        self.stop(state);
        if !state.is_going_back {
            self.pass(state, item);
        }
        let title = state.titles.get(item).cloned().unwrap_or_default();
        self.above(&self.line(&title, state.column, mark, took, words));
        self.show_waiting(state);
    }

    fn line(&self, title: &str, column: usize, mark: Mark, took: Option<Duration>, words: &str) -> String {
        let (style, width) = (&self.style, self.style.width);
        let words = short_ids(&harmless(words));
        let took = took.map_or_else(String::new, |took| format!("{:>TOOK$}", spoken(took)));
        let head = format!("{} ", style.painted(mark));
        let faint = |text: &str| style.paint(Paint::Faint, text);
        let room = width.saturating_sub(column + TOOK + 5);
        if columns(title) <= column && room >= ROOM {
            let words = cut(&words, room, style.ellipsis());
            let took = pad(&faint(&took), TOOK);
            return format!("{head}{} {took}  {}", pad(title, column), faint(&words)).trim_end().to_owned();
        }
        let took = if columns(title) <= column {
            pad(title, column) + " " + &faint(&took)
        } else {
            format!("{title} {}", faint(took.trim()))
        };
        let mut out = hang(&head, took.trim_end(), width);
        if !words.is_empty() {
            let _ = writeln!(out, "    {}", faint(&cut(&words, width.saturating_sub(5), style.ellipsis())));
        }
        out
    }

    /// A failure stands in full: its first line beside the title or below it, the rest below.
    fn fail(&self, state: &mut State, item: usize, why: &str) {
        self.stop(state);
        state.next = state.next.max(state.titles.len());
        self.show_waiting(state);
        let title = state.titles.get(item).cloned().unwrap_or_default();
        let mark = self.style.painted(Mark::Failed);
        let mut out = String::new();
        for (index, line) in wrap(&title, self.style.width.saturating_sub(2)).iter().enumerate() {
            let head = if index == 0 { format!("{mark} ") } else { "  ".into() };
            let _ = writeln!(out, "{head}{}", self.style.paint(Paint::Bad, line));
        }
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
        self.show_waiting(state);
    }

    fn prove(&self, state: &mut State, title: &str, seen: Option<(bool, String)>) {
        let title = harmless(title);
        match seen {
            None => self.run(state, &title),
            Some((true, words)) => {
                self.stop(state);
                self.above(&self.line(&title, state.column, Mark::Done, None, &words));
            }
            Some((false, words)) => {
                self.stop(state);
                let mark = self.style.painted(Mark::Failed);
                let mut out = hang(&format!("{mark} "), &title, self.style.width);
                out.push_str(&hang("    ", &harmless(&words), self.style.width));
                self.above(&out);
            }
        }
    }
}

impl Listener for Screen {
    fn hear(&self, event: Event) {
        let state = &mut *self.state();
        match event {
            Event::Began { run, kind, items, epoch } => self.begin(state, run, &kind, items, epoch),
            Event::Started { item, back } => self.start(state, item, back),
            Event::Says { text, .. } => {
                if let Some(bar) = &state.running {
                    let words: Vec<String> = harmless(&text).split_whitespace().map(str::to_owned).collect();
                    bar.set_message(self.style.paint(Paint::Faint, &words.join(" ")));
                }
            }
            Event::Done { item, seen, already, took } => {
                let (mark, took) = if already { (Mark::Already, None) } else { (Mark::Done, Some(took)) };
                self.over(state, item, mark, took, &seen);
            }
            Event::Failed { item, why } => self.fail(state, item, &why),
            Event::TurnsBack => {
                self.stop(state);
                state.is_going_back = true;
                self.show_waiting(state);
                self.above(&self.style.paint(Paint::Careful, "going back"));
            }
            Event::Undone { item, seen, stays: true, .. } => self.stays(state, item, &seen),
            Event::Undone { item, seen, took, .. } => self.over(state, item, Mark::Undone, Some(took), &seen),
            Event::ProvesHome { title, seen } => self.prove(state, &title, seen),
            Event::Note { text } => {
                self.above(&hang(&format!("{} ", self.style.painted(Mark::Warns)), &harmless(&text), self.style.width));
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for bar in [state.running.take(), state.waiting.take()].into_iter().flatten() {
            bar.finish_and_clear();
        }
        let _ = self.multi.clear();
    }
}

/// While it counts, tenths would only be unrest.
fn whole_seconds(duration: Duration) -> String {
    if duration.as_secs() < 60 { format!("{} s", duration.as_secs()) } else { spoken(duration) }
}
