//! The files of the stack as files. Law: each says what it is, pins what it stands on, and stays short.

use crate::cli::{files, root, text};
use std::path::Path;

#[test]
fn the_dockerfiles_pin_their_bases_and_end_as_somebody_else_than_root() {
    for path in files("compose", ".Dockerfile") {
        let name = path.display();
        let text = std::fs::read_to_string(&path).expect("Dockerfile");
        let stages: Vec<&str> = text.lines().filter_map(|line| line.split(" AS ").nth(1)).collect();
        let bases = text.lines().filter_map(|line| line.strip_prefix("ARG NODE_IMAGE=").or(line.strip_prefix("FROM ")));
        for base in bases.map(|base| base.split(' ').next().unwrap_or_default()) {
            let is_known = stages.contains(&base) || base == "${NODE_IMAGE}";
            let tag = base.rsplit_once(':').map_or("", |(_, tag)| tag);
            assert!(is_known || (tag.matches('.').count() >= 2 && !tag.contains("latest")), "{name}: {base}");
        }
        let user = text.lines().filter_map(|line| line.strip_prefix("USER ")).next_back();
        assert_eq!(user, Some("1000:1000"), "{name}");
    }
    assert!(
        text("compose/backend.Dockerfile").contains("\nHEALTHCHECK "),
        "the backend's image says how it is checked"
    );
}

#[test]
fn every_file_begins_by_saying_what_it_is_and_stays_short() {
    let directories = [
        "compose",
        "compose/prometheus",
        "compose/loki",
        "compose/alloy",
        "compose/redis",
        "compose/postgres",
        "caddy",
        "compose/grafana/provisioning/datasources",
        "compose/grafana/provisioning/dashboards",
        "secrets.example",
    ];
    for path in directories.iter().flat_map(|directory| files(directory, "")).filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(&path).expect("text");
        let head: String = text.lines().take(4).collect::<Vec<_>>().join(" ");
        assert!(head.contains("Law: "), "{} does not begin with its law", shown(&path));
        assert!(text.lines().count() < 400, "{} is long", shown(&path));
    }
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
