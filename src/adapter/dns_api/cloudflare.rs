//! Cloudflare, API version 4: names are whole, the zone has an identifier, and a record can be proxied.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{DnsApi, Held, PAGES, authorization, id, number, text};
use crate::adapter::dns::value::canonical;
use crate::adapter::http::Method;

impl DnsApi {
    async fn zone_at_cloudflare(&self) -> Result<String> {
        let answer = self.call(Method::Get, &format!("/zones?name={}", self.zone), None).await?;
        let zone = answer["result"].as_array().and_then(|zones| zones.first()).map(id);
        zone.with_context(|| {
            format!(
                "Cloudflare has no zone {} for this token; look at dns.zone and at what the token may do",
                self.zone
            )
        })
    }

    pub(super) async fn path_at_cloudflare(&self, id: &str) -> Result<String> {
        let path = format!("/zones/{}/dns_records", self.zone_at_cloudflare().await?);
        Ok(if id.is_empty() { path } else { format!("{path}/{id}") })
    }

    pub(super) async fn list_at_cloudflare(&self, name: &str) -> Result<Vec<Held>> {
        let base = self.path_at_cloudflare("").await?;
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let answer =
                self.call(Method::Get, &format!("{base}?name.exact={name}&per_page=100&page={page}"), None).await?;
            let records = answer["result"].as_array().cloned().unwrap_or_default();
            all.extend(records.iter().map(held).filter(|held| held.name == name));
            let pages = answer.pointer("/result_info/total_pages").and_then(Value::as_u64).unwrap_or(1);
            if u64::from(page) >= pages {
                break;
            }
        }
        Ok(all)
    }
}

fn held(record: &Value) -> Held {
    let (kind, content) = (text(record, "type"), text(record, "content"));
    let value = match kind.as_str() {
        "CNAME" | "NS" => content.trim_end_matches('.').to_ascii_lowercase(),
        "TXT" => content.trim_matches('"').to_owned(),
        "HTTPS" => canonical("HTTPS", &content),
        _ => content,
    };
    Held {
        id: id(record),
        name: text(record, "name").to_ascii_lowercase(),
        kind,
        value,
        ttl: number(record, "ttl"),
        is_proxied: record["proxied"].as_bool().unwrap_or(false),
    }
}

pub(super) fn body(record: &Held) -> Value {
    // A proxied record has the provider's own TTL.
    let ttl = if record.is_proxied { 1 } else { record.ttl };
    let mut body = json!({ "type": record.kind, "name": record.name, "content": record.value, "ttl": ttl });
    match record.kind.as_str() {
        "A" | "AAAA" | "CNAME" => body["proxied"] = json!(record.is_proxied),
        "TXT" => body["content"] = json!(format!("\"{}\"", record.value)),
        "CAA" => {
            let (flags, tag, value) = authorization(&record.value);
            body["data"] = json!({ "flags": flags, "tag": tag, "value": value });
            without_content(&mut body);
        }
        "HTTPS" => {
            body["data"] = service(&record.value);
            without_content(&mut body);
        }
        _ => {}
    }
    body
}

/// Where `data` stands, the provider makes the content of it.
fn without_content(body: &mut Value) {
    if let Some(body) = body.as_object_mut() {
        body.remove("content");
    }
}

/// Priority, target and the rest of `1 . alpn=h2,h3`, whose values the provider writes in quotes.
fn service(value: &str) -> Value {
    let mut fields = value.split(' ');
    let priority = fields.next().and_then(|priority| priority.parse::<u16>().ok()).unwrap_or(0);
    let target = fields.next().unwrap_or(".");
    let quoted = |field: &str| match field.split_once('=') {
        Some((key, value)) => format!("{key}=\"{value}\""),
        None => field.to_owned(),
    };
    let rest: Vec<String> = fields.map(quoted).collect();
    json!({ "priority": priority, "target": target, "value": rest.join(" ") })
}
