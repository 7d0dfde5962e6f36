//! What the verdict rests on: facts, gathered by the caller. Nothing here is judged.

use crate::journal::RunState;
use crate::report::moves::Standing as Moves;
use crate::report::route::Route;
use crate::report::untold::Untold;
use crate::report::watched::Watched;
use crate::report::way_back::WayBack;

/// The release that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// Number.
    pub number: u32,
    /// Wall time since when, RFC 3339.
    pub since: String,
    /// The run that made it the current one.
    pub run: u32,
}

/// Who holds the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFact {
    /// [`crate::journal::Held::words`].
    pub words: String,
    /// Whether the owner lives; else only what it started is at work.
    pub is_owner_alive: bool,
}

/// A service as the engine tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFact {
    /// Service.
    pub service: String,
    /// Its state.
    pub words: String,
    /// Whether that is well.
    pub is_well: bool,
}

/// Everything that the verdict rests on; gathered by the caller.
#[derive(Clone, Debug)]
pub struct StatusFacts {
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// The current release.
    pub current: Option<Current>,
    /// The last run.
    pub last_run: Option<RunState>,
    /// Why the checkpoint at which it stands takes no approval any more, where its time is over.
    pub expired: Option<String>,
    /// How far an open run by a runbook is, and what it does now.
    pub progress: Option<(String, Option<String>)>,
    /// Who holds the lock.
    pub held: Option<HeldFact>,
    /// Kept releases, oldest first.
    pub kept: Vec<u32>,
    /// The release that a rollback leads to.
    pub back: Option<WayBack>,
    /// Whether a rollback without a release has a run to undo.
    pub is_undoable: bool,
    /// What the engine says, or why it was not asked or did not answer.
    pub engine: Result<Vec<ServiceFact>, String>,
    /// What runs of other releases beside it, and no route leads to.
    pub beside: Vec<ServiceFact>,
    /// The public route, where a switch is configured and something was deployed.
    pub route: Option<Route>,
    /// What is frozen and what was filled, in words and for programs.
    pub moves: Vec<Moves>,
    /// The watched window, where there is one, or why it cannot be read.
    pub watched: Option<Result<Watched, String>>,
    /// Channels that were not told what they should have been, and why.
    pub untold: Vec<Untold>,
}
