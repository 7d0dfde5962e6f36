//! Notices over real sockets: who is told, in which words, and what happens when nobody can be told.

#![expect(clippy::disallowed_methods, reason = "tests start the program as a person would")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "notify/runs.rs"]
mod runs;
mod support;

use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use support::certificates::{Authority, Keys};
use support::cluster::Cluster;
use support::live::says;
use support::mailbox::{self, Mailbox};
use support::migration::Migration;
use support::receiver::{Answer, Asked, Identity, Receiver};

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::new(&["fsync = off"]))
}

/// An authority, and a server's identity under it for this host's own name.
fn identity() -> (Authority, Identity) {
    let authority = Authority::new(Keys::Curve("-sha256"));
    let identity = authority.sign("DNS:localhost,IP:127.0.0.1", 2);
    (authority, identity)
}

/// A directory with these channels; the addresses are in variables U0, U1, …, in the order of the channels.
struct Desk {
    home: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

const HEAD: &str =
    "schema = \"cutover/v1\"\n[project]\nname = \"shop\"\nenvironment = \"test\"\n[state]\ndirectory = \"state\"\n";

impl Desk {
    fn new(notify: &str, variables: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("cutover.toml"), format!("{HEAD}[notify]\ntimeout = \"30s\"\n{notify}\n"))
            .unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { home, variables }
    }

    /// `cutover`, ready to be started.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.args(arguments).current_dir(self.home.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("USER", "ann").stdin(std::process::Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// `cutover`, wants this exit code; gives stdout and stderr.
    #[track_caller]
    fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "cutover {}:\n{text}", arguments.join(" "));
        text
    }
}

fn channel(name: &str, kind: &str, more: &str) -> String {
    format!("[[notify.channel]]\nname = \"{name}\"\nkind = \"{kind}\"\n{more}\n")
}

/// HMAC-SHA256 as somebody else computes it.
fn openssl_hmac(key: &str, text: &str) -> String {
    use std::io::Write;
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", key])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let printed = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    printed.rsplit(' ').next().unwrap().trim().to_owned()
}

#[test]
fn every_kind_of_channel_is_tried_and_told_in_its_own_form() {
    let (authority, identity) = identity();
    let (chat, hook, graphs) = (Receiver::secure(&identity), Receiver::secure(&identity), Receiver::secure(&identity));
    let (kuma, gateway) = (Receiver::plain(), Receiver::plain());
    kuma.says("{\"ok\":true}");
    let mail = Mailbox::with_starttls(&identity);
    let mut notify = format!("ca_certificate = {:?}\nallow_hosts = [\"localhost\"]\n", authority.file());
    notify += &channel("ops", "slack", "url_env = \"U0\"");
    notify += &channel("hook", "webhook", "url_env = \"U1\"\nkey_env = \"K1\"");
    notify += &channel("alive", "kuma", "url_env = \"U2\"");
    notify += &channel("graphs", "grafana", "url_env = \"U3\"\nkey_env = \"K3\"");
    notify += &channel("gateway", "pushgateway", "url_env = \"U4\"");
    notify += &channel("node", "textfile", "file = \"cutover.prom\"");
    notify += &channel(
        "mail",
        "smtp",
        "url_env = \"U5\"\nkey_env = \"K5\"\nfrom = \"Cutover <cutover@example.com>\"\nto = [\"bob@example.com\"]",
    );
    let mail_url = format!("smtp://ann%40example.com@localhost:{}", mail.port);
    let desk = Desk::new(
        &notify,
        &[
            ("U0", &chat.url("localhost", "/services/T0/B0/xyzzy-plugh-chat")),
            ("U1", &hook.url("localhost", "/in")),
            ("K1", "key-of-the-hook"),
            ("U2", &kuma.url("localhost", "/api/push/xyzzy-plugh-kuma?status=up&msg=OK&ping=")),
            ("U3", &graphs.url("localhost", "/grafana/")),
            ("K3", "glsa_token-of-grafana"),
            ("U4", &gateway.url("localhost", "")),
            ("U5", &mail_url),
            ("K5", mailbox::PASSWORD),
        ],
    );
    // Looking tells nobody anything.
    let looked = desk.expect(0, &["preflight", "--only", "notify"]);
    says(&looked, &["ops (slack): localhost", "mail (smtp): localhost", "lets us in"]);
    for receiver in [&chat, &hook, &kuma, &graphs, &gateway] {
        assert!(receiver.rest().iter().all(|asked| asked.method == "GET" && !asked.target.contains("xyzzy")));
    }
    assert!(mail.rest().is_empty());

    let text = desk.expect(0, &["notify", "test"]);
    says(&text, &["every channel works", "ops (slack) was told: localhost", "mail (smtp) was told: localhost took it"]);

    let asked = chat.next();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/services/T0/B0/xyzzy-plugh-chat"));
    assert!(asked.json()["text"].as_str().unwrap().starts_with("*shop test: a test from "), "{}", asked.body);

    let asked = hook.next();
    let (at, id) = (asked.header("x-cutover-timestamp").unwrap(), asked.header("x-cutover-id").unwrap());
    assert_eq!(asked.json()["id"], id);
    assert_eq!((&asked.json()["event"], &asked.json()["schema"]), (&json!("test"), &json!("cutover/v1")));
    let expected = openssl_hmac("key-of-the-hook", &format!("{at}.{}", asked.body));
    assert_eq!(asked.header("x-cutover-signature"), Some(format!("v1={expected}").as_str()));

    let asked = kuma.next();
    assert!(asked.target.starts_with("/api/push/xyzzy-plugh-kuma?status=up&msg=shop+test"), "{}", asked.target);

    let asked = graphs.next();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/grafana/api/annotations"));
    assert_eq!(asked.header("authorization"), Some("Bearer glsa_token-of-grafana"));
    assert_eq!(asked.json()["tags"], json!(["cutover", "shop", "test", "test"]));
    assert!(asked.json()["time"].as_i64().unwrap() > 1_700_000_000_000);

    let asked = gateway.next();
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("PUT", "/metrics/job/cutover/project/shop/environment/test")
    );
    assert!(desk.home.path().join("cutover.prom").exists());

    let letter = mail.next();
    assert_eq!((letter.was_secret, letter.user.as_deref()), (true, Some(mailbox::USER)));
    assert_eq!((letter.from.as_str(), &letter.to[..]), ("cutover@example.com", &["bob@example.com".to_owned()][..]));
    assert!(letter.header("Subject").unwrap().starts_with("shop test: a test from"), "{}", letter.text);
    assert!(letter.body().contains("What to do: nothing."), "{}", letter.text);

    let whole = format!(
        "{looked}{text}{}",
        std::fs::read_dir(desk.home.path().join("state/notify"))
            .unwrap()
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default())
            .collect::<String>()
    );
    for secret in ["xyzzy", "key-of-the-hook", "glsa_token", mailbox::PASSWORD] {
        assert!(!whole.contains(secret), "{secret} was shown: {whole}");
    }
}

#[test]
fn a_run_tells_that_it_began_and_how_it_ended_and_does_not_fail_because_of_a_channel() {
    let hook = Receiver::plain();
    let dead = support::ports::free_port();
    let mut migration = Migration::new(cluster(), "told");
    cluster().sql(&migration.source, "CREATE TABLE notes (id int PRIMARY KEY)");
    let mut notify = "[notify]\ntimeout = \"30s\"\nattempts = 2\nallow_hosts = [\"localhost\"]\n".to_owned();
    notify += &channel("hook", "webhook", "url_env = \"U0\"");
    notify += &channel("dead", "slack", "url_env = \"U1\"");
    notify += &channel("unset", "webhook", "url_env = \"U2\"");
    notify += &channel("users", "webhook", "url_env = \"U0\"\nevents = [\"notices\"]");
    notify += &channel("node", "textfile", "file = \"cutover.prom\"");
    notify += &channel("nowhere", "textfile", "file = \"not/there/cutover.prom\"");
    migration.configure(&notify);
    migration.set("U0", &hook.url("localhost", "/in"));
    migration.set("U1", &format!("http://localhost:{dead}/services/xyzzy-plugh-dead"));

    let text = migration.expect(0, &["data", "freeze", "--yes"]);
    says(
        &text,
        &["COMPLETE: the freezing of", "Not everybody was told", "dead (slack) was not told, after 2 tries: localhost"],
    );
    says(&text, &["nowhere (textfile) was not told: "]);
    says(&text, &["unset (webhook) was not told: the environment variable U2 is not set", "cutover notify test"]);
    let begun = hook.next().json();
    assert_eq!((&begun["event"], &begun["severity"]), (&json!("run_begun"), &json!("info")));
    assert!(begun["title"].as_str().unwrap().starts_with("moving test: run 1 has begun: the freezing of"), "{begun}");
    let ended = hook.next().json();
    assert_eq!((&ended["event"], &ended["severity"]), (&json!("run_finished"), &json!("good")));
    assert!(ended["text"].as_str().unwrap().contains("How bad: all is well."), "{ended}");
    assert_eq!(ended["facts"]["outcome"], "done");
    assert!(hook.rest().is_empty(), "who wants notices to users hears nothing of runs");
    let numbers = std::fs::read_to_string(migration.path("cutover.prom")).unwrap();
    says(
        &numbers,
        &["cutover_run_number{environment=\"test\",project=\"moving\"} 1", "outcome=\"done\",project=\"moving\"} 1"],
    );

    // What did not arrive is seen the next morning, and counted.
    let status = migration.expect(0, &["status"]);
    says(&status, &["dead is not told since", "(2 failures): localhost", "unset is not told since"]);
    assert!(!status.contains("xyzzy"), "{status}");
    // A failure tells what is true: the source is away.
    migration.set("SOURCE_URL", &format!("postgres://nobody:wrong-password-1@127.0.0.1:{dead}/none"));
    let (document, code) = migration.json(&["rollback", "--yes"]);
    assert_ne!(code, 0, "{document}");
    if let Some(told) = document["told"].as_array() {
        assert!(told.iter().any(|one| one["channel"] == "dead" && one["has_arrived"] == false), "{document}");
        let events: Vec<Value> = [hook.next(), hook.next()].iter().map(|asked| asked.json()["event"].clone()).collect();
        assert_eq!(events[0], "run_begun");
        assert!(["run_failed", "run_stuck", "run_interrupted"].contains(&events[1].as_str().unwrap()), "{events:?}");
    }
}

#[test]
fn what_the_outbound_rules_forbid_is_not_even_connected_to() {
    let (authority, identity) = identity();
    let (secure, plain) = (Receiver::secure(&identity), Receiver::plain());
    let cases = [
        // The channel's address, the hosts that are allowed, and what is said.
        (secure.url("localhost", "/a-secret-path"), "", "this host itself; nothing was sent"),
        (secure.url("127.0.0.1", "/a-secret-path"), "", "this host itself; nothing was sent"),
        (secure.url("[::ffff:127.0.0.1]", "/a-secret-path"), "", "this host itself; nothing was sent"),
        (plain.url("hooks.example.com", "/a-secret-path"), "", "without TLS; use https"),
        ("https://169.254.169.254/latest/meta-data/iam".into(), "\"localhost\"", "clouds keep their metadata"),
        ("https://10.255.0.1/a-secret-path".into(), "\"localhost\"", "a private address"),
        ("ftp://localhost/a-secret-path".into(), "\"localhost\"", "is no way to localhost"),
    ];
    for (url, allowed, expected) in cases {
        let notify = format!("ca_certificate = {:?}\nallow_hosts = [{allowed}]\n", authority.file());
        let desk = Desk::new(&(notify + &channel("ops", "slack", "url_env = \"U0\"")), &[("U0", &url)]);
        let said = desk.expect(4, &["notify", "test", "ops"]);
        says(&said, &[expected, "1 channel does not work"]);
        assert!(!said.contains("secret-path") && !said.contains("iam"), "{said}");
    }
    assert!(secure.rest().is_empty() && plain.rest().is_empty());

    // A certificate that nobody vouches for, and a way on that is not followed.
    let notify = "allow_hosts = [\"localhost\"]\n".to_owned() + &channel("ops", "slack", "url_env = \"U0\"");
    let desk = Desk::new(&notify, &[("U0", &secure.url("localhost", "/a-secret-path"))]);
    says(&desk.expect(4, &["notify", "test"]), &["certificate"]);
    let notify = format!("ca_certificate = {:?}\n{notify}", authority.file());
    let desk = Desk::new(&notify, &[("U0", &secure.url("localhost", "/a-secret-path"))]);
    secure.then(&[Answer::SendOn(plain.url("localhost", "/elsewhere"))]);
    says(&desk.expect(4, &["notify", "test"]), &["answered 302", "which is not followed"]);
    assert!(plain.rest().is_empty());
}

#[test]
fn a_receiver_that_is_ill_is_tried_again_and_one_that_refuses_is_not() {
    let hook = Receiver::plain();
    let notify = "allow_hosts = [\"localhost\"]\nattempts = 3\n".to_owned()
        + &channel("users", "webhook", "url_env = \"U0\"\nkey_env = \"K0\"\nevents = [\"notices\"]");
    let desk = Desk::new(&notify, &[("U0", &hook.url("localhost", "/in")), ("K0", "a-key-for-users")]);
    let send = ["notify", "send", "start", "--set", "product=Shop", "--yes"];
    hook.then(&[Answer::Status(503, "busy"), Answer::HangUp]);
    says(&desk.expect(0, &send), &["users (webhook) was told", "the notice start was sent"]);
    let all = [hook.next(), hook.next(), hook.next()];
    assert!(
        all.iter().all(|asked| asked.header("x-cutover-id") == all[0].header("x-cutover-id")),
        "one id for all tries"
    );
    // Once is enough for users.
    says(&desk.expect(4, &send), &["the notice start was sent", "add --again"]);
    assert!(hook.rest().is_empty());
    hook.then(&[Answer::Status(404, "no_service")]);
    let again = [&send[..], &["--again"]].concat();
    says(&desk.expect(4, &again), &["answered 404", "no_service", "not (or no longer) right"]);
    assert_eq!(hook.rest().len(), 1);
}

#[test]
fn a_notice_to_users_is_shown_first_and_mailed_to_each_alone() {
    let (authority, identity) = identity();
    let mail = Mailbox::wrapped(&identity);
    mail.refuse("gone@example.com", "550 5.1.1 no such user here");
    let notify = format!(
        "ca_certificate = {:?}\nallow_hosts = [\"localhost\"]\nproduct = \"FreshTrack\"\nsupport = \"help@example.com\"\n\
         begins = \"Saturday, 24 January, 02:00 UTC\"\nlength = \"8 hours\"\ntemplates = \"texts\"\n{}",
        authority.file(),
        channel(
            "users",
            "smtp",
            "url_env = \"U0\"\nkey_env = \"K0\"\nevents = [\"notices\"]\nfrom = \"FreshTrack <hello@example.com>\"\n\
             to = [\"Ann Ä <ann@example.com>\", \"gone@example.com\", \"bob@example.com\"]"
        )
    );
    let url = format!("smtps://ann%40example.com@localhost:{}", mail.port);
    let desk = Desk::new(&notify, &[("U0", &url), ("K0", mailbox::PASSWORD)]);
    let shown = desk.expect(0, &["notify", "send", "48h", "--dry-run"]);
    says(&shown, &["To: users (smtp): 3 recipients by localhost", "Text: the built-in text"]);
    says(
        &shown,
        &[
            "Subject: FreshTrack will be closed for maintenance on Saturday, 24 January, 02:00 UTC",
            "lasts at most 8 hours",
        ],
    );
    assert!(mail.rest().is_empty() && !desk.home.path().join("state/notify").exists(), "a dry run touches nothing");

    let said = desk.expect(4, &["notify", "send", "48h", "--yes"]);
    says(&said, &["1 of 3 were refused: gone@example.com", "no such user here"]);
    let letters = [mail.next(), mail.next()];
    assert_eq!(
        letters.clone().map(|letter| letter.to),
        [vec!["ann@example.com".to_owned()], vec!["bob@example.com".to_owned()]]
    );
    for letter in &letters {
        assert!(
            letter.body().contains("  begins  Saturday, 24 January, 02:00 UTC\n  lasts   at most 8 hours\n"),
            "{}",
            letter.text
        );
        assert_eq!(letter.header("Auto-Submitted").as_deref(), Some("auto-generated"));
    }

    // A text of the house's own takes the built-in one's place; a wrong one sends nothing.
    std::fs::create_dir(desk.home.path().join("texts")).unwrap();
    std::fs::write(desk.home.path().join("texts/done.txt"), "Subject: {product} is back\n\n.\nHello again.\n").unwrap();
    let to_ann = desk.expect(4, &["notify", "send", "done", "--yes"]);
    says(&to_ann, &["were refused"]);
    assert_eq!(mail.next().body().trim_end(), ".\nHello again.", "a point alone does not end the message");
    std::fs::write(desk.home.path().join("texts/start.txt"), "Subject: {prodct}\n\nx\n").unwrap();
    says(&desk.expect(2, &["notify", "send", "start", "--yes"]), &["line 1 has {prodct}", "did you mean {product}?"]);
}

#[test]
fn a_password_never_travels_in_the_clear() {
    let mail = Mailbox::plain();
    let notify = "allow_hosts = [\"localhost\"]\n".to_owned()
        + &channel(
            "mail",
            "smtp",
            "url_env = \"U0\"\nkey_env = \"K0\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]",
        );
    let url = format!("smtp://ann%40example.com@localhost:{}", mail.port);
    let desk = Desk::new(&notify, &[("U0", &url), ("K0", mailbox::PASSWORD)]);
    says(&desk.expect(4, &["notify", "test"]), &["offers no TLS (STARTTLS)", "the password would be read"]);
    assert!(mail.rest().is_empty());
    // Without one, a mail server of this host may be used: it is named in the configuration.
    let notify = notify.replace("key_env = \"K0\"\n", "");
    let desk = Desk::new(&notify, &[("U0", &format!("smtp://localhost:{}", mail.port))]);
    desk.expect(0, &["notify", "test"]);
    assert!(!mail.next().was_secret);
}

#[test]
fn curl_and_the_receivers_understand_one_another() {
    let (authority, identity) = identity();
    let (hook, mail) = (Receiver::secure(&identity), Mailbox::with_starttls(&identity));
    let ca = authority.file();
    let curl = |arguments: &[&str]| {
        let ran = Command::new("curl")
            .args(["--silent", "--show-error", "--cacert"])
            .arg(&ca)
            .args(arguments)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    assert_eq!(curl(&["--data", "a=1", &hook.url("localhost", "/in?x")]), "ok");
    let asked = hook.next();
    assert_eq!((asked.method.as_str(), asked.target.as_str(), asked.body.as_str()), ("POST", "/in?x", "a=1"));
    let letter = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(letter.path(), "Subject: hello\r\n\r\n.one\r\ntwo\r\n").unwrap();
    let (url, user) = (format!("smtp://localhost:{}", mail.port), format!("{}:{}", mailbox::USER, mailbox::PASSWORD));
    let file = letter.path().display().to_string();
    curl(&[
        "--ssl-reqd",
        "--url",
        &url,
        "--user",
        &user,
        "--mail-from",
        "a@b.c",
        "--mail-rcpt",
        "d@e.f",
        "--upload-file",
        &file,
    ]);
    let letter = mail.next();
    assert_eq!((letter.was_secret, letter.body().as_str()), (true, ".one\ntwo\n"));
    assert_eq!(letter.user.as_deref(), Some(mailbox::USER));
}

/// A runbook of one checkpoint with a gate and a statement.
const BOOK: &str = r#"
schema = "cutover/runbook/v1"
name = "night"
title = "One checkpoint"
[[phase]]
name = "only"
title = "Only phase"
[[phase.entry]]
checkpoint = "frozen"
built = "The old system is read-only."
[[phase.entry.item]]
name = "proof"
gate = "file"
files = ["proof.json"]
pointers = ["/rows"]
[[phase.entry.item]]
name = "notice"
confirm = "The notice to the users is posted"
[[phase.entry]]
name = "after"
command = ["touch", "after"]
check = ["test", "-e", "after"]
undo = ["rm", "after"]
"#;

#[test]
fn a_run_that_waits_for_a_person_says_what_it_waits_for_and_what_to_type() {
    let hook = Receiver::plain();
    let dead = support::ports::free_port();
    let notify = "allow_hosts = [\"localhost\"]\nattempts = 1\n".to_owned()
        + &channel("hook", "webhook", "url_env = \"U0\"\nevents = [\"checkpoints\"]")
        + &channel("dead", "webhook", "url_env = \"U1\"\nevents = [\"checkpoints\"]");
    let dead = format!("http://localhost:{dead}/in");
    let desk = Desk::new(&notify, &[("U0", &hook.url("localhost", "/in")), ("U1", &dead)]);
    std::fs::write(desk.home.path().join("night.toml"), BOOK).unwrap();
    std::fs::write(desk.home.path().join("proof.json"), "{\"rows\": 1}").unwrap();
    let said = desk.expect(3, &["run", "night.toml", "--yes"]);
    says(&said, &["Not everybody was told (the run does not depend on it)", "(checkpoint_waits)"]);
    let told = hook.next().json();
    assert_eq!((&told["event"], &told["severity"]), (&json!("checkpoint_waits"), &json!("warn")));
    assert_eq!(told["title"], "shop test: run 1 waits for \"frozen\"");
    let text = told["text"].as_str().unwrap();
    for part in [
        "The notice to the users is posted",
        "proof passed",
        "cutover approve frozen --confirms notice && cutover resume",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    desk.expect(0, &["approve", "frozen", "--confirms", "notice"]);
    desk.expect(0, &["resume"]);
    assert!(hook.rest().is_empty(), "it passed: nobody is asked again");
    // Who was not told is kept with the run: in its history, and on its page.
    says(&desk.expect(0, &["history", "1"]), &["dead (webhook) was not told: localhost", "(checkpoint_waits)"]);
    let document: Value = serde_json::from_str(&desk.expect(0, &["report", "1", "--output", "json"])).unwrap();
    let notes = document["notes"].to_string();
    assert!(notes.contains("dead (webhook) was not told"), "{notes}");
}
