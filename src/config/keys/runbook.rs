//! The keys of a runbook: phases, and in each of them entries. Declarations only.

use super::Fallback::{Is, Required, Unset};
use super::Kind::{Bool, Choice, Command, Duration, Integer, JsonMap, List, Tables, Text, Url};
use super::{Key, Shape, key, table};
use crate::config::choices::{OnExpiry, OnFailure, Part, RowsFrom, SectionPlace};

// One row is one key: it reads as a table, whatever its width.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("schema", Choice(&[crate::config::RUNBOOK_SCHEMA]), Required, "The version of this file's format."),
    key("name", Text(Shape::Word), Required, "The name of the runbook; other runbooks name it in depends_on."),
    key("title", Text(Shape::Line), Required, "One line for people: what is reached when it has run."),
    key("text", Text(Shape::Free), Unset("nothing is said"), "What a person should know before beginning, in Markdown."),
    key("depends_on", List(Shape::Word), Is("[]"), "Runbooks that must have been carried out from this state directory, and not undone since."),
    key("on_failure", Choice(OnFailure::WORDS), Is("\"rollback\""), "What happens when an entry fails after the first change: everything is undone, or it is held for a person. From the switch of names on a failure is held, unless the entry itself says otherwise."),
    key("earliest", Text(Shape::Moment), Unset("there is no window"), "The maintenance window: nothing is begun before this moment."),
    key("latest", Text(Shape::Moment), Unset("there is no window"), "The maintenance window: no phase is begun after this moment."),
    // ---- section
    table("section[]", Tables, "A section of the rendered page that is no phase: troubleshooting, references, what to keep."),
    key("section[].title", Text(Shape::Line), Required, "Its heading."),
    key("section[].text", Text(Shape::Free), Required, "Its words, in Markdown."),
    key("section[].place", Choice(SectionPlace::WORDS), Is("\"after\""), "Whether it stands before the phases or after them."),
    // ---- phase
    table("phase[]", Tables, "A part of the night; phases follow one another as they stand in the file."),
    key("phase[].name", Text(Shape::Word), Required, "Its name; none twice."),
    key("phase[].title", Text(Shape::Line), Required, "One line for people."),
    key("phase[].text", Text(Shape::Free), Unset("nothing is said"), "What a person should know about it, in Markdown."),
    key("phase[].depends_on", List(Shape::Word), Is("[]"), "Phases or entries that must stand before it."),
    key("phase[].earliest", Text(Shape::Moment), Unset("it begins when the phase before it is done"), "It is not begun before this moment; the run waits."),
    key("phase[].latest", Text(Shape::Moment), Unset("it may begin at any time"), "It is not begun after this moment; that is a failure."),
];

/// What a built-in step or gate may be told, wherever it stands.
macro_rules! settings {
    ($at:literal; $($before:expr),* $(,)?) => {
        &[
            $($before,)*
            key(concat!($at, ".url"), Url, Unset("it is not asked"), "http: the address that is asked with GET."),
            key(concat!($at, ".status"), Integer(100, 599), Unset("200"), "http: the status of a good answer."),
            key(concat!($at, ".json"), JsonMap, Unset("the body is not looked at"), "http and file: JSON pointers, and the value that must stand there."),
            key(concat!($at, ".contains"), Text(Shape::Free), Unset("it is not searched"), "http and file: text that must be in it."),
            key(concat!($at, ".pointers"), List(Shape::Line), Unset("none"), "file: JSON pointers at which something must stand."),
            key(concat!($at, ".files"), List(Shape::Path), Unset("none"), "file: the files that must be there and hold something; `{data}/` stands for the configured data.directory."),
            key(concat!($at, ".successes"), Integer(1, 100), Unset("1"), "http: good answers in a row."),
            key(concat!($at, ".interval"), Duration("10ms", "1h"), Unset("1s"), "Between two questions."),
            key(concat!($at, ".checks"), List(Shape::Word), Unset("all of them"), "preflight: only these checks."),
            key(concat!($at, ".of"), Choice(Part::WORDS), Unset("target"), "backup: which database."),
            key(concat!($at, ".from"), Choice(RowsFrom::WORDS), Unset("source"), "verify: what the target is compared with."),
            key(concat!($at, ".counts_only"), Bool, Unset("false"), "verify: rows are only counted."),
            key(concat!($at, ".keep_first"), Bool, Unset("false"), "migrate-users: of several users with one address the first keeps it."),
            key(concat!($at, ".link_existing"), Bool, Unset("false"), "migrate-users: an account that was there before is taken for the user with the same confirmed address."),
            key(concat!($at, ".tables"), List(Shape::Line), Unset("all of the configuration"), "export, import, copy: only these tables."),
            key(concat!($at, ".skip_users"), Bool, Unset("false"), "export: users, passwords and identities stay where they are."),
            key(concat!($at, ".message"), Text(Shape::Line), Unset("the usual words"), "maintenance-on: what the page says."),
            key(concat!($at, ".notice"), Text(Shape::Word), Unset("none"), "notice: which one, such as start or done."),
            key(concat!($at, ".environment"), List(Shape::Variable), Unset("none"), "command: the variables that it gets; their values are no part of the plan."),
            key(concat!($at, ".directory"), Text(Shape::Path), Unset("the runbook's directory"), "command: where it runs."),
            key(concat!($at, ".timeout"), Duration("10ms", "30d"), Unset("10m"), "command: the longest that each of its programs may take. http: the longest wait for one answer."),
        ]
    };
}

#[rustfmt::skip]
pub(super) const ENTRY: &[Key] = settings!["phase[].entry[]";
    table("phase[].entry[]", Tables, "One entry of the list: a step, a gate, a command or a checkpoint."),
    key("phase[].entry[].name", Text(Shape::Word), Unset("the name of the step, gate or signal"), "Its name; none twice."),
    key("phase[].entry[].title", Text(Shape::Line), Unset("said by the step itself"), "One line for people."),
    key("phase[].entry[].text", Text(Shape::Free), Unset("nothing is said"), "What a person should know about it, in Markdown."),
    key("phase[].entry[].step", Text(Shape::Word), Unset("it is another kind of entry"), "A built-in step."),
    key("phase[].entry[].gate", Text(Shape::Word), Unset("it is another kind of entry"), "A built-in gate."),
    key("phase[].entry[].command", Command, Unset("it is another kind of entry"), "A program and its arguments, as an array; no shell reads it. With `gate = \"command\"` it only asks: 0 means yes, 1 no, anything else not known."),
    key("phase[].entry[].checkpoint", Text(Shape::Line), Unset("it is another kind of entry"), "The signal that a person gives with `cutover approve`."),
    key("phase[].entry[].depends_on", List(Shape::Word), Is("[]"), "Phases or entries that must stand before it."),
    key("phase[].entry[].on_failure", Choice(OnFailure::WORDS), Unset("as the runbook says"), "What happens when it fails."),
    key("phase[].entry[].deadline", Duration("10ms", "30d"), Unset("the step's own"), "The longest that it may take; for a checkpoint, how long it waits for its approval."),
    key("phase[].entry[].undo", Command, Unset("what the command did stays"), "command: the program that undoes it."),
    key("phase[].entry[].check", Command, Unset("that it ended with 0 is all that is known"), "command: the program that tells whether the effect is there: 0 yes, 1 no, anything else not known."),
    key("phase[].entry[].dry_run", Command, Unset("there is none"), "command: the program that shows what would be done; `cutover run --dry-run` runs it."),
    key("phase[].entry[].log", Text(Shape::Path), Unset("beside the journal"), "command: a file to which its words are appended too."),
    key("phase[].entry[].built", Text(Shape::Free), Unset("nothing is said"), "checkpoint: what was built, for the one who approves."),
    key("phase[].entry[].people", Integer(1, 9), Unset("1"), "checkpoint: how many people must approve, each another one."),
    key("phase[].entry[].valid", Duration("1s", "30d"), Unset("12h"), "checkpoint: how long an approval counts until the run goes on."),
    key("phase[].entry[].on_expiry", Choice(OnExpiry::WORDS), Unset("hold"), "checkpoint: what happens when nobody approved within the deadline."),
    key("phase[].entry[].recheck", Duration("100ms", "1h"), Unset("30s"), "checkpoint: how often everything is asked again while it waits."),
];

#[rustfmt::skip]
pub(super) const ITEM: &[Key] = settings!["phase[].entry[].item[]";
    table("phase[].entry[].item[]", Tables, "An item of a checkpoint's list: a gate that is asked, or a statement that a person confirms by its name."),
    key("phase[].entry[].item[].name", Text(Shape::Word), Required, "Its name; a statement is confirmed by it."),
    key("phase[].entry[].item[].title", Text(Shape::Line), Unset("said by the gate itself"), "gate: one line for people."),
    key("phase[].entry[].item[].confirm", Text(Shape::Line), Unset("it is a gate"), "The statement that a person confirms."),
    key("phase[].entry[].item[].gate", Text(Shape::Word), Unset("it is a statement"), "The built-in gate that is asked."),
    key("phase[].entry[].item[].command", Command, Unset("it is no command"), "With `gate = \"command\"`: the program that is asked."),
    key("phase[].entry[].item[].deadline", Duration("10ms", "30d"), Unset("the gate's own"), "The longest that the gate may take."),
];
