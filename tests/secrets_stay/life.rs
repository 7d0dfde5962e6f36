//! A whole life of a project: deployments that go well, that fail and go back, and what is left of them on disk.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::scene::{Scene, none};

#[test]
fn a_deployment_its_failures_and_its_undoing_tell_no_secret() {
    let scene = Scene::new("life");
    scene.project.write("migrate.sh", include_str!("migrate.sh"));
    scene.call_in_every_way(0, &["config", "check"]);
    scene.call_in_every_way(0, &["config", "show"]);
    scene.call_in_every_way(0, &["plan", "deploy", "-o", "plan.json"]);
    scene.expect(0, &["preflight", "-vv"]);
    scene.expect(0, &["deploy", "--yes", "-vv"]);

    scene.project.set("VERSION", "2");
    scene.call_in_every_way(0, &["deploy", "--dry-run"]);
    scene.expect(0, &["deploy", "--yes", "-vv", "--output", "json"]);

    scene.project.set("BROKEN", "health");
    let said = scene.expect(7, &["deploy", "--yes", "-vv"]);
    assert!(said.contains("refused:"), "the health check's words are shown:\n{said}");
    scene.expect(7, &["deploy", "--yes", "--output", "json"]);
    scene.project.set("BROKEN", "migration");
    let said = scene.expect(7, &["deploy", "--yes", "-vv"]);
    assert!(said.contains("cannot log in with"), "the migration's words are shown:\n{said}");

    scene.call_in_every_way(0, &["plan", "rollback"]);
    scene.expect(0, &["rollback", "--yes", "-vv"]);
    for verb in [&["status"][..], &["history"], &["releases"], &["history", "3"], &["history", "6", "--manifest"]] {
        scene.call_in_every_way(0, verb);
    }

    scene.nothing_was_said();
    scene.nothing_was_handed_on();
    nothing_is_kept(&scene);
    what_is_kept_is_closed(&scene);
}

/// Wants no canary in the state directory and in saved plans, except where a copy of the model or of the files has to
/// be kept so that a release can come back, and in dumps of the database.
fn nothing_is_kept(scene: &Scene) {
    let state = scene.project.state();
    let mut files = all(&state);
    assert!(
        files.iter().any(|path| path.ends_with("runs/0003/incident/states.json")) || incident(&files),
        "{files:#?}"
    );
    files.retain(|path| !holds_copies(path.strip_prefix(&state).unwrap()));
    files.push(scene.project.path("plan.json"));
    none(files.into_iter().filter(|path| path.is_file()).map(|path| {
        let text = std::fs::read(&path).unwrap();
        (path.display().to_string(), text)
    }));
}

fn incident(files: &[PathBuf]) -> bool {
    files.iter().any(|path| path.components().any(|part| part.as_os_str() == "incident"))
}

fn holds_copies(inside: &Path) -> bool {
    let name = inside.file_name().unwrap().to_string_lossy();
    let text = inside.to_string_lossy();
    match text.split('/').next().unwrap() {
        "releases" => text.contains("/files/") || ["model.json", "pinned.json"].contains(&&*name),
        "runs" => ["model.json", "before.json", "brought-up.json"].contains(&&*name),
        "backups" | "exports" => name.ends_with(".dump"),
        _ => false,
    }
}

/// Everything below the state directory is its owner's alone. Only the copies of a project's own files keep the modes
/// that the containers need, inside directories that are closed.
fn what_is_kept_is_closed(scene: &Scene) {
    let state = scene.project.state();
    let mut open = Vec::new();
    for path in all(&state).into_iter().chain([state.clone()]) {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let mode = meta.permissions().mode() & 0o7777;
        let is_copy = meta.is_file() && path.to_string_lossy().contains("/files/");
        let wanted = if meta.is_dir() { 0o700 } else { 0o600 };
        if mode != wanted && !is_copy {
            open.push(format!("{} {mode:04o}", path.display()));
        }
    }
    assert!(open.is_empty(), "open to others:\n{}", open.join("\n"));
}

fn all(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all(&path));
        }
        found.push(path);
    }
    found
}
