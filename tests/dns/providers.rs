//! The two APIs, against doubles at the wire built from their public documentation: what they refuse in truth, they refuse here.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use cutover::dns::provider::{Credentials, Keeper, SetChange, SetSide};
use cutover::secret::Secret;
use cutover::step::World;
use cutover::step::switch_dns::SwitchDns;
use serde_json::{Value, json};

pub const TOKEN: &str = "token-of-the-lab";

/// What a provider holds, and what it was asked.
#[derive(Default)]
pub struct Books {
    pub records: Vec<Value>,
    next: u64,
    calls: Vec<String>,
}

pub type Shared = Arc<Mutex<Books>>;

fn refused(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}

fn is_allowed(headers: &HeaderMap) -> bool {
    headers.get("authorization").is_some_and(|value| value == &format!("Bearer {TOKEN}"))
}

fn pairs(query: Option<String>) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

/// No other record may stand beside an alias.
fn excludes(records: &[Value], new: &Value) -> bool {
    let kind = |record: &Value| record["type"].as_str().unwrap().to_owned();
    let is_host = |kind: &str| matches!(kind, "A" | "AAAA" | "CNAME");
    records.iter().any(|held| {
        held["id"] != new["id"]
            && held["name"] == new["name"]
            && is_host(&kind(held))
            && is_host(&kind(new))
            && (kind(held) == "CNAME" || kind(new) == "CNAME")
    })
}

/// Checked against the vendor's own client, godo (domains.go: the fields of a record, a change by PUT with the whole of it,
/// pages), and the reference at docs.digitalocean.com, Domain Records (a change by PUT or PATCH, the types that there are, the
/// fields that are null where a type has none, NS data without the trailing point).
mod digitalocean {
    use super::*;

    /// The types of the reference; there is no HTTPS among them.
    const TYPES: [&str; 9] = ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "TXT", "SRV", "SOA"];

    /// As it is told: every field, null where the type has none.
    fn shown(record: &Value) -> Value {
        let mut shown = json!({ "priority": null, "port": null, "weight": null, "flags": null, "tag": null });
        for (key, value) in record.as_object().unwrap() {
            shown[key] = value.clone();
        }
        if matches!(record["type"].as_str(), Some("CNAME" | "NS")) {
            shown["data"] = json!(record["data"].as_str().unwrap().trim_end_matches('.'));
        }
        shown
    }

    fn unauthorized() -> Response {
        refused(401, json!({ "id": "unauthorized", "message": "Unable to authenticate you" }))
    }

    fn check(books: &Books, record: &Value) -> Option<Response> {
        let wrong = |message: &str| Some(refused(422, json!({ "id": "unprocessable_entity", "message": message })));
        let data = record["data"].as_str().unwrap();
        match record["type"].as_str().unwrap() {
            other if !TYPES.contains(&other) => wrong("Type is not included in the list"),
            "CNAME" | "CAA" if !data.ends_with('.') => wrong("Data needs to end with a dot (.)"),
            _ if record["ttl"].as_u64().unwrap() < 30 => wrong("Ttl must be greater than or equal to 30"),
            _ if excludes(&books.records, record) => wrong("CNAME records cannot share a name with other records"),
            _ => None,
        }
    }

    async fn list(State(books): State<Shared>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
        let query = pairs(query);
        if !is_allowed(&headers) {
            return unauthorized();
        }
        let number = |key: &str| query.iter().find(|(one, _)| one == key).unwrap().1.parse::<usize>().unwrap();
        // A small page, so that more than one must be read.
        let (size, page) = (number("per_page").min(2), number("page"));
        let books = books.lock().unwrap();
        let shown: Vec<Value> = books.records.iter().skip((page - 1) * size).take(size).map(shown).collect();
        let pages = if page * size < books.records.len() { json!({ "next": "…", "last": "…" }) } else { json!({}) };
        json!({ "domain_records": shown, "links": { "pages": pages }, "meta": { "total": books.records.len() } })
            .to_string()
            .into_response()
    }

    async fn create(State(books): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
        if !is_allowed(&headers) {
            return unauthorized();
        }
        let mut books = books.lock().unwrap();
        let mut record: Value = serde_json::from_slice(&body).unwrap();
        if let Some(refusal) = check(&books, &record) {
            return refusal;
        }
        books.next += 1;
        record["id"] = json!(books.next);
        books.calls.push(format!("POST {} {} {}", record["name"], record["type"], record["data"]).replace('"', ""));
        books.records.push(record.clone());
        (StatusCode::CREATED, json!({ "domain_record": shown(&record) }).to_string()).into_response()
    }

    async fn change(State(books): State<Shared>, Path(id): Path<u64>, headers: HeaderMap, body: Bytes) -> Response {
        if !is_allowed(&headers) {
            return unauthorized();
        }
        let mut books = books.lock().unwrap();
        let mut record: Value = serde_json::from_slice(&body).unwrap();
        record["id"] = json!(id);
        if let Some(refusal) = check(&books, &record) {
            return refusal;
        }
        books.calls.push(format!("CHANGE {} {} {}", record["name"], record["type"], record["data"]).replace('"', ""));
        let held = books.records.iter_mut().find(|held| held["id"] == id).unwrap();
        *held = record.clone();
        json!({ "domain_record": shown(&record) }).to_string().into_response()
    }

    async fn delete(State(books): State<Shared>, Path(id): Path<u64>, headers: HeaderMap) -> Response {
        if !is_allowed(&headers) {
            return unauthorized();
        }
        let mut books = books.lock().unwrap();
        let before = books.records.len();
        books.records.retain(|held| held["id"] != id);
        if books.records.len() == before {
            return refused(
                404,
                json!({ "id": "not_found", "message": "The resource you were accessing could not be found." }),
            );
        }
        books.calls.push("DELETE".into());
        StatusCode::NO_CONTENT.into_response()
    }

    pub fn router(books: Shared) -> Router {
        Router::new()
            .route("/v2/domains/move.test/records", get(list).post(create))
            .route("/v2/domains/move.test/records/{id}", put(change).patch(change).delete(delete))
            .fallback(async || {
                refused(
                    404,
                    json!({ "id": "not_found", "message": "The resource you were accessing could not be found." }),
                )
            })
            .with_state(books)
    }
}

/// Checked against the reference at developers.cloudflare.com, DNS Records, and the vendor's own clients made from the same
/// description (cloudflare-go, cloudflare-python: `HTTPSRecord` with `data` of priority, target and value, whose `content` is
/// formatted by the provider; TTL 60 to 86400 or 1; a list by `name.exact`; a change of fields by PATCH, of the whole by PUT).
pub mod cloudflare {
    use super::*;

    /// A record whose parts stand in `data`; its content is made here and taken from nobody.
    fn composed(record: &Value) -> Option<String> {
        let data = &record["data"];
        let part = |name: &str| data[name].as_str().unwrap().to_owned();
        match record["type"].as_str().unwrap() {
            "CAA" => Some(format!("{} {} \"{}\"", data["flags"], part("tag"), part("value"))),
            "HTTPS" => {
                assert!(data["priority"].as_u64().unwrap() <= 65_535);
                Some(format!("{} {} {}", data["priority"], part("target"), part("value")))
            }
            _ => None,
        }
    }

    fn good(result: Value) -> Response {
        let body = json!({ "result": result, "success": true, "errors": [], "messages": [],
            "result_info": { "page": 1, "per_page": 100, "total_pages": 1 } });
        body.to_string().into_response()
    }

    fn bad(status: u16, code: u32, message: &str) -> Response {
        let body = json!({ "result": null, "success": false, "errors": [{ "code": code, "message": message }], "messages": [] });
        refused(status, body)
    }

    fn checked(books: &Books, mut record: Value) -> Result<Value, Box<Response>> {
        if let Some(content) = composed(&record) {
            if record.get("content").is_some() {
                return Err(Box::new(bad(400, 9005, "Content is made from data for this type.")));
            }
            record["content"] = json!(content);
        }
        if record["proxied"] == true {
            record["ttl"] = json!(1);
        }
        let ttl = record["ttl"].as_u64().unwrap();
        if ttl != 1 && ttl < 60 {
            return Err(Box::new(bad(
                400,
                9021,
                "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.",
            )));
        }
        if excludes(&books.records, &record) {
            return Err(Box::new(bad(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")));
        }
        Ok(record)
    }

    async fn zones(headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
        let query = pairs(query);
        if !is_allowed(&headers) {
            return bad(403, 9109, "Invalid access token");
        }
        let is_ours = query.iter().any(|(key, value)| key == "name" && value == "move.test");
        good(if is_ours {
            json!([{ "id": "023e105f4ecef8ad9ca31a8372d0c353", "name": "move.test" }])
        } else {
            json!([])
        })
    }

    async fn list(State(books): State<Shared>, RawQuery(query): RawQuery) -> Response {
        let query = pairs(query);
        let name = query.iter().find(|(key, _)| key == "name.exact").unwrap().1.clone();
        good(books.lock().unwrap().records.iter().filter(|held| held["name"] == name.as_str()).cloned().collect())
    }

    async fn create(State(books): State<Shared>, body: Bytes) -> Response {
        let mut books = books.lock().unwrap();
        books.next += 1;
        let mut record: Value = serde_json::from_slice(&body).unwrap();
        record["id"] = json!(format!("{:032x}", books.next));
        match checked(&books, record) {
            Ok(record) => {
                books
                    .calls
                    .push(format!("POST {} {} {}", record["name"], record["type"], record["content"]).replace('"', ""));
                books.records.push(record.clone());
                good(record)
            }
            Err(refusal) => *refusal,
        }
    }

    async fn change(State(books): State<Shared>, Path(id): Path<String>, body: Bytes) -> Response {
        let mut books = books.lock().unwrap();
        let mut record: Value = serde_json::from_slice(&body).unwrap();
        record["id"] = json!(id);
        match checked(&books, record) {
            Ok(record) => {
                books.calls.push(
                    format!("CHANGE {} {} {}", record["name"], record["type"], record["content"]).replace('"', ""),
                );
                *books.records.iter_mut().find(|held| held["id"] == id.as_str()).unwrap() = record.clone();
                good(record)
            }
            Err(refusal) => *refusal,
        }
    }

    async fn delete(State(books): State<Shared>, Path(id): Path<String>) -> Response {
        let mut books = books.lock().unwrap();
        books.records.retain(|held| held["id"] != id.as_str());
        books.calls.push("DELETE".into());
        good(json!({ "id": id }))
    }

    pub fn router(books: Shared) -> Router {
        let base = "/client/v4/zones/023e105f4ecef8ad9ca31a8372d0c353/dns_records";
        Router::new()
            .route("/client/v4/zones", get(zones))
            .route(base, get(list).post(create))
            .route(&format!("{base}/{{id}}"), put(change).patch(change).delete(delete))
            .with_state(books)
    }
}

pub async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn side(values: &[&str], ttl: u32) -> SetSide {
    SetSide { values: values.iter().map(|value| (*value).to_owned()).collect(), ttl, is_proxied: false }
}

fn change(name: &str, kind: &str, from: SetSide, to: SetSide) -> SetChange {
    SetChange { name: format!("{name}.move.test"), kind: kind.into(), from, to }
}

/// Two old addresses become one, an old AAAA goes, an address becomes an alias, an issuer is named.
fn switch(keeper: Keeper) -> SwitchDns {
    let changes = vec![
        change("app", "A", side(&["198.51.100.7"], 1800), side(&[], 60)),
        change("app", "CNAME", side(&[], 0), side(&["www.move.test"], 60)),
        change("www", "A", side(&["198.51.100.7", "198.51.100.8"], 1800), side(&["192.0.2.10"], 60)),
        change("www", "AAAA", side(&["2001:db8:dead::7"], 1800), side(&[], 60)),
        change("www", "CAA", side(&[], 0), side(&["0 issue \"letsencrypt.org\""], 60)),
        change("www", "TXT", side(&["old"], 1800), side(&["new"], 60)),
    ];
    SwitchDns { zone: "move.test".into(), keeper, changes, deadline_s: 60 }
}

fn credentials(token: &str) -> Credentials {
    Credentials {
        token: Some(Ok(Secret::new(token.into()))),
        timeout: Duration::from_secs(30),
        ..Credentials::default()
    }
}

async fn there_and_back(switch: &SwitchDns, books: &Shared, field: &str) {
    let with = credentials(TOKEN);
    let sorted = |books: &Shared| {
        let books = books.lock().unwrap();
        let mut all: Vec<String> = books
            .records
            .iter()
            .map(|one| format!("{} {} {} {}", one["name"], one["type"], one[field], one["ttl"]).replace('"', ""))
            .collect();
        all.sort();
        all
    };
    let before = sorted(books);
    assert!(matches!(switch.check(&with).await.unwrap(), World::Before(_)));
    switch.run(&with, &|_| ()).await.unwrap();
    let World::After(said) = switch.check(&with).await.unwrap() else { panic!("not after") };
    assert!(said.contains("www.move.test A is 192.0.2.10; www.move.test AAAA is none"), "{said}");
    let calls = books.lock().unwrap().calls.clone();
    // The old address is changed into the new one: the name is never without any.
    assert!(calls.iter().any(|call| call.starts_with("CHANGE www") && call.contains("192.0.2.10")), "{calls:?}");
    // A second time changes nothing.
    switch.run(&with, &|_| ()).await.unwrap();
    assert_eq!(books.lock().unwrap().calls, calls);
    switch.undo(&with, &|_| ()).await.unwrap();
    assert!(matches!(switch.check(&with).await.unwrap(), World::Before(_)));
    assert_eq!(sorted(books), before, "every value and TTL is back, and what was not ours was not touched");
    // Somebody else's value belongs to neither side.
    {
        let mut others = books.lock().unwrap();
        others.records.iter_mut().find(|one| one[field] == "2001:db8:dead::7").unwrap()[field] = json!("2001:db8::99");
    }
    let World::Foreign(said) = switch.check(&with).await.unwrap() else { panic!("not foreign") };
    assert_eq!(said, "www.move.test AAAA is 2001:db8::99, which is neither 2001:db8:dead::7 nor none");
}

#[tokio::test]
async fn at_digitalocean_the_records_are_changed_and_brought_back() {
    let books = Shared::default();
    for (name, kind, data) in [
        ("@", "NS", "ns1.digitalocean.com."),
        ("www", "A", "198.51.100.7"),
        ("www", "A", "198.51.100.8"),
        ("www", "AAAA", "2001:db8:dead::7"),
        ("www", "TXT", "old"),
        ("app", "A", "198.51.100.7"),
    ] {
        let mut books = books.lock().unwrap();
        books.next += 1;
        let id = books.next;
        books.records.push(json!({ "id": id, "type": kind, "name": name, "data": data, "ttl": 1800 }));
    }
    let address = serve(digitalocean::router(books.clone())).await;
    let base = format!("http://{address}");
    there_and_back(&switch(Keeper::DigitalOcean(base.clone())), &books, "data").await;

    let error =
        switch(Keeper::DigitalOcean(base.clone())).check(&credentials("another")).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{base}/v2/domains/move.test/records?per_page=200&page=1 answered 401: Unable to authenticate you; the token is not \
             the right one, or may not write this zone: look at dns.token_env or dns.token_file"
        )
    );
    let mut elsewhere = switch(Keeper::DigitalOcean(base));
    elsewhere.zone = "other.test".into();
    let error = elsewhere.check(&credentials(TOKEN)).await.unwrap_err().to_string();
    assert!(error.ends_with("; the zone is not there for this token: look at dns.zone"), "{error}");
}

#[tokio::test]
async fn at_cloudflare_the_records_are_changed_and_brought_back() {
    let books = Shared::default();
    for (name, kind, content) in [
        ("move.test", "NS", "ada.ns.cloudflare.com"),
        ("www.move.test", "A", "198.51.100.7"),
        ("www.move.test", "A", "198.51.100.8"),
        ("www.move.test", "AAAA", "2001:db8:dead::7"),
        ("www.move.test", "TXT", "\"old\""),
        ("app.move.test", "A", "198.51.100.7"),
    ] {
        let mut books = books.lock().unwrap();
        books.next += 1;
        let id = format!("{:032x}", books.next);
        books
            .records
            .push(json!({ "id": id, "type": kind, "name": name, "content": content, "ttl": 1800, "proxied": false }));
    }
    let address = serve(cloudflare::router(books.clone())).await;
    let base = format!("http://{address}/client/v4");
    there_and_back(&switch(Keeper::Cloudflare(base.clone())), &books, "content").await;

    let error = switch(Keeper::Cloudflare(base.clone())).check(&credentials("another")).await.unwrap_err().to_string();
    assert!(error.contains("answered 403: Invalid access token (9109); the token is not the right one"), "{error}");
    let mut elsewhere = switch(Keeper::Cloudflare(base));
    elsewhere.zone = "other.test".into();
    let error = elsewhere.check(&credentials(TOKEN)).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "Cloudflare has no zone other.test for this token; look at dns.zone and at what the token may do"
    );
}

#[tokio::test]
async fn a_proxied_record_stays_proxied_both_ways() {
    let books = Shared::default();
    let record = json!({ "id": "1", "type": "A", "name": "www.move.test", "content": "198.51.100.7", "ttl": 1, "proxied": true });
    books.lock().unwrap().records.push(record.clone());
    let address = serve(cloudflare::router(books.clone())).await;
    let proxied = |value: &str| SetSide { is_proxied: true, ..side(&[value], 1) };
    let changes = vec![change("www", "A", proxied("198.51.100.7"), proxied("192.0.2.10"))];
    let keeper = Keeper::Cloudflare(format!("http://{address}/client/v4"));
    let switch = SwitchDns { zone: "move.test".into(), keeper, changes, deadline_s: 60 };
    let with = credentials(TOKEN);
    switch.run(&with, &|_| ()).await.unwrap();
    assert_eq!(books.lock().unwrap().records[0]["content"], "192.0.2.10");
    assert_eq!(books.lock().unwrap().records[0]["proxied"], true);
    switch.undo(&with, &|_| ()).await.unwrap();
    assert_eq!(books.lock().unwrap().records, [record]);
}

#[tokio::test]
async fn without_a_token_nothing_is_asked() {
    let switch = switch(Keeper::Cloudflare("http://127.0.0.1:9".into()));
    let with = Credentials {
        token: Some(Err("[dns] has no API token: the variable is empty".into())),
        ..Credentials::default()
    };
    assert_eq!(switch.check(&with).await.unwrap_err().to_string(), "[dns] has no API token: the variable is empty");
}

#[tokio::test]
async fn an_https_record_at_cloudflare_is_known_however_it_is_formatted_and_comes_back() {
    let books = Shared::default();
    let old = json!({ "id": "1", "type": "HTTPS", "name": "www.move.test", "ttl": 300, "proxied": false,
        "data": { "priority": 1, "target": ".", "value": "alpn=\"h3,h2\" ipv4hint=\"198.51.100.7\"" },
        "content": "1 . alpn=\"h3,h2\" ipv4hint=\"198.51.100.7\"" });
    books.lock().unwrap().records.push(old.clone());
    let address = serve(cloudflare::router(books.clone())).await;
    let (from, to) =
        ("1 . alpn=h3,h2 ipv4hint=198.51.100.7", "1 . alpn=h2,h3 ipv4hint=192.0.2.10 ipv6hint=2001:db8::10");
    let changes = vec![change("www", "HTTPS", side(&[from], 300), side(&[to], 60))];
    let keeper = Keeper::Cloudflare(format!("http://{address}/client/v4"));
    let switch = SwitchDns { zone: "move.test".into(), keeper, changes, deadline_s: 60 };
    let with = credentials(TOKEN);
    assert!(matches!(switch.check(&with).await.unwrap(), World::Before(_)));
    switch.run(&with, &|_| ()).await.unwrap();
    let data = books.lock().unwrap().records[0]["data"].clone();
    let value = "alpn=\"h2,h3\" ipv4hint=\"192.0.2.10\" ipv6hint=\"2001:db8::10\"";
    assert_eq!(data, json!({ "priority": 1, "target": ".", "value": value }));
    assert!(matches!(switch.check(&with).await.unwrap(), World::After(_)));
    switch.undo(&with, &|_| ()).await.unwrap();
    let back = books.lock().unwrap().records[0].clone();
    assert_eq!((&back["data"], &back["content"], &back["ttl"]), (&old["data"], &old["content"], &old["ttl"]));
}
