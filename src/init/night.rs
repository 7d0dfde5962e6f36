//! A first runbook: ready, rows where both databases are named, deploy, done; with a checkpoint between each. Pure.

use super::draft::{comment, text};
use super::look::Seen;

/// An entry that stands in the book where the program knows its step or gate.
struct Entry {
    kind: &'static str,
    name: &'static str,
    more: &'static str,
    why: &'static str,
}

const fn step(name: &'static str, more: &'static str, why: &'static str) -> Entry {
    Entry { kind: "step", name, more, why }
}

const fn gate(name: &'static str, more: &'static str, why: &'static str) -> Entry {
    Entry { kind: "gate", name, more, why }
}

/// The book. `known` are the names of built-in steps and gates; `has_health` says whether anything is asked from outside.
pub fn runbook(seen: &Seen, known: &[&str], has_health: bool) -> String {
    let (name, stage) = (&seen.name.0, &seen.stage.0);
    let moves_rows = seen.wishes.source.is_some() && seen.wishes.target.is_some();
    let mut out = comment(&format!(
        "The first runbook of {name}. Written by `cutover init`: a night in phases, with a person between them. `cutover \
         runbook check FILE` proves it, `cutover run FILE --dry-run` shows the plan, `cutover runbook list` tells every step and gate."
    ));
    out.push_str("schema = \"cutover/runbook/v1\"\n");
    out.push_str(&format!("name = \"first\"\ntitle = {}\n", text(&format!("{name} in {stage}"))));
    out.push_str(&comment("a failure is put back; \"hold\" would leave it as it stands, for a person"));
    out.push_str("on_failure = \"rollback\"\n");
    out.push_str(&comment("the maintenance window, where there is one: nothing begins outside it"));
    out.push_str("# earliest = \"2027-01-10T01:00:00Z\"\n# latest = \"2027-01-10T05:00:00Z\"\n");

    phase(&mut out, "ready", "Everything that has to be right before anything is touched");
    let mut ready = vec![gate("preflight", "", "every check of `cutover preflight`")];
    if moves_rows {
        ready.push(gate("connections", "", "both databases are reached, and nothing stands in the way"));
    }
    entries(&mut out, &ready, known);
    let agreed = "The window is agreed, and everybody who must know knows";
    checkpoint(&mut out, "env-ready", "The host, the files and the databases are ready.", "agreed", agreed);

    if moves_rows {
        phase(&mut out, "rows", "The old database stops, its rows move, and they are compared");
        let rows = [
            step("backup", "of = \"target\"\n", "what the target holds now can be brought back"),
            step("freeze", "", "from here on nobody writes to the old database; the way back opens it again"),
            step("copy", "", "rows go from the old database to the new one, user ids mapped where there is a mapping"),
            gate("verify", "", "every row, not a sample"),
        ];
        entries(&mut out, &rows, known);
        checkpoint(
            &mut out,
            "exported",
            "Every row is on the new side.",
            "looked",
            "Somebody looked at the report of the comparison",
        );
    }

    phase(&mut out, "release", "The release goes up and has to prove itself");
    let mut deploy = vec![step("deploy", "", "the same as `cutover deploy`")];
    if has_health {
        deploy.push(gate("health", "", "every [[health]] of cutover.toml"));
    }
    entries(&mut out, &deploy, known);
    checkpoint(&mut out, "cutover-complete", "The release serves.", "used", "A person used it, and it works");
    out.push('\n');
    out.push_str(&comment(
        "For later: [[phase.entry]] with step = \"dns-switch\" and gate = \"dns-wait\" once [dns] is in cutover.toml, and \
         gate = \"stabilized\" for the hours after.",
    ));
    out
}

fn phase(out: &mut String, name: &str, title: &str) {
    out.push_str(&format!("\n[[phase]]\nname = {}\ntitle = {}\n", text(name), text(title)));
}

fn entries(out: &mut String, entries: &[Entry], known: &[&str]) {
    for Entry { kind, name, more, why } in entries.iter().filter(|entry| known.contains(&entry.name)) {
        out.push_str(&format!("\n{}[[phase.entry]]\n{kind} = {}\n{more}", comment(why), text(name)));
    }
}

fn checkpoint(out: &mut String, signal: &str, built: &str, item: &str, confirm: &str) {
    out.push_str(&format!(
        "\n{}[[phase.entry]]\ncheckpoint = {}\nbuilt = {}\ndeadline = \"4h\"\non_expiry = \"hold\"\n\n[[phase.entry.item]]\n\
         name = {}\nconfirm = {}\n",
        comment(&format!("the run stops here until somebody says `cutover approve {signal}`")),
        text(signal),
        text(built),
        text(item),
        text(confirm),
    ));
}
