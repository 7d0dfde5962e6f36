//! Loki over its HTTP API: how many lines a query counted. No answer is never a zero.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::http::Http;
use super::prometheus::escape;

/// Asks a metric query, such as `sum(count_over_time({service="backend"} |= "ERROR" [5m]))`. Without any line Loki gives
/// no series, which is a count of nothing: but only where the streams exist, which is for the caller to know.
///
/// # Errors
/// When Loki cannot be reached, refuses the query, or gives several numbers.
pub async fn count(http: &Http, base: &str, query: &str, deadline: Duration) -> Result<f64> {
    let url = format!("{}/loki/api/v1/query?query={}", base.trim_end_matches('/'), escape(query));
    let answer = http.get(&url, deadline).await.with_context(|| format!("cannot ask Loki at {base}"))?;
    if answer.status != 200 {
        let said: String = answer.body.trim().chars().take(200).collect();
        bail!("Loki at {base} answered {}: {said}", answer.status);
    }
    let reply: Value =
        serde_json::from_str(&answer.body).with_context(|| format!("Loki at {base} answered no JSON"))?;
    one(&reply)
}

fn one(reply: &Value) -> Result<f64> {
    let data = &reply["data"];
    if data["resultType"] != "vector" {
        bail!(
            "the query gives {}: write one that counts, such as sum(count_over_time({{…}} [5m]))",
            data["resultType"]
        );
    }
    match data["result"].as_array().map(Vec::as_slice) {
        Some([]) => Ok(0.0),
        Some([series]) => {
            let value = series["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
            value.filter(|value| value.is_finite()).context("the answer holds no number")
        }
        Some(several) => bail!("the query gives {} numbers, not one; sum them up", several.len()),
        None => bail!("the answer holds no result"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_number_is_a_count_and_anything_else_is_said() {
        let reply = |kind: &str, result: Value| json!({"data": {"resultType": kind, "result": result}});
        assert!((one(&reply("vector", json!([{"value": [1, "12"]}]))).unwrap() - 12.0).abs() < f64::EPSILON);
        assert!(one(&reply("vector", json!([]))).unwrap().abs() < f64::EPSILON);
        assert!(one(&reply("streams", json!([]))).is_err());
        assert!(one(&reply("vector", json!([{}, {}]))).is_err());
        assert!(one(&reply("vector", json!([{"value": [1, "NaN"]}]))).is_err());
    }
}
