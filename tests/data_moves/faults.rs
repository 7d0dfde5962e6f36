//! What goes wrong while rows move, on the command line: the run ends as it must, and the target is as it must be.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use super::support::live::until;
use super::*;

/// A small disk; gone with its value.
struct Small(std::path::PathBuf);

impl Small {
    /// One of so many megabytes for the server's files; none where this host lets nobody mount.
    fn mount(path: std::path::PathBuf, megabytes: u32) -> Option<Self> {
        std::fs::create_dir(&path).unwrap();
        let size = format!("size={megabytes}m");
        let run = |words: &[&str]| std::process::Command::new(words[0]).args(&words[1..]).arg(&path).status().unwrap();
        let is_there = run(&["mount", "-t", "tmpfs", "-o", &size, "tmpfs"]).success();
        is_there.then(|| {
            let small = Self(path.clone());
            assert!(run(&["chown", "postgres:postgres"]).success());
            small
        })
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // The server may have files open there; the disk goes with the last of them.
        drop(std::process::Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

/// Lets no row of `units` in while somebody holds the lock 7, so that something can happen meanwhile.
const GATE: &str = "CREATE FUNCTION passes(n numeric) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN \
    WHILE NOT pg_try_advisory_xact_lock_shared(7) LOOP PERFORM pg_sleep(0.01); END LOOP; RETURN n >= 0; END $$; \
    ALTER TABLE units ADD CONSTRAINT gate CHECK (passes(price));";

/// Holds the lock of the gate until it is dropped.
struct Closed(std::process::Child);

impl Closed {
    fn new(case: &Case) -> Self {
        case.sql(GATE);
        let mut psql = std::process::Command::new(cluster::programs().join("psql"));
        psql.args(["--no-psqlrc", "-qAtX", "-d", &case.cluster.url(&case.migration.target)]);
        let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(b"SELECT pg_advisory_lock(7), 'closed';\n").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("closed"), "{line}");
        Self(child)
    }

    /// Waits until a row stands before it.
    fn await_a_row(&self, case: &Case) {
        let stands = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%units%' AND wait_event = 'PgSleep' \
                      AND datname = current_database() AND pid <> pg_backend_pid()";
        until("a row of units to come", || case.sql(stands) != "0");
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        // The end of what it reads ends psql, and its session the lock.
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

#[test]
fn an_import_whose_connections_are_cut_goes_on_by_itself() {
    let case = Case::exported("cut");
    let closed = Closed::new(&case);
    let mut command = case.migration.command(&["data", "import", "--yes"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    closed.await_a_row(&case);
    case.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name LIKE 'cutover run%' AND datname = current_database()",
    );
    drop(closed);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    says(&said, &["the connection was lost", "going on", "COMPLETE"]);
    case.holds_what_the_source_holds();
}

#[test]
fn a_second_import_at_the_same_time_is_refused_from_this_host_and_from_another() {
    let case = Case::exported("twice");
    let closed = Closed::new(&case);
    let mut command = case.migration.command(&["data", "import", "--yes"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    closed.await_a_row(&case);
    says(&case.expect(5, &["data", "import", "--yes"]), &["holds the lock", "in the step import_rows"]);
    // Another host has a state directory of its own, and does not know of the first one's freeze either.
    let other = ["data", "import", "--yes", "--live-source", "--state-directory", "elsewhere"];
    says(&case.expect(4, &other), &["another import or copy into", "is under way", "cutover run 3"]);
    drop(closed);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    case.holds_what_the_source_holds();
}

#[test]
fn a_value_of_50_megabytes_goes_out_and_comes_in_the_same() {
    let case = Case::new("huge");
    let huge = "CREATE TABLE huge (id int PRIMARY KEY, t text)";
    case.cluster.sql(
        &case.migration.source,
        &format!(
            "{huge}; INSERT INTO huge VALUES (1, repeat(E'0123456789 \\\\ \"q\" \\n ü — ', 2500000)), (2, 'small')"
        ),
    );
    case.sql(huge);
    case.expect(0, &["data", "freeze", "--yes"]);
    case.expect(0, &["data", "export", "--yes", "--compress"]);
    case.expect(0, &["data", "import", "--yes"]);
    let digest = "SELECT id, octet_length(t) > 50000000, md5(t) FROM huge ORDER BY id";
    assert_eq!(case.sql(digest), case.cluster.sql(&case.migration.source, digest));
}

#[test]
fn an_import_of_compressed_files_is_the_same_and_a_cut_one_is_refused() {
    let case = Case::new("compressed");
    case.expect(0, &["data", "freeze", "--yes"]);
    case.expect(0, &["data", "export", "--yes", "--compress"]);
    let path = case.migration.path("migration-data/units.json.zst");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    for ask in [&["data", "import", "--yes"][..], &["data", "import", "--dry-run"]] {
        says(&case.expect(4, ask), &["units.json.zst", "cut off or edited", "export again"]);
    }
    assert_eq!(case.counts(), "0 0");
    std::fs::write(&path, &whole).unwrap();
    case.expect(0, &["data", "import", "--yes"]);
    case.holds_what_the_source_holds();
}

#[test]
fn a_file_that_was_edited_is_refused_before_a_run_is_begun_in_a_dry_run_as_in_the_run() {
    let case = Case::exported("edited");
    let path = case.migration.path("migration-data/units.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, whole.replacen("unit 500", "unit 501", 1)).unwrap();
    for ask in [&["data", "import", "--yes"][..], &["data", "import", "--dry-run"]] {
        says(&case.expect(4, ask), &["units.json: was edited since it was exported", "export again"]);
    }
    assert!(case.migration.journal(3).is_empty(), "no run was begun");
    assert_eq!(case.counts(), "0 0");
    std::fs::write(&path, &whole).unwrap();
    case.expect(0, &["data", "import", "--yes"]);
    case.holds_what_the_source_holds();
}

#[test]
fn rows_outside_of_the_emptied_tables_are_never_left_without_what_they_point_to() {
    let case = Case::exported("outside");
    case.sql(&format!(
        "{ROWS} CREATE TABLE orders (id int, unit bigint REFERENCES units); INSERT INTO orders VALUES (1, 7)"
    ));
    case.migration.json(&["backup", "create"]);
    let run: &[&str] = &["--confirm", "data test"];
    for verb in ["import", "copy"] {
        for how in [run, &["--dry-run"]] {
            let text = case.expect(4, &[&["data", verb, "--truncate-first"], how].concat());
            says(&text, &["points to a table that is to be emptied, and orders holds rows: name it too"]);
        }
    }
    assert!(case.migration.journal(3).is_empty(), "no run was begun");
    assert_eq!(case.counts(), "20 500", "nothing was removed");
    assert_eq!(case.sql("SELECT count(*) FROM orders"), "1");
}

#[test]
fn a_target_whose_disk_becomes_full_is_left_as_it_was() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can mount a small disk; this test needs one");
        return;
    }
    let case = Case::new("disk");
    let wide = "INSERT INTO units (label, price) SELECT repeat(md5(n::text), 30), 1 FROM generate_series(1, 12000) n";
    case.cluster.sql(&case.migration.source, wide);
    let Some(small) = Small::mount(case.cluster.directory.path().join("small"), 8) else {
        println!("this host lets nobody mount; this test needs it");
        return;
    };
    let location = small.0.display();
    case.cluster.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{location}'"));
    case.sql("ALTER TABLE units SET TABLESPACE small");
    case.expect(0, &["data", "freeze", "--yes"]);
    case.expect(0, &["data", "export", "--yes"]);
    let text = case.expect(7, &["data", "import", "--yes"]);
    says(&text, &["No space left on device", "the target is as it was", "FAILED AND ROLLED BACK"]);
    assert_eq!(case.counts(), "0 0");
    case.sql("ALTER TABLE units SET TABLESPACE pg_default");
    case.expect(0, &["data", "import", "--yes"]);
    case.holds_what_the_source_holds();
    case.cluster.sql("postgres", "DROP TABLESPACE small");
}

#[test]
fn a_constraint_that_the_last_row_violates_is_named_with_file_row_and_value() {
    let case = Case::exported("last");
    case.sql("ALTER TABLE units ADD CONSTRAINT no_last CHECK (label <> 'unit 500')");
    let text = case.expect(7, &["data", "import", "--yes"]);
    says(&text, &["units.json, row 500", "no_last", "the target is as it was"]);
    assert_eq!(case.counts(), "0 0");
}
