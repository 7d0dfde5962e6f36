//! Channels: each can be reached and lets us in. Nobody is told anything. One that fails stops nothing, unless it is required.

use futures_util::future::join_all;

use super::Ask;
use super::finding::{Found, Parts};
use crate::notify::{Listed, Notifier};

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let Some(notifier) = Notifier::new(ask.config(), ask.asked.environment, &ask.asked.redactor) else {
        return Found::skipped("no [notify] in the configuration: nobody is told of anything");
    };
    let is_required = ask.config().notify.as_ref().is_some_and(|notify| notify.required);
    let channels = notifier.channels();
    let patience = ask.patience(notifier.outbound().deadline());
    let looks = channels.iter().map(|one| async {
        let look = tokio::time::timeout(patience, look(one, &notifier));
        let seen = ask.wait(format!("the channel {}", one.name), look).await;
        seen.unwrap_or_else(|_| Err(format!("no answer within {}", crate::adapter::clock::spoken(patience))))
    });
    let mut parts = Parts::default();
    for (one, seen) in channels.iter().zip(join_all(looks).await) {
        let name = format!("{} ({})", one.name, one.kind);
        match seen {
            Ok(words) => parts.good(format!("{name}: {words}")),
            Err(why) => {
                let advice = format!("correct the channel, then try it: cutover notify test {:?}", one.name);
                let words = format!("{name}: {why}");
                if is_required { parts.fail(words, advice) } else { parts.warn(words, advice) }
            }
        }
    }
    parts.found("no channel")
}

async fn look(one: &Listed, notifier: &Notifier) -> Result<String, String> {
    let channel = one.channel.as_ref().map_err(Clone::clone)?;
    channel.look(notifier.outbound()).await.map_err(|error| error.to_string())
}
