//! SIGKILL at every fsync: where metadata.json stands everything is whole, and a second call always ends well.

use std::process::Command;

use cutover::rows::export::{Options, export};

use crate::site::{Site, process};
use crate::support::kill::{When, kill_at, was_killed};

const SCHEMA: &str =
    "CREATE TABLE a (x int); INSERT INTO a VALUES (1); CREATE TABLE b (x int); INSERT INTO b VALUES (1); CREATE TABLE c (x text);
    INSERT INTO c SELECT repeat(md5(i::text), 30) FROM generate_series(1, 3000) i;";

/// Not a test of its own: the process that is killed. It does nothing unless it is told where.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let (Ok(url), Ok(directory)) = (std::env::var("EXPORT_FROM"), std::env::var("EXPORT_TO")) else { return };
    let place = cutover::adapter::database::Place::parse(&cutover::secret::Secret::new(url), None).unwrap();
    let mut options = Options::new(directory);
    options.is_frozen = std::env::var("EXPORT_FROZEN").is_ok();
    options.workers = 2;
    export(&place, &process(), &options, &|line| println!("{line}")).await.unwrap();
}

fn child_of(site: &Site, is_frozen: bool) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "kills::child", "--nocapture"]);
    command.env("EXPORT_FROM", site.cluster.url(&site.database)).env("EXPORT_TO", site.data());
    if is_frozen {
        command.env("EXPORT_FROZEN", "1");
    }
    command
}

/// Kills one export after the other at its n-th fsync, until one ends by itself; gives what each left.
fn kill_everywhere(site: &Site, is_frozen: bool, prepare: impl Fn(), mut look: impl FnMut()) -> u32 {
    for n in 1..200 {
        for when in [When::Before, When::After] {
            prepare();
            let status = kill_at(&mut child_of(site, is_frozen), n, when).output().unwrap().status;
            if !was_killed(status) {
                assert!(status.success());
                return n - 1;
            }
            look();
        }
    }
    panic!("an export never came to its end");
}

#[test]
fn a_kill_anywhere_leaves_a_whole_export_or_none() {
    let site = Site::new(&format!("{SCHEMA} {}", crate::site::AUTH));
    let (mut whole, mut none) = (0, 0);
    // Each kill meets a whole export of rows that are other ones by now.
    let prepare = || {
        assert!(child_of(&site, false).output().unwrap().status.success());
        site.cluster.sql(&site.database, "UPDATE a SET x = x + 1; UPDATE b SET x = x + 1; UPDATE c SET x = reverse(x)");
    };
    let points = kill_everywhere(&site, false, prepare, || match site.metadata() {
        Some(_) => {
            site.is_whole();
            whole += 1;
        }
        None => none += 1,
    });
    assert!(points >= 8 && none > points && whole >= 1, "{points} points, {whole} whole, {none} none");
    site.is_whole();
    assert_eq!(site.files().iter().filter(|name| name.starts_with('.') || name.contains("unfinished")).count(), 0);
}

#[test]
fn an_export_of_a_frozen_source_keeps_what_is_whole_and_trusts_no_file_unread() {
    let site = Site::new(SCHEMA);
    let mut kept = 0;
    kill_everywhere(
        &site,
        true,
        || (),
        || {
            let there: Vec<String> =
                site.files().into_iter().filter(|name| ["a.json", "b.json"].contains(&name.as_str())).collect();
            kept = kept.max(there.len());
            // What is there already is damaged now and then: it must be read again and found out.
            if there.len() == 2 {
                std::fs::write(site.data().join("a.json"), "[\n]\n").unwrap();
            }
        },
    );
    assert!(kept == 2, "no kill came between two tables");
    site.is_whole();
    assert_eq!(site.rows("a"), [b"1".to_vec()]);
}

#[tokio::test]
async fn finished_tables_of_a_frozen_source_are_not_read_again() {
    let site = Site::new(SCHEMA);
    let mut options = site.options();
    options.is_frozen = true;
    // The export is killed when all its tables are there and metadata.json is not. Each try begins with nothing: what an
    // earlier one finished would be kept, and a later one would make fewer calls.
    let is_there = |name: &str| site.data().join(name).exists();
    let mut n = 1;
    while !["a.json", "b.json", "c.json"].into_iter().all(is_there) {
        assert!(n < 40, "no kill left all tables");
        if site.data().exists() {
            std::fs::remove_dir_all(site.data()).unwrap();
        }
        let _ended = kill_at(&mut child_of(&site, true), n, When::After).output().unwrap();
        n += 1;
    }
    assert!(site.metadata().is_none(), "it was not killed in time");
    site.export(&options).await.unwrap();
    let said = site.said.lock().unwrap().join("\n");
    assert!(said.contains("whole from the export that was killed"), "{said}");
    site.is_whole();
    // A source that is not frozen is read afresh.
    site.export(&site.options()).await.unwrap();
}
