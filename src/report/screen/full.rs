//! What stands on the screen in full, however long it is: failures, what stays, proofs.

use std::fmt::Write as _;

use super::{Screen, State};
use crate::report::style::{Mark, Paint};
use crate::report::text::{hang, harmless, wrap};

impl Screen {
    /// A failure stands in full: its first line beside the title or below it, the rest below.
    pub(super) fn fail(&self, state: &mut State, item: usize, why: &str) {
        if state.is_running && !state.is_waiting {
            state.used_ms += u64::try_from(self.bar.elapsed().as_millis()).unwrap_or(0);
        }
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
    pub(super) fn stays(&self, state: &mut State, item: usize, why: &str) {
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

    pub(super) fn prove(&self, state: &mut State, title: &str, seen: Option<(bool, String)>) {
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
