//! The body of a request for a new account. Law: it has no key that the service does not know, and never prints a hash.

use std::fmt;

use serde_json::{Map, Value};

use super::password::Hash;

/// A body. Only this module's neighbours put keys into it.
#[derive(Clone, Default, PartialEq)]
pub struct Body {
    fields: Map<String, Value>,
    hash: Option<Hash>,
}

impl Body {
    pub(super) fn set(&mut self, key: &'static str, value: Value) {
        self.fields.insert(key.into(), value);
    }

    pub(super) fn set_hash(&mut self, hash: Hash) {
        self.hash = Some(hash);
    }

    /// Whether it carries a password.
    pub fn has_password(&self) -> bool {
        self.hash.is_some()
    }

    /// Whether it carries the address of a picture.
    pub fn has_picture(&self) -> bool {
        self.fields.contains_key("profile_image_url")
    }

    /// The same without the picture, which a service may refuse while it takes the rest.
    #[must_use]
    pub fn without_picture(&self) -> Self {
        let mut body = self.clone();
        body.fields.shift_remove("profile_image_url");
        body
    }

    /// A field by its name; the hash is none.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.fields.get(key)
    }

    /// What is sent, the hash in it: for the request, and for nothing else.
    pub fn to_send(&self) -> Value {
        let mut fields = self.fields.clone();
        if let Some(hash) = &self.hash {
            fields.insert("password_hash".into(), Value::from(hash.expose()));
        }
        Value::Object(fields)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Body").field("keys", &self.fields.keys()).field("hash", &self.hash).finish()
    }
}
