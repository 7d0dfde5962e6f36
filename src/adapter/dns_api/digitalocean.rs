//! DigitalOcean, API version 2: names are relative to the domain, the targets of aliases end with a point.

use anyhow::Result;
use serde_json::{Value, json};

use super::{DnsApi, Held, PAGES, authorization, id, number, text};
use crate::adapter::http::Method;

impl DnsApi {
    pub(super) fn path_at_digitalocean(&self, id: &str) -> String {
        let path = format!("/v2/domains/{}/records", self.zone);
        if id.is_empty() { path } else { format!("{path}/{id}") }
    }

    pub(super) async fn list_at_digitalocean(&self, name: &str) -> Result<Vec<Held>> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let path = format!("{}?per_page=200&page={page}", self.path_at_digitalocean(""));
            let answer = self.call(Method::Get, &path, None).await?;
            let records = answer["domain_records"].as_array().cloned().unwrap_or_default();
            all.extend(records.iter().map(|record| held(record, &self.zone)).filter(|held| held.name == name));
            if answer.pointer("/links/pages/next").is_none() {
                break;
            }
        }
        Ok(all)
    }
}

fn held(record: &Value, zone: &str) -> Held {
    let whole = |name: &str| match name {
        "@" => zone.to_owned(),
        name if name.ends_with('.') => name.trim_end_matches('.').to_owned(),
        // As people write targets: a name of the domain, or a whole one.
        name if name.contains('.') => name.to_owned(),
        name => format!("{name}.{zone}"),
    };
    let (kind, data) = (text(record, "type"), text(record, "data"));
    let value = match kind.as_str() {
        "CNAME" | "NS" => whole(&data).to_ascii_lowercase(),
        "CAA" => format!("{} {} \"{}\"", number(record, "flags"), text(record, "tag"), data.trim_end_matches('.')),
        _ => data,
    };
    let name = text(record, "name");
    let name = if name == "@" { zone.to_owned() } else { format!("{name}.{zone}") };
    Held { id: id(record), name: name.to_ascii_lowercase(), kind, value, ttl: number(record, "ttl"), is_proxied: false }
}

pub(super) fn body(record: &Held, zone: &str) -> Value {
    let relative = match record.name.strip_suffix(zone).map(|rest| rest.trim_end_matches('.')) {
        Some("") | None => "@",
        Some(rest) => rest,
    };
    let mut body = json!({ "type": record.kind, "name": relative, "data": record.value, "ttl": record.ttl });
    match record.kind.as_str() {
        "CNAME" | "NS" => body["data"] = json!(format!("{}.", record.value)),
        "CAA" => {
            let (flags, tag, value) = authorization(&record.value);
            body["flags"] = json!(flags);
            body["tag"] = json!(tag);
            body["data"] = json!(format!("{value}."));
        }
        _ => {}
    }
    body
}
