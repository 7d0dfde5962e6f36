//! Raw samples, as they were scraped: `SELECTOR[WINDOW]` at a time. Nothing is rated, extrapolated or thinned out.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::super::http::Http;
use super::{Data, Number, ask, one_number};

/// A series with its samples: milliseconds of Unix time, and the value, which may be NaN or infinite.
#[derive(Clone, Debug, PartialEq)]
pub struct RawSeries {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its samples.
    pub samples: Vec<(i64, f64)>,
}

/// The samples of a selector in the window that ends at `upto_ms`. A warning of Prometheus makes the answer worthless:
/// what is missing from it, nobody knows.
///
/// # Errors
/// When Prometheus cannot be reached, refuses the query, warns, or answers anything but samples.
pub async fn raw(
    http: &Http,
    base: &str,
    selector: &str,
    window: Duration,
    upto_ms: i64,
    deadline: Duration,
) -> Result<Vec<RawSeries>> {
    let query = format!("{selector}[{}ms]", window.as_millis());
    let reply = ask(http, base, &query, Some(upto_ms), deadline).await?;
    if let Some(warning) = reply.warnings.first() {
        bail!("Prometheus warns: {warning}");
    }
    let data = reply.data.context("Prometheus answered without data")?;
    if data.kind != "matrix" {
        bail!("{selector:?} gives a {}, not samples: it must be a plain selector", data.kind);
    }
    data.result.as_array().context("Prometheus answered without series")?.iter().map(series).collect()
}

/// Prometheus's own clock, milliseconds of Unix time.
///
/// # Errors
/// When Prometheus cannot be reached or does not tell.
pub async fn clock_ms(http: &Http, base: &str, deadline: Duration) -> Result<i64> {
    let reply = ask(http, base, "time()", None, deadline).await?;
    match reply.data.as_ref().map(one_number as fn(&Data) -> Number) {
        Some(Number::Value(seconds)) => Ok((seconds * 1000.0).round() as i64),
        other => bail!("Prometheus does not tell its time: {other:?}"),
    }
}

fn series(value: &serde_json::Value) -> Result<RawSeries> {
    let labels = value.get("metric").and_then(serde_json::Value::as_object).context("a series without labels")?;
    let labels = labels.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
    let samples = value.get("values").and_then(serde_json::Value::as_array).context("a series without samples")?;
    let samples = samples.iter().map(|pair| {
        let at = pair.get(0).and_then(serde_json::Value::as_f64).context("a sample without its time")?;
        let value = pair.get(1).and_then(serde_json::Value::as_str).context("a sample without its value")?;
        // NaN, +Inf and -Inf come as words, and Rust reads them as such.
        let value: f64 = value.parse().with_context(|| format!("a sample's value is {value:?}"))?;
        Ok(((at * 1000.0).round() as i64, value))
    });
    Ok(RawSeries { labels, samples: samples.collect::<Result<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_that_come_as_words_are_read_as_what_they_are() {
        let read = series(
            &json!({"metric": {"code": "200"}, "values": [[1.5, "7"], [2, "NaN"], [3.001, "+Inf"], [4, "-Inf"]]}),
        );
        let read = read.unwrap();
        let times: Vec<i64> = read.samples.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [1500, 2000, 3001, 4000]);
        assert!(read.samples[1].1.is_nan() && read.samples[2].1 == f64::INFINITY && read.samples[3].1 < 0.0);
    }

    #[test]
    fn what_is_no_sample_is_an_error_and_never_a_zero() {
        assert!(series(&json!({"metric": {}, "values": [[1, 7]]})).is_err());
        assert!(series(&json!({"metric": {}, "values": [[1, "seven"]]})).is_err());
        assert!(series(&json!({"metric": {}})).is_err());
    }
}
