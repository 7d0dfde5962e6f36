//! Prometheus over its HTTP API: no data, NaN and warnings are told apart from numbers, and raw samples are never rated.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::http::Http;

mod raw;

pub use raw::{RawSeries, clock_ms, raw};

/// What an instant query that should give one number gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// One finite number.
    Value(f64),
    /// No data, and why: no series, or a share of nothing.
    Nothing(String),
    /// An answer that does not tell, and why: a warning, several series, another kind of value.
    Unclear(String),
}

#[derive(Deserialize)]
struct Reply {
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: serde_json::Value,
}

/// Asks for one number.
///
/// # Errors
/// When Prometheus cannot be reached, answers no JSON, or refuses the query: nothing is known then.
pub async fn number(http: &Http, base: &str, query: &str, deadline: Duration) -> Result<Number> {
    let reply = ask(http, base, query, None, deadline).await?;
    if let Some(warning) = reply.warnings.first() {
        return Ok(Number::Unclear(format!("Prometheus warns: {warning}")));
    }
    Ok(reply.data.map_or_else(|| Number::Nothing("no data".into()), |data| one_number(&data)))
}

/// Asks an instant query, as of now or of a time in milliseconds.
async fn ask(http: &Http, base: &str, query: &str, at_ms: Option<i64>, deadline: Duration) -> Result<Reply> {
    let time = at_ms.map_or_else(String::new, |at| format!("&time={}.{:03}", at.div_euclid(1000), at.rem_euclid(1000)));
    let url = format!("{}/api/v1/query?query={}{time}", base.trim_end_matches('/'), escape(query));
    let answer = http.get(&url, deadline).await.with_context(|| format!("cannot ask Prometheus at {base}"))?;
    let reply: Reply = serde_json::from_str(&answer.body)
        .with_context(|| format!("Prometheus at {base} answered {} without its JSON", answer.status))?;
    if reply.status != "success" {
        bail!("Prometheus refused the query {query:?}: {}", reply.error);
    }
    Ok(reply)
}

fn one_number(data: &Data) -> Number {
    let sample = match (data.kind.as_str(), data.result.as_array()) {
        ("scalar", Some(pair)) => pair.get(1),
        ("vector", Some(series)) if series.len() == 1 => series[0].get("value").and_then(|pair| pair.get(1)),
        ("vector", Some(series)) if series.is_empty() => return Number::Nothing("the query gives no series".into()),
        ("vector", Some(series)) => {
            return Number::Unclear(format!("the query gives {} series, not one", series.len()));
        }
        (kind, _) => return Number::Unclear(format!("the query gives a {kind}")),
    };
    match sample.and_then(serde_json::Value::as_str).map(str::parse::<f64>) {
        Some(Ok(value)) if value.is_finite() => Number::Value(value),
        Some(Ok(value)) if value.is_nan() => Number::Nothing("nothing was counted".into()),
        Some(Ok(value)) => Number::Unclear(format!("the value is {value}")),
        _ => Number::Unclear("the answer holds no number".into()),
    }
}

pub(super) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, result: serde_json::Value) -> Number {
        one_number(&Data { kind: kind.into(), result })
    }

    #[test]
    fn one_series_is_a_number_and_everything_else_is_not() {
        let sample = |value: &str| serde_json::json!({"metric": {}, "value": [1.0, value]});
        assert_eq!(read("vector", serde_json::json!([sample("0.25")])), Number::Value(0.25));
        assert!(matches!(read("vector", serde_json::json!([sample("NaN")])), Number::Nothing(_)));
        assert!(matches!(read("vector", serde_json::json!([])), Number::Nothing(_)));
        assert!(matches!(read("vector", serde_json::json!([sample("0"), sample("1")])), Number::Unclear(_)));
        assert!(matches!(read("matrix", serde_json::json!([])), Number::Unclear(_)));
    }

    #[test]
    fn a_query_is_escaped_byte_by_byte() {
        assert_eq!(escape("up{a=\"b\"}"), "up%7Ba%3D%22b%22%7D");
    }
}
