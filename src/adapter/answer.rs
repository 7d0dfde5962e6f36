//! What a good HTTP answer looks like, and how one differs from it. Pure; asks nobody.

use std::collections::BTreeMap;

use serde_json::Value;

use super::http::Answer;

/// What must hold of an answer; all of it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Status code.
    pub status: u16,
    /// JSON pointers and the values that must stand there.
    pub json: &'a BTreeMap<String, Value>,
    /// Text that the body must hold.
    pub body_contains: Option<&'a str>,
}

impl Wanted<'_> {
    /// Compares.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn compare(&self, answer: &Answer) -> Result<(), String> {
        if answer.status != self.status {
            return Err(format!("status {} instead of {}: {}", answer.status, self.status, excerpt(&answer.body)));
        }
        if let Some(text) = self.body_contains
            && !answer.body.contains(text)
        {
            return Err(format!("the body does not hold {text:?}: {}", excerpt(&answer.body)));
        }
        if self.json.is_empty() {
            return Ok(());
        }
        let body: Value = serde_json::from_str(&answer.body)
            .map_err(|_| format!("the body is not JSON: {}", excerpt(&answer.body)))?;
        for (pointer, wanted) in self.json {
            let found = body.pointer(pointer).unwrap_or(&Value::Null);
            if found != wanted {
                return Err(format!("{pointer} is {found} instead of {wanted}"));
            }
        }
        Ok(())
    }
}

fn excerpt(body: &str) -> String {
    let line: String = body.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(160).collect();
    if line.is_empty() { "empty body".into() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_text_and_json_must_all_hold_and_the_first_difference_is_named() {
        let json = BTreeMap::from([("/status".to_owned(), Value::from("healthy"))]);
        let wanted = Wanted { status: 200, json: &json, body_contains: Some("healthy") };
        let compared = |status, body: &str| wanted.compare(&Answer { status, body: body.to_owned() });
        assert_eq!(compared(200, r#"{"status":"healthy"}"#), Ok(()));
        assert_eq!(compared(503, " a\n b ").unwrap_err(), "status 503 instead of 200: a b");
        assert_eq!(compared(200, "").unwrap_err(), "the body does not hold \"healthy\": empty body");
        assert_eq!(compared(200, "healthy").unwrap_err(), "the body is not JSON: healthy");
        let unhealthy = r#"{"status":"unhealthy"}"#;
        assert_eq!(compared(200, unhealthy).unwrap_err(), "/status is \"unhealthy\" instead of \"healthy\"");
    }
}
