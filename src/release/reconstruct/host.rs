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
