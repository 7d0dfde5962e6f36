//! Patchwork: the wanted model for the services that change, and for all others the model that they run from.
//!
//! Compose looks at what a service depends on too, and replaces it where the model differs from what runs. A service
//! that nobody asked to change must therefore stand in the model exactly as it runs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use serde_json::Value;

use super::containers::describe;
use crate::adapter::docker::Container;

/// A model that is being put together.
#[derive(Debug)]
pub struct Patchwork<'a> {
    model: Value,
    all: &'a [Container],
    /// Services to be left alone for which no model was found yet.
    open: BTreeSet<String>,
    is_patched: bool,
}

impl<'a> Patchwork<'a> {
    /// Begins with the wanted model; what `named` depends on and runs is to be left alone.
    pub fn new(model: Value, named: &[&String], all: &'a [Container]) -> Self {
        let named: Vec<String> = named.iter().map(|&name| name.clone()).collect();
        let mut open: BTreeSet<String> = crate::release::model::dependencies(&model, &named).into_iter().collect();
        open.retain(|service| all.iter().any(|container| &container.service == service));
        Self { model, all, open, is_patched: false }
    }

    /// Whether every service that is to be left alone has its model.
    pub fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes from a candidate every service that runs from it.
    pub fn offer(&mut self, candidate: &Value, hashes: &BTreeMap<String, String>) {
        let runs_from_it = |service: &String| {
            let mut own = self.all.iter().filter(|container| &container.service == service);
            hashes.get(service).is_some_and(|hash| own.all(|container| &container.hash == hash))
        };
        let found: Vec<String> = self.open.iter().filter(|service| runs_from_it(service)).cloned().collect();
        for service in found {
            self.open.remove(&service);
            let (Some(mine), Some(theirs)) =
                (self.model["services"].get_mut(&service), candidate["services"].get(&service))
            else {
                continue;
            };
            if mine != theirs {
                mine.clone_from(theirs);
                self.is_patched = true;
                self.bring_along(candidate);
            }
        }
    }

    /// What a service names has to be defined: releases read back from containers know no secret by its name.
    fn bring_along(&mut self, candidate: &Value) {
        for kind in ["secrets", "configs", "networks", "volumes"] {
            for (name, theirs) in candidate[kind].as_object().into_iter().flatten() {
                if self.model[kind].get(name).is_none() {
                    self.model[kind][name] = theirs.clone();
                }
            }
        }
    }

    /// The model, or nothing when the wanted one serves as it is.
    ///
    /// # Errors
    /// When a service runs from a model that nobody knows: it would be replaced without being asked to.
    pub fn finish(self) -> Result<Option<Value>> {
        if !self.open.is_empty() {
            let seen: Vec<String> = self.open.iter().map(|service| describe(service, self.all)).collect();
            bail!(
                "these services were changed by hand and would be replaced on the way, which nobody asked for: {}; \
                 bring them to a known release first (`cutover rollback --to r…`)",
                seen.join("; ")
            );
        }
        Ok(self.is_patched.then_some(self.model))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn runs(service: &str, hash: &str) -> Container {
        Container { service: service.into(), hash: hash.into(), ..Container::default() }
    }

    fn model(db: &str) -> Value {
        json!({"services": {"api": {"image": "api", "depends_on": {"db": {}}}, "db": {"image": db}}})
    }

    fn hashes(db: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("db".to_owned(), db.to_owned())])
    }

    #[test]
    fn a_dependency_that_runs_from_another_model_is_taken_from_there() {
        let all = [runs("db", "raw")];
        let name = "api".to_owned();
        let mut work = Patchwork::new(model("pinned"), &[&name], &all);
        work.offer(&model("pinned"), &hashes("pinned"));
        assert!(!work.is_settled());
        work.offer(&model("raw"), &hashes("raw"));
        assert_eq!(work.finish().unwrap(), Some(model("raw")));
    }

    #[test]
    fn what_a_service_from_another_model_names_is_brought_along() {
        let all = [runs("db", "raw")];
        let name = "api".to_owned();
        let mut theirs = model("raw");
        theirs["services"]["db"]["secrets"] = json!([{"source": "password"}]);
        theirs["secrets"] = json!({"password": {"file": "/raw"}});
        let mut work = Patchwork::new(model("pinned"), &[&name], &all);
        work.offer(&theirs, &hashes("raw"));
        let made = work.finish().unwrap().unwrap();
        assert_eq!(made["secrets"], theirs["secrets"]);
        assert!(made["volumes"].is_null(), "{made}");
    }

    #[test]
    fn a_dependency_that_nobody_knows_is_refused_by_name() {
        let all = [runs("db", "by hand")];
        let name = "api".to_owned();
        let mut work = Patchwork::new(model("pinned"), &[&name], &all);
        work.offer(&model("pinned"), &hashes("pinned"));
        assert!(work.finish().unwrap_err().to_string().contains("db"));
    }
}
