//! Names of what stands around the containers: volumes and networks under their real names, containers by identifier.
//!
//! Volumes and networks are external to a model that was read back. Their own settings cannot be seen from
//! containers, and compose makes a network anew, or offers to make a volume anew, when the settings it is told differ
//! from those it finds. An external one is used as it is, or its absence is an error: no database starts on an empty
//! volume.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fields::{Remarks, Table};

/// Keys of volumes or networks in the model, and their real names.
#[derive(Clone, Default)]
pub(super) struct Named {
    by_key: BTreeMap<String, String>,
}

impl Named {
    /// The key of a real name; the project's own ones have the key that their compose file gave them.
    pub(super) fn key(&mut self, project: &str, real: &str) -> String {
        let own = real.strip_prefix(project).and_then(|rest| rest.strip_prefix('_')).filter(|rest| !rest.is_empty());
        let mut key: String = own.unwrap_or(real).chars().map(allowed).collect();
        while self.by_key.get(&key).is_some_and(|taken| taken != real) {
            key.push('_');
        }
        self.by_key.insert(key.clone(), real.to_owned());
        key
    }

    /// The model's table of them.
    pub(super) fn table(&self) -> Table {
        let entry = |(key, real): (&String, &String)| (key.clone(), json!({"name": real, "external": true}));
        self.by_key.iter().map(entry).collect()
    }
}

fn allowed(letter: char) -> char {
    if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' }
}

/// A container of the project.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) service: String,
    pub(super) name: String,
    pub(super) number: String,
}

/// Everything that the containers of a project share.
#[derive(Clone)]
pub(super) struct Around<'a> {
    pub(super) project: &'a str,
    pub(super) containers: BTreeMap<String, Known>,
    pub(super) volumes: Named,
    pub(super) networks: Named,
}

impl Around<'_> {
    /// `container:ID` as the model says it: `service:NAME` where the container is the project's.
    pub(super) fn mode(&self, mode: &str, what: &str, remarks: &mut Remarks) -> String {
        let Some(id) = mode.strip_prefix("container:") else { return mode.to_owned() };
        if let Some(known) = self.containers.get(id) {
            return format!("service:{}", known.service);
        }
        remarks.say(format_args!("{what} is that of the container {id}, which is not of this project or is gone"));
        mode.to_owned()
    }

    /// Whether compose gives a container this name by itself: in both its generations, and for the moment in which
    /// one container takes the place of another.
    pub(super) fn is_usual_name(&self, known: &Known, name: &str) -> bool {
        let usual = ["-", "_"].map(|dash| [self.project, &known.service, &known.number].join(dash));
        let rest =
            name.split_once('_').filter(|(id, _)| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        usual.iter().any(|usual| usual == name || rest.is_some_and(|(_, rest)| usual == rest))
    }
}

/// Lets compose read every text as it stands: a `$` would be a variable.
pub(super) fn escape(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('$') => *text = text.replace('$', "$$"),
        Value::Array(items) => items.iter_mut().for_each(escape),
        Value::Object(table) => table.values_mut().for_each(escape),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dollar_is_doubled_in_texts_and_never_in_keys() {
        let mut value = json!({"a$": ["$HOME", "$$x", {"b": "c$"}], "n": 1});
        escape(&mut value);
        assert_eq!(value, json!({"a$": ["$$HOME", "$$$$x", {"b": "c$$"}], "n": 1}));
    }

    #[test]
    fn a_name_is_usual_in_both_generations_of_compose_and_while_a_container_is_replaced() {
        let containers = BTreeMap::new();
        let around = Around { project: "shop", containers, volumes: Named::default(), networks: Named::default() };
        let known = Known { service: "web".into(), name: String::new(), number: "2".into() };
        let names = ["shop-web-2", "shop_web_2", "0123456789ab_shop-web-2", "shop-web", "my_shop-web-2"];
        let usual: Vec<_> = names.into_iter().filter(|name| around.is_usual_name(&known, name)).collect();
        assert_eq!(usual, names[..3]);
    }

    #[test]
    fn volumes_keep_their_real_names_under_keys_that_never_clash() {
        let mut named = Named::default();
        let keys = ["shop_data", "data", "shop_", "shop_data"].map(|real| named.key("shop", real));
        assert_eq!(keys, ["data", "data_", "shop_", "data"]);
        assert_eq!(named.table()["data"], json!({"name": "shop_data", "external": true}));
    }
}
