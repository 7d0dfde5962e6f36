//! A double of Stack Auth's server API for users, at the wire. Law: what it does was read in the service's public source
//! (stack-auth/stack-auth, 2025 to 2026), and where that was silent it is stricter than the service, never kinder.
//!
//! Checked there: `route-handlers/smart-request` (headers, INSUFFICIENT_ACCESS_TYPE, INVALID_SECRET_SERVER_KEY, "body
//! contains unknown properties"), `api/latest/users/crud` (order of checks, conflict only for addresses that sign in, 400 as
//! plain text, list filters, the cursor that names the first account of the next page), `interface/crud/users` (known keys),
//! `known-errors` (codes, `x-stack-known-error`, body `{code, details, error}`), `utils/hashes` (bcrypt, 60 signs, cost at
//! most 16). Not found there: 429, of which only the status and Retry-After are assumed.
//!
//! What a request does goes on when its client is gone, as it does in the service.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use cutover::adapter::clock;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Keys of a request for a new account.
const CREATE: [&str; 19] = [
    "display_name",
    "profile_image_url",
    "client_metadata",
    "client_read_only_metadata",
    "server_metadata",
    "primary_email",
    "primary_email_verified",
    "primary_email_auth_enabled",
    "passkey_auth_enabled",
    "password",
    "password_hash",
    "otp_auth_enabled",
    "totp_secret_base64",
    "oauth_providers",
    "is_anonymous",
    "restricted_by_admin",
    "restricted_by_admin_reason",
    "restricted_by_admin_private_details",
    "country_code",
];
/// The field that holds the hash here; the service never tells it.
pub const HASH: &str = "_password_hash";

/// What happens instead of, or after, what was asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// 429, with this Retry-After.
    TooMany(Option<String>),
    /// A status with these words; nothing is done.
    Status(u16, String),
    /// Nothing is done and nothing is answered.
    Hang,
    /// The connection ends; nothing is done.
    Cut,
    /// It is done, and the connection ends before the answer.
    DoThenCut,
    /// It is done, and the answer is this status.
    DoThenStatus(u16),
    /// It is done, and nothing is answered.
    DoThenHang,
    /// It is done this many milliseconds later than usual.
    Slow(u64),
}

/// A fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// `POST`, `GET`, `PATCH`, `DELETE`, or `*`.
    pub on: String,
    /// How many such requests pass unharmed first.
    #[serde(default)]
    pub after: u32,
    /// How many it strikes; none is all.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens.
    pub act: Act,
}

impl Fault {
    /// Strikes every request of a method.
    pub fn always(on: &str, act: Act) -> Self {
        Self { on: on.into(), after: 0, times: None, act }
    }

    /// Strikes the first ones.
    pub fn first(times: u32, on: &str, act: Act) -> Self {
        Self { on: on.into(), after: 0, times: Some(times), act }
    }

    fn strikes(&mut self, method: &str) -> bool {
        if self.on != "*" && self.on != method || self.times == Some(0) {
            return false;
        }
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }
}

/// How the double is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    pub project: String,
    pub key: String,
    pub oauth: Vec<String>,
    pub has_passwords: bool,
    pub has_otp: bool,
    /// How long each request takes.
    pub latency: Duration,
    /// A file that keeps the accounts over restarts.
    pub store: Option<PathBuf>,
    /// A file of faults (a JSON list) that strike for as long as it is there.
    pub faults: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            project: "6fbbf22e-f4b2-4c6e-95a1-beab6fa41063".into(),
            key: "ssk_hunter2secretserverkey".into(),
            oauth: vec!["google".into()],
            has_passwords: true,
            has_otp: true,
            latency: Duration::ZERO,
            store: None,
            faults: None,
        }
    }
}

#[derive(Default)]
struct Inside {
    users: Vec<Map<String, Value>>,
    faults: Vec<Fault>,
    counts: HashMap<String, u64>,
    arrivals: Vec<Duration>,
}

/// The double.
#[derive(Clone)]
pub struct Double {
    setup: Arc<Setup>,
    inside: Arc<Mutex<Inside>>,
    /// Its address once it listens.
    pub url: String,
}

impl Double {
    /// Starts on a port of the system's choice.
    pub async fn start(setup: Setup) -> Self {
        Self::listen(setup, "127.0.0.1:0").await.0
    }

    /// Starts at an address; the second value ends when it does.
    pub async fn listen(setup: Setup, address: &str) -> (Self, tokio::task::JoinHandle<std::io::Result<()>>) {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let users = setup.store.as_ref().map(load).unwrap_or_default();
        let inside = Inside { users, ..Inside::default() };
        let double = Self { setup: Arc::new(setup), inside: Arc::new(Mutex::new(inside)), url };
        let router = axum::Router::new().fallback(answer).with_state(double.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await });
        (double, task)
    }

    /// Adds a fault.
    pub fn fault(&self, fault: Fault) {
        self.inside.lock().unwrap().faults.push(fault);
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        self.inside.lock().unwrap().faults.clear();
    }

    /// All accounts with their hashes, the oldest first.
    pub fn users(&self) -> Vec<Map<String, Value>> {
        self.inside.lock().unwrap().users.clone()
    }

    /// Requests of a method so far.
    pub fn count(&self, method: &str) -> u64 {
        self.inside.lock().unwrap().counts.get(method).copied().unwrap_or(0)
    }

    /// The most requests that came within one second.
    pub fn busiest_second(&self) -> usize {
        let arrivals = self.inside.lock().unwrap().arrivals.clone();
        let within = |from: usize| {
            arrivals[from..].iter().take_while(|at| **at < arrivals[from] + Duration::from_secs(1)).count()
        };
        (0..arrivals.len()).map(within).max().unwrap_or(0)
    }

    /// Puts an account there as somebody else would.
    pub fn put(&self, body: Value) -> String {
        match self.create(body.as_object().unwrap()) {
            Ok(user) => user["id"].as_str().unwrap().to_owned(),
            Err(refusal) => panic!("{}", refusal.words),
        }
    }

    fn strike(&self, method: &str) -> Option<Act> {
        let mut inside = self.inside.lock().unwrap();
        *inside.counts.entry(method.to_owned()).or_default() += 1;
        inside.arrivals.push(clock::since_boot());
        let mut standing: Vec<Fault> = self
            .setup
            .faults
            .as_ref()
            .and_then(|path| std::fs::read(path).ok())
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        inside.faults.iter_mut().chain(&mut standing).find_map(|fault| fault.strikes(method).then(|| fault.act.clone()))
    }

    fn create(&self, body: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
        let email = checked(&self.setup, body, "POST")?;
        let is_true = |key: &str| body.get(key) == Some(&json!(true));
        let mut inside = self.inside.lock().unwrap();
        if is_true("primary_email_auth_enabled") {
            let holds = |user: &Map<String, Value>| {
                user["primary_email"] == json!(email) && user["primary_email_auth_enabled"] == true
            };
            if let Some(email) = email.as_ref().filter(|_| inside.users.iter().any(holds)) {
                let words = format!("A user with email {} already exists.", json!(email));
                let details = json!({ "email": email, "would_work_if_email_was_verified": false });
                return Err(Refusal { status: 409, code: Some("USER_EMAIL_ALREADY_EXISTS"), words, details });
            }
        }
        let links = body.get("oauth_providers").and_then(Value::as_array).cloned().unwrap_or_default();
        for link in &links {
            let is_same = |other: &Value| other["id"] == link["id"] && other["account_id"] == link["account_id"];
            let is_taken = |user: &Map<String, Value>| user["oauth_providers"].as_array().unwrap().iter().any(is_same);
            if inside.users.iter().any(is_taken) {
                return Err(Refusal {
                    status: 500,
                    code: None,
                    words: "Internal Server Error".into(),
                    details: Value::Null,
                });
            }
        }
        let is_restricted = is_true("is_anonymous") || is_true("restricted_by_admin");
        let of = |key: &str| body.get(key).cloned().unwrap_or(Value::Null);
        let now: jiff::Timestamp = clock::now().parse().unwrap();
        let user = json!({
            "id": uuid(), "primary_email": email, "primary_email_verified": is_true("primary_email_verified"),
            "primary_email_auth_enabled": is_true("primary_email_auth_enabled"), "display_name": of("display_name"),
            "profile_image_url": of("profile_image_url"), "client_metadata": of("client_metadata"),
            "client_read_only_metadata": of("client_read_only_metadata"), "server_metadata": of("server_metadata"),
            "has_password": body.contains_key("password_hash") || body.contains_key("password"),
            "otp_auth_enabled": is_true("otp_auth_enabled"), "oauth_providers": links, "is_anonymous": is_true("is_anonymous"),
            "is_restricted": is_restricted, "restricted_by_admin": is_true("restricted_by_admin"),
            "restricted_by_admin_reason": of("restricted_by_admin_reason"), "passkey_auth_enabled": false,
            "selected_team": null, "selected_team_id": null, "signed_up_at_millis": now.as_millisecond(),
            "last_active_at_millis": now.as_millisecond(), HASH: of("password_hash"),
        });
        let user = user.as_object().unwrap().clone();
        self.keep(&json!({ "put": user }));
        inside.users.push(user.clone());
        Ok(user)
    }

    fn list(&self, query: &HashMap<String, String>) -> Result<Value, Refusal> {
        let known = [
            "limit",
            "cursor",
            "query",
            "include_restricted",
            "include_anonymous",
            "only_anonymous",
            "order_by",
            "desc",
            "team_id",
        ];
        if let Some(odd) = query.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(schema("GET", format!("query contains unknown properties: {odd}")));
        }
        let is_on = |key: &str| query.get(key).is_some_and(|value| value == "true");
        let inside = self.inside.lock().unwrap();
        let matches = |user: &&Map<String, Value>| {
            let wanted = |text: &str| {
                let has = |key: &str| {
                    user[key].as_str().is_some_and(|value| value.to_lowercase().contains(&text.to_lowercase()))
                };
                user["id"] == text || has("display_name") || has("primary_email")
            };
            (is_on("include_anonymous") || user["is_anonymous"] == false)
                && (is_on("include_anonymous") || is_on("include_restricted") || user["restricted_by_admin"] == false)
                && query.get("query").is_none_or(|text| wanted(text))
        };
        let mut found: Vec<&Map<String, Value>> = inside.users.iter().filter(matches).collect();
        if let Some(cursor) = query.get("cursor") {
            let Some(at) = found.iter().position(|user| user["id"] == *cursor) else {
                return Ok(json!({ "items": [], "is_paginated": true, "pagination": { "next_cursor": null } }));
            };
            found.drain(..at);
        }
        let limit = query.get("limit").and_then(|limit| limit.parse::<usize>().ok()).unwrap_or(usize::MAX);
        let next = found.get(limit).map(|user| user["id"].clone());
        let items: Vec<Value> = found.into_iter().take(limit).map(shown).collect();
        Ok(json!({ "items": items, "is_paginated": true, "pagination": { "next_cursor": next } }))
    }

    fn one(&self, method: &str, id: &str, body: &Map<String, Value>) -> Result<Value, Refusal> {
        let missing = || Refusal {
            status: 404,
            code: Some("USER_NOT_FOUND"),
            words: "User not found.".into(),
            details: Value::Null,
        };
        let mut inside = self.inside.lock().unwrap();
        let at = inside.users.iter().position(|user| user["id"] == id).ok_or_else(missing)?;
        match method {
            "GET" => Ok(shown(&inside.users[at])),
            "DELETE" => {
                inside.users.remove(at);
                self.keep(&json!({ "delete": id }));
                Ok(json!({ "success": true }))
            }
            "PATCH" => {
                checked(&self.setup, body, "PATCH")?;
                inside.users[at].extend(body.clone());
                self.keep(&json!({ "put": inside.users[at] }));
                Ok(shown(&inside.users[at]))
            }
            _ => Err(Refusal { status: 405, code: None, words: "Method not allowed".into(), details: Value::Null }),
        }
    }

    fn keep(&self, line: &Value) {
        if let Some(path) = &self.setup.store {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            file.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
    }

    /// What the accounts' own side of the API does.
    fn act(
        &self,
        method: &str,
        path: &str,
        query: &HashMap<String, String>,
        body: &[u8],
    ) -> Result<(u16, Value), Refusal> {
        let body = match body {
            [] => Map::new(),
            text => match serde_json::from_slice(text) {
                Ok(Value::Object(body)) => body,
                _ => {
                    return Err(Refusal {
                        status: 400,
                        code: Some("BODY_PARSING_ERROR"),
                        words: "Invalid JSON in request body".into(),
                        details: Value::Null,
                    });
                }
            },
        };
        match (method, path.strip_prefix("/api/v1/users")) {
            ("POST", Some("")) => self.create(&body).map(|user| (201, shown(&user))),
            ("GET", Some("")) => self.list(query).map(|page| (200, page)),
            (_, Some(id)) if id.starts_with('/') => self.one(method, &id[1..], &body).map(|user| (200, user)),
            _ => Err(Refusal {
                status: 404,
                code: None,
                words: "404 — this page does not exist".into(),
                details: Value::Null,
            }),
        }
    }

    /// `/control/…`: for those who run the double as a program of its own.
    fn control(&self, what: &str, body: &[u8]) -> Value {
        match what {
            "users" => json!(self.users()),
            "counts" => json!(self.inside.lock().unwrap().counts),
            "faults" => {
                self.inside.lock().unwrap().faults = serde_json::from_slice(body).unwrap_or_default();
                json!({ "success": true })
            }
            _ => Value::Null,
        }
    }

    fn admits(&self, header: impl Fn(&str) -> Option<String>) -> Result<(), Refusal> {
        let refuse =
            |status, code, words: String| Err(Refusal { status, code: Some(code), words, details: Value::Null });
        let Some(kind) = header("x-stack-access-type") else {
            return refuse(
                400,
                "ACCESS_TYPE_REQUIRED",
                "You must specify an access level for this Stack project.".into(),
            );
        };
        let Some(project) = header("x-stack-project-id") else {
            return refuse(
                400,
                "ACCESS_TYPE_WITHOUT_PROJECT_ID",
                format!(
                    "The x-stack-access-type header was '{kind}', but the x-stack-project-id header was not provided."
                ),
            );
        };
        if kind != "server" {
            return refuse(
                401,
                "INSUFFICIENT_ACCESS_TYPE",
                format!("The x-stack-access-type header must be 'server' or 'admin', but was '{kind}'."),
            );
        }
        match header("x-stack-secret-server-key") {
            None => refuse(401, "SERVER_AUTHENTICATION_REQUIRED", "The secret server key must be provided.".into()),
            Some(key) if key == self.setup.key && project == self.setup.project => Ok(()),
            Some(_) => refuse(
                401,
                "INVALID_SECRET_SERVER_KEY",
                format!(
                    "The secret server key is not valid for the project {}. Does the project and/or the key exist?",
                    json!(project)
                ),
            ),
        }
    }
}

struct Refusal {
    status: u16,
    code: Option<&'static str>,
    words: String,
    details: Value,
}

fn schema(method: &str, words: String) -> Refusal {
    let words = format!("Request validation failed on {method} /api/v1/users:\n  - {words}");
    Refusal { status: 400, code: Some("SCHEMA_ERROR"), details: json!({ "message": words }), words }
}

fn plain(words: &str) -> Refusal {
    Refusal { status: 400, code: None, words: words.into(), details: Value::Null }
}

/// The checks of a body, in the service's order; gives the address as it is kept.
fn checked(setup: &Setup, body: &Map<String, Value>, method: &str) -> Result<Option<String>, Refusal> {
    if let Some(odd) = body.keys().find(|key| !CREATE.contains(&key.as_str())) {
        return Err(schema(method, format!("body contains unknown properties: {odd}")));
    }
    for (key, value) in body {
        let is_right = match key.as_str() {
            "primary_email_verified"
            | "primary_email_auth_enabled"
            | "otp_auth_enabled"
            | "is_anonymous"
            | "restricted_by_admin" => value.is_boolean(),
            "primary_email" => value.is_null() || value.as_str().is_some_and(is_email),
            "display_name" => value.is_null() || value.as_str().is_some_and(|name| name.encode_utf16().count() <= 256),
            "profile_image_url" => value.is_null() || value.as_str().is_some_and(|url| url::Url::parse(url).is_ok()),
            "oauth_providers" => value
                .as_array()
                .is_some_and(|links| links.iter().all(|link| link["id"].is_string() && link["account_id"].is_string())),
            "password_hash" => value.as_str().is_some_and(|hash| !hash.is_empty()),
            _ => true,
        };
        if !is_right {
            return Err(schema(method, format!("body.{key} is invalid: {value}")));
        }
    }
    let has = |key: &str| body.get(key).is_some_and(|value| !value.is_null());
    if has("password") && has("password_hash") {
        return Err(plain("Cannot set both password and password_hash at the same time."));
    }
    if let Some(hash) = body.get("password_hash").and_then(Value::as_str) {
        let cost = hash.get(4..6).and_then(|cost| cost.parse::<u32>().ok());
        let is_bcrypt =
            ["$2a$", "$2b$", "$2y$"].iter().any(|head| hash.starts_with(head)) && hash.chars().count() == 60;
        if !is_bcrypt || !cost.is_some_and(|cost| (4..=16).contains(&cost)) {
            return Err(plain("Invalid password hash. Make sure it's a supported algorithm in Modular Crypt Format."));
        }
    }
    let email = body.get("primary_email").and_then(Value::as_str).map(|email| email.trim().to_lowercase());
    for key in ["primary_email_auth_enabled", "primary_email_verified"] {
        if email.is_none() && body.get(key) == Some(&json!(true)) && method == "POST" {
            return Err(plain(&format!("{key} cannot be true without primary_email")));
        }
    }
    if has("restricted_by_admin_reason") && body.get("restricted_by_admin") != Some(&json!(true)) {
        return Err(plain("restricted_by_admin_reason requires restricted_by_admin=true"));
    }
    if body.get("profile_image_url").and_then(Value::as_str).is_some_and(|url| url.contains("refuse-me")) {
        return Err(plain("Invalid profile image URL"));
    }
    for link in body.get("oauth_providers").and_then(Value::as_array).into_iter().flatten() {
        let provider = link["id"].as_str().unwrap();
        if !setup.oauth.iter().any(|known| known == provider) {
            return Err(plain(&format!("OAuth provider {provider} not found")));
        }
    }
    if (has("password") || has("password_hash")) && !setup.has_passwords {
        return Err(plain("Password auth not enabled in the project"));
    }
    if body.get("otp_auth_enabled") == Some(&json!(true)) && !setup.has_otp {
        return Err(plain("OTP auth not enabled in the project"));
    }
    Ok(email)
}

/// Stricter than the service's, which lets spaces around an address pass.
fn is_email(text: &str) -> bool {
    let text = text.trim();
    let Some((local, host)) = text.rsplit_once('@') else { return false };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() < 64
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '-')
    };
    !local.is_empty()
        && !local.contains(|sign: char| !sign.is_ascii_graphic() || "@(),:;<>[]\\\"".contains(sign))
        && host.split('.').all(is_label)
}

fn shown(user: &Map<String, Value>) -> Value {
    let mut user = user.clone();
    user.shift_remove(HASH);
    Value::Object(user)
}

fn uuid() -> String {
    let half = || RandomState::new().build_hasher().finish();
    let (left, right) = (half(), half());
    let (a, b, c) = (left >> 32, left >> 16 & 0xffff, left & 0xfff);
    format!("{a:08x}-{b:04x}-4{c:03x}-8{:03x}-{:012x}", right >> 48 & 0xfff, right & 0xffff_ffff_ffff)
}

fn load(path: &PathBuf) -> Vec<Map<String, Value>> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut users: Vec<Map<String, Value>> = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let id = line["put"]["id"].as_str().or_else(|| line["delete"].as_str()).unwrap().to_owned();
        let at = users.iter().position(|user| user["id"] == id);
        match (line["put"].as_object(), at) {
            (Some(user), None) => users.push(user.clone()),
            (Some(user), Some(at)) => users[at] = user.clone(),
            (None, Some(at)) => drop(users.remove(at)),
            (None, None) => {}
        }
    }
    users
}

async fn answer(State(double): State<Double>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 4 << 20).await.unwrap_or_default();
    let (method, path) = (head.method.as_str().to_owned(), head.uri.path().to_owned());
    if let Some(what) = path.strip_prefix("/control/") {
        return written(200, None, &double.control(what, &body));
    }
    let act = double.strike(&method);
    match &act {
        Some(Act::TooMany(after)) => {
            let mut builder = Response::builder().status(StatusCode::TOO_MANY_REQUESTS);
            if let Some(after) = after {
                builder = builder.header("retry-after", after);
            }
            return builder.body(Body::from("Too many requests")).unwrap();
        }
        Some(Act::Status(status, words)) => {
            return Response::builder().status(*status).body(Body::from(words.clone())).unwrap();
        }
        Some(Act::Hang) => std::future::pending::<()>().await,
        Some(Act::Cut) => cut(),
        _ => {}
    }
    let pairs = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let late = if let Some(Act::Slow(ms)) = act { Duration::from_millis(ms) } else { Duration::ZERO };
    // In a task of its own: it goes on when the client is gone.
    let work = tokio::spawn(async move {
        tokio::time::sleep(double.setup.latency + late).await;
        let header = |name: &str| Some(head.headers.get(name)?.to_str().ok()?.to_owned());
        double.admits(header)?;
        double.act(&method, &path, &pairs, &body)
    });
    let outcome = work.await.unwrap();
    match act {
        Some(Act::DoThenCut) => cut(),
        Some(Act::DoThenHang) => std::future::pending().await,
        Some(Act::DoThenStatus(status)) => {
            return Response::builder().status(status).body(Body::from("Internal Server Error")).unwrap();
        }
        _ => {}
    }
    match outcome {
        Ok((status, body)) => written(status, None, &body),
        Err(Refusal { status, code: None, words, .. }) => Response::builder()
            .status(status)
            .header("content-type", "text/plain; charset=utf-8")
            .body(Body::from(words))
            .unwrap(),
        Err(Refusal { status, code: Some(code), words, details }) => {
            written(status, Some(code), &json!({ "code": code, "details": details, "error": words }))
        }
    }
}

/// Ends the connection without an answer, and without the noise of a panic.
fn cut() -> ! {
    std::panic::resume_unwind(Box::new("cut"))
}

fn written(status: u16, code: Option<&str>, body: &Value) -> Response {
    let mut builder = Response::builder()
        .status(status)
        .header("content-type", "application/json; charset=utf-8")
        .header("x-stack-request-id", uuid());
    if let Some(code) = code {
        builder = builder.header("x-stack-known-error", code);
    }
    builder.body(Body::from(body.to_string())).unwrap()
}
