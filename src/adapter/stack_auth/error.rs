//! What Stack Auth answers instead of what was asked for. Law: no key and no hash stands in an error.

use std::time::Duration;

use serde_json::Value;

use crate::adapter::clock::spoken;
use crate::adapter::http::{HttpError, Reply};

/// The header that names an error which the service knows.
const KNOWN_ERROR: &str = "x-stack-known-error";
/// The longest text of the service that is repeated, in characters.
const LONGEST: usize = 400;

/// Why a request did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StackAuthError {
    /// 429; the pause that it asks for, if it says one.
    #[error("Stack Auth takes no more requests for now{}", pause(.0))]
    RateLimited(Option<Duration>),
    /// 409, `USER_EMAIL_ALREADY_EXISTS`: the address signs another account in.
    #[error("Stack Auth has an account with this e-mail address already")]
    Conflict,
    /// It understood and will not.
    #[error("Stack Auth refused with {status}{}: {said}", code.as_ref().map_or(String::new(), |code| format!(" ({code})")))]
    Refused {
        /// Status code.
        status: u16,
        /// Its own name of the error.
        code: Option<String>,
        /// Its words.
        said: String,
    },
    /// The keys are wrong.
    #[error(
        "Stack Auth does not accept the keys: {0}; check that users.project_id_* names the project's id and users.secret_key_* its secret server key (ssk_…), of the same project"
    )]
    Unauthorised(String),
    /// 5xx: whether it acted is unknown.
    #[error("Stack Auth failed with {status}: {said}")]
    Server {
        /// Status code.
        status: u16,
        /// Its words.
        said: String,
    },
    /// There is no connection; nothing was sent.
    #[error("Stack Auth cannot be reached: {0}")]
    Away(String),
    /// The request was sent and its answer did not come.
    #[error("Stack Auth did not answer: {0}")]
    NoAnswer(String),
    /// The request cannot be put together.
    #[error("{0}")]
    Unsendable(String),
    /// It answered with success, in a form that is unknown.
    #[error("Stack Auth answered what cannot be understood: {0}; check users.base_url")]
    Unreadable(String),
}

fn pause(after: &Option<Duration>) -> String {
    after.map_or(String::new(), |after| format!("; it wants a pause of {}", spoken(after)))
}

impl From<HttpError> for StackAuthError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Away(why) => Self::Away(why),
            HttpError::Unsendable(why) => Self::Unsendable(why),
            HttpError::Lost(_) | HttpError::Late(_) | HttpError::TooLong(_) => Self::NoAnswer(error.to_string()),
        }
    }
}

impl StackAuthError {
    /// Reads an answer that is no success; `clean` takes out of its words what must not be repeated.
    pub(super) fn of(reply: &Reply, clean: impl Fn(&str) -> String) -> Self {
        let code = reply.header(KNOWN_ERROR).map(str::to_owned);
        // Cleaned before it is cut: half a secret is not recognised any more.
        let said = short(&clean(&words(&reply.body)));
        match (reply.status, code.as_deref()) {
            (429, _) => Self::RateLimited(retry_after(reply)),
            (409, None | Some("USER_EMAIL_ALREADY_EXISTS")) => Self::Conflict,
            (401 | 403, _) => Self::Unauthorised(said),
            (400, Some(code)) if is_about_keys(code) => Self::Unauthorised(said),
            (status @ 500.., _) => Self::Server { status, said },
            (408, _) => Self::NoAnswer("it gave up waiting for the request (408)".into()),
            (status, _) => Self::Refused { status, code, said },
        }
    }

    /// Whether the same request may do better a little later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::RateLimited(_) | Self::Server { .. } | Self::Away(_) | Self::NoAnswer(_))
    }

    /// Whether the service can have done what it was asked, although it did not say so.
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Server { .. } | Self::NoAnswer(_) | Self::Unreadable(_))
    }

    /// Whether every other request would fail in the same way: keys, address, a setting of the project.
    pub fn is_about_the_project(&self) -> bool {
        match self {
            Self::Unauthorised(_) | Self::Unsendable(_) | Self::Unreadable(_) => true,
            Self::Refused { said, .. } => {
                said.contains("not enabled in the project") || said.contains("OAuth provider")
            }
            _ => false,
        }
    }

    pub(super) fn is_missing_user(&self) -> bool {
        matches!(self, Self::Refused { status: 404, code, .. } if matches!(code.as_deref(), Some("USER_NOT_FOUND")))
    }
}

/// The codes of a request without the headers that it must have.
fn is_about_keys(code: &str) -> bool {
    code.contains("ACCESS_TYPE") || code.contains("PROJECT_ID") || code.contains("AUTHENTICATION")
}

/// Seconds; a date is passed over, because the clocks of two hosts are not one.
fn retry_after(reply: &Reply) -> Option<Duration> {
    let seconds: f64 = reply.header("retry-after")?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The message in the body, which is JSON with an `error`, or a text.
fn words(body: &str) -> String {
    let json: Option<Value> = serde_json::from_str(body).ok();
    let message = json.as_ref().and_then(|json| json.as_str().or_else(|| json.get("error")?.as_str()));
    let line = message.unwrap_or(body).split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "no words".into() } else { line }
}

fn short(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, headers: &[(&str, &str)], body: &str) -> StackAuthError {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        StackAuthError::of(&Reply { status, headers, body: body.into() }, str::to_owned)
    }

    #[test]
    fn each_answer_has_its_kind() {
        assert_eq!(of(429, &[("retry-after", "7")], ""), StackAuthError::RateLimited(Some(Duration::from_secs(7))));
        assert_eq!(of(429, &[("retry-after", "Fri, 21 Nov 2026 04:00:00 GMT")], ""), StackAuthError::RateLimited(None));
        assert_eq!(of(429, &[("retry-after", "-1")], ""), StackAuthError::RateLimited(None));
        assert_eq!(of(409, &[(KNOWN_ERROR, "USER_EMAIL_ALREADY_EXISTS")], "{}"), StackAuthError::Conflict);
        assert!(matches!(of(409, &[(KNOWN_ERROR, "OTHER")], "{}"), StackAuthError::Refused { status: 409, .. }));
        assert!(matches!(
            of(401, &[(KNOWN_ERROR, "INVALID_SECRET_SERVER_KEY")], "{}"),
            StackAuthError::Unauthorised(_)
        ));
        let missing = of(400, &[(KNOWN_ERROR, "ACCESS_TYPE_WITHOUT_PROJECT_ID")], "{}");
        assert!(matches!(missing, StackAuthError::Unauthorised(_)), "{missing}");
        assert!(of(503, &[], "").is_passing() && of(503, &[], "").may_have_happened());
        assert!(of(404, &[(KNOWN_ERROR, "USER_NOT_FOUND")], "{}").is_missing_user());
        assert!(!of(404, &[], "<html>").is_missing_user(), "a wrong address is no missing user");
    }

    #[test]
    fn the_words_of_the_service_are_repeated_on_one_line_and_not_without_end() {
        let refused =
            of(400, &[(KNOWN_ERROR, "SCHEMA_ERROR")], r#"{"code":"SCHEMA_ERROR","error":"failed:\n  - body"}"#);
        assert_eq!(refused.to_string(), "Stack Auth refused with 400 (SCHEMA_ERROR): failed: - body");
        assert!(of(400, &[], &"x".repeat(10_000)).to_string().chars().count() < 500);
        assert!(of(400, &[], "Password auth not enabled in the project").is_about_the_project());
    }
}
