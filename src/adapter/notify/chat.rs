//! A webhook that takes Slack's form: Slack, Mattermost, Rocket.Chat, Discord (`/slack`), Zulip. One field, `text`.
//!
//! Source: Slack's "Sending messages using incoming webhooks" and "Formatting text": `&`, `<` and `>` are escaped, a line
//! in stars is bold, what stands in triple backticks is shown as it is.

use serde_json::json;

use super::{Notice, Severity, Target, accepted};
use crate::adapter::outbound::{Outbound, Sending, Undelivered, Verb};

/// Longer texts are cut by Slack at 40,000 letters; nobody reads so far at night.
const LONGEST: usize = 6000;

pub(super) async fn send(outbound: &Outbound, target: &Target, notice: &Notice) -> Result<String, Undelivered> {
    let body = json!({ "text": text(notice) }).to_string().into_bytes();
    let sending = Sending { verb: Verb::Post, url: &target.0, headers: &[], body: Some(("application/json", body)) };
    accepted(target, &outbound.send(sending).await?)
}

fn text(notice: &Notice) -> String {
    let sign = match notice.severity {
        Severity::Bad => ":rotating_light: ",
        Severity::Warn => ":warning: ",
        Severity::Good => ":white_check_mark: ",
        Severity::Info => "",
    };
    let text: String = notice.text.trim_end().chars().take(LONGEST).collect();
    // Backticks in the text would end the block.
    format!("{sign}*{}*\n```\n{}\n```", escaped(&notice.title), escaped(&text).replace("```", "'''"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_chat_would_take_for_a_command_is_escaped() {
        let notice = Notice {
            id: String::new(),
            event: "run_failed".into(),
            severity: Severity::Bad,
            at_ms: 0,
            project: "shop".into(),
            environment: "production".into(),
            title: "a <!channel> & b".into(),
            text: "curl said <html> ``` \n".into(),
            facts: serde_json::Value::Null,
        };
        let expected = ":rotating_light: *a &lt;!channel&gt; &amp; b*\n```\ncurl said &lt;html&gt; '''\n```";
        assert_eq!(text(&notice), expected);
    }
}
