//! Stack Auth's server API for users, one request per call: no retry, no pause; whoever calls decides on both.
//!
//! The service chooses the ids, trims and lower-cases e-mail addresses, refuses keys that it does not know, and raises a
//! conflict only for addresses that are used for signing in. Its `query` means "contains", so answers are compared here.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::http::{Http, Method, Reply, Request};
use crate::secret::Secret;

mod error;

pub use error::StackAuthError;

/// Accounts per page of a list.
const PAGE: &str = "100";

/// An account, as far as it matters to us.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    /// The id that the service chose.
    pub id: String,
    /// E-mail address, as the service keeps it: trimmed and in lower case.
    #[serde(default)]
    pub primary_email: Option<String>,
    /// Whether the address is known to be its owner's.
    #[serde(default)]
    pub primary_email_verified: bool,
    /// Whether the address is used for signing in; only then it is unique.
    #[serde(default)]
    pub primary_email_auth_enabled: bool,
    /// What only servers see.
    #[serde(default)]
    pub server_metadata: Value,
    /// When it was made, in milliseconds since 1970.
    #[serde(default)]
    pub signed_up_at_millis: Option<f64>,
    /// Whether it has a password.
    #[serde(default)]
    pub has_password: bool,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its accounts.
    pub accounts: Vec<Account>,
    /// Where the next page begins; none after the last one.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct PageBody {
    items: Vec<Account>,
    #[serde(default)]
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
struct Pagination {
    #[serde(default)]
    next_cursor: Option<String>,
}

/// The client; cheap to clone. Its keys are never printed.
#[derive(Clone, Debug)]
pub struct StackAuth {
    http: Http,
    users: Url,
    headers: [(&'static str, Secret); 3],
    deadline: Duration,
}

impl StackAuth {
    /// A client of the service at `base` (`https://api.stack-auth.com`) for one project.
    ///
    /// # Errors
    /// When `base` is no address.
    pub fn new(
        http: Http,
        base: &str,
        project_id: Secret,
        secret_key: Secret,
        deadline: Duration,
    ) -> Result<Self, StackAuthError> {
        let users = format!("{}/api/v1/users", base.trim_end_matches('/'));
        let users = Url::parse(&users).map_err(|error| {
            StackAuthError::Unsendable(format!("the address of Stack Auth {base:?} cannot be used: {error}"))
        })?;
        let headers = [
            ("x-stack-access-type", Secret::new("server".into())),
            ("x-stack-project-id", project_id),
            ("x-stack-secret-server-key", secret_key),
        ];
        Ok(Self { http, users, headers, deadline })
    }

    /// Names the service and the project without telling the project's id: SHA-256 over both.
    pub fn fingerprint(&self) -> String {
        super::files::sha256(format!("{}\n{}", self.users, self.headers[1].1.expose()).as_bytes())
    }

    /// Makes an account from a body with the keys that the service knows.
    ///
    /// # Errors
    /// [`StackAuthError::may_have_happened`] tells whether it can have been made all the same.
    pub async fn create(&self, body: &Value) -> Result<Account, StackAuthError> {
        let reply = self.ask(Method::Post, &self.users, Some(body)).await?;
        read(&reply)
    }

    /// One page of all accounts, restricted and anonymous ones too; with `query` only those whose address or name
    /// contains it.
    ///
    /// # Errors
    /// In the service's words.
    pub async fn page(&self, query: Option<&str>, cursor: Option<&str>) -> Result<Page, StackAuthError> {
        let mut url = self.users.clone();
        {
            let mut pairs = url.query_pairs_mut();
            pairs.append_pair("limit", PAGE);
            pairs.append_pair("include_restricted", "true").append_pair("include_anonymous", "true");
            if let Some(query) = query {
                pairs.append_pair("query", query);
            }
            if let Some(cursor) = cursor {
                pairs.append_pair("cursor", cursor);
            }
        }
        let body: PageBody = read(&self.ask(Method::Get, &url, None).await?)?;
        let next = body.pagination.and_then(|pagination| pagination.next_cursor);
        // A page that leads to itself would be read for ever.
        if next.is_some() && next.as_deref() == cursor {
            return Err(StackAuthError::Unreadable("its list leads from a page to the same page".into()));
        }
        Ok(Page { accounts: body.items, next })
    }

    /// The accounts whose address is exactly this one.
    ///
    /// # Errors
    /// In the service's words.
    pub async fn find_by_email(&self, email: &str) -> Result<Vec<Account>, StackAuthError> {
        let mut found = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.page(Some(email), cursor.as_deref()).await?;
            found.extend(page.accounts.into_iter().filter(|account| account.primary_email.as_deref() == Some(email)));
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// An account by its id; none if there is none.
    ///
    /// # Errors
    /// In the service's words.
    pub async fn account(&self, id: &str) -> Result<Option<Account>, StackAuthError> {
        match self.ask(Method::Get, &self.at(id), None).await {
            Ok(reply) => read(&reply).map(Some),
            Err(error) if error.is_missing_user() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes what `body` names.
    ///
    /// # Errors
    /// In the service's words.
    pub async fn update(&self, id: &str, body: &Value) -> Result<Account, StackAuthError> {
        read(&self.ask(Method::Patch, &self.at(id), Some(body)).await?)
    }

    /// Removes an account; false if there was none.
    ///
    /// # Errors
    /// In the service's words.
    pub async fn delete(&self, id: &str) -> Result<bool, StackAuthError> {
        match self.ask(Method::Delete, &self.at(id), None).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_missing_user() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn at(&self, id: &str) -> Url {
        let mut url = self.users.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(id);
        }
        url
    }

    async fn ask(&self, method: Method, url: &Url, body: Option<&Value>) -> Result<Reply, StackAuthError> {
        let json = body.map(|body| body.to_string().into_bytes());
        let request = Request {
            method,
            url: url.as_str(),
            headers: &self.headers,
            json: json.as_deref(),
            deadline: self.deadline,
        };
        let reply = self.http.send(&request).await.map_err(StackAuthError::from)?;
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        Err(StackAuthError::of(&reply, |said| self.without_secrets(said, body)))
    }

    /// The service's words without what we sent in confidence: some of its messages repeat the values that they refuse.
    fn without_secrets(&self, said: &str, body: Option<&Value>) -> String {
        let sent = ["password_hash", "password", "totp_secret_base64"];
        let sent = sent.iter().filter_map(|key| body?.get(*key)?.as_str());
        let keys = self.headers[1..].iter().map(|(_, value)| value.expose());
        let mut clean = said.to_owned();
        for secret in keys.chain(sent).filter(|secret| !secret.is_empty()) {
            clean = clean.replace(secret, "[secret]");
        }
        // A hash that another request carried is known by its head.
        while let Some(at) = ["$2a$", "$2b$", "$2y$", "$argon2"].iter().find_map(|head| clean.find(head)) {
            let is_end = |sign: char| sign.is_whitespace() || matches!(sign, '"' | '\'' | '`' | ',' | ')');
            let end = clean[at..].find(is_end).map_or(clean.len(), |length| at + length);
            clean.replace_range(at..end, "[secret]");
        }
        clean
    }
}

fn read<T: serde::de::DeserializeOwned>(reply: &Reply) -> Result<T, StackAuthError> {
    serde_json::from_str(&reply.body).map_err(|error| {
        StackAuthError::Unreadable(format!("status {} with a body that is unknown: {error}", reply.status))
    })
}
