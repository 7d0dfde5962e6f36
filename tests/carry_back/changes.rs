//! `data diff` and `data apply`.

use serde_json::json;

use crate::site::Site;
use crate::support::cluster::shared;
use crate::support::live::says;
use crate::support::written::WRITES;

#[test]
fn changes_are_told_apart_applied_counted_in_the_source_and_taken_back_by_a_rollback() {
    let cluster = shared();
    let site = Site::new(&cluster, "carry");
    site.fill();
    let before = site.source_rows();
    site.at_source("CREATE SEQUENCE slips START 1000");
    site.at_target("CREATE SEQUENCE slips START 1000; SELECT setval('slips', 1041)");
    says(&site.migration.expect(0, &["data", "diff"]), &["NO CHANGES: no change in", "saved: "]);

    site.at_target(WRITES);
    let (told, code) = site.migration.json(&["data", "diff"]);
    assert_eq!(code, 0, "{told}");
    let changes = &told["changes"];
    assert_eq!((&told["schema"], &changes["count"]), (&json!("cutover/v1"), &json!(32)), "{told}");
    let table = |name: &str| changes["tables"].as_array().unwrap().iter().find(|one| one["table"] == name).unwrap();
    let sites = table("sites");
    assert_eq!((&sites["inserted"], &sites["updated"], &sites["deleted"]), (&json!(1), &json!(2), &json!(2)));
    assert!(std::fs::read_to_string(sites["csv"].as_str().unwrap()).unwrap().contains("site 10 -> site 11"));
    let file = changes["file"].as_str().unwrap();
    assert!(file.contains("state/exports/changes-"), "{file}");

    let planned = site.migration.expect(0, &["data", "apply", file, "--dry-run"]);
    says(&planned, &["the application of 32 changes", "sites: 1 inserted, 2 updated, 2 deleted"]);
    assert_eq!(site.source_rows(), before, "a plan writes nothing");
    let text = site.migration.expect(0, &["data", "apply", file, "--yes"]);
    says(&text, &["COMPLETE: the application of 32 changes", "counted in postgres@127.0.0.1"]);
    assert_eq!(site.source_rows(), site.target_rows_as_the_source_has_them());
    assert_eq!(site.at_source("SELECT nextval('slips')"), "1042", "a number that was given there is not given again");
    let again = site.migration.expect(0, &["data", "apply", file, "--yes"]);
    says(&again, &["has every one of them already", "COMPLETE"]);
    assert_eq!(site.source_rows(), site.target_rows_as_the_source_has_them());

    // The second run found everything done, so it is the first one that is undone.
    says(&site.migration.expect(0, &["rollback", "--yes"]), &["COMPLETE: the undoing of the application"]);
    assert_eq!(site.source_rows(), before);
}

#[test]
fn a_frozen_source_takes_the_changes_and_stays_frozen() {
    let cluster = shared();
    let site = Site::new(&cluster, "frozen");
    site.fill();
    site.migration.expect(0, &["data", "freeze", "--yes"]);
    site.at_target(WRITES);
    let (told, _) = site.migration.json(&["data", "diff"]);
    site.migration.expect(0, &["data", "apply", told["changes"]["file"].as_str().unwrap(), "--yes"]);
    assert_eq!(site.source_rows(), site.target_rows_as_the_source_has_them());
    assert!(!site.takes_writes(&site.migration.source), "the frozen source took a row");
}

#[test]
fn a_target_that_nothing_was_imported_into_is_refused_in_words() {
    let cluster = shared();
    let site = Site::new(&cluster, "unfilled");
    let text = site.migration.expect(4, &["data", "diff"]);
    says(&text, &["no import or copy is recorded in", "--baseline files or --baseline source"]);
    let text = site.migration.expect(4, &["data", "diff", "--baseline", "files"]);
    says(&text, &["metadata.json is not there", "--baseline source"]);
    site.fill();
    std::fs::remove_file(site.migration.path("migration-data/user-mapping.json")).unwrap();
    says(&site.migration.expect(4, &["data", "diff"]), &["user-mapping.json is not there; bring it back"]);
    assert!(!site.migration.path("state/exports").exists(), "a refusal writes nothing");
}

#[test]
fn changes_that_do_not_belong_here_are_refused_before_anything_is_begun() {
    let cluster = shared();
    let (site, other) = (Site::new(&cluster, "mine"), Site::new(&cluster, "theirs"));
    site.fill();
    other.fill();
    other.at_target(WRITES);
    let (told, _) = other.migration.json(&["data", "diff"]);
    let file = told["changes"]["file"].as_str().unwrap();
    says(&site.migration.expect(4, &["data", "apply", file, "--yes"]), &["were told apart from", "and [source] is"]);

    // Changed in one letter, it is no change file any more.
    let text = std::fs::read_to_string(file).unwrap();
    let edited = site.migration.path("edited.jsonl");
    std::fs::write(&edited, text.replacen("site 10", "site 12", 1)).unwrap();
    let edited = edited.to_str().unwrap();
    says(&other.migration.expect(4, &["data", "apply", edited, "--yes"]), &["this is no whole change file"]);

    // Somebody else wrote to a row that was changed.
    other.at_source("UPDATE sites SET name = 'meanwhile' WHERE id = 11");
    let before = other.source_rows();
    let text = other.migration.expect(4, &["data", "apply", file, "--yes"]);
    says(&text, &["do not fit", "sites id=11 is neither the old nor the new row", "nothing was applied"]);
    assert_eq!(other.source_rows(), before);
    assert!(other.migration.journal(2).is_empty(), "no run was begun");
}

#[test]
fn accounts_of_the_new_service_alone_are_named_and_stay_only_where_a_person_says_so() {
    let cluster = shared();
    let site = Site::new(&cluster, "accounts");
    site.fill();
    site.at_target("INSERT INTO sites (name, owner) VALUES ('n', '77777777-0000-4000-8000-000000000001')");
    let (told, _) = site.migration.json(&["data", "diff"]);
    let file = told["changes"]["file"].as_str().unwrap();
    let text = site.migration.expect(4, &["data", "apply", file, "--yes"]);
    says(&text, &["1 account that exist", "77777777-0000-4000-8000-000000000001", "--keep-new-accounts"]);
    site.migration.expect(0, &["data", "apply", file, "--yes", "--keep-new-accounts"]);
    assert_eq!(site.source_rows(), site.target_rows_as_the_source_has_them());
}
