//! What keys must be to one another: conflicts, orders, companions. One rule, one function; none stops at its first problem.

use std::collections::HashMap;
use std::path::Path;

use super::read::{Reader, join};
use super::secret_files;
use super::service_binding;
use super::table::absolute;
use super::units::format_duration;
use super::value::Value;

/// Runs every rule. What is broken in itself was reported by the reader and is passed over here.
pub(super) fn validate(reader: &mut Reader<'_>, directory: &Path) {
    migration(reader);
    deadlines(reader);
    for table in reader.tables("health[]") {
        health(reader, &table);
    }
    names_differ(reader, "health[]");
    names_differ(reader, "dns.record[]");
    names_differ(reader, "data.assert[]");
    names_differ(reader, "stabilize.rule[]");
    names_differ(reader, "notify.channel[]");
    routes(reader);
    state(reader, directory);
    required_secrets(reader);
    databases(reader);
    secrets_somewhere(reader);
    dns(reader);
    for table in reader.tables("dns.record[]") {
        record(reader, &table);
        service_binding::validate(reader, &table);
    }
    stabilize(reader);
    for table in reader.tables("stabilize.rule[]") {
        rule(reader, &table);
    }
    for table in reader.tables("notify.channel[]") {
        channel(reader, &table);
    }
    secret_files::validate(reader, directory);
}

impl Reader<'_> {
    fn is_set(&self, path: &str) -> bool {
        self.values.contains_key(path)
    }

    fn word(&self, path: &str) -> Option<&str> {
        match &self.values.get(path)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Where the value stands; for a default, where its table does.
    fn place(&self, path: &str) -> usize {
        self.values.get(path).map_or(0, |found| found.at)
    }

    /// Where the key stands.
    fn key_place(&self, path: &str) -> usize {
        self.values.get(path).map_or(0, |found| found.key_at)
    }

    /// Notes that a duration must not exceed (or, if `strictly`, must stay under) another. The problem stands
    /// at whichever of the two was written; a default cannot be pointed at.
    fn not_longer(&mut self, path: &str, other: &str, strictly: bool) {
        let (Some(Value::Duration(value)), Some(Value::Duration(most))) =
            (self.values.get(path).map(|found| &found.value), self.values.get(other).map(|found| &found.value))
        else {
            return;
        };
        let (value, most) = (*value, *most);
        if value > most || (strictly && value == most) {
            let relation = if strictly { "less than" } else { "at most" };
            let at = self.place(path).max(self.place(other));
            let allowed = format!("{relation} {other}, which is \"{}\"", format_duration(most));
            self.push(at, path, format!("{:?}", format_duration(value)), allowed, None);
        }
    }
}

fn migration(reader: &mut Reader<'_>) {
    const UNDO: &str = "deploy.migrate.undo";
    let Some(on_rollback) = reader.word("deploy.migrate.on_rollback").map(str::to_owned) else {
        return;
    };
    let at = reader.place("deploy.migrate.on_rollback");
    if on_rollback == "command" && !reader.is_set(UNDO) {
        let hint = "on_rollback = \"command\" runs it";
        reader.missing(at, UNDO, "an array of strings: a program and its arguments", Some(hint));
    }
    if on_rollback != "command" && reader.is_set(UNDO) {
        let found = format!("an undo command beside on_rollback = {on_rollback:?}");
        let hint = "write on_rollback = \"command\", or take undo out";
        reader.push(reader.key_place(UNDO), UNDO, found, "undo only with on_rollback = \"command\"", Some(hint));
    }
    let backup = reader.values.get("backup.enabled").map(|found| found.value == Value::Bool(false));
    if on_rollback == "restore" && backup == Some(true) {
        let hint = "a rollback would have nothing to restore";
        let path = "deploy.migrate.on_rollback";
        reader.push(at, path, "\"restore\" beside backup.enabled = false", "\"keep\", \"command\"", Some(hint));
    }
}

fn deadlines(reader: &mut Reader<'_>) {
    reader.not_longer("deploy.stable_for", "deploy.start_deadline", true);
}

fn health(reader: &mut Reader<'_>, table: &str) {
    let path = |name| join(table, name);
    reader.not_longer(&path("timeout"), &path("deadline"), false);
    let value = |name| reader.values.get(&path(name)).map(|found| &found.value);
    let (Some(Value::Integer(successes)), Some(Value::Duration(interval)), Some(Value::Duration(deadline))) =
        (value("successes"), value("interval"), value("deadline"))
    else {
        return;
    };
    // The first question is asked at once, so n answers in a row take n - 1 intervals at the least.
    let least = interval.saturating_mul(u32::try_from(*successes - 1).unwrap_or(u32::MAX));
    if least > *deadline {
        let found = format!("{successes} answers, {:?} apart", format_duration(*interval));
        let allowed = format!("what fits into the deadline, {:?}", format_duration(*deadline));
        let at = ["successes", "interval", "deadline"].map(|name| reader.place(&path(name)));
        let at = at.into_iter().max().unwrap_or(0);
        reader.push(at, &path("successes"), found, allowed, Some("it could never become healthy"));
    }
}

/// Results are told apart by name.
fn names_differ(reader: &mut Reader<'_>, schema: &str) {
    let mut first: HashMap<String, usize> = HashMap::new();
    let mut tables: Vec<(usize, String)> = reader
        .tables(schema)
        .into_iter()
        .map(|table| (reader.place(&join(&table, "name")), join(&table, "name")))
        .collect();
    tables.sort();
    for (at, path) in tables {
        let Some(name) = reader.word(&path).map(|name| name.trim_end_matches('.').to_lowercase()) else {
            continue;
        };
        match first.get(&name) {
            None => {
                first.insert(name, at);
            }
            Some(before) => {
                let (line, _) = reader.text.position(*before);
                let found = format!("{name:?} a second time (first in line {line})");
                reader.push(at, &path, found, "a name that no other one has", None);
            }
        }
    }
}

/// The state directory is created with mode 0700 and old things in it are deleted: it must be a place of its own.
fn state(reader: &mut Reader<'_>, directory: &Path) {
    for path in ["state.directory", "backup.directory", "data.directory"] {
        let Some(text) = reader.word(path).map(str::to_owned) else {
            continue;
        };
        let place = absolute(directory, &text);
        if directory.starts_with(&place) || place.ends_with("..") {
            let found = super::problem::quote(&text);
            let allowed = "a directory of its own, not `/` nor the one of this file nor above it";
            reader.push(reader.place(path), path, found, allowed, None);
        }
    }
}

/// A route's file stands beside the files that the switch itself has.
fn routes(reader: &mut Reader<'_>) {
    let Some(Value::Lists(routes)) = reader.values.get("caddy.routes").map(|found| found.value.clone()) else { return };
    for (route, items) in routes {
        let is_taken = ["id", "live", "maintenance"].contains(&route.as_str());
        let is_plain = route.chars().all(|sign| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '-');
        if is_taken || !is_plain {
            let at = items.first().map_or(0, |item| item.at);
            let allowed = "lower-case letters, digits and `-`, and neither id, live nor maintenance";
            reader.push(at, &format!("caddy.routes.{route}"), super::problem::quote(&route), allowed, None);
        }
    }
}

fn required_secrets(reader: &mut Reader<'_>) {
    let named = match reader.values.get("secrets.required").map(|found| &found.value) {
        Some(Value::List(items)) => !items.is_empty(),
        _ => false,
    };
    if named && !reader.is_set("secrets.directory") {
        let at = reader.key_place("secrets.required");
        reader.missing(at, "secrets.directory", "the directory that holds the files in secrets.required", None);
    }
}

/// `NAME_env` and `NAME_file` exclude one another; if `needed`, one of them must be there.
fn either(reader: &mut Reader<'_>, table: &str, name: &str, needed: bool) {
    let (variable, file) = (format!("{table}.{name}_env"), format!("{table}.{name}_file"));
    match (reader.is_set(&variable), reader.is_set(&file)) {
        (true, true) => {
            let (at, path) = [&variable, &file]
                .map(|path| (reader.key_place(path), path.clone()))
                .into_iter()
                .max()
                .unwrap_or_default();
            let hint = format!("take out {variable} or {file}");
            reader.push(at, &path, format!("both {name}_env and {name}_file"), "one of them", Some(&hint));
        }
        (false, false) if needed => {
            let at = reader.key_place(table);
            let allowed = format!("{name}_env = \"VARIABLE\" or {name}_file = \"path\"");
            reader.missing(at, &variable, allowed, Some("secrets are never values: say where it is"));
        }
        _ => {}
    }
}

fn databases(reader: &mut Reader<'_>) {
    for key in ["url_env", "url_file"] {
        let (source, target) = (format!("source.{key}"), format!("target.{key}"));
        if let (Some(from), Some(to)) = (reader.word(&source), reader.word(&target))
            && from == to
        {
            let allowed = "another database than [source]";
            reader.push(reader.place(&target), &target, "the same place as source's", allowed, None);
        }
    }
}

fn secrets_somewhere(reader: &mut Reader<'_>) {
    const NEEDED: [(&str, &str); 4] =
        [("source", "url"), ("target", "url"), ("users", "project_id"), ("users", "secret_key")];
    for (table, name) in NEEDED {
        if reader.is_set(table) {
            either(reader, table, name, true);
        }
    }
    either(reader, "notify", "webhook", reader.is_set("notify") && reader.tables("notify.channel[]").is_empty());
    either(reader, "notify", "signing_key", false);
}

/// Each provider has its own way of being let in, and none has use for another's.
fn dns(reader: &mut Reader<'_>) {
    let Some(provider) = reader.word("dns.provider").map(str::to_owned) else {
        return;
    };
    let updates = provider == "rfc2136";
    let api = provider == "digitalocean" || provider == "cloudflare";
    either(reader, "dns", "tsig_secret", updates);
    either(reader, "dns", "token", api);
    for (name, allowed) in [
        ("dns.server", "the address of the server that takes updates"),
        ("dns.tsig_name", "the name of the key that signs updates"),
    ] {
        if updates && !reader.is_set(name) {
            reader.missing(reader.place("dns.provider"), name, allowed, Some("provider = \"rfc2136\" needs it"));
        }
    }
    let foreign = |name: &str| match name {
        "token_env" | "token_file" | "api_url" => !api,
        _ => !updates,
    };
    for name in ["server", "tsig_name", "tsig_secret_env", "tsig_secret_file", "token_env", "token_file", "api_url"] {
        let path = format!("dns.{name}");
        if foreign(name) && reader.is_set(&path) {
            let found = format!("{name} beside provider = {provider:?}");
            let allowed = if name.starts_with("token") || name == "api_url" {
                "with \"digitalocean\", \"cloudflare\""
            } else {
                "with \"rfc2136\""
            };
            reader.push(reader.key_place(&path), &path, found, allowed, None);
        }
    }
}

fn record(reader: &mut Reader<'_>, table: &str) {
    let path = |name| join(table, name);
    let filled = |name| match reader.values.get(&path(name)).map(|found| &found.value) {
        Some(Value::List(items)) => !items.is_empty(),
        // It stands there, if wrongly: that was told already.
        Some(Value::Table) => true,
        _ => false,
    };
    let alias = reader.is_set(&path("CNAME"));
    let addresses = filled("A") || filled("AAAA");
    let others = addresses || filled("TXT") || filled("CAA") || filled("HTTPS");
    if alias && others {
        let hint = "a name that is an alias has no other records";
        reader.push(
            reader.key_place(&path("CNAME")),
            &path("CNAME"),
            "an alias beside other records",
            "CNAME alone",
            Some(hint),
        );
    }
    if !alias && !others && reader.is_set(&path("name")) {
        let hint = "a name without any record would vanish";
        reader.missing(
            reader.key_place(table),
            &path("A"),
            "at least one of A, AAAA, CNAME, TXT, CAA, HTTPS",
            Some(hint),
        );
    }
}

fn stabilize(reader: &mut Reader<'_>) {
    let share = |path: &str| match reader.values.get(path).map(|found| &found.value) {
        Some(Value::Percent(share)) => Some(*share),
        _ => None,
    };
    let (Some(healthy), Some(breach)) = (share("stabilize.healthy"), share("stabilize.breach")) else {
        return;
    };
    if healthy >= breach {
        let at = reader.place("stabilize.healthy").max(reader.place("stabilize.breach"));
        let allowed = format!("more than stabilize.healthy, which is \"{healthy}\"");
        reader.push(at, "stabilize.breach", format!("\"{breach}\""), allowed, None);
    }
}

/// Each kind of rule asks something else.
fn rule(reader: &mut Reader<'_>, table: &str) {
    let kind = reader.word(&join(table, "kind")).unwrap_or("query").to_owned();
    let name = match kind.as_str() {
        "url" => "url",
        "rows" => "table",
        _ => "query",
    };
    let at = reader.key_place(table);
    let hint = format!("a rule of the kind {kind} needs it");
    if !reader.is_set(&join(table, name)) {
        reader.missing(at, &join(table, name), "what is asked", Some(&hint));
    }
    let has_bound = reader.is_set(&join(table, "above")) || reader.is_set(&join(table, "below"));
    if ["query", "log"].contains(&kind.as_str()) && !has_bound {
        reader.missing(
            at,
            &join(table, "above"),
            "above = \"NUMBER\" or below = \"NUMBER\"",
            Some("a rule must be able to fail"),
        );
    }
    if kind == "log" && !reader.is_set("stabilize.loki") {
        reader.missing(at, "stabilize.loki", "the address of Loki", Some(&hint));
    }
}

/// What a channel can be told of.
const EVENTS: [&str; 4] = ["runs", "checkpoints", "verdicts", "notices"];

/// Each kind of channel has its own way.
fn channel(reader: &mut Reader<'_>, table: &str) {
    let kind = reader.word(&join(table, "kind")).unwrap_or("slack").to_owned();
    let at = reader.key_place(table);
    let hint = format!("a channel of the kind {kind} needs it");
    either(reader, table, "url", kind != "textfile");
    either(reader, table, "key", kind == "grafana");
    if kind == "textfile" && !reader.is_set(&join(table, "file")) {
        reader.missing(at, &join(table, "file"), "a path that ends in .prom", Some(&hint));
    }
    if let Some(found) = reader.values.get(&join(table, "events"))
        && let Value::List(items) = &found.value
    {
        let foreign: Vec<(usize, String)> = items
            .iter()
            .filter(|item| !EVENTS.contains(&item.text.as_str()))
            .map(|item| (item.at, item.text.clone()))
            .collect();
        for (at, word) in foreign {
            reader.push(at, &join(table, "events"), format!("{word:?}"), EVENTS.join(", "), None);
        }
    }
    if kind == "smtp" && !(reader.is_set(&join(table, "from")) && reader.is_set(&join(table, "to"))) {
        reader.missing(at, &join(table, "from"), "from and to", Some(&hint));
    }
}
