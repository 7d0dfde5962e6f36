//! A run on a terminal: what is over stands above for good, what runs and what waits is drawn over.
//!
//! Only the lowest lines are ever drawn over, so that nothing is lost when the list is longer than the screen.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::event::{Event, Listener};
use super::paced::{Pace, Place, Way};
use super::style::{Mark, Paint, Style};
use super::text::{columns, cut, hang, harmless, pad, short_ids};
use crate::adapter::clock::spoken;
use crate::data::plural::counted;

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
    /// Phases and the rehearsal's times, where the run is by a runbook.
    pace: Option<Pace>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    titles: Vec<String>,
    names: Vec<String>,
    /// Columns of the titles.
    column: usize,
    /// Columns for words beside title and duration; none where they have a line of their own.
    beside: Option<usize>,
    /// Items before this one are over, or were before this process began.
    next: usize,
    is_going_back: bool,
    is_running: bool,
    /// Whether what runs waits for a person: that uses no time.
    is_waiting: bool,
    /// Number of the phase whose heading stands.
    phase: usize,
    /// Milliseconds of what is over.
    used_ms: u64,
    /// The items as they are gone back through.
    ways: Vec<Way>,
    /// The item that is being undone.
    undoing: Option<usize>,
}

impl Screen {
    /// Draws on stderr.
    pub fn new(style: Style) -> Self {
        Self::on(style, None, ProgressDrawTarget::stderr())
    }

    /// The same for a run by a runbook: with its phases, and the time used against the rehearsal.
    pub fn paced(style: Style, pace: Pace) -> Self {
        Self::on(style, Some(pace), ProgressDrawTarget::stderr())
    }

    fn on(style: Style, pace: Option<Pace>, target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        // Nothing is drawn until something runs or waits.
        bar.finish_and_clear();
        let (used_ms, ways) = pace.as_ref().map_or((0, Vec::new()), |pace| (pace.used_ms, pace.ways.clone()));
        Self { style, bar, pace, state: Mutex::new(State { used_ms, ways, ..State::default() }) }
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
        (state.names, state.titles) = items.into_iter().map(|(name, title)| (name, harmless(&title))).unzip();
        let longest = state.titles.iter().map(|title| columns(title)).max().unwrap_or(0);
        self.lay_out(state, longest);
        let verb = if epoch > 1 { "goes on" } else { "begins" };
        let head = format!("run {run}: {kind} {verb}, {}", counted(state.titles.len(), "item"));
        self.above(&self.style.paint(Paint::Strong, &head));
        self.draw(state);
    }

    /// Room for titles so long, and for words beside them.
    fn lay_out(&self, state: &mut State, longest: usize) {
        let most = self.style.width.saturating_sub(TOOK + 5);
        state.column = longest.min(most);
        state.beside = Some(most - state.column).filter(|room| *room >= ROOM);
    }

    fn start(&self, state: &mut State, item: usize, back: bool) {
        if !state.is_going_back {
            self.pass(state, item);
        }
        let is_undo = back && state.is_going_back;
        state.undoing = Some(item).filter(|_| is_undo);
        if let Some(way) = state.ways.get_mut(item) {
            way.is_open = true;
        }
        let title = if is_undo { undo_title(state, item) } else { state.titles.get(item).cloned().unwrap_or_default() };
        self.run(state, &title);
        if !is_undo {
            self.bar.set_message(self.style.paint(Paint::Faint, &self.of(state, item, String::new())));
        }
    }

    /// Items before `item` that were not heard of were over before an interruption.
    fn pass(&self, state: &mut State, item: usize) {
        if item > state.next {
            let words =
                format!("{} {} done before", self.style.mark(Mark::Already), counted(item - state.next, "item"));
            self.above(&self.style.paint(Paint::Faint, &words));
        }
        state.next = state.next.max(item + 1);
        if let Some(pace) = &self.pace
            && pace.phase(item) > state.phase
        {
            state.phase = pace.phase(item);
            self.above(&self.style.paint(Paint::Strong, &harmless(&pace.heading(state.phase))));
        }
    }

    fn run(&self, state: &mut State, title: &str) {
        (state.is_running, state.is_waiting) = (true, false);
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
        let parts = [(state.is_running, running), (!waiting.is_empty(), "{waiting}"), (self.pace.is_some(), "{place}")];
        if !state.is_running && waiting.is_empty() {
            return self.bar.finish_and_clear();
        }
        let shown: Vec<&str> = parts.into_iter().filter(|(is_shown, _)| *is_shown).map(|(_, part)| part).collect();
        let template = shown.join("\n");
        if self.bar.is_finished() {
            self.bar.reset();
        }
        self.bar.set_style(self.drawn_as(&template, waiting, state));
        self.bar.tick();
    }

    fn drawn_as(&self, template: &str, waiting: String, state: &State) -> ProgressStyle {
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
            .with_key("place", self.place(state))
    }

    /// Where a run by a runbook stands; drawn anew with every frame, since time goes on.
    fn place(
        &self,
        state: &State,
    ) -> impl Fn(&ProgressState, &mut dyn std::fmt::Write) + Clone + Send + Sync + 'static {
        let (pace, style, names) = (self.pace.clone().unwrap_or_default(), self.style, state.names.clone());
        let (item, used_ms) = (state.undoing.unwrap_or(state.next.saturating_sub(1)), state.used_ms);
        let ways = state.ways.clone();
        let (is_at_work, is_going_back) = (state.is_running && !state.is_waiting, state.is_going_back);
        move |drawn: &ProgressState, out: &mut dyn std::fmt::Write| {
            let elapsed = if is_at_work { u64::try_from(drawn.elapsed().as_millis()).unwrap_or(0) } else { 0 };
            let place = Place { item, used_ms, in_item_ms: elapsed };
            let words = match is_going_back {
                true => pace.words_back(&ways, place, &names),
                false => pace.words(place, &names),
            };
            let words = cut(&words, style.width.saturating_sub(1), style.ellipsis());
            let _ = out.write_str(&style.paint(Paint::Live, &harmless(&words)));
        }
    }

    /// The items that wait, by name as far as the screen reaches.
    fn waiting(&self, state: &State) -> String {
        let left = state.titles.get(state.next..).unwrap_or_default();
        if left.is_empty() || state.is_going_back {
            return String::new();
        }
        let shown = left
            .len()
            .min(MOST_WAITING)
            .min(self.style.height.saturating_sub(5 + usize::from(self.pace.is_some())))
            .max(1);
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
        // A command is undone by another one: that is what was done now.
        let is_other = state.is_going_back && state.ways.get(item).is_some_and(|way| !way.title.starts_with("undo: "));
        let title = match is_other {
            true => undo_title(state, item),
            false => state.titles.get(item).cloned().unwrap_or_default(),
        };
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

    /// What an item took in the rehearsal, where that is worth a word.
    fn rehearsed(&self, state: &State, item: usize) -> Option<String> {
        let name = state.names.get(item)?;
        self.pace.as_ref()?.rehearsed(name).filter(|took| took.as_secs() > 0).map(spoken)
    }

    /// What an item says, with what it took in the rehearsal before it: it stands behind the time that it takes now.
    fn of(&self, state: &State, item: usize, words: String) -> String {
        let rehearsed = self.rehearsed(state, item).filter(|_| !state.is_waiting && !state.is_going_back);
        rehearsed.map_or(words.clone(), |took| format!("of {took}  {words}"))
    }
}

impl Listener for Screen {
    fn hear(&self, event: Event) {
        let state = &mut *self.state();
        if matches!(event, Event::Waits { .. }) {
            state.is_waiting = true;
            self.draw(state);
        }
        match event.as_said() {
            Event::Began { run, kind, items, epoch } => self.begin(state, run, &kind, items, epoch),
            Event::Started { item, back } => self.start(state, item, back),
            Event::Says { item, text } => {
                let words: Vec<String> = harmless(&text).split_whitespace().map(str::to_owned).collect();
                let room = state.beside.unwrap_or(self.style.width.saturating_sub(5));
                let words = cut(&self.of(state, item, words.join(" ")), room, self.style.ellipsis());
                self.bar.set_message(self.style.paint(Paint::Faint, &words));
            }
            Event::Done { item, seen, already, took } => {
                state.used_ms += u64::try_from(took.as_millis()).unwrap_or(0);
                let rehearsed = self.rehearsed(state, item);
                let seen = rehearsed.map_or(seen.clone(), |took| format!("rehearsed in {took}; {seen}"));
                let (mark, took) = if already { (Mark::Already, None) } else { (Mark::Done, Some(took)) };
                self.over(state, item, mark, took, &seen);
            }
            Event::Failed { item, why } => self.fail(state, item, &why),
            Event::TurnsBack => {
                self.stop(state);
                state.is_going_back = true;
                let longest =
                    state.ways.iter().filter(|way| way.is_open && !way.is_gate).map(|way| columns(&way.title));
                self.lay_out(state, longest.max().unwrap_or(0).max(state.column));
                self.draw(state);
                self.above(&self.style.paint(Paint::Careful, "going back"));
            }
            Event::Undone { item, seen, stays, took } => {
                state.used_ms += u64::try_from(took.as_millis()).unwrap_or(0);
                if let Some(way) = state.ways.get_mut(item) {
                    (way.is_open, way.is_back) = (false, true);
                }
                match stays {
                    true => self.stays(state, item, &seen),
                    false => self.over(state, item, Mark::Undone, Some(took), &seen),
                }
            }
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

/// What the undoing of an item is called: as the runbook has it, else by its title.
fn undo_title(state: &State, item: usize) -> String {
    let title = || format!("undo: {}", state.titles.get(item).map_or("", String::as_str));
    state.ways.get(item).map_or_else(title, |way| harmless(&way.title))
}

/// While it counts, tenths would only be unrest.
fn whole_seconds(duration: Duration) -> String {
    if duration.as_secs() < 60 { format!("{} s", duration.as_secs()) } else { spoken(duration) }
}

mod full;
#[cfg(test)]
mod tests;
