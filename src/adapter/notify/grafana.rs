//! Annotations of Grafana: a mark in every graph at the moment when something happened.
//!
//! Source: Grafana's "Annotations HTTP API": `POST /api/annotations` with `time` in milliseconds, `tags` and `text`, by a
//! service account's token with the right `annotations:write`.

use serde_json::json;

use super::{Notice, Target, accepted};
use crate::adapter::outbound::{Outbound, Sending, Undelivered, Verb};
use crate::secret::Secret;

pub(super) async fn send(
    outbound: &Outbound,
    target: &Target,
    token: &Secret,
    notice: &Notice,
) -> Result<String, Undelivered> {
    let body = json!({
        "time": notice.at_ms,
        "tags": ["cutover", notice.project, notice.environment, notice.event],
        "text": notice.title,
    });
    let body = body.to_string().into_bytes();
    let sending = Sending {
        verb: Verb::Post,
        url: &target.join(&["api", "annotations"]),
        headers: &[bearer(token)],
        body: Some(("application/json", body)),
    };
    accepted(target, &outbound.send(sending).await?)
}

/// Reads at most one annotation: a token that is not known is answered 401.
pub(super) async fn look(outbound: &Outbound, target: &Target, token: &Secret) -> Result<String, Undelivered> {
    let mut url = target.join(&["api", "annotations"]);
    url.query_pairs_mut().append_pair("limit", "1").append_pair("tags", "cutover");
    let answer = outbound.send(Sending { verb: Verb::Get, url: &url, headers: &[bearer(token)], body: None }).await?;
    match answer.status {
        // A token may write annotations and not read them.
        403 => Ok(format!("{} answers, and knows the token", target.shown())),
        _ => accepted(target, &answer),
    }
}

fn bearer(token: &Secret) -> (&'static str, Secret) {
    ("authorization", Secret::new(format!("Bearer {}", token.expose().trim())))
}
