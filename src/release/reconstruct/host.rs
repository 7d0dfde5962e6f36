//! What a container may do: capabilities, namespaces, restart, logging. Law: what the engine fills in when nothing is
//! said is left out, unless the containers of the project differ in it.

use serde_json::json;

use super::fields::{Fields, Remarks, Table, put};
use super::names::Around;

/// What engine settings decide where a model says nothing; read off all containers of a project.
#[derive(Clone, Default)]
pub(super) struct Usual {
    /// Whether every container logs to plain `json-file`.
    pub(super) is_plain_log: bool,
    /// The control group namespace of every container without special rights.
    pub(super) cgroup: Option<String>,
}

/// Reads what is left of `HostConfig` when mounts, networks and limits were taken.
pub(super) fn read(host: &mut Fields, around: &Around<'_>, usual: &Usual, table: &mut Table, remarks: &mut Remarks) {
    let is_privileged = host.is_set("Privileged");
    put(table, "privileged", is_privileged);
    restart(host, table);
    logging(host, usual, table);
    namespaces(host, around, (usual, is_privileged), table, remarks);
    security(host, is_privileged, table, remarks);
    let mut hosts: Vec<_> = host.texts("ExtraHosts").iter().map(|entry| entry.replacen(':', "=", 1)).collect();
    hosts.sort();
    put(table, "extra_hosts", hosts);
    host.hand_over(
        &[
            ("CapAdd", "cap_add"),
            ("CapDrop", "cap_drop"),
            ("ReadonlyRootfs", "read_only"),
            ("Sysctls", "sysctls"),
            ("Dns", "dns"),
            ("DnsSearch", "dns_search"),
            ("DnsOptions", "dns_opt"),
            ("GroupAdd", "group_add"),
            ("StorageOpt", "storage_opt"),
            ("Annotations", "annotations"),
        ],
        table,
    );
    if let Some(init) = host.take_even_empty("Init") {
        table.insert("init".into(), init);
    }
    let runtime = host.text("Runtime");
    put(table, "runtime", if ["runc", "io.containerd.runc.v2"].contains(&runtime.as_str()) { "" } else { &runtime });
    let isolation = host.text("Isolation");
    put(table, "isolation", if isolation == "default" { "" } else { &isolation });
    host.forget(&["ContainerIDFile", "ConsoleSize"]);
}

fn restart(host: &mut Fields, table: &mut Table) {
    let Some(mut policy) = host.inner("RestartPolicy") else { return };
    let name = policy.text("Name");
    let text = match policy.number("MaximumRetryCount") {
        0 => name,
        count => format!("{name}:{count}"),
    };
    put(table, "restart", text);
}

fn logging(host: &mut Fields, usual: &Usual, table: &mut Table) {
    let Some(mut log) = host.inner("LogConfig") else { return };
    let (driver, options) = (log.text("Type"), log.pairs("Config"));
    if driver.is_empty() || (driver == "json-file" && options.is_empty() && usual.is_plain_log) {
        return;
    }
    let mut read = Table::new();
    put(&mut read, "driver", driver);
    put(&mut read, "options", options.into_iter().map(|(key, value)| (key, value.into())).collect::<Table>());
    put(table, "logging", read);
}

fn namespaces(
    host: &mut Fields,
    around: &Around<'_>,
    (usual, is_privileged): (&Usual, bool),
    table: &mut Table,
    remarks: &mut Remarks,
) {
    let ipc = around.mode(&host.text("IpcMode"), "its ipc namespace", remarks);
    put(table, "ipc", if ipc == "private" { "" } else { &ipc });
    put(table, "pid", around.mode(&host.text("PidMode"), "its pid namespace", remarks));
    put(table, "userns_mode", host.text("UsernsMode"));
    put(table, "uts", host.text("UTSMode"));
    let cgroup = host.text("CgroupnsMode");
    // Special rights bring the host's control groups with them.
    let is_usual = usual.cgroup.as_ref() == Some(&cgroup) || (is_privileged && cgroup == "host");
    put(table, "cgroup", if is_usual { "" } else { &cgroup });
}

fn security(host: &mut Fields, is_privileged: bool, table: &mut Table, remarks: &mut Remarks) {
    let is_shared = ["ipc", "pid"].iter().any(|key| table.get(*key).is_some_and(|mode| mode == "host"));
    let mut options = host.texts("SecurityOpt");
    options.retain(|option| {
        if option.starts_with("seccomp") && option.contains('{') {
            remarks.say("its seccomp profile was a file that is not known here; the engine's own profile is used");
            return false;
        }
        // The engine adds this one by itself where nothing is kept apart.
        !(option == "label=disable" && (is_privileged || is_shared))
    });
    let open = ["MaskedPaths", "ReadonlyPaths"].map(|name| host.take_even_empty(name) == Some(json!([])));
    if open == [true, true] && !is_privileged {
        options.push("systempaths=unconfined".to_owned());
    }
    put(table, "security_opt", options);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::super::names::Named;
    use super::*;

    fn allowed(said: &Value, usual: &Usual) -> (Value, Vec<String>) {
        let containers = BTreeMap::new();
        let around = Around { project: "shop", containers, volumes: Named::default(), networks: Named::default() };
        let (mut table, mut remarks) = (Table::new(), Remarks::of("web"));
        let mut host = Fields::of(said).unwrap();
        read(&mut host, &around, usual, &mut table, &mut remarks);
        host.say_the_rest("", &mut remarks);
        (Value::Object(table), remarks.into_said())
    }

    #[test]
    fn a_seccomp_profile_and_a_field_that_nobody_knows_are_remarked() {
        let said = json!({"SecurityOpt": ["seccomp={\"a\": 1}", "no-new-privileges:true"], "PublishAllPorts": true});
        let (read, remarks) = allowed(&said, &Usual::default());
        assert_eq!(read, json!({"security_opt": ["no-new-privileges:true"]}));
        assert!(remarks[0].contains("seccomp profile was a file"), "{remarks:?}");
        assert_eq!(remarks[1], "web: PublishAllPorts = true cannot be said in a compose model and is left out");
    }

    #[test]
    fn what_the_engine_fills_in_is_left_out_unless_the_containers_differ_in_it() {
        let said =
            json!({"LogConfig": {"Type": "json-file", "Config": {}}, "CgroupnsMode": "private", "Runtime": "runc"});
        let same = Usual { is_plain_log: true, cgroup: Some("private".to_owned()) };
        assert_eq!(allowed(&said, &same), (json!({}), vec![]));
        let told = json!({"logging": {"driver": "json-file"}, "cgroup": "private"});
        assert_eq!(allowed(&said, &Usual::default()), (told, vec![]));
    }

    #[test]
    fn namespaces_of_a_container_that_is_gone_are_remarked() {
        let (read, remarks) = allowed(&json!({"PidMode": "container:abc"}), &Usual::default());
        assert_eq!(read, json!({"pid": "container:abc"}));
        assert_eq!(
            remarks,
            ["web: its pid namespace is that of the container abc, which is not of this project or is gone"]
        );
    }
}
