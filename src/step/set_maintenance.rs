//! Set maintenance: everybody gets a page with 503 while it is on; health is asked straight at the containers meanwhile.

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Undone, World};
use crate::adapter::switch;

/// The page that a stack of ours shows, too, where the file holds nothing.
const PAGE: &str = include_str!("../../caddy/maintenance.html");
/// What stands there where nobody said anything; the words of whoever switches it on come in its place.
const USUAL: &str = "The service is being maintained right now. Your data is safe, and nothing you saved before this page \
    appeared is lost.";

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct SetMaintenance {
    /// The directory whose files Caddy reads.
    pub directory: PathBuf,
    /// The page before; none where maintenance is off.
    pub from: Option<String>,
    /// The page after.
    pub to: Option<String>,
}

/// The page with a message. What a person typed is text, never markup.
pub fn page(message: Option<&str>) -> String {
    PAGE.replace(USUAL, &shown(message))
}

/// The words of the page as they stand in it.
pub fn shown(message: Option<&str>) -> String {
    let signs = message.unwrap_or(USUAL).chars().map(|sign| match sign {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        other if other.is_control() => " ".to_owned(),
        other => other.to_string(),
    });
    signs.collect()
}

impl SetMaintenance {
    /// Looks whether it is on, and with which page.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn check(&self) -> Result<World> {
        let now = switch::maintenance(&self.directory)?;
        let words = format!("maintenance is {}", if now.is_some() { "on" } else { "off" });
        Ok(if now == self.to {
            World::After(words)
        } else if now == self.from {
            World::Before(words)
        } else if now.is_none() {
            World::Foreign(format!("{words}: somebody removed {}/maintenance", self.directory.display()))
        } else {
            World::Foreign(format!("{words} with a page that somebody else wrote"))
        })
    }

    /// Switches it.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn run(&self) -> Result<Value> {
        switch::set_maintenance(&self.directory, self.to.as_deref())?;
        Ok(json!({ "is_on": self.to.is_some() }))
    }

    /// Switches it back.
    ///
    /// # Errors
    /// As [`SetMaintenance::run`].
    pub fn undo(&self) -> Result<Undone> {
        switch::set_maintenance(&self.directory, self.from.as_deref())?;
        Ok(Undone::Back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_and_off_and_a_page_of_somebody_else_is_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let step = SetMaintenance { directory: directory.path().to_owned(), from: None, to: Some(page(None)) };
        assert!(matches!(step.check().unwrap(), World::Before(_)));
        step.run().unwrap();
        assert!(matches!(step.check().unwrap(), World::After(_)));
        assert_eq!(step.undo().unwrap(), Undone::Back);
        assert!(matches!(step.check().unwrap(), World::Before(_)));
        std::fs::write(directory.path().join("maintenance"), "by hand").unwrap();
        assert!(matches!(step.check().unwrap(), World::Foreign(_)));
    }

    #[test]
    fn a_message_is_text_and_never_markup() {
        let made = page(Some("Back at <b>10</b> & later\n"));
        assert!(made.contains("Back at &lt;b&gt;10&lt;/b&gt; &amp; later "), "{made}");
        assert!(page(None).contains("Your data is safe") && !page(None).contains("MESSAGE"));
        assert!(!page(Some("Back at four")).contains("Your data is safe"), "the words take the usual ones' place");
    }
}
