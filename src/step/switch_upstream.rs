//! Switch upstream: every route leads to another side from one request to the next, and back by the same rename.
//!
//! What somebody else wrote into the files is seen and told, never written over: the plan names what it takes the place of.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Undone, World};
use crate::adapter::switch::{self, Pointing};

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct SwitchUpstream {
    /// The directory whose files Caddy reads.
    pub directory: PathBuf,
    /// Where the routes lead before.
    pub from: Pointing,
    /// Where they lead after.
    pub to: Pointing,
}

impl SwitchUpstream {
    /// Reads what Caddy reads.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn check(&self) -> Result<World> {
        let now = self.now()?;
        Ok(if now == self.to {
            World::After(now.words())
        } else if now == self.from {
            World::Before(now.words())
        } else {
            World::Foreign(self.difference(&now))
        })
    }

    fn now(&self) -> Result<Pointing> {
        let routes: BTreeSet<&String> = self.from.routes.keys().chain(self.to.routes.keys()).collect();
        switch::read(&self.directory, routes)
    }

    fn difference(&self, now: &Pointing) -> String {
        let place = self.directory.display();
        for (route, to) in &self.to.routes {
            let from = self.from.routes.get(route);
            let wanted = from.map_or_else(|| to.clone(), |from| format!("{from} nor {to}"));
            match now.routes.get(route) {
                None if from.is_some() => {
                    return format!("the file {place}/{route} is gone; it led to {}", from.unwrap_or(to));
                }
                Some(seen) if Some(seen) != from && seen != to => {
                    return format!("{place}/{route} says {seen:?}, which is neither {wanted}");
                }
                _ => {}
            }
        }
        let mixed = "some routes lead to one side and some to the other";
        let seen = now.id.as_deref().unwrap_or("nobody");
        match [&self.from, &self.to].iter().any(|side| side.routes == now.routes) {
            true => format!("{place}/id says {seen:?}, but {}", now.words()),
            false => format!("{mixed}: {}", now.words()),
        }
    }

    /// What somebody else changed since the routes were led to `to`: each file, and what it says.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn changed(&self) -> Result<Option<String>> {
        let (now, place) = (self.now()?, self.directory.display());
        let file = |name: &str, seen: Option<&String>, led: Option<&String>| match (seen, led) {
            (None, Some(led)) => Some(format!("{place}/{name} is gone, which said {led:?}")),
            (Some(seen), Some(led)) if seen != led => Some(format!("{place}/{name} says {seen:?} instead of {led:?}")),
            (Some(seen), None) => Some(format!("{place}/{name} says {seen:?}, and was not there")),
            _ => None,
        };
        let names: BTreeSet<&String> = now.routes.keys().chain(self.to.routes.keys()).collect();
        let routes = names.into_iter().map(|name| file(name, now.routes.get(name), self.to.routes.get(name)));
        let words: Vec<String> =
            routes.chain([file(switch::ID, now.id.as_ref(), self.to.id.as_ref())]).flatten().collect();
        Ok((!words.is_empty()).then(|| words.join("; ")))
    }

    /// Leads every route to the new side.
    ///
    /// # Errors
    /// When the directory cannot be written; the routes then lead where they led.
    pub fn run(&self) -> Result<Value> {
        self.bring(&self.to, &self.from)?;
        Ok(json!({ "from": self.from, "to": self.to }))
    }

    /// Leads them back.
    ///
    /// # Errors
    /// As [`SwitchUpstream::run`].
    pub fn undo(&self) -> Result<Undone> {
        self.bring(&self.from, &self.to)?;
        Ok(Undone::Back)
    }

    fn bring(&self, aim: &Pointing, other: &Pointing) -> Result<()> {
        let now = self.now()?;
        if now != *aim && now != *other {
            bail!("somebody else changed the switch: {}", self.difference(&now));
        }
        switch::point(&self.directory, &now, aim)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn pointing(id: &str, app: &str) -> Pointing {
        Pointing { id: Some(id.into()), routes: BTreeMap::from([("app".to_owned(), app.to_owned())]) }
    }

    fn step(directory: &std::path::Path) -> SwitchUpstream {
        SwitchUpstream { directory: directory.to_owned(), from: pointing("r1", "one"), to: pointing("r2", "two") }
    }

    #[test]
    fn it_goes_there_and_back_and_is_seen_on_both_sides() {
        let directory = tempfile::tempdir().unwrap();
        let step = step(directory.path());
        switch::point(directory.path(), &Pointing::default(), &step.from).unwrap();
        assert!(matches!(step.check().unwrap(), World::Before(_)));
        step.run().unwrap();
        assert!(matches!(step.check().unwrap(), World::After(_)));
        assert_eq!(step.undo().unwrap(), Undone::Back);
        assert!(matches!(step.check().unwrap(), World::Before(_)));
    }

    #[test]
    fn a_file_that_was_edited_or_removed_is_told_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let step = step(directory.path());
        switch::point(directory.path(), &Pointing::default(), &step.from).unwrap();
        let app = directory.path().join("app");
        std::fs::remove_file(&app).unwrap();
        let World::Foreign(words) = step.check().unwrap() else { panic!("it is neither side") };
        assert!(words.contains("is gone; it led to one"), "{words}");
        assert!(step.run().is_err() && step.undo().is_err());
        std::fs::write(&app, "by hand\n").unwrap();
        let World::Foreign(words) = step.check().unwrap() else { panic!("it is neither side") };
        assert!(words.contains("says \"by hand\", which is neither one nor two"), "{words}");
        assert!(step.run().is_err());
        assert_eq!(std::fs::read_to_string(&app).unwrap(), "by hand\n");
        let led = SwitchUpstream { to: step.from.clone(), ..step };
        let changed = led.changed().unwrap().unwrap();
        assert!(changed.ends_with("/app says \"by hand\" instead of \"one\""), "{changed}");
        std::fs::write(&app, "one\n").unwrap();
        assert_eq!(led.changed().unwrap(), None);
    }
}
