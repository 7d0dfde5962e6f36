//! A side publishes no port of the host: whoever watches over it afterwards asks it where it is, and sees it fall ill.

use crate::stage::Stage;
use crate::support::live::until;

#[test]
fn health_and_services_of_a_side_that_serves_are_asked_where_it_is() {
    let stage = Stage::new("asked");
    let project = &stage.project;
    let toml = std::fs::read_to_string(project.path("cutover.toml")).unwrap();
    project.write("cutover.toml", &format!("{toml}[stabilize]\nwindow = \"1h\"\n"));
    project.deploy("1");
    project.deploy("2");
    let health = || project.json(&["preflight", "--only", "health,containers"]);
    // Who is busy may answer one question too late.
    until("health to be ok", || matches!(health(), (said, 0) if said["verdict"] == "ok"));
    let services = || {
        let said = project.json(&["watch", "--once"]).0;
        let all = said["rules"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|rule| rule["name"] == "services").unwrap_or(said)
    };
    until("services to be ok", || services()["verdict"] == "ok");

    // The warm side is no reason to call anything ill; the one that serves is.
    let side = |release: &str| {
        let names = project.docker(&["ps", "--all", "--format", "{{.Names}}"]);
        let own = format!("{}-{release}-backend", project.name);
        names.lines().find(|name| name.starts_with(&own)).unwrap().to_owned()
    };
    project.docker(&["stop", "--time", "0", &side("r1")]);
    until("services to be ok", || services()["verdict"] == "ok");
    project.docker(&["stop", "--time", "0", &side("r2")]);
    until("a breach", || services()["verdict"] == "breach");
    assert_ne!(health().0["verdict"], "ok");
    project.docker(&["rm", "--force", &side("r2")]);
    until("the words", || services().to_string().contains("backend of r2, which serves, has no container"));
}
