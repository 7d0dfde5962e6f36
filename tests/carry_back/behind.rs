//! `cutover rollback --run N`: a run that has others behind it.

use std::os::unix::fs::PermissionsExt;

use crate::site::{self, Site};
use crate::support::cluster::shared;
use crate::support::live::says;
use crate::support::project::Project;
use crate::support::written::WRITES;

#[test]
fn an_import_is_undone_by_its_number_once_what_stands_on_it_is_undone_in_the_order_that_is_told() {
    let cluster = shared();
    let site = Site::new(&cluster, "behind");
    site.move_rows(false);
    site.at_target(WRITES);
    let written = site.target_rows_as_the_source_has_them();
    let (told, _) = site.migration.json(&["data", "diff"]);
    site.migration.expect(0, &["data", "apply", told["changes"]["file"].as_str().unwrap(), "--yes"]);

    let text = site.migration.expect(4, &["rollback", "--run", "2", "--yes"]);
    says(&text, &["run 2 (the copy of", "run 3 (the application of", "undo them in this order"]);
    says(&text, &["`cutover rollback --run 3`, then `cutover rollback --run 2`"]);
    says(&site.migration.expect(2, &["rollback", "--run", "9", "--yes"]), &["there is no run 9", "cutover history"]);

    site.migration.expect(0, &["rollback", "--run", "3", "--yes"]);
    // Without a number the way further back is told, by its number.
    let text = site.migration.expect(4, &["rollback", "--yes"]);
    says(&text, &["run 3 was already undone by run 4", "name run 2 (the copy of", "cutover rollback --run 2"]);
    says(
        &site.migration.expect(0, &["rollback", "--run", "2", "--dry-run"]),
        &["ids mapped back", "take writes again"],
    );
    let text = site.migration.expect(0, &["rollback", "--run", "2", "--yes"]);
    says(&text, &["COMPLETE: the undoing of the copy", "counted in"]);
    assert_eq!(site.source_rows(), written);
    assert_eq!(site.at_target("SELECT count(*) FROM sites"), "0");
    assert!(site.takes_writes(&site.migration.source));

    // The target stays closed after it, which stands in nobody's way.
    let text = site.migration.expect(0, &["data", "connections"]);
    says(&text, &["refuses writes since", "the next import or copy", "cutover data unfreeze --of target"]);

    let text = site.migration.expect(4, &["rollback", "--run", "2", "--yes"]);
    says(&text, &["nothing to undo: run 2 was already undone by run 5"]);
    says(&site.migration.expect(4, &["rollback", "--run", "5", "--yes"]), &["run 5 is a rollback itself"]);
    // The freeze before it ended with it; to undo that too is no harm.
    site.migration.expect(0, &["rollback", "--run", "1", "--yes"]);
    assert!(site.takes_writes(&site.migration.source));
}

#[test]
fn an_import_behind_which_a_deployment_stands_is_undone_and_what_was_written_is_carried_back() {
    let cluster = shared();
    let site = Site::new(&cluster, "deployed");
    let project = Project::new("behind");
    for (side, name) in [("source", &site.migration.source), ("target", &site.migration.target)] {
        let path = project.path(&format!("secrets/{side}_url.txt"));
        std::fs::write(&path, cluster.url(name)).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let places = "[source]\nurl_file = \"secrets/source_url.txt\"\n[target]\nurl_file = \"secrets/target_url.txt\"\n";
    project.configure(&format!("{places}{}", site::USERS));
    let mapping = "migration-data/user-mapping.json";
    std::fs::create_dir(project.path("migration-data")).unwrap();
    std::fs::copy(site.migration.path(mapping), project.path(mapping)).unwrap();
    project.expect(0, &["data", "freeze", "--yes"]);
    project.expect(0, &["data", "copy", "--yes"]);
    project.deploy("1");
    site.at_target(WRITES);
    let written = site.target_rows_as_the_source_has_them();

    let containers = project.containers();
    let text = project.expect(0, &["rollback", "--run", "2", "--yes"]);
    says(&text, &["run 3 (deploy of r1) came later and stays", "cutover rollback --run 3", "COMPLETE"]);
    assert_eq!(site.source_rows(), written);
    assert_eq!(site.at_target("SELECT count(*) FROM sites"), "0");
    assert!(site.takes_writes(&site.migration.source), "the old system serves again");
    assert_eq!(project.containers(), containers, "what was deployed later was left alone");
    says(&project.expect(0, &["status"]), &["OK", "r1"]);
    project.expect(0, &["rollback", "--run", "3", "--yes"]);
    assert!(project.containers().is_empty(), "{:?}", project.containers());
}

#[test]
fn what_is_written_to_the_source_after_a_copy_is_never_taken_for_deleted_in_the_target() {
    let cluster = shared();
    let site = Site::new(&cluster, "two_writers");
    site.move_rows(false);
    site.migration.expect(0, &["data", "unfreeze", "--yes"]);
    site.at_source("INSERT INTO sites (id, name) VALUES (5000, 'written to the source since')");
    let (before, filled) = (site.source_rows(), site.at_target("SELECT count(*) FROM sites"));
    let words = ["takes writes again", "can no longer be told apart", "cutover data verify"];
    says(&site.migration.expect(4, &["data", "diff"]), &words);
    let text = site.migration.expect(4, &["rollback", "--yes", "--run", "2"]);
    says(&text, &words);
    says(&text, &["--without-export"]);
    // Frozen again, it is no baseline either: nobody knows what was written in between.
    site.migration.expect(0, &["data", "freeze", "--yes"]);
    says(&site.migration.expect(4, &["data", "diff"]), &["is frozen only since"]);
    assert_eq!(site.source_rows(), before);
    assert_eq!(site.at_target("SELECT count(*) FROM sites"), filled);
}
