//! What has to be the same about a container before and after. Law: only what belongs to one container's life is left out.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Labels that tell which file a container came from, and from which container.
const OF_THE_FILE: [&str; 5] = [
    "com.docker.compose.config-hash",
    "com.docker.compose.project.config_files",
    "com.docker.compose.project.working_dir",
    "com.docker.compose.project.environment_file",
    "com.docker.compose.replace",
];

/// Every container as it has to stay.
pub fn told(containers: &BTreeMap<String, Value>, networks: &BTreeMap<String, String>) -> Value {
    let mut ids: Vec<(&str, &str)> =
        containers.iter().map(|(name, one)| (one["Id"].as_str().unwrap(), name.as_str())).collect();
    // Compose names an external network by its identifier where it names its own by name.
    ids.extend(networks.iter().map(|(id, name)| (id.as_str(), name.as_str())));
    let all = containers.iter().map(|(name, one)| (name.clone(), one_told(one, &ids)));
    Value::Object(all.collect())
}

fn one_told(one: &Value, ids: &[(&str, &str)]) -> Value {
    let id = one["Id"].as_str().unwrap();
    let mut told = json!({
        "Config": one["Config"], "HostConfig": one["HostConfig"], "Mounts": one["Mounts"],
        "Networks": one["NetworkSettings"]["Networks"], "Ports": one["NetworkSettings"]["Ports"], "Status": one["State"]["Status"], "Image": one["Image"],
    });
    let config = told["Config"].as_object_mut().unwrap();
    config.remove("Image");
    if id.starts_with(config["Hostname"].as_str().unwrap()) {
        config.remove("Hostname");
    }
    let labels = config["Labels"].as_object_mut().unwrap();
    labels.retain(|key, _| !OF_THE_FILE.contains(&key.as_str()));
    if let Some(Value::String(needed)) = labels.get_mut("com.docker.compose.depends_on") {
        let mut parts: Vec<&str> = needed.split(',').collect();
        parts.sort_unstable();
        *needed = parts.join(",");
    }
    for network in told["Networks"].as_object_mut().unwrap().values_mut() {
        let network = network.as_object_mut().unwrap();
        // The network itself stays; addresses and endpoints are given anew, except where they are asked for.
        network.retain(|key, _| ["Aliases", "Links", "IPAMConfig", "DriverOpts", "NetworkID"].contains(&key.as_str()));
        if let Some(Value::Array(aliases)) = network.get_mut("Aliases") {
            aliases.retain(|alias| !id.starts_with(alias.as_str().unwrap()));
        }
    }
    let chosen_by_the_engine = |port: &String| one["HostConfig"]["PortBindings"][port][0]["HostPort"] == "";
    told["Ports"].as_object_mut().unwrap().retain(|port, _| !chosen_by_the_engine(port));
    // A volume without a name is handed on under the name that the engine gave it: that it is the same one is seen in
    // `Mounts`.
    let is_named = |mount: &Value| {
        let source = mount["Source"].as_str().unwrap_or_default();
        mount["Type"] != "volume" || (!source.is_empty() && source.len() != 64)
    };
    if let Some(mounts) = told["HostConfig"]["Mounts"].as_array_mut() {
        mounts.retain(is_named);
    }
    for mount in told["Mounts"].as_array_mut().unwrap() {
        if mount["Name"].as_str().is_some_and(|name| name.len() == 64) {
            mount.as_object_mut().unwrap().remove("Mode");
        }
    }
    plain(&mut told, ids);
    told
}

/// Lists whose order compose draws by lot.
const BY_LOT: [&str; 7] = ["ExtraHosts", "Env", "Binds", "Mounts", "Ulimits", "Aliases", "Links"];

/// Identifiers become names, lists without an order get one, and what is empty in any way is left out.
fn plain(value: &mut Value, ids: &[(&str, &str)]) {
    match value {
        Value::String(text) => ids.iter().for_each(|(id, name)| *text = text.replace(id, name)),
        Value::Array(items) => items.iter_mut().for_each(|item| plain(item, ids)),
        Value::Object(table) => {
            table.values_mut().for_each(|one| plain(one, ids));
            table.retain(|_, one| *one != json!({}) && *one != json!([]) && !one.is_null());
            let unordered = table.iter_mut().filter(|(key, _)| BY_LOT.contains(&key.as_str()));
            for items in unordered.filter_map(|(_, list)| list.as_array_mut()) {
                items.sort_by_cached_key(Value::to_string);
            }
        }
        _ => {}
    }
}

/// Every difference, one line each.
pub fn differences(before: &Value, after: &Value, at: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for key in keys {
                let [left, right] = [left, right].map(|side| side.get(key).unwrap_or(&Value::Null));
                differences(left, right, &format!("{at}/{key}"), found);
            }
        }
        (left, right) if left != right => found.push(format!("{at}: {left} became {right}")),
        _ => {}
    }
}
