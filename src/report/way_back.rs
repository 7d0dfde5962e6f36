//! The way back: the release that a rollback leads to, and whether it is whole, in words and for programs.

use serde_json::{Value, json};

use super::style::Paint;

/// The release before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayBack {
    /// Its number.
    pub release: u32,
    /// Whether it runs still.
    pub is_warm: bool,
    /// What stands in the way of bringing it back; or why that is not known.
    pub troubles: Result<Vec<String>, String>,
}

impl WayBack {
    /// In words.
    pub fn words(&self) -> String {
        let name = format!("r{}", self.release);
        match &self.troubles {
            Err(why) => format!("whether {name} is whole is not known: {why}"),
            Ok(troubles) if !troubles.is_empty() => format!("{name} is not whole: {}", troubles.join("; ")),
            Ok(_) if self.is_warm => format!("{name} is whole and warm: a rollback starts nothing"),
            Ok(_) => format!("{name} is whole: images, model, files and room to start it are here"),
        }
    }

    /// Whether it can be brought back; nothing where that is not known.
    pub fn is_whole(&self) -> Option<bool> {
        self.troubles.as_ref().ok().map(Vec::is_empty)
    }

    /// How it is painted.
    pub fn paint(&self) -> Paint {
        match self.is_whole() {
            Some(true) => Paint::Good,
            Some(false) => Paint::Bad,
            None => Paint::Careful,
        }
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({
            "release": self.release,
            "is_warm": self.is_warm,
            "is_whole": self.is_whole(),
            "troubles": self.troubles.as_ref().ok(),
            "unknown": self.troubles.as_ref().err(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_neither_whole_nor_broken() {
        let back = |troubles| WayBack { release: 2, is_warm: false, troubles };
        assert!(back(Ok(Vec::new())).words().starts_with("r2 is whole"));
        let broken = back(Ok(vec!["the image of backend is gone".into()]));
        assert_eq!(broken.words(), "r2 is not whole: the image of backend is gone");
        assert_eq!((broken.is_whole(), &broken.to_json()["is_whole"]), (Some(false), &json!(false)));
        let unknown = back(Err("the engine is away".into()));
        assert_eq!((unknown.is_whole(), &unknown.to_json()["troubles"]), (None, &Value::Null));
        assert!(unknown.words().contains("not known: the engine is away"));
    }
}
