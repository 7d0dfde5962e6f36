//! One line of the journal. The set of kinds is a contract; a line of an unknown kind is kept, never lost.

use serde::{Deserialize, Serialize};

/// Version of the journal's format that this program writes. A newer one is read as far as it is known, never written.
pub const FORMAT: u32 = 1;

/// What a run is, written once at its head.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Header {
    /// Format of this file.
    pub format: u32,
    /// Number of the run on this host.
    pub number: u32,
    /// `deploy`, `rollback`, `cutover` or `rehearsal`.
    pub run: String,
    /// Project's name.
    pub project: String,
    /// Environment, such as `production`.
    pub environment: String,
    /// Who started it: login name, host, process.
    pub by: String,
    /// Version of cutover that wrote it.
    pub version: String,
    /// SHA-256 of the plan as it was shown.
    pub plan_hash: String,
    /// For a rollback: the run that it undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u32>,
}

#[cfg(test)]
impl Header {
    /// The head of a run that a test writes down.
    pub(crate) fn of_test(number: u32, run: &str) -> Self {
        Self {
            format: FORMAT,
            number,
            run: run.into(),
            project: "shop".into(),
            environment: "test".into(),
            by: "me".into(),
            version: "0".into(),
            plan_hash: String::new(),
            undoes: None,
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every step was done and every gate passed.
    Done,
    /// It failed before anything was changed, or everything is as it was.
    Unchanged,
    /// It failed, was rolled back, and the old state was observed.
    RolledBack,
    /// It failed and was left as it stands, as the configuration asked for (`on_failure = "hold"`).
    Held,
    /// A way back did not finish; a person is needed.
    Stuck,
}

/// An approval in full. It is valid for this plan and this evidence, and for nothing else.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Given {
    /// Index of the checkpoint into the plan's items.
    pub item: usize,
    /// Login name.
    pub user: String,
    /// Host on which it was typed.
    pub host: String,
    /// SHA-256 of the plan.
    pub plan_hash: String,
    /// SHA-256 of the evidence that was shown.
    pub evidence_hash: String,
    /// Names of the statements that the person confirmed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirmed: Vec<String>,
    /// Whether earlier approvals of the checkpoint are taken back instead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancels: bool,
}

/// What a line says.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// The head of the file: the whole plan, before the first act.
    Planned {
        /// What the run is.
        header: Header,
        /// The plan, as its own JSON.
        plan: serde_json::Value,
    },
    /// An act begins; written before the world is touched.
    Started {
        /// Index into the plan's items.
        item: usize,
        /// The item's name.
        name: String,
    },
    /// A gate was asked, or a step saw something worth keeping.
    Observed {
        /// Index into the plan's items.
        item: usize,
        /// The item's name.
        name: String,
        /// What was seen, in words.
        seen: String,
        /// The same for programs.
        #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
        data: serde_json::Value,
    },
    /// The world was looked at and is as the item wants it.
    Done {
        /// Index into the plan's items.
        item: usize,
        /// The item's name.
        name: String,
        /// What was seen.
        seen: String,
        /// Whether it was so before anything was done.
        already: bool,
        /// How long it took, in milliseconds.
        took_ms: u64,
        /// What the item leaves behind for the report and for the way back.
        #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
        data: serde_json::Value,
    },
    /// An item failed or a gate refused.
    Failed {
        /// Index into the plan's items.
        item: usize,
        /// The item's name.
        name: String,
        /// Why, in words that a person can act on.
        why: String,
        /// Whether it failed on the way back.
        #[serde(default)]
        back: bool,
        /// Whether it is not known: the gate could not be asked to the end. Nothing is put back because of it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unknown: bool,
        /// How long it was tried or asked, in milliseconds.
        #[serde(default)]
        took_ms: u64,
    },
    /// The undoing of a step begins; written before the world is touched.
    Undoing {
        /// Index into the plan's items.
        item: usize,
        /// The item's name.
        name: String,
    },
    /// A step is undone, seen in the world, or stays for a reason.
    Undone {
        /// Index into the plan's items.
        item: usize,
        /// The item's name.
        name: String,
        /// What was seen, or why it stays.
        seen: String,
        /// Whether the effect stays because there is no way back for it.
        #[serde(default)]
        stays: bool,
        /// How long it took, in milliseconds.
        #[serde(default)]
        took_ms: u64,
    },
    /// A person approved a checkpoint, or took an approval back.
    Approval {
        /// The signal that was typed.
        signal: String,
        /// Who typed it: login name, host, process.
        by: String,
        /// A remark.
        #[serde(default)]
        note: String,
        /// What it is valid for; lines of older versions have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        given: Option<Box<Given>>,
    },
    /// A judgement of the stabilization.
    Verdict {
        /// The verdict's name.
        verdict: String,
        /// Why.
        why: String,
    },
    /// Anything worth keeping: an interruption, a resumption, an orphan that was ended, a jump of the clock.
    Note {
        /// The words.
        text: String,
    },
    /// The run has ended.
    Finished {
        /// How.
        outcome: Outcome,
        /// The exit code that was given.
        exit: u8,
        /// The last words.
        said: String,
    },
    /// A kind that a newer version wrote.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

/// A line with its place in the chain.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Entry {
    /// Counts from 0 without a gap.
    pub seq: u64,
    /// Wall time, RFC 3339 UTC.
    pub at: String,
    /// The kernel's identifier of the boot.
    pub boot: String,
    /// Which process of the run wrote it: 1 for the first, one more for each resumption.
    pub epoch: u32,
    /// What it says.
    #[serde(flatten)]
    pub fact: Fact,
    /// Hash of the line before; empty for the first.
    pub prev: String,
    /// SHA-256 of this line without its hash.
    pub hash: String,
}
