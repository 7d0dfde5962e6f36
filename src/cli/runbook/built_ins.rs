//! The one table of built-in steps and gates: name, what it may be told, what it does, and the list that it stands for.
//!
//! A new one is a row here; its list is made where the verb of the same name makes it.

use anyhow::Result;
use futures_util::future::LocalBoxFuture;

use super::kitchen::{Ask, Kitchen};
use crate::config::runbook::Known;
use crate::run::deploy::Planned;

/// Makes the list of a built-in.
type Make = for<'a> fn(&'a Kitchen<'a>, &'a Ask<'a>) -> LocalBoxFuture<'a, Result<Planned>>;

/// A row of the table.
pub struct BuiltIn {
    /// What the runbook's reader knows of it.
    pub known: Known,
    /// What of it cannot be known before the run, where there is something.
    pub later: Option<&'static str>,
    /// Makes its list.
    pub make: Make,
}

const fn row(
    name: &'static str,
    is_gate: bool,
    settings: &'static [&'static str],
    needs: &'static [&'static str],
    doc: &'static str,
    make: Make,
) -> BuiltIn {
    BuiltIn { known: Known { name, is_gate, settings, needs, doc }, later: None, make }
}

const fn later(words: &'static str, row: BuiltIn) -> BuiltIn {
    BuiltIn { later: Some(words), ..row }
}

/// Keys of a gate that starts a program.
const PROGRAM: &[&str] = &["command", "environment", "directory", "timeout"];
/// Keys of a gate that asks an address.
const HTTP: &[&str] = &["url", "status", "json", "contains", "successes", "interval", "timeout"];

// One row is one built-in: it reads as a table, whatever its width.
#[rustfmt::skip]
const TABLE: &[BuiltIn] = &[
    row("freeze", false, &[], &[], "lets nobody write to the source any more, and proves it", |k, a| Box::pin(k.freeze(a))),
    row("unfreeze", false, &[], &[], "lets the source take writes again", |k, a| Box::pin(k.unfreeze(a))),
    later("which users there are is known once they are exported",
        row("migrate-users", false, &["keep_first", "link_existing"], &[], "makes an account for every exported user, and writes the mapping of ids", |k, a| Box::pin(k.migrate_users(a)))),
    later("which rows there are is known when the source stands still",
        row("export", false, &["tables", "skip_users"], &[], "writes every row of the source into files, in one snapshot", |k, a| Box::pin(k.export(a)))),
    later("what the files and the mapping hold is known when it begins; then it is bound to that",
        row("import", false, &["tables"], &[], "fills the target from the exported files: everything or nothing", |k, a| Box::pin(k.import(a)))),
    later("what the source and the mapping hold is known when it begins; then it is bound to that",
        row("copy", false, &["tables"], &[], "fills the target from the source without files: everything or nothing", |k, a| Box::pin(k.copy(a)))),
    row("maintenance-on", false, &["message"], &[], "everybody gets a page with 503", |k, a| Box::pin(k.maintenance(a, true))),
    row("maintenance-off", false, &[], &[], "everybody gets the application again", |k, a| Box::pin(k.maintenance(a, false))),
    row("notice", false, &["notice"], &["notice"], "sends one of the notices to users (`cutover notify send`); nothing takes it back", |k, a| Box::pin(k.notice(a))),
    row("backup", false, &["of"], &[], "backs a database up, restores it on trial, compares every row", |k, a| Box::pin(k.backup(a))),
    later("which rows there are is known when they are compared",
        row("verify", true, &["from", "counts_only"], &[], "every row of the target is the source's, user ids mapped; keys, sequences and assertions hold", |k, a| Box::pin(k.verify(a)))),
    row("deploy", false, &[], &[], "brings up the release that today's files describe", |k, a| Box::pin(k.deploy(a))),
    row("dns-switch", false, &[], &[], "changes the records, proves them at every authority, waits for the certificate", |k, a| Box::pin(k.dns_switch(a))),
    row("dns-wait", true, &[], &[], "waits until the caches of the public resolvers have the new records too", |k, a| Box::pin(k.dns_wait(a))),
    row("frozen", true, &[], &[], "writes of every kind are attempted on the source, and refused", |k, a| Box::pin(k.frozen(a))),
    row("health", true, &[], &[], "every [[health]] of the configuration answers as expected", |k, a| Box::pin(k.health(a))),
    row("http", true, HTTP, &["url"], "an address answers as expected", |k, a| Box::pin(k.http(a))),
    row("file", true, &["files", "pointers", "json", "contains"], &["files"], "files are there, and say what they should", |k, a| Box::pin(k.file(a))),
    row("command", true, PROGRAM, &["command"], "a program that only looks says yes (0) or no (1)", |k, a| Box::pin(k.command(a))),
    row("preflight", true, &["checks", "timeout"], &[], "the checks of `cutover preflight` pass", |k, a| Box::pin(k.preflight(a))),
    row("connections", true, &["timeout"], &[], "both databases are reached, and nothing stands in the way (`cutover data connections`)", |k, a| Box::pin(k.verb(a, &["data", "connections"]))),
    row("export-preview", true, &["timeout"], &[], "an export could begin: every table can be read, nothing is written (`cutover data export --dry-run`)", |k, a| Box::pin(k.verb(a, &["data", "export", "--dry-run"]))),
    row("users-preview", true, &["timeout"], &[], "every exported user could get an account (`cutover data users --dry-run`)", |k, a| Box::pin(k.verb(a, &["data", "users", "--dry-run"]))),
    row("dns-check", true, &["timeout"], &[], "authorities and caches have the new records (`cutover dns check`)", |k, a| Box::pin(k.verb(a, &["dns", "check"]))),
    row("stabilized", true, &["timeout"], &[], "the window after the cutover is watched until enough was seen to accept it (`cutover watch`)", |k, a| Box::pin(k.stabilized(a))),
];

/// Every built-in.
pub fn all() -> &'static [BuiltIn] {
    TABLE
}

/// What the runbook's reader has to know.
pub fn known() -> Vec<Known> {
    TABLE.iter().map(|row| row.known).collect()
}

/// The built-in of this name.
pub fn find(name: &str) -> Option<&'static BuiltIn> {
    TABLE.iter().find(|row| row.known.name == name)
}
