//! Killed at every boundary, under load. `CUTOVER_KILLS=60` kills as often; the suite itself does a few.

use rustix::process::Signal;

use crate::stage::Stage;
use crate::support::kill::{When, kill_at_file, trace, was_killed};
use crate::support::live::until;

/// Where the run is killed: as soon as its journal says this.
const PLACES: [(&str, &str); 10] = [
    ("started", "switch_upstream"),
    ("done", "switch_upstream"),
    ("started", "start_side"),
    ("done", "record_release"),
    ("started", "expect_drained"),
    ("done", "start_side"),
    ("started", "record_release"),
    ("done", "expect_side"),
    ("started", "expect_identity"),
    ("done", "expect_identity"),
];

#[test]
fn killed_anywhere_it_is_gone_on_with_or_undone_and_nobody_notices() {
    let kills = std::env::var("CUTOVER_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(5_usize);
    let stage = Stage::new("kills");
    let project = &stage.project;
    project.deploy("1");
    let visitors = stage.visitors();
    until("people to be served", || visitors.asked() > 50);
    let mut run_number = 1;
    let mut serving = "1";
    let (mut resumed, mut undone, mut too_late) = (0, 0, 0);
    for kill in 0..kills {
        let (fact, place) = PLACES[kill % PLACES.len()];
        let next = if serving == "1" { "2" } else { "1" };
        project.set("TAG", next);
        run_number += 1;
        let run = project.start(&["deploy", "--yes"]);
        project.await_fact(run_number, fact, place);
        run.signal(Signal::KILL);
        drop(run);
        if (fact, place) == ("done", "switch_upstream") {
            // Visitors are served by the new side already, whatever release is the current one.
            let id = stage.identity();
            let side = id.rsplit_once('-').unwrap().1;
            let led = format!("{id}: app leads to {id}-backend; visitors get 200");
            stage.status_says(&[&led, &format!("backend-{side}: running")]);
        }
        let is_resumed = kill % 2 == 0;
        // The last line may have been written before the kill came: then the run was done.
        let is_done = project.journal(run_number).last().is_some_and(|line| line["kind"] == "finished");
        let words = match (is_resumed, is_done) {
            (true, true) => String::new(),
            (true, false) => project.expect(0, &["resume"]),
            (false, _) => {
                run_number += 1;
                project.expect(0, &["rollback", "--yes"])
            }
        };
        if is_resumed {
            serving = next;
        }
        match (is_resumed, is_done) {
            (_, true) => too_late += 1,
            (true, false) => resumed += 1,
            (false, false) => undone += 1,
        }
        assert_eq!(stage.release(), serving, "killed at {fact} {place}:\n{words}");
        stage.status_says(&["OK: "]);
        let sides = stage.sides();
        assert!(!sides.is_empty() && sides.len() <= 2, "one serves and one may be warm: {sides:?}, {words}");
    }
    let asked = visitors.all_were_served();
    println!(
        "{kills} kills: {resumed} gone on with, {undone} undone, {too_late} came after the last line; 0 of {asked} requests \
         failed, and one release served after each"
    );
}

/// At the exact call that makes the rename durable, and at the one before it: the link is new, or it is not.
#[test]
fn killed_inside_the_rename_the_routes_lead_to_one_side_and_it_goes_on_or_back() {
    let stage = Stage::new("rename");
    let project = &stage.project;
    project.deploy("1");
    let visitors = stage.visitors();
    project.set("TAG", "2");
    let file = project.path("trace");
    let learnt = trace(&mut project.command(&["deploy", "--yes", "--skip-checks"]), &file).output().unwrap();
    assert_eq!(learnt.status.code(), Some(0), "{}", String::from_utf8_lossy(&learnt.stderr));
    let run = project.path("run").display().to_string();
    let syncs = std::fs::read_to_string(&file).unwrap();
    let rename = u32::try_from(syncs.lines().filter(|line| line.contains(&run)).count()).unwrap();
    assert!(rename > 1, "the switch is made durable: {syncs}");
    project.expect(0, &["rollback", "--yes"]);

    for (call, when, is_led, verb) in
        [(rename - 1, When::After, "1", "resume"), (rename, When::Before, "2", "rollback")]
    {
        let mut deploy = project.command(&["deploy", "--yes", "--skip-checks"]);
        let killed = kill_at_file(&mut deploy, &run, call, when).output().unwrap();
        assert!(was_killed(killed.status), "{call}: {}", String::from_utf8_lossy(&killed.stderr));
        assert_eq!(stage.release(), is_led, "killed at call {call} of {rename}");
        if verb == "resume" {
            project.expect(0, &["resume"]);
            assert_eq!(stage.release(), "2");
        }
        project.expect(0, &["rollback", "--yes"]);
        assert_eq!((stage.release().as_str(), stage.sides()), ("1", vec!["r1".to_owned()]), "nothing is left over");
    }
    visitors.all_were_served();
}
