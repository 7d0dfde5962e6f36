//! Variables: each that is required is set, in the environment or in an env file, and is no placeholder. Tells names, never values.

use super::finding::{Found, Parts};
use super::value::{self, NoValue};
use super::{Ask, env_files};
use crate::config::Environment;

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let config = ask.config();
    if config.secrets.variables.is_empty() {
        return Found::skipped("no secrets.variables are named: nothing to ask");
    }
    let files = config.compose.env_files.clone();
    match ask.files("the env files", move || env_files::read_all(&files)).await {
        Ok(pairs) => judge(&config.secrets.variables, &config.secrets.placeholders, ask.asked.environment, &pairs),
        Err(found) => found,
    }
}

fn judge(names: &[String], placeholders: &[String], environment: &Environment, pairs: &[(String, String)]) -> Found {
    let mut parts = Parts::default();
    for name in names {
        let in_file = || pairs.iter().rev().find(|(one, _)| one == name).map(|(_, value)| value.as_str());
        // The environment wins, as it does for compose.
        match environment.get(name).or_else(in_file).map(|value| value::judge(value, placeholders)) {
            Some(Ok(())) => parts.good(format!("{name} is set")),
            Some(Err(fault @ (NoValue::Empty | NoValue::Placeholder))) => {
                parts.fail(format!("{name} {}", fault.words()), "give it its value in one of compose.env_files");
            }
            None => {
                parts.fail(format!("{name} is not set"), "set it in one of compose.env_files or in the environment")
            }
        }
    }
    parts.found("nothing is required")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;

    #[test]
    fn the_environment_wins_over_the_last_env_file_and_placeholders_do_not_count() {
        let pairs = [("A", "changeme"), ("B", "x"), ("B", "changeme"), ("C", "")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = Environment::from_pairs([("A", "real-value")]);
        let judged = |name: &str| judge(&[name.to_owned()], &["changeme".to_owned()], &environment, &pairs);
        assert_eq!(judged("A").verdict, Verdict::Ok);
        assert_eq!(judged("B").seen, "B holds a placeholder");
        assert_eq!(judged("C").seen, "C is empty");
        assert_eq!(judged("D").seen, "D is not set");
    }
}
