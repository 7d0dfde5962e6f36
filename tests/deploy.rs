//! Deploy and roll back a real project on a real engine: what is promised is what is found.

#![expect(clippy::disallowed_methods, reason = "tests start the program and ask the engine as a person would")]

mod support;

use support::project::Project;

#[test]
fn two_releases_go_up_and_the_last_one_comes_back_down() {
    let project = Project::new("two");
    project.deploy("1");
    let first = project.images();
    project.sql("INSERT INTO items(name) VALUES ('written on release 1')");
    project.deploy("2");
    assert_ne!(project.images()["backend"], first["backend"]);
    project.sql("INSERT INTO items(name) VALUES ('written on release 2')");

    project.expect(0, &["rollback", "--yes"]);

    assert_eq!(project.images(), first);
    assert_eq!(project.sql("SELECT count(*) FROM items WHERE name LIKE 'written on%'").trim(), "2", "no row is lost");
}
