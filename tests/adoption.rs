//! A stack that plain `docker compose` brought up is taken over: what ran before the first deploy is what a rollback
//! brings back, whether the files still say so or not.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::disallowed_methods, reason = "tests start the program and ask the engine as a person would")]

mod support;

use serde_json::{Value, json};
use support::live::says;
use support::ports::free_port;
use support::project::Project;

const SERVICES: [&str; 4] = ["backend", "worker", "db", "side"];

/// A stack with a bit of everything that a rollback has to bring back, brought up by hand.
fn by_hand(label: &str) -> Project {
    let project = Project::new(label);
    project.write("side.conf", "as it was\n");
    project.add_service(
        "side",
        "image: cutover-lab/box:1\n\
         command: [sh, -c, \"sleep infinity\", \"a $$dollar and 'quotes'\"]\n\
         stop_grace_period: 0s\n\
         user: \"1000:1000\"\n\
         environment: { MULTI: \"line one\\nline two\", EMPTY: \"\" }\n\
         labels: { who: somebody }\n\
         volumes: [\"./side.conf:/etc/side.conf:ro\", \"scratch:/scratch\"]\n\
         tmpfs: [/run]\n\
         cap_drop: [ALL]\n\
         mem_limit: 64m\n\
         networks: { default: { aliases: [other-name] } }",
    );
    project.edit("compose.yaml", "volumes:\n  database:", "volumes:\n  scratch:\n  database:");
    let up = project.compose(&["up", "--detach", "--wait", "--wait-timeout", "240"]);
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    project
}

/// What a container is, without what must differ between two of them: names of images, places of frozen files, times.
fn essence(project: &Project, service: &str) -> Value {
    let text = project.docker(&["inspect", &project.container(service)]);
    let all: Value = serde_json::from_str(&text).unwrap();
    let one = &all[0];
    let sorted = |value: &Value| {
        let mut list: Vec<String> = value.as_array().into_iter().flatten().map(Value::to_string).collect();
        list.sort();
        list
    };
    let labels = one["Config"]["Labels"].as_object().unwrap().iter();
    let labels = labels.filter(|(name, _)| !name.starts_with("com.docker.compose."));
    let mounts = one["Mounts"].as_array().unwrap().iter();
    let mounts = mounts.map(|mount| json!([mount["Type"], mount["Name"], mount["Destination"], mount["RW"]]));
    let mut mounts: Vec<String> = mounts.map(|mount| mount.to_string()).collect();
    mounts.sort();
    let host = |key: &str| one["HostConfig"][key].clone();
    let networks = one["NetworkSettings"]["Networks"].as_object().unwrap();
    // An alias that is the container's own identifier is the engine's, not the model's.
    let is_named = |alias: &&Value| alias.as_str().is_some_and(|alias| !one["Id"].as_str().unwrap().starts_with(alias));
    let aliases = networks.iter().map(|(name, network)| {
        let list = network["Aliases"].as_array().into_iter().flatten().filter(is_named).cloned().collect();
        (name.clone(), json!(sorted(&Value::Array(list))))
    });
    json!({
        "name": one["Name"], "image": one["Image"], "status": one["State"]["Status"],
        "environment": sorted(&one["Config"]["Env"]), "command": one["Config"]["Cmd"],
        "entrypoint": one["Config"]["Entrypoint"], "user": one["Config"]["User"],
        "stop_timeout": one["Config"]["StopTimeout"], "health": one["Config"]["Healthcheck"],
        "labels": labels.map(|(name, value)| (name.clone(), value.clone())).collect::<serde_json::Map<_, _>>(),
        "ports": host("PortBindings"), "restart": host("RestartPolicy"), "memory": host("Memory"),
        "tmpfs": host("Tmpfs"), "capabilities": host("CapDrop"), "shm": host("ShmSize"),
        "mounts": mounts, "networks": aliases.collect::<serde_json::Map<_, _>>(),
    })
}

fn everything(project: &Project) -> Value {
    json!(SERVICES.map(|service| essence(project, service)))
}

#[test]
fn with_unchanged_files_the_first_deploy_takes_over_and_a_rollback_brings_back_what_ran() {
    let project = by_hand("adopt");
    let before = everything(&project);
    project.set("TAG", "2");

    let text = project.expect(0, &["deploy", "--yes"]);

    says(&text, &["keep what runs now as r1", "r2 serves"]);
    assert_ne!(everything(&project), before);
    project.expect(0, &["rollback", "--yes"]);
    assert_eq!(everything(&project), before);
    says(&project.expect(0, &["status"]), &["OK: r1 serves"]);
}

#[test]
fn with_changed_files_what_ran_is_read_back_from_the_containers() {
    let project = by_hand("reread");
    let before = everything(&project);
    project.set("TAG", "2");
    let port = free_port();
    let toml = std::fs::read_to_string(project.path("cutover.toml")).unwrap();
    project.write("cutover.toml", &toml.replace(&project.port.to_string(), &port.to_string()));
    project.set("PORT", &port.to_string());
    project.set("RESTART", "always");
    project.edit("compose.yaml", "MULTI: \"line one\\nline two\"", "MULTI: other");
    project.edit("compose.yaml", "user: \"1000:1000\"", "user: \"2000:2000\"");
    project.edit("compose.yaml", "who: somebody", "who: nobody");

    let text = project.expect(0, &["deploy", "--yes"]);

    says(&text, &["read back from its containers", "r2 serves"]);
    assert_ne!(everything(&project), before);
    project.expect(0, &["rollback", "--yes"]);
    assert_eq!(everything(&project), before);
}
