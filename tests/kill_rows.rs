//! Two hundred SIGKILLs, at moments that nobody chose, spread over export, users, import, copy and their rollbacks; each is
//! followed by `resume`. In the end every row is where an undisturbed run has it, once, and no user was made twice.

#![expect(clippy::disallowed_methods, reason = "tests start the program as a person would")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::cluster::{self, Cluster};
use support::kill::was_killed;
use support::migration::Migration;
use support::odd::{content_of, same, schema_of};
use support::stack_auth::{Double, Setup};

/// How many processes are killed in all.
const KILLS: usize = 200;
const LANES: usize = 4;
/// The most kills in one phase of one migration, so that every phase gets some.
const AT_MOST: usize = 7;
/// The fewest kills in one phase, all lanes together.
const AT_LEAST: usize = 4;
/// The most migrations of a lane, so that the test ends.
const ROUNDS: usize = 40;
const USERS: usize = 30;

const TABLES: &str = "
    CREATE TABLE profiles (user_id uuid PRIMARY KEY, name text NOT NULL, picture bytea);
    CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, actor uuid REFERENCES profiles, at timestamptz,
      data jsonb, note text CHECK (note <> 'bad'));
    CREATE INDEX events_actor ON events (actor, at);
    CREATE TABLE tree (id serial PRIMARY KEY, up int REFERENCES tree DEFERRABLE, code text UNIQUE);
    CREATE TABLE twins (a int, b text);
    CREATE SEQUENCE alone START 5 INCREMENT 3;
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the application saw a row'; END $$;";
const ROWS: &str = "
    INSERT INTO profiles SELECT id, concat('person ', email), decode(md5(id::text), 'hex') FROM auth.users;
    INSERT INTO events (actor, at, data, note) SELECT ('00000000-0000-4000-8000-' || lpad((1 + n % 30)::text, 12, '0'))::uuid,
      timestamptz '2026-01-01 00:00+00' + n * interval '1.000001 s', jsonb_build_object('n', n), repeat('word ', n % 60)
      FROM generate_series(1, 3000) n;
    INSERT INTO tree (up, code) SELECT CASE WHEN n > 1 THEN n / 2 END, 'n' || n FROM generate_series(1, 400) n;
    INSERT INTO twins SELECT 1, 'x' FROM generate_series(1, 50); SELECT setval('alone', 41, false);";
const AUTH: &str = "
    CREATE SCHEMA auth;
    CREATE TABLE auth.users (id uuid PRIMARY KEY, email text, encrypted_password text, email_confirmed_at timestamptz);
    INSERT INTO auth.users SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid,
      CASE WHEN n % 6 > 0 THEN 'person' || n || '@example.com' END, NULL, '2026-01-01 00:00+00' FROM generate_series(1, 30) n;";

/// The phases, in the order of a migration that changes its mind once.
const PHASES: [&[&str]; 6] = [
    &["data", "export", "--yes"],
    &["data", "users", "--yes"],
    &["data", "import", "--yes"],
    &["rollback", "--yes"],
    &["data", "copy", "--yes"],
    &["rollback", "--yes"],
];

/// A migration with a service of its own.
struct Case<'a> {
    cluster: &'a Cluster,
    migration: Migration,
    service: Double,
    schema: String,
    empty: String,
}

/// How a process ended.
enum Ended {
    Killed,
    Itself(i32, String),
}

/// What an undisturbed run came to.
struct Reference {
    took: Vec<Duration>,
    files: BTreeMap<String, Vec<String>>,
    filled: String,
}

/// Numbers that look random and are the same in every run of the test.
struct Dice(u64);

impl Dice {
    fn part(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }
}

impl<'a> Case<'a> {
    fn new(cluster: &'a Cluster, runtime: &tokio::runtime::Runtime, label: &str) -> Self {
        let setup = Setup { latency: Duration::from_millis(3), ..Setup::default() };
        let service = runtime.block_on(Double::start(setup.clone()));
        let mut migration = Migration::new(cluster, label);
        migration.configure(&format!(
            "[data]\nuser_columns = {{ profiles = [\"user_id\"], events = [\"actor\"] }}\n[users]\nprovider = \"stack-auth\"\n\
             base_url = \"{}\"\nproject_id_env = \"P\"\nsecret_key_env = \"K\"\nrate = 1000\nsettle = \"60ms\"\n",
            service.url
        ));
        migration.set("P", &setup.project);
        migration.set("K", &setup.key);
        cluster.sql(&migration.source, &format!("{TABLES} {AUTH} {ROWS}"));
        let noisy = "CREATE TRIGGER noisy BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse()";
        cluster.sql(&migration.target, &format!("{TABLES} {noisy}"));
        migration.expect(0, &["data", "freeze", "--yes"]);
        let (schema, empty) = (schema_of(cluster, &migration.target), content_of(cluster, &migration.target));
        Self { cluster, migration, service, schema, empty }
    }

    /// Runs a command, and kills it after this time unless it has ended.
    fn run(&self, arguments: &[&str], after: Option<Duration>) -> Ended {
        let log = self.migration.path("said.txt");
        let file = std::fs::File::create(&log).unwrap();
        let mut command = self.migration.command(arguments);
        command.stdout(Stdio::from(file.try_clone().unwrap())).stderr(Stdio::from(file));
        let mut child = command.spawn().unwrap();
        if let Some(after) = after {
            std::thread::sleep(after);
            drop(child.kill());
        }
        let status = child.wait().unwrap();
        if was_killed(status) {
            return Ended::Killed;
        }
        Ended::Itself(status.code().unwrap(), std::fs::read_to_string(log).unwrap())
    }

    /// Takes a phase to its end, killing on the way; gives how many were killed.
    fn phase(&self, verb: &[&str], typical: Duration, wanted: usize, dice: &mut Dice) -> usize {
        let (mut next, mut killed) = (verb, 0);
        loop {
            let after = (killed < wanted).then(|| typical.mul_f64(dice.part() * 1.05));
            match self.run(next, after) {
                Ended::Killed => {
                    killed += 1;
                    next = &["resume"];
                }
                Ended::Itself(0, _) => return killed,
                // It was killed before it began, or after its end was written down: the verb itself tells which.
                Ended::Itself(4, said) if next == ["resume"] && said.contains("nothing to resume") => next = verb,
                Ended::Itself(4, said) if verb[0] == "rollback" && said.contains("was already undone") => {
                    return killed;
                }
                Ended::Itself(code, said) => {
                    panic!("{next:?} after {killed} kills of {verb:?} ended with {code}:\n{said}")
                }
            }
        }
    }

    /// What the phase must have brought about, whatever happened on its way.
    fn look(&self, phase: usize, reference: &Reference) {
        let target = &self.migration.target;
        match phase {
            0 => assert_eq!(self.files(), reference.files, "the files of the export"),
            1 => self.everybody_has_one_account(),
            2 | 4 => {
                same(&self.filled(), &reference.filled);
                same(&schema_of(self.cluster, target), &self.schema);
            }
            _ => {
                // A rollback leaves the target frozen and the source open.
                self.migration.expect(0, &["data", "unfreeze", "--of", "target", "--yes"]);
                self.migration.expect(0, &["data", "freeze", "--yes"]);
                same(&content_of(self.cluster, target), &self.empty);
                same(&schema_of(self.cluster, target), &self.schema);
                let left = "SELECT count(*) FROM pg_namespace WHERE nspname = '_cutover'";
                assert_eq!(self.cluster.sql(target, left), "0", "nothing of ours is left");
            }
        }
    }

    /// The rows of every file, in any order: workers write side by side.
    fn files(&self) -> BTreeMap<String, Vec<String>> {
        let directory = self.migration.path("migration-data");
        let metadata: Value = serde_json::from_slice(&std::fs::read(directory.join("metadata.json")).unwrap()).unwrap();
        let names =
            metadata["tables"].as_object().unwrap().values().map(|table| table["file"].as_str().unwrap().to_owned());
        names
            .chain(["auth_users.json".to_owned()])
            .map(|name| {
                let rows: Vec<Value> = serde_json::from_slice(&std::fs::read(directory.join(&name)).unwrap()).unwrap();
                let mut lines: Vec<String> = rows.iter().map(Value::to_string).collect();
                lines.sort();
                (name, lines)
            })
            .collect()
    }

    fn mapping(&self) -> Vec<(String, String)> {
        let text = std::fs::read(self.migration.path("migration-data/user-mapping.json")).unwrap();
        let file: Value = serde_json::from_slice(&text).unwrap();
        let pair = |one: &Value| {
            let word = |key: &str| one[key].as_str().unwrap().to_owned();
            (word("supabaseUserId"), word("stackAuthUserId"))
        };
        file["mappings"].as_array().unwrap().iter().map(pair).collect()
    }

    fn everybody_has_one_account(&self) {
        let accounts = self.service.users();
        assert_eq!(accounts.len(), USERS, "nobody was made twice");
        let there: BTreeSet<&str> = accounts.iter().map(|account| account["id"].as_str().unwrap()).collect();
        let mapping = self.mapping();
        let (old, new): (BTreeSet<_>, BTreeSet<_>) = mapping.iter().map(|(old, new)| (&**old, &**new)).unzip();
        assert_eq!((old.len(), new), (USERS, there), "everybody is mapped, and to an account of his own");
    }

    /// What the target holds, with the ids that the service gave turned back into the old ones.
    fn filled(&self) -> String {
        let mut text = content_of(self.cluster, &self.migration.target);
        for (old, new) in self.mapping() {
            text = text.replace(&new, &old);
        }
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }
}

/// Everything once, without a kill: how long it takes, and what must come out.
fn undisturbed(cluster: &Cluster, runtime: &tokio::runtime::Runtime) -> Reference {
    let case = Case::new(cluster, runtime, "calm");
    let mut reference = Reference { took: Vec::new(), files: BTreeMap::new(), filled: String::new() };
    for (phase, verb) in PHASES.iter().enumerate() {
        let begun = Instant::now();
        case.migration.expect(0, verb);
        reference.took.push(begun.elapsed());
        match phase {
            0 => reference.files = case.files(),
            2 => {
                reference.filled = case.filled();
                let source = content_of(cluster, &case.migration.source);
                let rows = |text: &str| text.lines().filter(|line| line.starts_with('(')).map(str::to_owned).collect();
                let (seen, expected): (BTreeSet<String>, BTreeSet<String>) = (rows(&reference.filled), rows(&source));
                assert!(seen.is_subset(&expected) && seen.len() > 3_000, "the rows are the source's");
            }
            _ => {}
        }
        case.look(phase, &reference);
    }
    reference
}

#[test]
fn killed_two_hundred_times_every_row_is_there_once_and_nobody_was_made_twice() {
    let cluster = cluster::shared();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let reference = undisturbed(&cluster, &runtime);
    let lane = |lane: usize| -> Vec<usize> {
        let mut dice = Dice(0x5eed + lane as u64);
        let mut kills = vec![0; PHASES.len()];
        // How many kills a phase takes depends on the machine; so a migration more is made until there are enough.
        for round in 0..ROUNDS {
            let case = Case::new(&cluster, &runtime, &format!("lane{lane}_{round}"));
            for (phase, verb) in PHASES.iter().enumerate() {
                kills[phase] += case.phase(verb, reference.took[phase], AT_MOST, &mut dice);
                case.look(phase, &reference);
                if kills.iter().sum::<usize>() >= KILLS / LANES && kills.iter().all(|kills| *kills >= AT_LEAST / LANES)
                {
                    return kills;
                }
            }
        }
        kills
    };
    let lane = &lane;
    let kills: Vec<Vec<usize>> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|number| scope.spawn(move || lane(number))).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
    });
    let of_phase = |phase: usize| kills.iter().map(|lane| lane[phase]).sum::<usize>();
    let all: Vec<usize> = (0..PHASES.len()).map(of_phase).collect();
    println!("killed by phase: {all:?}");
    assert!(all.iter().sum::<usize>() >= KILLS && all.iter().all(|kills| *kills >= AT_LEAST), "{all:?}");
}
