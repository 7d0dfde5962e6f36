//! Tests of the rendering: what a side has, what it leaves out, and what cannot run twice.

use super::*;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

fn model() -> Value {
    json!({
        "name": "shop",
        "services": {
            "backend": {
                "build": {"context": "."}, "container_name": "shop-backend", "profiles": ["web"],
                "ports": [{"target": 3000, "published": "3000"}],
                "command": ["serve"], "environment": {"PORT": "3000"}, "healthcheck": {"test": ["CMD", "true"]},
                "depends_on": {"db": {"condition": "service_healthy"}, "worker": {"condition": "service_started"}},
                "networks": {"default": {"aliases": ["api.internal"]}, "front": null},
                "secrets": [{"source": "pw", "target": "/run/secrets/pw"}],
                "configs": [{"source": "conf", "target": "/conf"}],
                "volumes": [{"type": "volume", "source": "assets", "target": "/assets", "read_only": true}],
                "deploy": {"replicas": 2}, "restart": "unless-stopped"
            },
            "worker": {
                "image": "shop/worker:2", "networks": {"default": null}, "links": ["backend:api", "db:database"],
                "labels": {"team": "one"}, "network_mode": "", "ipc": "service:backend"
            },
            "db": {"image": "postgres:15", "networks": {"default": null}, "volumes": [{"type": "volume", "source": "data", "target": "/d"}]}
        },
        "networks": {"default": {"name": "shop_default"}, "front": {"name": "edge", "external": true}, "unused": {}},
        "volumes": {"assets": {"name": "shop_assets"}, "data": {"name": "shop_data"}},
        "secrets": {"pw": {"file": "/srv/pw.txt"}, "other": {"file": "/srv/other.txt"}},
        "configs": {"conf": {"file": "/srv/conf"}}
    })
}

fn side() -> Value {
    render(&model(), "shop", 12, &names(&["backend", "worker"])).model
}

fn backend() -> Value {
    side()["services"]["backend-r12"].clone()
}

#[test]
fn a_side_has_the_chosen_services_alone_in_a_project_of_its_release() {
    let side = side();
    assert_eq!(side["name"], "shop-r12");
    let services: Vec<&String> = side["services"].as_object().unwrap().keys().collect();
    assert_eq!(services, ["backend-r12", "worker-r12"]);
}

#[test]
fn what_can_be_there_only_once_is_left_out() {
    for key in ["container_name", "ports", "build", "profiles"] {
        assert!(backend().get(key).is_none(), "{key}");
    }
}

#[test]
fn what_a_service_is_stays_as_it_is() {
    let (model, backend) = (model(), backend());
    for key in ["command", "environment", "healthcheck", "secrets", "configs", "volumes", "deploy", "restart"] {
        assert_eq!(backend[key], model["services"]["backend"][key], "{key}");
    }
}

#[test]
fn an_image_that_compose_would_name_for_the_project_keeps_the_name_of_the_base() {
    assert_eq!(backend()["image"], "shop-backend");
    assert_eq!(side()["services"]["worker-r12"]["image"], "shop/worker:2");
}

#[test]
fn it_joins_the_networks_and_volumes_of_the_base_by_their_names_on_the_engine() {
    let side = side();
    assert_eq!(side["networks"]["default"], json!({"name": "shop_default", "external": true}));
    assert_eq!(side["networks"]["front"], json!({"name": "edge", "external": true}));
    assert!(side["networks"].get("unused").is_none());
    assert_eq!(side["volumes"], json!({"assets": {"name": "shop_assets", "external": true}}));
}

#[test]
fn on_the_bases_networks_it_has_a_name_of_its_release_and_no_other() {
    let networks = &backend()["networks"];
    assert_eq!(networks["default"]["aliases"], json!(["shop-r12-backend"]));
    assert_eq!(networks["front"]["aliases"], json!(["shop-r12-backend"]));
}

#[test]
fn among_themselves_they_keep_their_plain_names_on_a_network_that_is_asked_first() {
    let side = side();
    assert_eq!(
        side["services"]["backend-r12"]["networks"][OWN_NETWORK]["aliases"],
        json!(["backend", "shop-backend", "api.internal"])
    );
    assert_eq!(side["services"]["worker-r12"]["networks"][OWN_NETWORK]["aliases"], json!(["worker"]));
    let name = side["networks"][OWN_NETWORK]["name"].as_str().unwrap();
    assert!(["edge", "shop_default"].iter().all(|other| name < *other), "{name}");
}

#[test]
fn a_service_alone_needs_no_network_of_its_own() {
    let side = render(&model(), "shop", 12, &names(&["backend"])).model;
    assert!(side["networks"].get(OWN_NETWORK).is_none());
}

#[test]
fn a_side_of_inner_networks_gets_no_way_out() {
    let mut model = model();
    model["networks"]["default"]["internal"] = true.into();
    model["networks"]["front"]["internal"] = true.into();
    let side = render(&model, "shop", 12, &names(&["backend", "worker"])).model;
    assert_eq!(side["networks"][OWN_NETWORK]["internal"], true);
}

#[test]
fn it_waits_for_its_own_side_only() {
    assert_eq!(backend()["depends_on"], json!({"worker-r12": {"condition": "service_started"}}));
}

#[test]
fn a_link_follows_into_the_side_or_leads_to_the_container_of_the_base() {
    let worker = side()["services"]["worker-r12"].clone();
    assert_eq!(worker["links"], json!(["backend-r12:api"]));
    assert_eq!(worker["external_links"], json!(["shop-db-1:database"]));
    assert_eq!(worker["ipc"], "service:backend-r12");
}

#[test]
fn only_the_secrets_and_configs_that_are_used_come_along() {
    assert_eq!(side()["secrets"], json!({"pw": {"file": "/srv/pw.txt"}}));
    assert_eq!(side()["configs"], json!({"conf": {"file": "/srv/conf"}}));
}

#[test]
fn its_containers_carry_release_service_and_digest_and_later_run_and_epoch() {
    let rendered = render(&model(), "shop", 12, &names(&["backend", "worker"]));
    let labels = &rendered.model["services"]["worker-r12"]["labels"];
    assert_eq!(labels["team"], "one");
    assert_eq!((&labels[label::RELEASE], &labels[label::OF_SERVICE]), (&json!("12"), &json!("worker")));
    assert_eq!((&labels[label::SIDE_OF], &labels[label::MODEL]), (&json!("shop"), &json!(rendered.digest)));
    let marked = marked(&rendered.model, 7, 2);
    let labels = &marked["services"]["worker-r12"]["labels"];
    assert_eq!((&labels[label::RUN], &labels[label::EPOCH]), (&json!("7"), &json!("2")));
}

#[test]
fn the_same_model_gives_the_same_digest_and_another_one_another() {
    let digest = |model: &Value| render(model, "shop", 12, &names(&["backend"])).digest;
    let mut other = model();
    other["services"]["backend"]["environment"]["PORT"] = "3001".into();
    assert_eq!(digest(&model()), digest(&model()));
    assert_ne!(digest(&model()), digest(&other));
}

#[test]
fn the_project_of_a_side_tells_its_release() {
    assert_eq!(release_of("shop", "shop-r12"), Some(12));
    for stranger in ["shop", "shop-rx", "shop2-r1", "shop-r1-db"] {
        assert_eq!(release_of("shop", stranger), None, "{stranger}");
    }
}

#[test]
fn a_model_without_some_services_has_nobody_who_waits_for_them() {
    let mut model = model();
    model["services"]["db"]["depends_on"] = json!({"backend": {"condition": "service_started"}});
    let rest = without(&model, &BTreeSet::from(["backend".to_owned(), "worker".to_owned()]));
    assert_eq!(rest["services"].as_object().unwrap().keys().collect::<Vec<_>>(), ["db"]);
    assert!(rest["services"]["db"].get("depends_on").is_none());
}

fn why(service: Value) -> Vec<(String, bool)> {
    let model = json!({"services": {"one": service, "two": {}}});
    obstacles(&model, "one", &names(&["one", "two"])).into_iter().map(|one| (one.why, one.is_hard)).collect()
}

#[test]
fn what_only_serves_can_run_twice() {
    assert_eq!(obstacles(&model(), "backend", &names(&["backend", "worker"])), []);
    assert_eq!(why(json!({"network_mode": "service:two"})), []);
    assert_eq!(why(json!({"volumes": [{"type": "bind", "source": "/run/a.sock", "target": "/a"}]})), []);
    assert_eq!(why(json!({"volumes": [{"type": "volume", "target": "/nameless"}]})), []);
    assert_eq!(why(json!({"volumes": [{"type": "tmpfs", "target": "/tmp"}]})), []);
}

#[test]
fn what_it_writes_to_is_named_and_a_person_may_say_that_it_can_be_shared() {
    let volume = json!({"volumes": [{"type": "volume", "source": "uploads", "target": "/u"}]});
    assert_eq!(why(volume), [("it writes to the volume uploads".to_owned(), false)]);
    let bind = json!({"volumes": [{"type": "bind", "source": "/srv/u", "target": "/u"}]});
    assert_eq!(why(bind), [("it writes to /srv/u on the host".to_owned(), false)]);
    assert_eq!(why(json!({"devices": ["/dev/ttyS0"]})).len(), 1);
}

#[test]
fn what_the_engine_gives_only_once_is_named_and_nobodys_word_helps() {
    for service in [
        json!({"network_mode": "host"}),
        json!({"network_mode": "container:abc"}),
        json!({"network_mode": "service:three"}),
        json!({"networks": {"default": {"ipv4_address": "10.0.0.5"}}}),
        json!({"networks": {"default": {"ipv6_address": "fd00::5"}}}),
        json!({"mac_address": "02:42:ac:11:00:02"}),
        json!({"volumes_from": ["three"]}),
        json!({"ipc": "service:three"}),
    ] {
        let found = why(service.clone());
        assert!(found.len() == 1 && found[0].1, "{service}: {found:?}");
    }
}
