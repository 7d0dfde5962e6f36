//! A request with a method, secret headers and a JSON body, and what can go wrong with it. Never prints a header or a body.

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use crate::secret::Secret;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Reads, without the body.
    Head,
    /// Makes something new.
    Post,
    /// Puts something whole in the place of what is there.
    Put,
    /// Changes a part.
    Patch,
    /// Removes.
    Delete,
}

/// A request. Header values are secrets, whatever they hold, and its body is never printed.
pub struct Request<'a> {
    /// What is asked for.
    pub method: Method,
    /// The whole address.
    pub url: &'a str,
    /// Headers beside those that every request has.
    pub headers: &'a [(&'static str, Secret)],
    /// A body of JSON.
    pub json: Option<&'a [u8]>,
    /// The longest wait for the whole answer.
    pub deadline: Duration,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &self.headers)
            .field("json", &self.json.map(|json| format!("{} bytes", json.len())))
            .field("deadline", &self.deadline)
            .finish()
    }
}

impl Request<'_> {
    pub(super) fn prepare(&self, client: &reqwest::Client) -> Result<reqwest::Request, HttpError> {
        let method = match self.method {
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = client.request(method, self.url);
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| HttpError::Unsendable(format!("{name:?} is no name of a header")))?;
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| HttpError::Unsendable(format!("the value of {name} has signs that no header may have")))?;
            value.set_sensitive(true);
            builder = builder.header(name, value);
        }
        if let Some(json) = self.json {
            builder = builder.header(CONTENT_TYPE, "application/json").body(json.to_vec());
        }
        builder.build().map_err(|error| HttpError::Unsendable(super::plainly(&error)))
    }
}

/// An answer with its headers, read to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Headers; their names are in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, as text.
    pub body: String,
}

impl Reply {
    /// The first value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The request could not be put together; nothing was sent.
    #[error("{0}")]
    Unsendable(String),
    /// There was no connection; nothing was sent.
    #[error("{0}")]
    Away(String),
    /// The connection broke after the request was sent.
    #[error("{0}")]
    Lost(String),
    /// The deadline passed, which it holds in words.
    #[error("no answer within {0}")]
    Late(String),
    /// The body is longer than this many MiB.
    #[error("the answer is longer than {0} MiB")]
    TooLong(usize),
}

impl HttpError {
    /// Whether the other side can have received the request, and acted on it.
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Late(_) | Self::TooLong(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_header_nor_a_body_is_printed() {
        let headers = [("x-key", Secret::new("hunter2-key".into()))];
        let request = Request {
            method: Method::Post,
            url: "http://127.0.0.1/a",
            headers: &headers,
            json: Some(b"{\"password_hash\":\"hunter2-hash\"}"),
            deadline: Duration::from_secs(1),
        };
        let text = format!("{request:?}");
        assert!(!text.contains("hunter2") && text.contains("32 bytes"), "{text}");
    }
}
