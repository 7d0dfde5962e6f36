//! `cutover rollback` of a run that moved rows: what was written since is in the source before anything is undone.

use cutover::adapter::database::Place;
use cutover::secret::Secret;
use cutover::step::copy_rows::CopyRows;
use cutover::step::{Databases, RunTag};
use serde_json::Value;

use crate::site::Site;
use crate::support::cluster::shared;
use crate::support::live::says;
use crate::support::written::{TABLES, WRITES};

/// A row of an account that only the new service knows.
const NEW_ACCOUNT: &str = "INSERT INTO sites (name, owner) VALUES ('new', '77777777-0000-4000-8000-000000000001')";

fn manifest(site: &Site<'_>, run: u32) -> Value {
    let path = site.migration.path(&format!("state/reports/{run:04}-manifest.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn is_empty(site: &Site<'_>) -> bool {
    TABLES.iter().all(|table| site.at_target(&format!("SELECT count(*) FROM {table}")) == "0")
}

#[test]
fn every_write_since_the_rows_were_moved_is_in_the_source_after_a_rollback_row_for_row() {
    let cluster = shared();
    for (has_files, run) in [(false, 3), (true, 4)] {
        let site = Site::new(&cluster, "back");
        site.move_rows(has_files);
        site.at_target(&format!("{WRITES} {NEW_ACCOUNT}"));
        let written = site.target_rows_as_the_source_has_them();
        assert_ne!(site.source_rows(), written);

        let plan = site.migration.expect(0, &["rollback", "--dry-run"]);
        says(&plan, &["refuse writes", "save what was written to", "ids mapped back", "take writes again"]);
        says(&plan, &["looked ahead: 34 changes (15 inserted, 6 updated, 13 deleted)", "nothing is in their way"]);
        let text = site.migration.expect(0, &["rollback", "--yes"]);
        says(&text, &["COMPLETE: the undoing of the", "34 changes (15 inserted, 6 updated, 13 deleted) counted in"]);

        assert_eq!(site.source_rows(), written, "has_files: {has_files}");
        assert!(is_empty(&site));
        assert!(site.takes_writes(&site.migration.source), "the old system serves again");
        assert!(!site.takes_writes(&site.migration.target), "the new one cannot write");

        let manifest = manifest(&site, run);
        let carried = &manifest["carried_back"];
        assert_eq!((&carried["saved"], &carried["applied"]), (&true.into(), &true.into()), "{manifest}");
        assert_eq!((&carried["inserted"], &carried["deleted"]), (&15.into(), &13.into()), "{manifest}");
        assert!(manifest["evidence"].to_string().contains("-changes/changes.jsonl"), "{manifest}");
        assert!(manifest["remaining"].to_string().contains("77777777-0000-4000-8000-000000000001"), "{manifest}");
        let page = site.migration.expect(0, &["history", &run.to_string(), "--manifest"]);
        says(&page, &["Carried back", "saved: 34 changes", "applied: 34 changes"]);
    }
}

#[test]
fn the_rows_can_be_moved_again_after_a_rollback_and_nothing_written_is_a_rollback_too() {
    let cluster = shared();
    let site = Site::new(&cluster, "again");
    let before = site.source_rows();
    site.move_rows(false);
    says(&site.migration.expect(0, &["rollback", "--yes"]), &["no change since the import", "COMPLETE"]);
    assert_eq!(site.source_rows(), before);
    site.move_rows(false);
    assert!(site.takes_writes(&site.migration.target), "the copy ends the freeze of the target");
    site.at_target(WRITES);
    let written = site.target_rows_as_the_source_has_them();
    site.migration.expect(0, &["rollback", "--yes"]);
    assert_eq!(site.source_rows(), written);
    site.migration.expect(0, &["data", "unfreeze", "--of", "target", "--yes"]);
    assert!(site.takes_writes(&site.migration.target));
}

#[test]
fn changes_that_are_kept_aside_are_applied_later_although_the_target_is_empty() {
    let cluster = shared();
    let site = Site::new(&cluster, "aside");
    let before = site.source_rows();
    site.move_rows(true);
    site.at_target(WRITES);
    let written = site.target_rows_as_the_source_has_them();
    let text = site.migration.expect(0, &["rollback", "--keep-changes-aside", "--yes"]);
    let next = format!(
        "next: cutover data apply {}",
        site.migration.path("state/exports/0004-changes/changes.jsonl").display()
    );
    says(&text, &["not carried to", "as you asked", "COMPLETE", &next]);
    assert_eq!(site.source_rows(), before);
    assert!(is_empty(&site));
    let remaining = manifest(&site, 4)["remaining"].to_string();
    assert!(remaining.contains("cutover data apply"), "{remaining}");
    let file = site.migration.path("state/exports/0004-changes/changes.jsonl");
    site.migration.expect(0, &["data", "apply", file.to_str().unwrap(), "--yes"]);
    assert_eq!(site.source_rows(), written);
}

#[test]
fn what_the_source_cannot_take_without_a_new_account_stays_in_the_file_and_holds_up_nobody_else() {
    let cluster = shared();
    let site = Site::new(&cluster, "tied");
    let id = |first: char, n: u32| format!("{first}0000000-0000-4000-8000-{n:012}");
    let users: Vec<String> = (0..20).map(|n| format!("('{}')", id('0', n))).collect();
    site.at_source(&format!(
        "CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY); INSERT INTO auth.users VALUES {}; \
         ALTER TABLE sites ADD FOREIGN KEY (owner) REFERENCES auth.users; ALTER TABLE members ADD FOREIGN KEY (owner) REFERENCES auth.users; \
         ALTER TABLE log ADD FOREIGN KEY (owner) REFERENCES auth.users",
        users.join(", ")
    ));
    site.move_rows(false);
    site.at_target(WRITES);
    let others = site.target_rows_as_the_source_has_them();
    let new = id('7', 1);
    // A new row, rows that point to it, and an old row that is the new account's now.
    site.at_target(&format!(
        "ALTER TABLE sites DISABLE TRIGGER notes; INSERT INTO sites (id, name, owner) VALUES (900, 'new', '{new}'); INSERT INTO units (site, name) VALUES (900, 'child'); \
         INSERT INTO units (site, name, parent) VALUES (1, 'grandchild', (SELECT id FROM units WHERE name = 'child')); \
         INSERT INTO members VALUES (900, '{}', 'r'); UPDATE sites SET owner = '{new}' WHERE id = 20; \
         INSERT INTO log VALUES ('k2', '2026-01-01', '{new}'), ('k2', '2026-01-01', '{new}')",
        id('9', 3)
    ));
    let all = site.target_rows_as_the_source_has_them();
    let text = site.migration.expect(0, &["rollback", "--yes"]);
    says(
        &text,
        &["COMPLETE", "7 of accounts that it does not have stay in", "What is left", &new, "--keep-new-accounts"],
    );
    assert!(site.source_rows() == others, "what everybody else wrote is in the source");
    assert!(site.takes_writes(&site.migration.source));
    let manifest = manifest(&site, 3);
    assert_eq!(manifest["carried_back"]["left_aside"]["changes"], 7, "{manifest}");
    let tables = &manifest["carried_back"]["left_aside"]["tables"];
    assert!(tables.to_string().contains(r#"["log",2]"#), "a table without a key has its own count: {tables}");
    assert!(manifest["remaining"].to_string().contains("make those users there"), "{manifest}");

    let file = site.migration.path("state/exports/0003-changes/changes.jsonl");
    let apply = ["data", "apply", file.to_str().unwrap(), "--yes"];
    says(
        &site.migration.expect(4, &apply),
        &["1 account", &new, "sites: 2", "units: 2", "log: 2", "--keep-new-accounts"],
    );
    site.at_source(&format!("INSERT INTO auth.users VALUES ('{new}')"));
    site.migration.expect(0, &[&apply[..], &["--keep-new-accounts"]].concat());
    assert!(site.source_rows() == all, "and the rest follows once that user is there");
}

#[test]
fn a_rollback_that_cannot_save_stops_and_empties_nothing_until_a_person_gives_the_writes_up() {
    let cluster = shared();
    let site = Site::new(&cluster, "lost");
    site.move_rows(true);
    site.at_target(WRITES);
    let target = site.target_rows_as_the_source_has_them();
    let export = site.migration.path("migration-data/sites.json");
    let text = std::fs::read_to_string(&export).unwrap();
    std::fs::write(&export, &text[..text.len() / 2]).unwrap();
    let text = site.migration.expect(8, &["rollback", "--yes"]);
    says(&text, &["STUCK: the way back failed in save_changes", "cutover rollback --without-export"]);
    assert_eq!(site.target_rows_as_the_source_has_them(), target, "nothing is lost");
    site.migration.expect(8, &["resume"]);

    let text = site.migration.expect(2, &["rollback", "--without-export", "--yes"]);
    says(&text, &["is lost", "--confirm \"rollback test\""]);
    assert_eq!(site.target_rows_as_the_source_has_them(), target);
    let text = site.migration.expect(0, &["rollback", "--without-export", "--confirm", "rollback test"]);
    says(&text, &["save_changes: left out, as tester", "COMPLETE"]);
    assert!(is_empty(&site));
    assert!(site.takes_writes(&site.migration.source));
}

#[test]
fn a_disk_without_room_for_what_was_written_stops_the_rollback_and_loses_nothing() {
    let cluster = shared();
    let site = Site::new(&cluster, "full");
    site.move_rows(false);
    let exports = site.migration.path("state/exports");
    std::fs::create_dir_all(&exports).unwrap();
    let mount = |words: &[&str]| std::process::Command::new(words[0]).args(&words[1..]).arg(&exports).status();
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"]).is_ok_and(|status| status.success()) {
        println!("this host lets nobody mount a small disk; this test needs one");
        return;
    }
    site.at_target(&format!(
        "{WRITES} INSERT INTO sites (name) SELECT repeat(md5(n::text), 20) FROM generate_series(1, 3000) n"
    ));
    let (written, source) = (site.target_rows_as_the_source_has_them(), site.source_rows());
    let text = site.migration.expect(8, &["rollback", "--yes"]);
    let (is_target_whole, is_source_as_before) =
        (site.target_rows_as_the_source_has_them() == written, site.source_rows() == source);
    assert!(mount(&["umount", "--lazy"]).unwrap().success());
    says(&text, &["STUCK: the way back failed in save_changes", "No space left on device", "cutover resume"]);
    assert!(is_target_whole && is_source_as_before, "nothing was begun that could lose a row");
    // With room again, the rollback goes on.
    site.migration.expect(0, &["resume"]);
    assert!(site.source_rows() == written);
    assert!(is_empty(&site));
}

#[test]
fn what_the_source_does_not_take_stops_the_rollback_and_can_be_kept_aside_then() {
    let cluster = shared();
    let site = Site::new(&cluster, "refused");
    site.fill();
    site.at_target(WRITES);
    let target = site.target_rows_as_the_source_has_them();
    // Nobody froze the source, and somebody wrote to a row that was changed on the target too.
    site.at_source("ALTER TABLE members ADD CONSTRAINT narrow CHECK (owner::text NOT LIKE '%001' OR site <> 5)");
    let source = site.source_rows();
    let text = site.migration.expect(8, &["rollback", "--yes"]);
    says(&text, &["STUCK: the way back failed in apply_changes", "narrow", "cutover rollback --keep-changes-aside"]);
    assert_eq!((site.source_rows(), site.target_rows_as_the_source_has_them()), (source.clone(), target));
    let text = site.migration.expect(0, &["rollback", "--keep-changes-aside", "--yes"]);
    says(&text, &["apply_changes: left out, as tester", "COMPLETE"]);
    assert_eq!(site.source_rows(), source);
    assert!(is_empty(&site));
}

#[test]
fn a_row_that_was_changed_on_both_sides_is_found_by_a_dry_run_before_anything_is_frozen() {
    let cluster = shared();
    let site = Site::new(&cluster, "both");
    site.move_rows(true);
    site.at_target(WRITES);
    site.migration.expect(0, &["data", "unfreeze", "--yes"]);
    site.at_source("UPDATE parts SET v = '{}' WHERE id = 1");
    let before = (site.source_rows(), site.target_rows_as_the_source_has_them());
    let text = site.migration.expect(4, &["rollback", "--dry-run", "--run", "3"]);
    says(&text, &["a row that was changed on both sides is found once the target refuses writes"]);
    says(&text, &["looked ahead: 32 changes", "the rollback would stop at that", "parts id=1", "--keep-changes-aside"]);
    assert!(site.takes_writes(&site.migration.target), "nothing was frozen");
    assert_eq!((site.source_rows(), site.target_rows_as_the_source_has_them()), before);
    site.at_source("UPDATE parts SET v = '{\"n\": 1}' WHERE id = 1");
    says(&site.migration.expect(0, &["rollback", "--dry-run", "--run", "3"]), &["nothing is in their way"]);
}

#[test]
fn a_rollback_whose_source_is_out_of_reach_is_not_begun() {
    let cluster = shared();
    // Of a copy the source is needed to tell what was written; of an import only to take it.
    let copied = (false, 3, ["cannot be told apart", "password", "--without-export"]);
    let imported = (true, 4, ["cannot be carried back", "password", "--keep-changes-aside"]);
    for (has_files, next, words) in [copied, imported] {
        let mut site = Site::new(&cluster, "away");
        site.move_rows(has_files);
        site.at_target(WRITES);
        let url = cluster.url_of("postgres", "wrong", &site.migration.source);
        site.migration.set("SOURCE_URL", &url);
        says(&site.migration.expect(4, &["rollback", "--yes"]), &words);
        assert!(site.takes_writes(&site.migration.target), "nothing was begun");
        assert!(site.migration.journal(next).is_empty());
    }
}

#[test]
fn a_rollback_that_gives_the_writes_up_wants_its_phrase_and_says_so_in_its_manifest() {
    let cluster = shared();
    let site = Site::new(&cluster, "given_up");
    let before = site.source_rows();
    site.move_rows(false);
    site.at_target(WRITES);
    let text = site.migration.expect(2, &["rollback", "--without-export", "--yes"]);
    says(&text, &["is not saved", "--confirm \"rollback test\""]);
    site.migration.expect(0, &["rollback", "--without-export", "--confirm", "rollback test"]);
    assert_eq!(site.source_rows(), before);
    assert!(is_empty(&site));
    assert_eq!(manifest(&site, 3)["carried_back"]["saved"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_goes_back_by_itself_takes_no_rows_that_somebody_wrote() {
    let cluster = shared();
    let site = Site::new(&cluster, "itself");
    site.move_rows(false);
    let journal = site.migration.journal(2);
    let items = journal[0]["plan"]["items"].as_array().unwrap();
    let act = items.iter().map(|item| &item["action"]).find(|act| act["act"] == "copy_rows").unwrap();
    let step: CopyRows = serde_json::from_value(act.clone()).unwrap();
    let mut databases = Databases::default();
    for (side, name) in [("source", &site.migration.source), ("target", &site.migration.target)] {
        let place = Place::parse(&Secret::new(cluster.url(name)), None);
        databases.add(side, place.map_err(|error| error.to_string()));
    }
    let run = RunTag { number: 2, epoch: 1, side: site.migration.path("state/runs/0002") };
    site.at_target("UPDATE heads SET tail = NULL WHERE id = 7");
    let error = step.undo(&databases, &run, &|_| ()).await.unwrap_err().to_string();
    assert!(error.contains("1 change (0 inserted, 1 updated, 0 deleted)"), "{error}");
    assert!(error.contains("`cutover rollback` saves those first"), "{error}");
    assert_eq!(site.at_target("SELECT count(*) FROM sites"), "60");
    site.at_target("UPDATE heads SET tail = 7 WHERE id = 7");
    step.undo(&databases, &run, &|_| ()).await.unwrap();
    assert!(is_empty(&site));
}
