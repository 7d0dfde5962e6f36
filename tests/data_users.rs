//! Accounts for the old users, over real HTTP against a double of Stack Auth: whatever goes wrong, nobody is made twice,
//! nobody is mapped to a stranger, and no secret is told.

#![expect(clippy::disallowed_methods, reason = "tests start a child as a person would, and read what it is told")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a helper of a test fails the test")]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use cutover::adapter::http::Http;
use cutover::adapter::stack_auth::{StackAuth, StackAuthError};
use cutover::data::mapping::MappingFile;
use cutover::data::users::{Kind, METADATA};
use cutover::rows::ledger::{FILE, Standing, Standings};
use cutover::rows::users::{self, Collisions, Migrated, Options, State};
use cutover::secret::Secret;
use serde_json::{Value, json};
use support::stack_auth::{Act, Double, Fault, HASH, Setup};

const BCRYPT: &str = "$2a$10$VIhIOofSMqGdGlL4wzE//e.77dAQGqNtF/1dT7bqCrVtQuInWy2qi";

/// A data directory and a service.
struct World {
    directory: tempfile::TempDir,
    double: Double,
    said: Mutex<Vec<String>>,
    /// How long one answer is waited for.
    deadline: Duration,
}

impl World {
    async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    async fn with(setup: Setup) -> Self {
        let double = Double::start(setup).await;
        Self {
            directory: tempfile::tempdir().unwrap(),
            double,
            said: Mutex::default(),
            deadline: Duration::from_secs(20),
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn export(&self, rows: &[Value]) {
        std::fs::write(self.path().join(users::USERS_FILE), json!(rows).to_string()).unwrap();
    }

    fn secrets(&self, rows: &[Value]) {
        std::fs::write(self.path().join(users::SECRETS_FILE), json!(rows).to_string()).unwrap();
    }

    fn options(&self) -> Options {
        Options {
            rate: 1000,
            oauth: vec!["google".into()],
            settle: Duration::from_millis(60),
            ..Options::new(self.path().to_owned())
        }
    }

    fn client(&self) -> StackAuth {
        let setup = Setup::default();
        patient(&self.double.url, &setup.project, &setup.key, self.deadline)
    }

    fn say(&self) -> impl Fn(String) + Sync {
        |line| self.said.lock().unwrap().push(line)
    }

    async fn migrate(&self, options: &Options) -> anyhow::Result<Migrated> {
        users::migrate(options, &self.client(), &self.say()).await
    }

    async fn state(&self) -> State {
        users::state(&self.options(), &self.client(), &self.say()).await.unwrap()
    }

    fn mapping(&self) -> MappingFile {
        serde_json::from_slice(&std::fs::read(self.path().join(users::MAPPING_FILE)).unwrap()).unwrap()
    }

    /// How many accounts name each old user.
    fn made(&self) -> BTreeMap<String, usize> {
        let mut made = BTreeMap::new();
        for user in self.double.users() {
            if let Some(legacy) = user["server_metadata"][METADATA]["user_id"].as_str() {
                *made.entry(legacy.to_owned()).or_default() += 1;
            }
        }
        made
    }

    /// Everybody of `rows` has one account, and the mapping says which.
    #[track_caller]
    fn everybody_has_exactly_one(&self, rows: &[Value]) {
        let expected: BTreeMap<String, usize> =
            rows.iter().map(|row| (row["id"].as_str().unwrap().to_owned(), 1)).collect();
        assert_eq!(self.made(), expected);
        let named = |user: serde_json::Map<String, Value>| {
            let legacy = user["server_metadata"][METADATA]["user_id"].as_str()?.to_owned();
            Some((legacy, user["id"].as_str()?.to_owned()))
        };
        let by_id: BTreeMap<String, String> = self.double.users().into_iter().filter_map(named).collect();
        let mapped: BTreeMap<String, String> =
            self.mapping().mappings.into_iter().map(|user| (user.supabase_user_id, user.stack_auth_user_id)).collect();
        assert_eq!(mapped, by_id);
    }
}

fn client(url: &str, project: &str, key: &str) -> StackAuth {
    patient(url, project, key, Duration::from_secs(20))
}

fn patient(url: &str, project: &str, key: &str, deadline: Duration) -> StackAuth {
    let secret = |value: &str| Secret::new(value.to_owned());
    StackAuth::new(Http::default(), url, secret(project), secret(key), deadline).unwrap()
}

/// Waits for something that another task of this test brings about.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// Users as an export writes them; every tenth has no address.
fn people(count: usize) -> Vec<Value> {
    let person = |number: usize| {
        let email = (number % 10 != 9).then(|| format!("user{number}@example.com"));
        json!({ "id": id(number), "email": email, "email_confirmed_at": "2025-01-01 00:00:00+00", "created_at":
            "2024-01-01 00:00:00+00", "phone": "49170", "raw_user_meta_data": format!("{{\"name\":\"User {number}\"}}") })
    };
    (0..count).map(person).collect()
}

#[tokio::test]
async fn users_are_made_with_what_can_be_carried_over_and_mapped_in_the_seeds_shape() {
    let world = World::new().await;
    let rows = [
        json!({ "id": id(1), "email": "Ann@Example.com", "email_confirmed_at": "2025-01-01 00:00:00+00", "created_at": "2024-01-01 00:00:00+00" }),
        json!({ "id": id(2), "email": "bob@example.com", "banned_until": "infinity" }),
        json!({ "id": id(3), "email": null, "is_anonymous": "t" }),
        json!({ "id": id(4), "email": "gone@example.com", "deleted_at": "2025-01-01 00:00:00+00" }),
        json!({ "id": id(5), "email": "cy@example.com", "identities": [{ "provider": "google", "provider_id": "77" }] }),
    ];
    world.export(&rows);
    world.secrets(&[
        json!({ "id": id(1), "encrypted_password": BCRYPT }),
        json!({ "id": id(2), "encrypted_password": "$argon2id$x" }),
    ]);
    assert_eq!(world.state().await, State::None);
    let migrated = world.migrate(&world.options()).await.unwrap();
    assert!(migrated.is_complete(), "{}", migrated.text());
    assert_eq!((migrated.wanted, migrated.created, migrated.skipped.len()), (4, 4, 1));
    assert_eq!(migrated.without_password, 3);
    assert_eq!(migrated.report.count(Kind::OddHash), 1);
    let made = world.double.users();
    let of =
        |number: usize| made.iter().find(|user| user["server_metadata"][METADATA]["user_id"] == id(number)).unwrap();
    assert_eq!((&of(1)["primary_email"], &of(1)[HASH]), (&json!("ann@example.com"), &json!(BCRYPT)));
    assert_eq!((&of(1)["primary_email_verified"], &of(1)["otp_auth_enabled"]), (&json!(true), &json!(false)));
    assert_eq!((&of(2)["restricted_by_admin"], &of(2)["otp_auth_enabled"]), (&json!(true), &json!(true)));
    assert_eq!((&of(3)["is_anonymous"], &of(3)["primary_email"]), (&json!(true), &Value::Null));
    assert_eq!(of(5)["oauth_providers"][0]["account_id"], "77");
    assert_eq!(world.state().await, State::Complete);

    let text = std::fs::read_to_string(world.path().join(users::MAPPING_FILE)).unwrap();
    let file = world.mapping();
    let first = &file.mappings[0];
    let head = format!(
        "{{\n  \"generatedAt\": \"{}\",\n  \"retainUntil\": \"{}\",\n  \"mappings\": [\n    {{\n      \"supabaseUserId\": \"{}\",\n      \
         \"stackAuthUserId\": \"{}\",\n      \"email\": \"ann@example.com\",\n      \"migratedAt\": \"{}\"\n    }},\n",
        file.generated_at,
        file.retain_until,
        id(1),
        of(1)["id"].as_str().unwrap(),
        first.migrated_at
    );
    assert!(text.starts_with(&head) && text.ends_with("    }\n  ]\n}\n"), "{text}");
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let kept = time(&file.retain_until).duration_since(time(&file.generated_at));
    assert_eq!(kept.as_secs(), 90 * 24 * 3600);
    for name in [users::MAPPING_FILE, FILE] {
        assert_eq!(std::fs::metadata(world.path().join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_second_call_makes_nobody_and_leaves_the_mapping_as_it_is() {
    let world = World::new().await;
    let rows = people(20);
    world.export(&rows);
    world.migrate(&world.options()).await.unwrap();
    let mapping = world.mapping();
    let again = world.migrate(&world.options()).await.unwrap();
    assert_eq!((again.created, again.found, again.is_complete()), (0, 20, true));
    assert_eq!(world.double.count("POST"), 20);
    assert_eq!(world.mapping(), mapping);
    // Without its ledger too: the accounts themselves name their users.
    std::fs::remove_file(world.path().join(FILE)).unwrap();
    let again = world.migrate(&world.options()).await.unwrap();
    assert_eq!((again.created, again.found), (0, 20));
    world.everybody_has_exactly_one(&rows);
}

#[tokio::test]
async fn a_dry_run_tells_the_same_and_writes_nowhere() {
    let world = World::new().await;
    world.export(&people(12));
    world.double.put(json!({ "primary_email": "user3@example.com", "primary_email_auth_enabled": true }));
    let options = Options { is_dry_run: true, ..world.options() };
    let foreseen = world.migrate(&options).await.unwrap();
    assert_eq!((foreseen.created, foreseen.failed.len(), foreseen.is_complete()), (11, 1, false));
    assert!(
        foreseen.text().contains("11 of 12 accounts would be made") && foreseen.text().contains("nothing was written")
    );
    assert_eq!(world.double.count("POST") + world.double.count("PATCH") + world.double.count("DELETE"), 0);
    assert_eq!(std::fs::read_dir(world.path()).unwrap().count(), 1, "only the export is there");
}

#[tokio::test]
async fn every_passing_fault_is_ridden_out_and_nobody_is_made_twice() {
    let acts = [
        ("429 with a pause", Act::TooMany(Some("0.05".into()))),
        ("429 without one", Act::TooMany(None)),
        ("500, nothing done", Act::Status(500, "no".into())),
        ("503, nothing done", Act::Status(503, String::new())),
        ("cut before", Act::Cut),
        ("made, then cut", Act::DoThenCut),
        ("made, then 500", Act::DoThenStatus(500)),
        ("made, then 502", Act::DoThenStatus(502)),
        ("made, never answered", Act::DoThenHang),
        ("never answered", Act::Hang),
        ("made after the deadline", Act::Slow(3_100)),
    ];
    let tried = acts.map(|(name, act)| async move {
        let mut world = World::new().await;
        // What is made after the deadline must be there before somebody looks, on a machine however busy.
        world.deadline = Duration::from_secs(3);
        let mut rows = people(10);
        // The one without an address is struck too: nothing but our looking keeps him from being made twice.
        rows.rotate_right(1);
        world.export(&rows);
        world.double.fault(Fault::first(4, "POST", act.clone()));
        world.double.fault(Fault { on: "GET".into(), after: 1, times: Some(2), act: Act::Status(500, "no".into()) });
        let options = Options { settle: Duration::from_secs(3), ..world.options() };
        let migrated = world.migrate(&options).await.unwrap();
        assert!(migrated.is_complete(), "{name}: {}", migrated.text());
        assert_eq!(migrated.created, 10, "{name}");
        world.everybody_has_exactly_one(&rows);
    });
    futures_util::future::join_all(tried).await;
}

#[tokio::test]
async fn a_pause_that_the_service_asks_for_holds_every_request() {
    let world = World::new().await;
    world.export(&people(8));
    world.double.fault(Fault::first(1, "POST", Act::TooMany(Some("1".into()))));
    let before = world.double.count("POST");
    let options = world.options();
    let running = world.migrate(&options);
    let outcome = tokio::time::timeout(Duration::from_millis(700), running).await;
    assert!(outcome.is_err(), "it waits");
    assert!(world.double.count("POST") - before <= 4, "no more than were under way: {}", world.double.count("POST"));
}

#[tokio::test]
async fn what_does_not_pass_is_told_and_the_others_are_made() {
    let world = World::new().await;
    let rows = people(30);
    world.export(&rows);
    world.double.fault(Fault {
        on: "POST".into(),
        after: 5,
        times: Some(1),
        act: Act::Status(400, "no such luck".into()),
    });
    let migrated = world.migrate(&world.options()).await.unwrap();
    assert_eq!((migrated.created, migrated.failed.len(), migrated.is_complete()), (29, 1, false));
    assert_eq!(migrated.failed[0].reason, "Stack Auth refused with 400: no such luck");
    assert!(migrated.text().contains("not complete"), "{}", migrated.text());
    assert!(matches!(world.state().await, State::Partial(why) if why.starts_with("29 of 30 users with an account")));
    assert_eq!(world.mapping().mappings.len(), 29);
    assert!(world.migrate(&world.options()).await.unwrap().is_complete());
    world.everybody_has_exactly_one(&rows);
}

#[tokio::test]
async fn a_service_that_stays_away_ends_the_work_after_a_bounded_number_of_tries() {
    let world = World::new().await;
    let rows = people(200);
    world.export(&rows);
    world.double.fault(Fault { on: "POST".into(), after: 10, times: None, act: Act::Status(503, "down".into()) });
    let options = Options { attempts: 2, ..world.options() };
    let migrated = world.migrate(&options).await.unwrap();
    assert_eq!(migrated.created, 10);
    assert!(migrated.stopped.as_deref().unwrap().contains("in a row could not be moved"), "{:?}", migrated.stopped);
    assert!(migrated.not_tried > 150 && world.double.count("POST") < 40, "{}", world.double.count("POST"));
    world.double.heal();
    assert!(world.migrate(&options).await.unwrap().is_complete());
    world.everybody_has_exactly_one(&rows);
}

#[tokio::test]
async fn wrong_keys_an_unset_project_and_no_service_are_told_apart() {
    let world = World::new().await;
    world.export(&people(5));
    let setup = Setup::default();
    let wrong = client(&world.double.url, &setup.project, "ssk_hunter2wrong");
    let error = format!("{:#}", users::migrate(&world.options(), &wrong, &world.say()).await.unwrap_err());
    assert!(error.contains("does not accept the keys") && error.contains("users.secret_key_*"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    assert_eq!(world.double.count("GET"), 1, "wrong keys are not tried again");

    let away = client("http://127.0.0.1:1", &setup.project, &setup.key);
    let options = Options { attempts: 2, ..world.options() };
    std::fs::remove_file(world.path().join(FILE)).unwrap();
    let error = format!("{:#}", users::migrate(&options, &away, &world.say()).await.unwrap_err());
    assert!(error.contains("cannot be reached"), "{error}");
    std::fs::remove_file(world.path().join(FILE)).unwrap();

    let world = World::with(Setup { has_otp: false, ..setup }).await;
    world.export(&people(50));
    let migrated = world.migrate(&world.options()).await.unwrap();
    assert!(
        migrated.stopped.as_deref().unwrap().contains("OTP auth not enabled in the project"),
        "{}",
        migrated.text()
    );
    assert!(world.double.count("POST") <= 8, "a setting of the project is not asked about fifty times");
}

#[tokio::test]
async fn an_address_that_is_taken_is_never_mapped_to_a_stranger_unless_that_is_allowed_by_name() {
    let world = World::new().await;
    let mut rows = people(3);
    rows[2]["email_confirmed_at"] = Value::Null;
    world.export(&rows);
    let account = |number: usize| {
        json!({ "primary_email": format!("user{number}@example.com"), "primary_email_auth_enabled": true,
        "primary_email_verified": true })
    };
    let stranger = world.double.put(account(1));
    world.double.put(account(2));
    let migrated = world.migrate(&world.options()).await.unwrap();
    assert_eq!((migrated.created, migrated.failed.len()), (1, 2));
    assert!(migrated.failed[0].reason.contains("which does not name this user"), "{:?}", migrated.failed);
    assert_eq!(world.mapping().mappings.len(), 1);

    let linking = Options { is_linking_existing: true, ..world.options() };
    let migrated = world.migrate(&linking).await.unwrap();
    assert_eq!((migrated.linked.clone(), migrated.failed.len()), (vec![id(1)], 1));
    assert!(migrated.failed[0].reason.contains("not both confirmed"), "{:?}", migrated.failed);
    assert!(migrated.text().contains(&format!("linked to accounts of before: {}", id(1))));
    assert_eq!(world.mapping().mappings[1].stack_auth_user_id, stranger);
    // The link stays when it is not allowed any more, and what was somebody else's is never deleted.
    assert_eq!(world.migrate(&world.options()).await.unwrap().linked, [id(1)]);
    let undone = users::undo(&world.options(), &world.client(), &world.say()).await.unwrap();
    assert_eq!((undone.deleted, undone.left), (1, 1));
    assert_eq!(world.double.users().len(), 2);
}

#[tokio::test]
async fn somebody_who_signs_up_meanwhile_is_no_match_either() {
    let world = World::new().await;
    world.export(&people(1));
    // The address is taken after the accounts were listed: only the conflict tells it.
    world.double.fault(Fault::first(1, "POST", Act::Slow(150)));
    let double = world.double.clone();
    let stranger = async move {
        until(|| double.count("POST") > 0).await;
        double.put(json!({ "primary_email": "user0@example.com", "primary_email_auth_enabled": true }));
    };
    let options = world.options();
    let (migrated, ()) = tokio::join!(world.migrate(&options), stranger);
    let migrated = migrated.unwrap();
    assert_eq!((migrated.created, migrated.failed.len()), (0, 1));
    assert!(migrated.failed[0].reason.contains("belongs to an account that does not name this user"));
    assert_eq!(Standings::read(world.path()).unwrap().unwrap().get(&id(0)), None);
}

#[tokio::test]
async fn shared_addresses_are_refused_before_anything_is_made() {
    let world = World::new().await;
    let mut rows = people(3);
    rows[0]["email"] = json!("ann@example.com");
    rows[1]["email"] = json!(" Ann@Example.COM");
    rows[1]["created_at"] = json!("2019-01-01 00:00:00+00");
    world.export(&rows);
    let error = format!("{:#}", world.migrate(&world.options()).await.unwrap_err());
    assert!(error.contains(&format!("ann@example.com ({} and {})", id(1), id(0))), "{error}");
    assert_eq!(world.double.count("POST"), 0);
    let keeping = Options { collisions: Collisions::KeepFirst, ..world.options() };
    let migrated = world.migrate(&keeping).await.unwrap();
    assert_eq!((migrated.created, migrated.failed.len(), migrated.is_complete()), (2, 1, false));
    assert_eq!(migrated.failed[0].reason, format!("shares the address ann@example.com with {}, who keeps it", id(1)));
    let state = users::state(&keeping, &world.client(), &world.say()).await.unwrap();
    assert_eq!(state, State::Complete, "everybody who can have an account has one");
}

#[tokio::test]
async fn a_picture_that_the_service_refuses_costs_nobody_his_account() {
    let world = World::new().await;
    let picture =
        |url: &str| json!({ "id": id(1), "email": "a@example.com", "raw_user_meta_data": { "avatar_url": url } });
    world.export(&[picture("https://example.com/refuse-me.png")]);
    let migrated = world.migrate(&world.options()).await.unwrap();
    assert_eq!((migrated.created, migrated.pictures_refused, migrated.is_complete()), (1, 1, true));
}

#[tokio::test]
async fn a_request_that_is_still_at_work_after_a_kill_is_waited_for() {
    let world = World::new().await;
    let rows = [json!({ "id": id(1), "email": null, "phone": "49170" })];
    world.export(&rows);
    world.double.fault(Fault::first(1, "POST", Act::Slow(3_000)));
    let options = Options { settle: Duration::from_secs(7), ..world.options() };
    tokio::select! {
        _ = world.migrate(&options) => panic!("it was to be dropped"),
        () = until(|| world.double.count("POST") > 0) => {}
    }
    assert_eq!(world.double.users().len(), 0, "the service is still at it");
    let migrated = world.migrate(&options).await.unwrap();
    assert_eq!((migrated.found, migrated.is_complete()), (1, true), "{}", migrated.text());
    world.everybody_has_exactly_one(&rows);
}

#[tokio::test]
async fn the_account_of_another_old_user_is_never_taken_for_an_address() {
    let world = World::new().await;
    world.export(&people(1));
    world.double.put(json!({ "primary_email": "user0@example.com", "primary_email_auth_enabled": true,
        "primary_email_verified": true, "server_metadata": { METADATA: { "user_id": id(9) } } }));
    let linking = Options { is_linking_existing: true, ..world.options() };
    let migrated = world.migrate(&linking).await.unwrap();
    assert!(migrated.linked.is_empty() && migrated.failed[0].reason.contains("of another old user"), "{migrated:?}");
    let mapped = users::map_users(&world.options(), &world.client(), &world.say()).await.unwrap();
    assert_eq!((mapped.by_email.len(), mapped.missing.len()), (0, 1));
}

#[tokio::test]
async fn dropped_at_many_moments_it_goes_on_and_nobody_is_made_twice() {
    let world = World::with(Setup { latency: Duration::from_millis(5), ..Setup::default() }).await;
    let rows = people(60);
    world.export(&rows);
    let options = world.options();
    let mut dropped = 0;
    for turn in 0..200_u64 {
        // After so many requests, not after a time: each turn makes a few accounts, on a machine of any speed.
        let enough = world.double.count("POST") + 1 + turn % 3;
        tokio::select! {
            biased;
            () = until(|| world.double.count("POST") >= enough) => dropped += 1,
            migrated = world.migrate(&options) => {
                assert!(migrated.unwrap().is_complete());
                break;
            }
        }
    }
    assert!(dropped >= 2, "it was dropped {dropped} times only");
    assert!(world.migrate(&options).await.unwrap().is_complete());
    world.everybody_has_exactly_one(&rows);
}

/// What [`killed_at_many_moments_it_goes_on_and_nobody_is_made_twice`] starts and kills.
#[tokio::test]
#[ignore = "it is started by the test that kills it"]
async fn a_child_that_makes_accounts() {
    let (Ok(url), Ok(directory)) = (std::env::var("DOUBLE_URL"), std::env::var("DATA_DIRECTORY")) else { return };
    let setup = Setup::default();
    let options = Options { rate: 1000, settle: Duration::from_millis(200), ..Options::new(directory.into()) };
    let migrated = users::migrate(&options, &client(&url, &setup.project, &setup.key), &|_| ()).await.unwrap();
    assert!(migrated.is_complete(), "{}", migrated.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_many_moments_it_goes_on_and_nobody_is_made_twice() {
    let world = World::with(Setup { latency: Duration::from_millis(5), ..Setup::default() }).await;
    let rows = people(300);
    world.export(&rows);
    let start = || {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_child_that_makes_accounts", "--ignored"])
            .env("DOUBLE_URL", &world.double.url)
            .env("DATA_DIRECTORY", world.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut killed = 0;
    for turn in 0..25_u64 {
        let before = world.double.count("POST");
        // A few are answered and the others never, so that it is still at work when it is killed, however late that is.
        let answered = 1 + u32::try_from(turn).unwrap() % 4;
        let act = if turn % 2 == 0 { Act::Hang } else { Act::DoThenHang };
        world.double.heal();
        world.double.fault(Fault { on: "POST".into(), after: answered, times: None, act });
        let mut child = start();
        // Killed in the middle of requests, before and after lines.
        while world.double.count("POST") <= before + u64::from(answered) {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself in turn {turn}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(turn * 700 % 5_000)).await;
        killed += usize::from(child.try_wait().unwrap().is_none());
        drop(child.kill());
        child.wait().unwrap();
    }
    assert_eq!(killed, 25, "all were killed at work");
    world.double.heal();
    assert!(start().wait().unwrap().success());
    world.everybody_has_exactly_one(&rows);
    let standings = Standings::read(world.path()).unwrap().unwrap();
    assert!(standings.iter().all(|(_, standing)| matches!(standing, Standing::Account { .. })));
}

#[tokio::test]
async fn an_account_that_was_deleted_behind_our_back_is_made_again() {
    let world = World::new().await;
    let rows = people(5);
    world.export(&rows);
    world.migrate(&world.options()).await.unwrap();
    let account = world.mapping().mappings[2].stack_auth_user_id.clone();
    assert!(world.client().delete(&account).await.unwrap());
    assert!(matches!(world.state().await, State::Partial(_)));
    let migrated = world.migrate(&world.options()).await.unwrap();
    assert_eq!((migrated.created, migrated.found), (1, 4));
    world.everybody_has_exactly_one(&rows);
}

#[tokio::test]
async fn twins_that_somebody_made_are_told_and_the_ledgers_account_stays_mapped() {
    let world = World::new().await;
    let rows = people(2);
    world.export(&rows);
    world.migrate(&world.options()).await.unwrap();
    let mapped = world.mapping();
    world.double.put(json!({ "server_metadata": { METADATA: { "user_id": id(0) } } }));
    let migrated = world.migrate(&world.options()).await.unwrap();
    assert!(migrated.failed[0].reason.contains("2 accounts with this old id"), "{:?}", migrated.failed);
    assert_eq!(world.mapping(), mapped);
}

#[tokio::test]
async fn two_at_once_are_refused() {
    let world = World::with(Setup { latency: Duration::from_millis(20), ..Setup::default() }).await;
    world.export(&people(10));
    let options = world.options();
    let (first, second) = tokio::join!(world.migrate(&options), world.migrate(&options));
    let refused =
        [first, second].into_iter().filter_map(Result::err).map(|error| error.to_string()).collect::<Vec<_>>();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].contains("another run makes accounts"), "{refused:?}");
}

#[tokio::test]
async fn a_ledger_of_another_project_is_refused() {
    let world = World::new().await;
    world.export(&people(1));
    world.migrate(&world.options()).await.unwrap();
    let other = World::with(Setup { project: "other".into(), ..Setup::default() }).await;
    let client = client(&other.double.url, "other", &Setup::default().key);
    for is_dry_run in [true, false] {
        let options = Options { is_dry_run, ..world.options() };
        let error = users::migrate(&options, &client, &|_| ()).await.unwrap_err().to_string();
        assert!(error.contains("another project"), "{error}");
    }
    assert_eq!(other.double.users().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_users_take_one_request_each() {
    let world = World::new().await;
    let rows = people(2000);
    world.export(&rows);
    let options = Options { concurrency: 8, ..world.options() };
    let migrated = world.migrate(&options).await.unwrap();
    assert!(migrated.is_complete());
    println!("2,000 users in {} ms", migrated.duration_ms);
    // One request each, and the lists before and after: twenty pages and one that is empty at most.
    assert_eq!(world.double.count("POST"), 2000);
    assert!(world.double.count("GET") <= 22, "{}", world.double.count("GET"));
    world.everybody_has_exactly_one(&rows);
}

#[tokio::test]
async fn never_more_requests_in_a_second_than_allowed() {
    let world = World::new().await;
    world.export(&people(100));
    let options = Options { concurrency: 16, rate: 40, ..world.options() };
    let migrated = world.migrate(&options).await.unwrap();
    assert!(migrated.is_complete());
    // Requests are evenly spaced when they leave; on the way, on a busy machine, some catch up with others.
    let sent = world.double.count("POST") + world.double.count("GET");
    assert!(migrated.duration_ms >= (sent - 1) * 25, "{sent} requests in {} ms", migrated.duration_ms);
    assert!(world.double.busiest_second() <= 60, "{}", world.double.busiest_second());
}

#[tokio::test]
async fn the_mapping_is_made_anew_from_the_accounts() {
    let world = World::new().await;
    let rows = people(10);
    world.export(&rows[..8]);
    world.migrate(&world.options()).await.unwrap();
    let before = world.mapping();
    for name in [users::MAPPING_FILE, FILE] {
        std::fs::remove_file(world.path().join(name)).unwrap();
    }
    let mut more = rows.clone();
    more.push(json!({ "id": id(70), "email": "Old@example.com" }));
    more.push(json!({ "id": id(71), "email": "twice@example.com" }));
    world.export(&more);
    let old = world.double.put(json!({ "primary_email": "old@example.com", "primary_email_auth_enabled": true }));
    world.double.put(json!({ "primary_email": "not-old@example.com", "primary_email_auth_enabled": true }));
    for _ in 0..2 {
        world.double.put(json!({ "primary_email": "twice@example.com" }));
    }
    let requests = world.double.count("POST");
    let mapped = users::map_users(&world.options(), &world.client(), &world.say()).await.unwrap();
    assert_eq!((mapped.by_id, mapped.by_email.clone(), mapped.is_complete()), (8, vec![id(70)], false));
    let missing: Vec<&str> = mapped.missing.iter().map(|missing| missing.reason.as_str()).collect();
    assert_eq!(missing[0], "no account names this user or has this address");
    assert_eq!(missing[1], "no account names this user, and there is no address");
    assert!(missing[2].starts_with("several accounts have this address: "), "{missing:?}");
    let file = world.mapping();
    let ids = |file: &MappingFile| -> Vec<(String, String)> {
        file.mappings.iter().map(|user| (user.supabase_user_id.clone(), user.stack_auth_user_id.clone())).collect()
    };
    assert_eq!(ids(&file)[..8], ids(&before)[..]);
    assert_eq!(ids(&file)[8], (id(70), old));
    assert_eq!(world.double.count("POST"), requests, "it makes nobody");
    assert!(
        mapped.text().contains("9 of 12 mapped (8 by their old id, 1 by their address), 3 missing"),
        "{}",
        mapped.text()
    );
}

#[tokio::test]
async fn undo_deletes_exactly_what_we_made() {
    let world = World::new().await;
    let rows = people(25);
    world.export(&rows);
    let stranger =
        world.double.put(json!({ "primary_email": "stranger@example.com", "primary_email_auth_enabled": true }));
    let changed =
        world.migrate(&world.options()).await.map(|_| world.mapping().mappings[4].stack_auth_user_id.clone()).unwrap();
    world.client().update(&changed, &json!({ "server_metadata": null })).await.unwrap();
    let preview = Options { is_dry_run: true, ..world.options() };
    assert_eq!(users::undo(&preview, &world.client(), &world.say()).await.unwrap().deleted, 25);
    assert_eq!(world.double.count("DELETE"), 0);
    // Each fault strikes once on the way.
    for act in [Act::DoThenCut, Act::Status(500, "no".into()), Act::TooMany(None), Act::DoThenStatus(502)] {
        world.double.fault(Fault::first(1, "DELETE", act));
    }
    let undone = users::undo(&world.options(), &world.client(), &world.say()).await.unwrap();
    assert_eq!((undone.deleted, undone.failed.len(), undone.is_complete()), (24, 1, false), "{}", undone.text());
    assert!(undone.failed[0].reason.contains("does not name this user any more"), "{:?}", undone.failed);
    let left: HashSet<String> =
        world.double.users().iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(left, HashSet::from([stranger, changed.clone()]));
    assert!(
        !world.path().join(users::MAPPING_FILE).exists(),
        "nobody imports with a mapping to accounts that are gone"
    );
    let again = users::undo(&world.options(), &world.client(), &world.say()).await.unwrap();
    assert_eq!((again.deleted, again.failed.len()), (0, 1));
    world.client().delete(&changed).await.unwrap();
    assert!(users::undo(&world.options(), &world.client(), &world.say()).await.unwrap().is_complete());
    assert_eq!(world.state().await, State::None);
    assert!(world.migrate(&world.options()).await.unwrap().is_complete(), "and there again");
    world.everybody_has_exactly_one(&rows);
}

#[tokio::test]
async fn undo_finds_accounts_whose_answer_never_came() {
    let world = World::new().await;
    world.export(&people(10));
    world.double.fault(Fault { on: "POST".into(), after: 3, times: None, act: Act::DoThenHang });
    let options = world.options();
    tokio::select! {
        _ = world.migrate(&options) => panic!("it was to be dropped"),
        () = until(|| world.double.users().len() > 5) => {}
    }
    world.double.heal();
    assert!(users::undo(&options, &world.client(), &world.say()).await.unwrap().is_complete());
    assert_eq!(world.double.users().len(), 0);
    assert_eq!(world.state().await, State::None);
}

#[tokio::test]
async fn no_secret_stands_in_an_error_the_ledger_the_mapping_or_a_result() {
    let world = World::new().await;
    let mut rows = people(6);
    rows[0]["email"] = json!("shared@example.com");
    world.export(&rows);
    let secrets: Vec<Value> = (0..6).map(|number| json!({ "id": id(number), "encrypted_password": BCRYPT })).collect();
    world.secrets(&secrets);
    let echo = format!("your key {} and your hash {BCRYPT} for {}", Setup::default().key, Setup::default().project);
    world.double.fault(Fault::first(2, "POST", Act::Status(400, echo.clone())));
    let migrated = world.migrate(&world.options()).await.unwrap();
    world.double.fault(Fault::first(9, "GET", Act::Status(418, echo)));
    let error = world.client().find_by_email("user1@example.com").await.unwrap_err();
    assert!(matches!(error, StackAuthError::Refused { status: 418, .. }));
    let mut texts = vec![
        migrated.text(),
        serde_json::to_string(&migrated).unwrap(),
        format!("{migrated:?} {:?} {:?} {error} {error:?}", world.client(), world.options()),
        world.said.lock().unwrap().join("\n"),
    ];
    for name in [users::MAPPING_FILE, FILE] {
        texts.push(std::fs::read_to_string(world.path().join(name)).unwrap());
    }
    for text in texts {
        for secret in [Setup::default().key.as_str(), Setup::default().project.as_str(), "VIhIOof"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    assert!(migrated.failed[0].reason.contains("your key [secret] and your hash [secret]"), "{:?}", migrated.failed);
    assert!(
        !std::fs::read_to_string(world.path().join(FILE)).unwrap().contains('@'),
        "no address stands in the ledger"
    );
}

#[tokio::test]
async fn files_that_are_not_there_or_not_right_are_named_without_what_they_hold() {
    let world = World::new().await;
    let error = |error: anyhow::Error| format!("{error:#}");
    let missing = error(world.migrate(&world.options()).await.unwrap_err());
    assert!(missing.contains("auth_users.json is missing; `cutover data export` writes it"), "{missing}");
    world.export(&people(1));
    std::fs::write(world.path().join(users::SECRETS_FILE), "[{\"id\": \"1\", \"encrypted_password\": \"hunter2")
        .unwrap();
    let torn = error(world.migrate(&world.options()).await.unwrap_err());
    assert!(torn.contains("auth_secrets.json:1:") && !torn.contains("hunter2"), "{torn}");
    std::fs::write(world.path().join(users::SECRETS_FILE), "[7]").unwrap();
    assert!(error(world.migrate(&world.options()).await.unwrap_err()).contains("row 1 of"));
}

#[tokio::test]
async fn the_client_compares_what_the_service_only_contains_and_reads_every_page() {
    let world = World::new().await;
    for number in 0..250 {
        world
            .double
            .put(json!({ "primary_email": format!("{number}bob@example.com"), "primary_email_auth_enabled": true }));
    }
    let wanted = world.double.put(json!({ "primary_email": "bob@example.com", "restricted_by_admin": true }));
    let found = world.client().find_by_email("bob@example.com").await.unwrap();
    assert_eq!(found.iter().map(|account| account.id.clone()).collect::<Vec<_>>(), std::slice::from_ref(&wanted));
    let account = world.client().account(&wanted).await.unwrap().unwrap();
    assert_eq!(account.primary_email.as_deref(), Some("bob@example.com"));
    assert!(world.client().account("no-such-id").await.unwrap().is_none());
    assert!(world.client().delete(&wanted).await.unwrap());
    assert!(!world.client().delete(&wanted).await.unwrap());
    let refused =
        world.client().create(&json!({ "email": "a@example.com", "email_verified": true })).await.unwrap_err();
    assert!(
        refused.to_string().contains("SCHEMA_ERROR") && refused.to_string().contains("unknown properties"),
        "{refused}"
    );
    let both = json!({ "primary_email": "z@example.com", "password": "x", "password_hash": BCRYPT });
    assert!(world.client().create(&both).await.unwrap_err().to_string().contains("Cannot set both"));
}

#[tokio::test]
async fn the_double_keeps_its_accounts_over_restarts_and_obeys_a_file_of_faults() {
    let directory = tempfile::tempdir().unwrap();
    let (store, faults) = (directory.path().join("store"), directory.path().join("faults"));
    let setup = Setup { store: Some(store), faults: Some(faults.clone()), ..Setup::default() };
    let first = Double::start(setup.clone()).await;
    let (kept, gone) = (first.put(json!({ "display_name": "a" })), first.put(json!({})));
    assert!(client(&first.url, &setup.project, &setup.key).delete(&gone).await.unwrap());
    let second = Double::start(setup.clone()).await;
    let users: Vec<Value> = second.users().into_iter().map(|user| user["id"].clone()).collect();
    assert_eq!(users, [json!(kept)]);
    let client = client(&second.url, &setup.project, &setup.key);
    std::fs::write(&faults, r#"[{"on":"GET","act":{"status":[500,"no"]}}]"#).unwrap();
    assert!(matches!(client.account(&kept).await.unwrap_err(), StackAuthError::Server { status: 500, .. }));
    std::fs::remove_file(&faults).unwrap();
    assert!(client.account(&kept).await.unwrap().is_some());
}
