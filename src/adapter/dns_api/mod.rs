//! Providers of DNS with an API of their own: the records of a name, made, changed and deleted one by one.

mod cloudflare;
mod digitalocean;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::http::{Http, Method, Reply, Request};
use crate::secret::Secret;

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pages of a list that are read at most.
const PAGES: u32 = 100;

/// Whose API it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// DigitalOcean, API version 2.
    DigitalOcean,
    /// Cloudflare, API version 4.
    Cloudflare,
}

impl Maker {
    /// Where its API is.
    pub const fn base(self) -> &'static str {
        match self {
            Self::DigitalOcean => "https://api.digitalocean.com",
            Self::Cloudflare => "https://api.cloudflare.com/client/v4",
        }
    }
}

/// A record as the provider keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The provider's identifier.
    pub id: String,
    /// The name, whole.
    pub name: String,
    /// The type.
    pub kind: String,
    /// The value, as a name server would give it.
    pub value: String,
    /// Seconds; 1 means the provider's own choice.
    pub ttl: u32,
    /// Whether the provider answers its own addresses in its place.
    pub is_proxied: bool,
}

/// A client for one zone.
#[derive(Clone, Debug)]
pub struct DnsApi {
    http: Http,
    maker: Maker,
    base: String,
    token: Secret,
    zone: String,
}

impl DnsApi {
    /// A client; nothing is asked yet.
    pub fn new(http: Http, maker: Maker, base: &str, token: Secret, zone: &str) -> Self {
        Self { http, maker, base: base.trim_end_matches('/').to_owned(), token, zone: zone.to_owned() }
    }

    /// The records of a name, of every type.
    ///
    /// # Errors
    /// When the provider does not answer, or refuses.
    pub async fn records(&self, name: &str) -> Result<Vec<Held>> {
        match self.maker {
            Maker::DigitalOcean => self.list_at_digitalocean(name).await,
            Maker::Cloudflare => self.list_at_cloudflare(name).await,
        }
    }

    /// Makes a record; its `id` is not looked at.
    ///
    /// # Errors
    /// When the provider does not answer, or refuses.
    pub async fn create(&self, record: &Held) -> Result<()> {
        let (path, body) = match self.maker {
            Maker::DigitalOcean => (self.path_at_digitalocean(""), digitalocean::body(record, &self.zone)),
            Maker::Cloudflare => (self.path_at_cloudflare("").await?, cloudflare::body(record)),
        };
        self.call(Method::Post, &path, Some(&body)).await.map(|_| ())
    }

    /// Gives a record another value and TTL.
    ///
    /// # Errors
    /// When the provider does not answer, or refuses.
    pub async fn change(&self, record: &Held) -> Result<()> {
        let (path, body) = match self.maker {
            Maker::DigitalOcean => (self.path_at_digitalocean(&record.id), digitalocean::body(record, &self.zone)),
            Maker::Cloudflare => (self.path_at_cloudflare(&record.id).await?, cloudflare::body(record)),
        };
        // As each vendor's own client does; both take the whole record.
        let method = match self.maker {
            Maker::DigitalOcean => Method::Put,
            Maker::Cloudflare => Method::Patch,
        };
        self.call(method, &path, Some(&body)).await.map(|_| ())
    }

    /// Deletes a record; one that is gone already is fine.
    ///
    /// # Errors
    /// When the provider does not answer, or refuses.
    pub async fn delete(&self, id: &str) -> Result<()> {
        let path = match self.maker {
            Maker::DigitalOcean => self.path_at_digitalocean(id),
            Maker::Cloudflare => self.path_at_cloudflare(id).await?,
        };
        let reply = self.send(Method::Delete, &path, None).await?;
        if reply.status == 404 { Ok(()) } else { self.good(&path, &reply).map(|_| ()) }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let reply = self.send(method, path, body).await?;
        self.good(path, &reply)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply> {
        let url = format!("{}{path}", self.base);
        let headers = [("authorization", Secret::new(format!("Bearer {}", self.token.expose())))];
        let body = body.map(Value::to_string);
        let json = body.as_ref().map(String::as_bytes);
        let request = Request { method, url: &url, headers: &headers, json, deadline: PATIENCE };
        self.http.send(&request).await.with_context(|| format!("no answer from {url}"))
    }

    /// The answer's JSON, if it is a good one.
    fn good(&self, path: &str, reply: &Reply) -> Result<Value> {
        let json: Value = match reply.body.trim() {
            "" => Value::Null,
            body => serde_json::from_str(body)
                .with_context(|| format!("{}{path} answered {} without JSON", self.base, reply.status))?,
        };
        // Cloudflare says it in the body too.
        let is_refused = json.get("success").is_some_and(|success| success == &Value::Bool(false));
        if (200..300).contains(&reply.status) && !is_refused {
            return Ok(json);
        }
        let hint = match reply.status {
            401 | 403 => {
                "; the token is not the right one, or may not write this zone: look at dns.token_env or dns.token_file"
            }
            404 => "; the zone is not there for this token: look at dns.zone",
            429 => "; too many requests: try again in some minutes",
            _ => "",
        };
        bail!("{}{path} answered {}: {}{hint}", self.base, reply.status, said(&json))
    }
}

/// The provider's own words: `message` at DigitalOcean, `errors` at Cloudflare.
fn said(json: &Value) -> String {
    if let Some(message) = json.get("message").and_then(Value::as_str) {
        return message.to_owned();
    }
    let errors = json.get("errors").and_then(Value::as_array).into_iter().flatten();
    let words: Vec<String> = errors
        .map(|error| format!("{} ({})", error["message"].as_str().unwrap_or("no message"), error["code"]))
        .collect();
    if words.is_empty() { "no reason given".to_owned() } else { words.join("; ") }
}

/// A field of text; empty where it is missing.
fn text(json: &Value, name: &str) -> String {
    json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// An identifier, which is a number at one provider and text at the other.
fn id(json: &Value) -> String {
    match json.get("id") {
        Some(Value::String(id)) => id.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn number(json: &Value, name: &str) -> u32 {
    json.get(name).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

/// Flags, tag and value of `0 issue "letsencrypt.org"`.
fn authorization(value: &str) -> (u32, &str, &str) {
    let mut fields = value.splitn(3, ' ');
    let flags = fields.next().and_then(|flags| flags.parse().ok()).unwrap_or(0);
    (flags, fields.next().unwrap_or_default(), fields.next().unwrap_or_default().trim_matches('"'))
}
