//! A push monitor of Uptime Kuma: the dead man's switch. Who is not heard of for too long is taken for dead, and Kuma says so.
//!
//! Source: Uptime Kuma's `server/routers/api-router.js`, `/api/push/:pushToken?status=&msg=&ping=`; it answers
//! `{"ok":true}`, or 404 with `{"ok":false,"msg":…}`.

use serde_json::Value;

use super::{Target, accepted, excerpt};
use crate::adapter::outbound::{Outbound, Sending, Undelivered, Verb};

/// Kuma keeps the first letters only, and shows fewer.
const LONGEST: usize = 200;

pub(super) async fn send(
    outbound: &Outbound,
    target: &Target,
    is_well: bool,
    words: &str,
) -> Result<String, Undelivered> {
    let mut url = target.0.clone();
    // The address that Kuma shows for copying ends in `?status=up&msg=OK&ping=`.
    url.set_query(None);
    let words: String = words.chars().take(LONGEST).collect();
    let status = if is_well { "up" } else { "down" };
    url.query_pairs_mut().append_pair("status", status).append_pair("msg", &words);
    let answer = outbound.send(Sending { verb: Verb::Get, url: &url, headers: &[], body: None }).await?;
    let said = accepted(target, &answer)?;
    let document: Option<Value> = serde_json::from_str(&answer.body).ok();
    match document.as_ref().and_then(|document| document["ok"].as_bool()) {
        Some(true) => Ok(said),
        _ => Err(Undelivered::Refused(format!(
            "{} answered {} without ok: is this the address of a push monitor?{}",
            target.shown(),
            answer.status,
            excerpt(target, &answer.body)
        ))),
    }
}
