//! The events of a run, in the order they happen.

use std::time::Duration;

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The run begins, or goes on.
    Began {
        /// Number.
        run: u32,
        /// Kind, `deploy` or `rollback`.
        kind: String,
        /// Names and titles of all items.
        items: Vec<(String, String)>,
        /// 1 at first, more when it is resumed.
        epoch: u32,
    },
    /// An item begins.
    Started {
        /// Index.
        item: usize,
        /// Whether it is being undone.
        back: bool,
    },
    /// What an item is doing or waiting for.
    Says {
        /// Index.
        item: usize,
        /// In words.
        text: String,
    },
    /// An item is done, or a gate passed.
    Done {
        /// Index.
        item: usize,
        /// What was seen.
        seen: String,
        /// Whether it was so already.
        already: bool,
        /// How long it took.
        took: Duration,
    },
    /// An item failed, or a gate refused.
    Failed {
        /// Index.
        item: usize,
        /// Why.
        why: String,
    },
    /// It stands at a checkpoint.
    Waits {
        /// Index.
        item: usize,
        /// What is missing, in words.
        missing: Vec<String>,
    },
    /// The run turns back.
    TurnsBack,
    /// An item is undone.
    Undone {
        /// Index.
        item: usize,
        /// What was seen, or why it stays.
        seen: String,
        /// Whether its effect stays.
        stays: bool,
        /// How long it took.
        took: Duration,
    },
    /// The old state is being proven: the gates of the way home.
    ProvesHome {
        /// Title of the gate.
        title: String,
        /// What it saw, once it has an answer, and whether it passed.
        seen: Option<(bool, String)>,
    },
    /// Anything else worth a line.
    Note {
        /// In words.
        text: String,
    },
}

impl Event {
    /// What a checkpoint waits for, as what it says: on a terminal the line of the checkpoint stays and its words change.
    pub fn as_said(self) -> Self {
        match self {
            Self::Waits { item, missing } => Self::Says { item, text: format!("waits: {}", missing.join("; ")) },
            other => other,
        }
    }
}

/// Hears the events of a run.
pub trait Listener: Sync {
    /// One event.
    fn hear(&self, event: Event);
}

/// Two listeners hear the same: one for the screen, one for a log.
pub struct Both(pub Box<dyn Listener>, pub Box<dyn Listener>);

impl Listener for Both {
    fn hear(&self, event: Event) {
        self.0.hear(event.clone());
        self.1.hear(event);
    }
}

/// Hears nothing; for tests and for `--quiet`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deaf;

impl Listener for Deaf {
    fn hear(&self, _: Event) {}
}
