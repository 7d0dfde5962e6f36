//! Reconstruct: a compose model read back from containers, for a release that ran before cutover came.
//!
//! Pure: it is handed what the engine says. The model has the shape that `docker compose config --format json` prints.
//! Images are named by identifier; volumes and networks are external, under their real names. What the engine knows
//! and a model cannot say is in the remarks. What the engine does not know cannot be read back: profiles, hooks, the
//! settings of networks and volumes, and secrets and configs that were given as text and not as files.

mod fields;
mod host;
mod limits;
mod mounts;
mod names;
mod networks;
mod process;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, ImageConfig, ImageInspect};
use serde_json::{Value, json};

use self::fields::{Fields, Remarks, Table, put};
use self::host::Usual;
use self::names::{Around, Known, Named};
use crate::adapter::docker::label;

/// Number of a container among those of its service.
const NUMBER: &str = "com.docker.compose.container-number";
/// `db:service_healthy:false,…`: service, condition, whether it restarts with it.
const DEPENDS_ON: &str = "com.docker.compose.depends_on";

/// A model that was read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconstruction {
    /// The compose model, in the shape that `docker compose config --format json` prints.
    pub model: Value,
    /// What could not be read back exactly, one sentence each, beginning with the service.
    pub remarks: Vec<String>,
}

/// The model of a project as its containers have it. Containers of `compose run` and of no service are passed over.
///
/// `images` holds the image of every container, by identifier.
///
/// # Errors
/// When no container is left, or one has no identifier or settings.
pub fn model(
    project: &str,
    containers: &[ContainerInspectResponse],
    images: &BTreeMap<String, ImageInspect>,
) -> Result<Reconstruction> {
    let mut by_service: BTreeMap<String, Vec<One<'_>>> = BTreeMap::new();
    let mut around =
        Around { project, containers: BTreeMap::new(), volumes: Named::default(), networks: Named::default() };
    for container in containers {
        if let Some(one) = One::of(container)? {
            around.containers.insert(one.id.to_owned(), one.known.clone());
            by_service.entry(one.known.service.clone()).or_default().push(one);
        }
    }
    if by_service.is_empty() {
        bail!("the project {project} has no container to read a model back from");
    }
    let usual = usual(by_service.values().flatten());
    let mut services = Table::new();
    let mut all_remarks = Vec::new();
    for (name, ones) in &mut by_service {
        ones.sort_by_key(|one| (!one.is_running(), one.known.number.parse::<u32>().unwrap_or(u32::MAX)));
        let mut remarks = Remarks::of(name);
        services.insert(name.clone(), Value::Object(service(ones, images, &usual, &mut around, &mut remarks)?));
        all_remarks.extend(remarks.into_said());
    }
    all_remarks.extend(depend(&by_service, &mut services));
    let mut model = json!({ "name": project, "services": services });
    for (key, named) in [("networks", &around.networks), ("volumes", &around.volumes)] {
        let table = named.table();
        if !table.is_empty() {
            model[key] = Value::Object(table);
        }
    }
    names::escape(&mut model);
    Ok(Reconstruction { model, remarks: all_remarks })
}

/// A container, and who it is.
struct One<'a> {
    id: &'a str,
    known: Known,
    depends_on: &'a str,
    answer: &'a ContainerInspectResponse,
}

impl<'a> One<'a> {
    fn of(answer: &'a ContainerInspectResponse) -> Result<Option<Self>> {
        let id = answer.id.as_deref().context("the engine told of a container without an identifier")?;
        let labels = answer.config.as_ref().and_then(|config| config.labels.as_ref());
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).map_or("", String::as_str);
        let service = label(label::SERVICE).to_owned();
        if service.is_empty() || label(label::ONE_OFF).eq_ignore_ascii_case("true") {
            return Ok(None);
        }
        let name = answer.name.clone().unwrap_or_default().trim_start_matches('/').to_owned();
        let known = Known { service, name, number: label(NUMBER).to_owned() };
        Ok(Some(Self { id, known, depends_on: label(DEPENDS_ON), answer }))
    }

    fn is_running(&self) -> bool {
        let status = self.answer.state.as_ref().and_then(|state| state.status);
        status == Some(ContainerStateStatusEnum::RUNNING)
    }
}

/// What the engine fills in by itself, where the containers agree about it.
fn usual<'a>(all: impl Iterator<Item = &'a One<'a>>) -> Usual {
    let mut usual = Usual { is_plain_log: true, cgroup: None };
    let mut is_split = false;
    for host in all.filter_map(|one| one.answer.host_config.as_ref()) {
        if let Some(log) = &host.log_config {
            let is_plain = log.config.as_ref().is_none_or(|config| config.is_empty());
            usual.is_plain_log &= is_plain && log.typ.as_deref() == Some("json-file");
        }
        if host.privileged != Some(true)
            && let Some(mode) = host.cgroupns_mode.map(|mode| mode.to_string())
        {
            is_split |= usual.cgroup.as_ref().is_some_and(|other| *other != mode);
            usual.cgroup = Some(mode);
        }
    }
    usual.cgroup = usual.cgroup.filter(|_| !is_split);
    usual
}

/// A service, read from the first of its containers; the others are compared with it.
fn service(
    ones: &[One<'_>],
    images: &BTreeMap<String, ImageInspect>,
    usual: &Usual,
    around: &mut Around<'_>,
    remarks: &mut Remarks,
) -> Result<Table> {
    let mut table = container(&ones[0], images, usual, around, remarks)?;
    for other in &ones[1..] {
        let mut unsaid = Remarks::of(&other.known.service);
        let read = container(other, images, usual, &mut around.clone(), &mut unsaid)?;
        let mut keys: Vec<&str> = table.keys().chain(read.keys()).map(String::as_str).collect();
        keys.sort_unstable();
        keys.dedup();
        let different: Vec<&str> = keys.into_iter().filter(|key| table.get(*key) != read.get(*key)).collect();
        if !different.is_empty() {
            let (first, other) = (&ones[0].known.name, &other.known.name);
            remarks.say(format_args!("{other} differs from {first} in {}; read from {first}", different.join(", ")));
        }
    }
    if ones.len() > 1 {
        let deploy = table.entry("deploy").or_insert_with(|| json!({}));
        deploy["replicas"] = ones.len().into();
        table.shift_remove("container_name");
    }
    Ok(table)
}

fn container(
    one: &One<'_>,
    images: &BTreeMap<String, ImageInspect>,
    usual: &Usual,
    around: &mut Around<'_>,
    remarks: &mut Remarks,
) -> Result<Table> {
    let name = &one.known.name;
    let answer = one.answer;
    let config = answer.config.as_ref().with_context(|| format!("the engine told no settings of {name}"))?;
    let host = answer.host_config.as_ref().with_context(|| format!("the engine told no settings of {name}"))?;
    let image_id = answer.image.clone().unwrap_or_default();
    let image = match images.get(&image_id) {
        Some(image) => image.config.clone().unwrap_or_default(),
        None => {
            remarks.say(format_args!("its image {image_id} is not here any more; it cannot start again"));
            ImageConfig::default()
        }
    };
    let (mut config, mut host) = (Fields::of(config)?, Fields::of(host)?);
    let mut table = Table::new();
    put(&mut table, "image", image_id);
    if !around.is_usual_name(&one.known, name) {
        put(&mut table, "container_name", name.as_str());
    }
    process::read(&mut config, &image, &mut table);
    let (hostname, domain) = (config.text("Hostname"), config.text("Domainname"));
    let own = networks::Own { id: one.id, known: &one.known, hostname: hostname.clone() };
    let exposed = image.exposed_ports.as_deref().unwrap_or_default();
    networks::ports(&mut host, &mut config, exposed, (&mut table, remarks));
    let settings = answer.network_settings.clone().unwrap_or_default();
    networks::read(&own, &mut host, &settings, around, (&mut table, remarks))?;
    let image_volumes = image.volumes.as_deref().unwrap_or_default();
    mounts::read((&mut host, &mut config), image_volumes, around, (&mut table, remarks));
    limits::read(&mut host, &mut table, remarks);
    host::read(&mut host, around, usual, &mut table, remarks);
    if !shares_a_host(&table) {
        // The engine names a host by its container's identifier.
        put(&mut table, "hostname", if one.id.starts_with(&hostname) { String::new() } else { hostname });
        put(&mut table, "domainname", domain);
    }
    process::say_the_rest(config, &image, remarks);
    host.say_the_rest("", remarks);
    Ok(table)
}

/// Whether the container has the host's name of somebody else, and may have none of its own.
fn shares_a_host(table: &Table) -> bool {
    let mode = table.get("network_mode").and_then(Value::as_str).unwrap_or_default();
    mode.starts_with("service:") || mode.starts_with("container:") || table.contains_key("uts")
}

/// Writes `depends_on` from the labels; gives remarks of what is not there.
fn depend(by_service: &BTreeMap<String, Vec<One<'_>>>, services: &mut Table) -> Vec<String> {
    let mut said = Vec::new();
    for (name, ones) in by_service {
        let mut needed = Table::new();
        let mut listed: Vec<&str> = ones[0].depends_on.split(',').filter(|entry| !entry.is_empty()).collect();
        listed.sort_unstable();
        for entry in listed {
            let mut parts = entry.split(':');
            let [service, condition, restart] = [(); 3].map(|()| parts.next().unwrap_or_default());
            if !by_service.contains_key(service) {
                said.push(format!("{name}: it depends on {service}, which has no container; left out"));
                continue;
            }
            let condition = if condition.is_empty() { "service_started" } else { condition };
            let mut one = Table::from_iter([("condition".to_owned(), Value::from(condition))]);
            put(&mut one, "restart", restart == "true");
            put(&mut one, "required", true);
            needed.insert(service.to_owned(), Value::Object(one));
        }
        if let Some(table) = services.get_mut(name).and_then(Value::as_object_mut) {
            put(table, "depends_on", needed);
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(service: &str, number: u32, more: &[(&str, &str)], env: &[&str]) -> ContainerInspectResponse {
        let mut labels = json!({ label::SERVICE: service, NUMBER: number.to_string() });
        for (key, value) in more {
            labels[*key] = Value::from(*value);
        }
        let inspected = json!({
            "Id": format!("{number}{service}"), "Name": format!("/shop-{service}-{number}"), "Image": "sha256:aa",
            "State": {"Status": "running"}, "Config": {"Labels": labels, "Env": env, "Hostname": number.to_string()},
            "HostConfig": {"NetworkMode": "none"},
        });
        serde_json::from_value(inspected).unwrap()
    }

    fn images() -> BTreeMap<String, ImageInspect> {
        BTreeMap::from([("sha256:aa".to_owned(), ImageInspect::default())])
    }

    #[test]
    fn a_service_of_several_containers_is_read_from_the_first_and_differences_are_remarked() {
        let containers = [answer("web", 2, &[], &["A=2"]), answer("web", 1, &[], &["A=$1"])];
        let read = model("shop", &containers, &images()).unwrap();
        let web = json!({"image": "sha256:aa", "environment": {"A": "$$1"}, "network_mode": "none",
            "deploy": {"replicas": 2}});
        assert_eq!(read.model, json!({"name": "shop", "services": {"web": web}}));
        assert_eq!(read.remarks, ["web: shop-web-2 differs from shop-web-1 in environment; read from shop-web-1"]);
    }

    #[test]
    fn what_a_service_depends_on_is_kept_as_long_as_it_is_there() {
        let needs = [(DEPENDS_ON, "gone:service_started:false,db:service_healthy:true")];
        let read = model("shop", &[answer("web", 1, &needs, &[]), answer("db", 1, &[], &[])], &images()).unwrap();
        let needed = json!({"db": {"condition": "service_healthy", "restart": true, "required": true}});
        assert_eq!(read.model["services"]["web"]["depends_on"], needed);
        assert_eq!(read.remarks, ["web: it depends on gone, which has no container; left out"]);
    }

    #[test]
    fn containers_of_one_command_are_passed_over() {
        let once = answer("web", 1, &[(label::ONE_OFF, "True")], &[]);
        let why = model("shop", &[once], &images()).unwrap_err();
        assert_eq!(why.to_string(), "the project shop has no container to read a model back from");
    }

    #[test]
    fn an_image_that_is_gone_is_remarked() {
        let read = model("shop", &[answer("web", 1, &[], &[])], &BTreeMap::new()).unwrap();
        assert_eq!(read.remarks, ["web: its image sha256:aa is not here any more; it cannot start again"]);
    }
}
