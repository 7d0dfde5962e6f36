//! The only place that reads the environment. It is read once, whole, so that `config show` can tell where a value came from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::secret::Secret;

use super::keys;
use super::problem::nearest;

/// The environment as it was when it was read, or one made for a test.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

// The environment holds secrets, so its values are not shown.
impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// The environment of this process. Variables that are not UTF-8 are left out: none of ours may be.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn of_process() -> Self {
        let text =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self(text.collect())
    }

    /// An environment of exactly these variables.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self(owned.collect())
    }

    /// A variable's value. An empty one counts as not set, as compose files and unit files often leave one behind.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A variable's value as a secret.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.get(name).map(|value| Secret::new(value.to_owned()))
    }

    /// Those of the named variables that are set, with their values.
    pub fn chosen(&self, names: &[String]) -> Vec<(String, String)> {
        names.iter().filter_map(|name| Some((name.clone(), self.get(name)?.to_owned()))).collect()
    }

    /// The file that `CUTOVER_CONFIG` names.
    pub fn config_path(&self) -> Option<PathBuf> {
        self.get("CUTOVER_CONFIG").map(PathBuf::from)
    }

    /// The variables that override keys: the key's path, the variable's name, its value.
    pub(super) fn overrides(&self) -> Vec<(&'static str, String, &str)> {
        let set = |key: &'static keys::Key| {
            let variable = key.variable()?;
            let value = self.get(&variable)?;
            Some((key.path, variable, value))
        };
        keys::all().filter_map(set).collect()
    }

    /// Variables that look like a slip of the hand: near the name of an override, but not it. Names only.
    pub(super) fn near_misses(&self) -> Vec<(String, String)> {
        let known: Vec<String> = keys::all().filter_map(keys::Key::variable).collect();
        self.0
            .keys()
            .filter(|name| name.starts_with("CUTOVER_") && *name != "CUTOVER_CONFIG" && !known.contains(name))
            .filter_map(|name| {
                let near = nearest(name, known.iter().map(String::as_str))?;
                // Prefix and table make any two names long and alike: only a slip in the last few letters counts.
                (strsim::damerau_levenshtein(name, near) <= 2).then(|| (name.clone(), near.to_owned()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_shows_values() {
        let environment = Environment::from_pairs([("DATABASE_URL", "postgres://u:hunter2@h/d")]);
        assert!(!format!("{environment:?}").contains("hunter2"));
        assert_eq!(environment.secret("DATABASE_URL").unwrap().expose(), "postgres://u:hunter2@h/d");
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let environment = Environment::from_pairs([("CUTOVER_CONFIG", ""), ("CUTOVER_STATE_DIRECTORY", "")]);
        assert!(environment.config_path().is_none() && environment.overrides().is_empty());
    }

    #[test]
    fn slips_are_noticed_and_strangers_are_not() {
        let environment = Environment::from_pairs([
            ("CUTOVER_DEPLOY_KEEP_RELEASE", "3"),
            ("CUTOVER_SOURCE_DATABASE", "x"),
            ("CUTOVER_STATE_DIRECTORY", "/x"),
        ]);
        assert_eq!(
            environment.near_misses(),
            [("CUTOVER_DEPLOY_KEEP_RELEASE".to_owned(), "CUTOVER_DEPLOY_KEEP_RELEASES".to_owned())]
        );
    }
}
