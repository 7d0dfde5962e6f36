//! What the engine tells about a container, as we use it. What the container itself says is cleaned before it is cut.

use std::collections::BTreeMap;

use bollard::models::{ContainerInspectResponse, HealthStatusEnum};

use super::{Container, State, label};
use crate::redact::Redactor;

pub(super) fn container(answer: ContainerInspectResponse, redactor: &Redactor) -> Container {
    let config = answer.config.unwrap_or_default();
    let labels = config.labels.unwrap_or_default().into_iter();
    // Labels of compose and of ours are compared, never shown; those of a project may hold anything.
    let is_compared = |key: &str| key.starts_with("com.docker.compose.") || key.starts_with("dev.cutover.");
    let labels: BTreeMap<String, String> = labels
        .map(|(key, value)| {
            if is_compared(&key) {
                (key, value)
            } else {
                let clean = redactor.clean(&value);
                (key, clean)
            }
        })
        .collect();
    let state = answer.state.unwrap_or_default();
    let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
    let health = state.health.as_ref();
    let restart = answer.host_config.and_then(|host| host.restart_policy).and_then(|policy| policy.name);
    Container {
        id: answer.id.unwrap_or_default(),
        name: answer.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        service: label(label::SERVICE),
        hash: label(label::HASH),
        image: config.image.unwrap_or_default(),
        image_id: answer.image.unwrap_or_default(),
        is_one_off: label(label::ONE_OFF) == "True",
        // A container that compose made without `restart` has an empty policy: that is "no", too.
        restart: restart
            .map(|policy| policy.to_string())
            .filter(|word| !word.is_empty())
            .unwrap_or_else(|| "no".into()),
        state: State {
            status: state.status.map(|status| status.to_string()).unwrap_or_default(),
            health: health.and_then(|health| health.status).and_then(|status| match status {
                HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
                known => Some(known.to_string()),
            }),
            health_said: health
                .and_then(|health| health.log.as_ref())
                .and_then(|log| log.last())
                .and_then(|last| last.output.as_ref())
                .map(|output| redactor.clean(output.trim()).chars().take(300).collect::<String>())
                .filter(|output| !output.is_empty()),
            exit_code: state.exit_code.unwrap_or(0),
            started_at: state.started_at.unwrap_or_default(),
            restarts: answer.restart_count.unwrap_or(0),
            was_oom_killed: state.oom_killed.unwrap_or(false),
            error: redactor.clean(&state.error.unwrap_or_default()),
        },
        labels,
    }
}
