//! `user-mapping.json`: which account in the new service belongs to which user of the old one. The seeds' shape.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// One user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MappedUser {
    /// The id in the source.
    pub supabase_user_id: String,
    /// The id that the new service chose.
    pub stack_auth_user_id: String,
    /// E-mail address, where there is one.
    #[serde(default)]
    pub email: Option<String>,
    /// When the account was made, RFC 3339.
    pub migrated_at: String,
}

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MappingFile {
    /// When it was made, RFC 3339.
    pub generated_at: String,
    /// Until when it must be kept for support, RFC 3339: 90 days on.
    pub retain_until: String,
    /// The users.
    pub mappings: Vec<MappedUser>,
}

/// Looks ids up, in either direction. Ids are compared as the server writes them: UUIDs in lower case.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    ids: HashMap<Vec<u8>, Vec<u8>>,
}

impl Mapping {
    /// From old to new.
    ///
    /// # Errors
    /// When an id stands twice with different partners: which is right cannot be known.
    pub fn forward(file: &MappingFile) -> Result<Self, String> {
        Self::of(file.mappings.iter().map(|user| (&user.supabase_user_id, &user.stack_auth_user_id)))
    }

    /// From new back to old.
    ///
    /// # Errors
    /// When an id stands twice with different partners.
    pub fn backward(file: &MappingFile) -> Result<Self, String> {
        Self::of(file.mappings.iter().map(|user| (&user.stack_auth_user_id, &user.supabase_user_id)))
    }

    fn of<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> Result<Self, String> {
        let mut ids = HashMap::new();
        for (from, to) in pairs {
            let (from, to) = (from.to_ascii_lowercase(), to.to_ascii_lowercase());
            if let Some(other) = ids.insert(from.clone().into_bytes(), to.clone().into_bytes())
                && other != to.as_bytes()
            {
                let other = String::from_utf8_lossy(&other).into_owned();
                return Err(format!("the id {from} is mapped twice, to {other} and to {to}"));
            }
        }
        Ok(Self { ids })
    }

    /// The partner of an id, as both stand in COPY text.
    pub fn get(&self, id: &[u8]) -> Option<&[u8]> {
        self.ids.get(id).map(Vec::as_slice)
    }

    /// How many ids it knows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(pairs: &[(&str, &str)]) -> MappingFile {
        let user = |&(old, new): &(&str, &str)| MappedUser {
            supabase_user_id: old.into(),
            stack_auth_user_id: new.into(),
            email: None,
            migrated_at: "2026-01-23T00:00:00Z".into(),
        };
        MappingFile {
            generated_at: "2026-01-23T00:00:00Z".into(),
            retain_until: "2026-04-23T00:00:00Z".into(),
            mappings: pairs.iter().map(user).collect(),
        }
    }

    #[test]
    fn ids_are_found_in_both_directions_whatever_their_case() {
        let file = file(&[("ABC", "xyz")]);
        assert_eq!(Mapping::forward(&file).unwrap().get(b"abc"), Some(&b"xyz"[..]));
        assert_eq!(Mapping::backward(&file).unwrap().get(b"xyz"), Some(&b"abc"[..]));
        assert_eq!(Mapping::forward(&file).unwrap().get(b"xyz"), None);
    }

    #[test]
    fn an_id_with_two_partners_is_refused() {
        let error = Mapping::forward(&file(&[("a", "x"), ("a", "y")])).unwrap_err();
        assert_eq!(error, "the id a is mapped twice, to x and to y");
        assert!(Mapping::forward(&file(&[("a", "x"), ("a", "x")])).is_ok());
        assert!(Mapping::backward(&file(&[("a", "x"), ("b", "x")])).is_err());
    }

    #[test]
    fn the_seeds_file_is_read() {
        let text = r#"{ "generatedAt": "2026-01-23T00:00:00Z", "retainUntil": "2026-04-23T00:00:00Z", "mappings": [
            { "supabaseUserId": "abc-123", "stackAuthUserId": "xyz-789", "email": "user@example.com", "migratedAt": "2026-01-23T00:00:00Z" } ] }"#;
        let file: MappingFile = serde_json::from_str(text).unwrap();
        assert_eq!(Mapping::forward(&file).unwrap().get(b"abc-123"), Some(&b"xyz-789"[..]));
    }
}
