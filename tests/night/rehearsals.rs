//! Rehearsals: the same runbook against an isolated copy, and a run in production that rests on it. The copy cannot touch
//! production: each way to try is refused by its name.

use std::path::PathBuf;

use crate::desk::Desk;
use crate::support::cluster;
use crate::support::live::says;

const BOOK: &str = r#"
schema = "cutover/runbook/v1"
name = "night"
title = "A night"
[[phase]]
name = "one"
title = "One"
[[phase.entry]]
name = "makes"
command = ["/bin/sh", "-c", "echo made > $PLACE/made"]
check = ["/bin/sh", "-c", "test -e $PLACE/made"]
undo = ["/bin/sh", "-c", "rm $PLACE/made"]
environment = ["PLACE"]
[[phase.entry]]
checkpoint = "go"
[[phase.entry.item]]
name = "sure"
confirm = "Everybody is sure"
"#;

fn configuration(environment: &str, name: &str, more: &str) -> String {
    format!(
        "schema = \"cutover/v1\"\n[project]\nname = \"{name}\"\nenvironment = \"{environment}\"\n\
         [state]\ndirectory = \"{name}-state\"\n[data]\ndirectory = \"{name}-data\"\n{more}\n"
    )
}

const REHEARSAL: &str = "[rehearsal]\nconfig = \"copy.toml\"\n";

/// Production, its copy, and a place of each.
fn stage(ours: &str, theirs: &str) -> Desk {
    let desk = Desk::new(BOOK);
    desk.write("cutover.toml", &configuration("production", "shop", &format!("{REHEARSAL}{ours}")));
    desk.write("copy.toml", &configuration("staging", "shop-copy", theirs));
    for place in ["real", "copied"] {
        std::fs::create_dir(desk.path(place)).unwrap();
    }
    desk
}

fn call(desk: &Desk, variables: &[(&str, PathBuf)], code: i32, arguments: &[&str]) -> String {
    let mut command = desk.command("anna", arguments);
    for (name, value) in variables {
        command.env(name, value);
    }
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "cutover {}:\n{text}", arguments.join(" "));
    text
}

fn places(desk: &Desk) -> Vec<(&'static str, PathBuf)> {
    vec![("PLACE", desk.path("real")), ("REHEARSAL_PLACE", desk.path("copied"))]
}

#[test]
fn a_run_in_production_wants_a_rehearsal_that_is_run_undone_and_run_again() {
    let desk = stage("", "");
    let with = places(&desk);
    let run = ["run", "night.toml", "--yes"];
    let looked = ["run", "night.toml", "--dry-run"];
    says(&call(&desk, &with, 0, &looked), &["never rehearsed: in production `cutover run` wants a rehearsal first"]);
    says(&call(&desk, &with, 4, &run), &["night was never rehearsed", "cutover rehearse", "--accept-unrehearsed"]);

    let text = call(&desk, &with, 0, &["rehearse", "night.toml"]);
    says(
        &text,
        &[
            "COMPLETE: the rehearsal of night",
            "run: went through",
            "rollback: went through",
            "run again: went through",
            "project.name: \"shop-copy\" instead of \"shop\"",
            "a rehearsal waits for nobody",
            "sure",
        ],
    );
    assert!(desk.path("copied/made").exists() && !desk.path("real/made").exists(), "only the copy was touched");
    let record = std::fs::read_to_string(desk.path("shop-state/rehearsals/night.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!((&record["went_through"], record["parts"].as_array().unwrap().len()), (&true.into(), 3));
    assert!(record["parts"][2]["took_ms"]["makes"].is_u64(), "{record}");

    says(&call(&desk, &with, 3, &run), &["WAITING", "go"]);
    says(
        &call(&desk, &with, 0, &["status"]),
        &["progress", "phase 1 of 1, One; step 2 of 2", "as rehearsed; about", "left"],
    );
    assert!(desk.path("real/made").exists());
    call(&desk, &with, 0, &["rollback", "--yes"]);

    // Rehearsed again, the copy is put back first.
    says(&call(&desk, &with, 0, &["rehearse", "night.toml", "--once"]), &["undoing the rehearsal before", "run: went"]);
    let (document, _) = (call(&desk, &with, 0, &["rehearse", "night.toml", "--dry-run"]), ());
    says(&document, &["What stands in the place of what"]);
}

#[test]
fn a_runbook_that_changed_or_a_rehearsal_that_is_old_or_failed_is_no_rehearsal_and_a_phrase_takes_its_place() {
    let desk = stage("max_age = \"1m\"\n", "");
    let with = places(&desk);
    let run = ["run", "night.toml", "--yes"];
    call(&desk, &with, 0, &["rehearse", "night.toml"]);
    desk.write("night.toml", &BOOK.replace("echo made", "echo other"));
    says(&call(&desk, &with, 4, &run), &["the plan differs from the one that was rehearsed", "in makes; name what"]);
    desk.write("night.toml", BOOK);
    let path = desk.path("shop-state/rehearsals/night.json");
    let record = std::fs::read_to_string(&path).unwrap();
    // A record of a version that kept less binds by the digest of the whole runbook.
    let mut of_before: serde_json::Value = serde_json::from_str(&record).unwrap();
    of_before.as_object_mut().unwrap().remove("bound").unwrap();
    std::fs::write(&path, of_before.to_string()).unwrap();
    call(&desk, &with, 0, &["plan", "run", "night.toml"]);
    desk.write("night.toml", &BOOK.replace("echo made", "echo other"));
    says(&call(&desk, &with, 4, &run), &["night changed since it was rehearsed"]);
    desk.write("night.toml", BOOK);
    let at = serde_json::from_str::<serde_json::Value>(&record).unwrap()["at"].as_str().unwrap().to_owned();
    std::fs::write(&path, record.replace(&at, "2026-01-01T00:00:00Z")).unwrap();
    says(&call(&desk, &with, 4, &run), &["old", "rehearsal.max_age is 1 min"]);
    std::fs::write(&path, record.replace("\"went_through\": true", "\"went_through\": false")).unwrap();
    says(&call(&desk, &with, 4, &run), &["did not go through"]);
    let mut with_more: serde_json::Value = serde_json::from_str(&record).unwrap();
    with_more["items"].as_array_mut().unwrap().push("another".into());
    std::fs::write(&path, with_more.to_string()).unwrap();
    says(&call(&desk, &with, 4, &run), &["the plan differs", "another", "rehearsal.differs"]);
    assert!(!desk.path("real/made").exists());
    let accepted = ["run", "night.toml", "--yes", "--accept-unrehearsed"];
    says(&call(&desk, &with, 2, &accepted), &["unrehearsed production"]);
    let accepted = [&accepted[..], &["--confirm", "unrehearsed production"]].concat();
    call(&desk, &with, 3, &accepted);

    desk.write("night.toml", &BOOK.replace("echo made >", "false && echo made >"));
    says(
        &call(&desk, &with, 4, &["rehearse", "night.toml"]),
        &["FAILED: the rehearsal of night", "Findings", "makes:"],
    );
}

#[test]
fn a_copy_that_would_touch_production_is_refused_by_the_name_of_what_is_shared() {
    let cluster = cluster::shared();
    let (old, new) = (cluster.database("iso_old"), cluster.database("iso_new"));
    let users = |project: &str| {
        format!(
            "[users]\nprovider = \"stack-auth\"\nbase_url = \"http://127.0.0.1:1/\"\nproject_id_env = \"{project}\"\nsecret_key_env = \"K\"\n"
        )
    };
    let dns = "[dns]\nprovider = \"manual\"\n[[dns.record]]\nname = \"shop.example.com\"\nA = [\"192.0.2.1\"]\n";
    let notify = |channel: &str| {
        format!(
            "[notify]\n[[notify.channel]]\nname = \"chat\"\nkind = \"slack\"\nevents = [\"runs\"]\nurl_env = \"{channel}\"\n"
        )
    };
    let target = |name: &str| format!("[target]\nurl_env = \"{name}\"\n");
    let cases: Vec<(&str, String, String)> = vec![
        ("the database", target("NEW"), target("NEW")),
        ("the database", target("NEW"), target("NEW_BY_ANOTHER_NAME")),
        ("the database", target("NEW"), "[source]\nurl_env = \"NEW\"\n".into()),
        ("[users]", users("P"), users("P")),
        ("[dns]: shop.example.com", dns.into(), dns.into()),
        // Another keeper, but in the same world of names: it may be the same zone.
        (
            "[dns]: shop.example.com",
            dns.into(),
            dns.replace(
                "\"manual\"",
                "\"rfc2136\"\nserver = \"192.0.2.53\"\ntsig_name = \"k\"\ntsig_secret_env = \"K\"",
            ),
        ),
        ("[notify]", notify("CHAT"), notify("CHAT")),
        (
            "[notify]: mail to users@example.com",
            mail("MAIL", "Users@example.com"),
            mail("COPY_MAIL", "users@example.com"),
        ),
        ("backup.directory", "[backup]\ndirectory = \"kept\"".into(), "[backup]\ndirectory = \"kept\"".into()),
        ("the address http://127.0.0.1:9/health", health(9), health(9)),
        ("caddy.directory", caddy("run", 8), caddy("run", 9)),
    ];
    let url = cluster.url(&new);
    let variables = [
        ("NEW", url.clone()),
        ("NEW_BY_ANOTHER_NAME", url.replace("127.0.0.1", "localhost")),
        ("OTHER", cluster.url(&old)),
        ("P", "project".to_owned()),
        ("K", "key-of-the-service".to_owned()),
        ("CHAT", "https://chat.example.com/hook/abc".to_owned()),
        ("MAIL", "smtps://shop@mail.example.com:465".to_owned()),
        ("COPY_MAIL", "smtps://copy@mail.example.com:465".to_owned()),
    ];
    for (words, ours, theirs) in cases {
        let desk = stage(&ours, &theirs);
        let mut with = places(&desk);
        with.extend(variables.iter().map(|(name, value)| (*name, PathBuf::from(value))));
        let text = call(&desk, &with, 2, &["rehearse", "night.toml"]);
        says(&text, &["is not apart from production", words]);
        assert!(!desk.path("copied/made").exists(), "{words}: it was begun");
    }
}

fn mail(variable: &str, to: &str) -> String {
    format!(
        "[notify]\n[[notify.channel]]\nname = \"users\"\nkind = \"smtp\"\nevents = [\"notices\"]\nurl_env = \"{variable}\"\n\
         from = \"shop@example.com\"\nto = [\"{to}\"]\n"
    )
}

const STACK: &str = r#"
services:
  app:
    image: shop:1
    command: ["serve"]
    environment: { PLACE: here }
    ports: ["127.0.0.1:PORT:3000"]
    volumes: ["data:/data"]
volumes:
  data: { name: VOLUME }
"#;

fn stack(port: &str, volume: &str) -> String {
    STACK.replace("PORT", port).replace("VOLUME", volume)
}

/// What the copy's compose file has otherwise, and what the refusal says.
const OTHER: [(&str, &str, &str); 4] = [
    ("shop:1", "shop:2", "compose.app.image is not the same"),
    ("\"serve\"", "\"serve\", \"--fast\"", "compose.app.command is not the same"),
    ("PLACE: here", "PLACE: here, MODE: easy", "compose.app.environment has MODE on one side alone"),
    ("    image", "    restart: always\n    image", "compose.app.restart is not the same"),
];

#[test]
fn a_stack_that_shares_a_volume_a_port_or_a_directory_with_production_or_runs_something_else_is_refused() {
    let compose = |file: &str| format!("[compose]\nfiles = [\"{file}\"]\n[deploy]\nservices = [\"app\"]\n");
    let desk = stage(&compose("compose.yaml"), &compose("copy.yaml"));
    desk.write("night.toml", &format!("{BOOK}[[phase.entry]]\nstep = \"deploy\"\n"));
    let with = places(&desk);
    let rehearse = ["rehearse", "night.toml", "--dry-run"];
    desk.write("compose.yaml", &stack("18999", "shop_data"));
    desk.write("copy.yaml", &stack("18999", "shop_data"));
    let text = call(&desk, &with, 2, &rehearse);
    says(&text, &["is not apart from production", "the volume shop_data", "the port 127.0.0.1:18999"]);
    desk.write("copy.yaml", &stack("18998", "copy_data").replace("data:/data", "./:/data"));
    desk.write("compose.yaml", &stack("18999", "shop_data").replace("data:/data", "./:/data"));
    says(&call(&desk, &with, 2, &rehearse), &[&format!("the directory {}", desk.directory.path().display())]);

    desk.write("compose.yaml", &stack("18999", "shop_data"));
    let copy = stack("18998", "copy_data").replace("PLACE: here", "PLACE: there");
    desk.write("copy.yaml", &copy);
    let text = call(&desk, &with, 0, &rehearse);
    says(&text, &["1 service", "compose.app.ports: ", "compose.app.environment.PLACE: a value of its own"]);
    let config = std::fs::read_to_string(desk.path("cutover.toml")).unwrap();
    for (from, to, words) in OTHER {
        assert!(stack("", "").contains(from), "{from}");
        desk.write("copy.yaml", &stack("18998", "copy_data").replace(from, to));
        says(&call(&desk, &with, 2, &rehearse), &["differs from production only in where things are", words]);
        desk.write("cutover.toml", &config.replace(REHEARSAL, &format!("{REHEARSAL}differs = [\"compose.app\"]\n")));
        says(&call(&desk, &with, 0, &rehearse), &["compose.app."]);
        desk.write("cutover.toml", &config);
    }
}

fn health(port: u16) -> String {
    format!("[[health]]\nname = \"app\"\nurl = \"http://127.0.0.1:{port}/health\"\n")
}

fn caddy(directory: &str, port: u16) -> String {
    format!("[caddy]\nurl = \"http://127.0.0.1:{port}/\"\ndirectory = \"{directory}\"\n")
}

#[test]
fn a_copy_that_does_something_else_or_shares_state_project_or_a_commands_variable_is_refused() {
    let desk = stage("[deploy]\nstable_for = \"5s\"\n", "[deploy]\nstable_for = \"1s\"\n");
    let with = places(&desk);
    let rehearse = ["rehearse", "night.toml"];
    says(&call(&desk, &with, 2, &rehearse), &["differs from production only in where things are", "deploy.stable_for"]);

    let desk = stage("", "");
    desk.write("copy.toml", &configuration("production", "shop", ""));
    let text = call(&desk, &with, 2, &rehearse);
    says(&text, &["project.environment: both", "the compose project: both", "state.directory", "data.directory"]);

    let desk = stage("", "");
    says(&call(&desk, &[("PLACE", desk.path("real"))], 2, &rehearse), &["REHEARSAL_PLACE is not set"]);
    let same = [("PLACE", desk.path("real")), ("REHEARSAL_PLACE", desk.path("real"))];
    says(&call(&desk, &same, 2, &rehearse), &["REHEARSAL_PLACE is production's PLACE"]);
    assert!(!desk.path("real/made").exists());

    let desk = stage("", "");
    desk.write("cutover.toml", &configuration("production", "shop", ""));
    says(&call(&desk, &places(&desk), 2, &rehearse), &["[rehearsal] config is not set"]);
}

/// What is changed after the rehearsal, in which file, and the name that the refusal gives it.
const CHANGES: [(&str, &str, &str, &str); 8] = [
    ("night.toml", "echo made", "echo other", "in makes;"),
    ("night.toml", "undo = [\"/bin/sh\"", "undo = [\"/bin/bash\"", "in makes;"),
    ("night.toml", "name = \"makes\"", "name = \"makes\"\non_failure = \"hold\"", "in makes;"),
    ("night.toml", "Everybody is sure", "Nobody knows", "in go;"),
    ("night.toml", "gate = \"file\"\nfiles = [\"proof\"]", "gate = \"file\"\nfiles = [\"other\"]", "in there;"),
    ("night.toml", "title = \"A night\"", "title = \"A night\"\non_failure = \"hold\"", "in runbook.on_failure;"),
    ("cutover.toml", "[deploy]\n", "[deploy]\nstable_for = \"99s\"\n", "in deploy.stable_for;"),
    ("cutover.toml", "[deploy]\n", "[deploy]\non_failure = \"hold\"\n", "in deploy.on_failure;"),
];

#[test]
fn whatever_is_done_otherwise_than_it_was_rehearsed_is_refused_by_its_name_and_what_only_says_more_is_not() {
    let desk = stage("[deploy]\n", "[deploy]\n");
    let with = places(&desk);
    let gate = "[[phase.entry]]\nname = \"there\"\ngate = \"file\"\nfiles = [\"proof\"]\n";
    let book = format!("{BOOK}{gate}");
    desk.write("night.toml", &book);
    desk.write("proof", "seen");
    desk.write("other", "seen");
    let told = call(&desk, &with, 0, &["rehearse", "night.toml"]);
    says(&told, &["What a run has in common with it (digest", "3 entries", "0 services"]);
    let run = ["run", "night.toml", "--yes"];
    for (file, from, to, words) in CHANGES {
        let before = std::fs::read_to_string(desk.path(file)).unwrap();
        assert!(before.contains(from), "{file}: {from}");
        desk.write(file, &before.replace(from, to));
        says(&call(&desk, &with, 4, &run), &["the plan differs from the one that was rehearsed", words]);
        // What may differ has a name, and is named by a person.
        let name = words.trim_start_matches("in ").trim_end_matches(';');
        let config = std::fs::read_to_string(desk.path("cutover.toml")).unwrap();
        desk.write("cutover.toml", &config.replace(REHEARSAL, &format!("{REHEARSAL}differs = [\"{name}\"]\n")));
        says(&call(&desk, &with, 3, &run), &["WAITING"]);
        call(&desk, &with, 0, &["rollback", "--yes"]);
        desk.write("cutover.toml", &config);
        desk.write(file, &before);
    }
    desk.write("night.toml", &book.replace("phase]]\n", "phase]]\ntext = \"Said more plainly.\"\n"));
    says(&call(&desk, &with, 3, &run), &["WAITING", "go"]);
}
