//! Which files a compose project is made of: by compose's own rules, and by how people name files of an environment.

use std::path::Path;

use crate::config::{COMPOSE_FILES, COMPOSE_OVERRIDES};

/// How people name the files of an environment, and the environment.
const ENVIRONMENTS: [(&str, &str); 4] =
    [("production", "production"), ("prod", "production"), ("staging", "staging"), ("stage", "staging")];
/// Examples of env files; they stand in for what is not there yet, and are never named in the configuration.
const EXAMPLES: [&str; 8] = [
    ".env.example",
    ".env.sample",
    ".env.dist",
    ".env.template",
    "env.example",
    "example.env",
    ".env-example",
    ".env.production.example",
];

/// A guess at something, and the reason for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Names, relative to the directory.
    pub names: Vec<String>,
    /// Why these.
    pub why: String,
}

/// What the environment and `.env` say to compose itself.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// `COMPOSE_FILE`, and where it was said.
    pub files: Option<(String, String)>,
    /// `COMPOSE_PATH_SEPARATOR`.
    pub separator: Option<String>,
    /// Names that a person gave on the command line.
    pub given: Vec<String>,
}

/// A set of compose files that may be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The files.
    pub choice: Choice,
    /// The environment that their names speak of.
    pub environment: Option<&'static str>,
    /// A file whose every service it must hold to count.
    pub must_hold: Option<String>,
}

impl Candidate {
    fn plain(names: Vec<String>, why: String) -> Self {
        Self { choice: Choice { names, why }, environment: None, must_hold: None }
    }
}

/// The sets of compose files that may be meant, the likeliest first.
pub fn candidates(directory: &Path, said: &Said, environment: Option<&str>) -> Vec<Candidate> {
    if !said.given.is_empty() {
        return vec![Candidate::plain(said.given.clone(), "named on the command line".into())];
    }
    if let Some((list, place)) = &said.files {
        let separator = said.separator.as_deref().unwrap_or(":");
        let names = list.split(separator).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        return vec![Candidate::plain(names, format!("COMPOSE_FILE says so, {place}"))];
    }
    let is_there = |name: &str| directory.join(name).is_file();
    let base = COMPOSE_FILES.into_iter().find(|name| is_there(name));
    let over = COMPOSE_OVERRIDES.into_iter().find(|name| is_there(name));
    let left = over.map_or_else(String::new, |over| {
        format!("; {over} is left out, because compose reads it only where no file is named")
    });
    let mut found = Vec::new();
    for (word, means) in ENVIRONMENTS {
        if environment.is_some_and(|wanted| wanted != means && wanted != word) {
            continue;
        }
        let Some(file) = of_environment(word).into_iter().find(|name| is_there(name)) else { continue };
        let alone = match base {
            Some(base) => format!("{file} is named for {means} and holds every service of {base} by itself{left}"),
            None => format!("{file} is named for {means}"),
        };
        found.push(Candidate {
            environment: Some(means),
            must_hold: base.map(str::to_owned),
            ..Candidate::plain(vec![file.clone()], alone)
        });
        if let Some(base) = base {
            let why = format!("{base} with {file} over it, which is named for {means}{left}");
            found.push(Candidate { environment: Some(means), ..Candidate::plain(vec![base.into(), file], why) });
        }
    }
    found.extend(base.map(|base| match over {
        Some(over) => Candidate::plain(
            vec![base.into(), over.into()],
            format!("compose takes {base} and lays {over} over it; take that one out if it is for development"),
        ),
        None => Candidate::plain(vec![base.into()], format!("compose takes {base} by itself")),
    }));
    found
}

fn of_environment(word: &str) -> Vec<String> {
    let stems = ["compose", "docker-compose"];
    let names = stems.iter().flat_map(|stem| {
        [format!("{stem}.{word}.yaml"), format!("{stem}.{word}.yml")]
            .into_iter()
            .chain([format!("{stem}-{word}.yaml"), format!("{stem}-{word}.yml")])
    });
    names.collect()
}

/// The env files for variables of the compose files. One that is named for the environment counts where it is of use: many are
/// handed to services and tell compose nothing.
pub fn env_files(directory: &Path, environment: &str, given: &[String], is_of_use: impl Fn(&str) -> bool) -> Choice {
    if !given.is_empty() {
        return Choice { names: given.to_vec(), why: "named on the command line".into() };
    }
    let is_there = |name: &str| directory.join(name).is_file();
    let short = if environment == "production" { "prod" } else { environment };
    let named = [format!(".env.{environment}"), format!(".env.{short}")];
    let named = named.into_iter().find(|name| is_there(name) && is_of_use(name));
    match (is_there(".env"), named) {
        (true, None) => Choice { names: vec![".env".into()], why: "compose reads .env by itself".into() },
        (true, Some(own)) => Choice {
            why: format!("compose reads .env by itself; {own} is named for {environment}, and the later file wins"),
            names: vec![".env".into(), own],
        },
        (false, Some(own)) => Choice { why: format!("{own} is named for {environment}"), names: vec![own] },
        (false, None) => Choice::default(),
    }
}

/// Examples of env files that stand in the directory.
pub fn examples(directory: &Path) -> Vec<String> {
    EXAMPLES.iter().filter(|name| directory.join(name).is_file()).map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(directory.path().join(file), "").unwrap();
        }
        directory
    }

    fn names(directory: &Path, said: &Said, environment: Option<&str>) -> Vec<Vec<String>> {
        candidates(directory, said, environment).into_iter().map(|one| one.choice.names).collect()
    }

    #[test]
    fn compose_takes_its_own_names_in_its_own_order_with_the_override() {
        let project = project(&["docker-compose.yml", "compose.yml", "docker-compose.override.yml"]);
        assert_eq!(
            names(project.path(), &Said::default(), None),
            [["compose.yml", "docker-compose.override.yml"].map(str::to_owned)]
        );
    }

    #[test]
    fn a_file_that_is_named_for_production_comes_first_and_takes_the_place_of_the_override() {
        let project = project(&["docker-compose.yml", "docker-compose.prod.yml", "docker-compose.override.yml"]);
        let found = candidates(project.path(), &Said::default(), None);
        assert_eq!(found[0].choice.names, ["docker-compose.prod.yml"]);
        assert_eq!(found[0].must_hold.as_deref(), Some("docker-compose.yml"));
        assert_eq!(found[1].choice.names, ["docker-compose.yml", "docker-compose.prod.yml"]);
        assert_eq!(found[1].environment, Some("production"));
        let why = &found[1].choice.why;
        assert!(why.contains("docker-compose.override.yml is left out"), "{why}");
        assert_eq!(found.len(), 3);
        assert_eq!(names(project.path(), &Said::default(), Some("test")).len(), 1, "another environment is wanted");
    }

    #[test]
    fn what_is_said_wins_over_what_is_found() {
        let project = project(&["compose.yaml"]);
        let files = Some(("a.yaml:b.yaml".to_owned(), "in .env".to_owned()));
        let said = Said { files, ..Said::default() };
        assert_eq!(names(project.path(), &said, None), [["a.yaml", "b.yaml"].map(str::to_owned)]);
        let said = Said { given: vec!["c.yaml".into()], ..said };
        assert_eq!(names(project.path(), &said, None), [["c.yaml".to_owned()]]);
    }

    #[test]
    fn the_env_file_of_the_environment_comes_after_the_common_one() {
        let project = project(&[".env", ".env.production", ".env.example"]);
        let names = |environment, is_of_use| env_files(project.path(), environment, &[], |_| is_of_use).names;
        assert_eq!(names("production", true), [".env", ".env.production"]);
        assert_eq!(names("production", false), [".env"]);
        assert_eq!(names("staging", true), [".env"]);
        assert_eq!(examples(project.path()), [".env.example"]);
    }
}
