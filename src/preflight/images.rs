//! Images: each is here, is built here, or can be pulled; the registry is asked only where the answer matters.

use std::path::Path;

use futures_util::future::join_all;
use serde_json::Value;

use super::Ask;
use super::finding::{Found, Parts};
use crate::adapter::docker::Docker;
use crate::adapter::process::Command;
use crate::config::PullPolicy;
use crate::release::model;

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let (model, docker) = match tokio::join!(ask.model(), ask.negotiated()) {
        (Ok(model), Ok(docker)) => (model, docker),
        (Err(unread), _) => return unread.found("which images the model names"),
        (_, Err(unread)) => return unread.found("which images are here"),
    };
    let project = ask.config().compose_project();
    let mut wanted: Vec<(String, String)> = Vec::new();
    // Of the services that run one image, the one that is built here answers for all of them.
    let is_built = |service: &String| ask.config().compose.build.contains(service);
    let (built, others): (Vec<String>, Vec<String>) = model::services(&model.value).into_iter().partition(is_built);
    for service in built.into_iter().chain(others) {
        let reference = model::image(&model.value, project, &service);
        if !wanted.iter().any(|(_, known)| *known == reference) {
            wanted.push((service, reference));
        }
    }
    let asked = wanted.iter().map(|(service, reference)| one(ask, &docker, &model.value, service, reference));
    let mut parts = Parts::default();
    join_all(asked).await.into_iter().for_each(|found| parts.push(found));
    parts.found("the model names no image")
}

async fn one(ask: &Ask<'_>, docker: &Docker, rendered: &Value, service: &str, reference: &str) -> Found {
    if ask.config().compose.build.iter().any(|built| built == service) {
        return buildable(rendered, service, reference);
    }
    let local = match ask.wait(format!("the engine's word on {reference}"), docker.image_id(reference)).await {
        Ok(local) => local.is_some(),
        Err(error) => return Found::unknown(format!("{reference}: {error:#}"), "ask the engine: docker image ls"),
    };
    let has_build = model::is_built(rendered, service);
    let is_named = model::service(rendered, service).is_some_and(|one| one.get("image").is_some_and(Value::is_string));
    match (local, ask.config().compose.pull) {
        (true, PullPolicy::Missing | PullPolicy::Never) => Found::ok(format!("{reference} is here")),
        (true, PullPolicy::Always) if !is_named => Found::ok(format!("{reference} is here and in no registry")),
        (false, _) if has_build && !is_named => Found::fail(
            format!("{reference} is not here, and {service} is not among the services that are built"),
            format!("add {service:?} to compose.build"),
        ),
        (false, PullPolicy::Never) => Found::fail(
            format!("{reference} is not here, and compose.pull is \"never\""),
            format!("docker pull {reference}"),
        ),
        (is_here, _) => pullable(ask, docker, reference, is_here).await,
    }
}

/// Whether what a build needs is there.
fn buildable(rendered: &Value, service: &str, reference: &str) -> Found {
    let build = model::service(rendered, service).and_then(|one| one.get("build"));
    let text = |key: &str| build.and_then(|build| build.get(key)).and_then(Value::as_str);
    let context = text("context").unwrap_or(".");
    if context.contains("://") || context.starts_with("git@") {
        return Found::ok(format!("{reference} is built from {context}"));
    }
    let directory = Path::new(context);
    if !directory.is_dir() {
        return Found::fail(format!("{service} is built in {context}, which is no directory"), "correct build.context");
    }
    let file = directory.join(text("dockerfile").unwrap_or("Dockerfile"));
    if text("dockerfile_inline").is_none() && !file.is_file() {
        return Found::fail(
            format!("{service} is built by {}, which does not exist", file.display()),
            "correct build.dockerfile",
        );
    }
    Found::ok(format!("{reference} is built here"))
}

async fn pullable(ask: &Ask<'_>, docker: &Docker, reference: &str, is_here: bool) -> Found {
    let registry = format!("the registry of {reference}");
    let place = if is_here { "is here, but is to be pulled always" } else { "is not here" };
    let error = match ask.wait(&registry, docker.registry_digest(reference)).await {
        Ok(_) => return Found::ok(format!("{reference} {place}; the registry has it")),
        Err(error) => format!("{error:#}"),
    };
    // The engine asks as nobody; the client knows the credentials of `docker login`.
    if wants_credentials(&error)
        && let Some(client) = &ask.asked.docker_cli
    {
        let mut command = Command::new(client, ["manifest", "inspect", reference]);
        command.deadline = ask.config().preflight.deadline;
        return match ask.wait(&registry, ask.asked.process.run(command, &|_| ())).await {
            Ok(_) => Found::ok(format!("{reference} {place}; the registry has it for us")),
            Err(error) => Found::fail(
                format!("{reference} {place} and cannot be pulled: {error}"),
                "docker login to its registry",
            ),
        };
    }
    let advice =
        "correct the reference, reach the registry, or load the image by hand and set compose.pull = \"never\"";
    Found::fail(format!("{reference} {place} and cannot be pulled: {error}"), advice)
}

fn wants_credentials(words: &str) -> bool {
    let words = words.to_lowercase();
    ["denied", "unauthorized", "authentication required", " 401", " 403"].iter().any(|word| words.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;
    use serde_json::json;

    #[test]
    fn a_build_needs_its_directory_and_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let context = directory.path().to_str().unwrap();
        let model = |build: Value| json!({"services": {"web": {"build": build}}});
        let judged = |build: Value| buildable(&model(build), "web", "shop-web").verdict;
        assert_eq!(judged(json!({"context": "/nowhere/at/all"})), Verdict::Fail);
        assert_eq!(judged(json!({"context": context})), Verdict::Fail);
        assert_eq!(judged(json!({"context": context, "dockerfile_inline": "FROM scratch"})), Verdict::Ok);
        assert_eq!(judged(json!({"context": "https://example.com/shop.git"})), Verdict::Ok);
        std::fs::write(directory.path().join("Dockerfile"), "FROM scratch").unwrap();
        assert_eq!(judged(json!({"context": context})), Verdict::Ok);
    }

    #[test]
    fn a_registry_that_wants_credentials_is_told_from_one_that_is_away() {
        assert!(wants_credentials("pull access denied for shop, repository does not exist"));
        assert!(!wants_credentials("dial tcp: lookup registry.example: no such host"));
    }
}
