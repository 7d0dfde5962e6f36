//! Which side of a change the containers of a service are on. Pure: judged from what the engine told.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::adapter::docker::{Container, has_ended_its_work};
use crate::release::keep::short;

/// A service on one side of a change.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct ServiceSide {
    /// Digests of the configuration that a container of this side can carry.
    pub hashes: BTreeSet<String>,
    /// Image: an identifier (`sha256:…`), or a reference that is resolved when it is judged.
    pub image: String,
    /// How many containers.
    pub replicas: usize,
    /// Containers that were there when the plan was made.
    pub ids: BTreeSet<String>,
    /// Those of them that were running then: stopped since, such a one is not as before.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub running: BTreeSet<String>,
}

/// Where the model of a side stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ModelAt {
    /// Nothing ran.
    #[default]
    Nothing,
    /// `model.json` beside the journal of a run; of this run when no number is given.
    Run(Option<u32>),
    /// The pinned model of a release.
    Release(u32),
}

/// One side of a change.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Side {
    /// Release, where it has a number.
    pub release: Option<u32>,
    /// Its model.
    pub model: ModelAt,
    /// Its services.
    pub services: BTreeMap<String, ServiceSide>,
}

/// A service that the step is about.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Touched {
    /// Name.
    pub service: String,
    /// Whether its container must be replaced although the configuration's digest stays (a file's content changed).
    pub is_forced: bool,
}

/// What the containers of one service are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// As before.
    Before,
    /// As wanted.
    After,
    /// As before and as wanted: nothing is to be done.
    Both,
    /// Some of each, or too many, or half-made.
    Between,
    /// Made by somebody else.
    Foreign,
}

/// Compose names a container that is to take another's place `0123456789ab_NAME` until that one is gone.
pub fn is_half_made(container: &Container) -> bool {
    container
        .name
        .split_once('_')
        .is_some_and(|(head, _)| head.len() == 12 && head.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Name that a half-made container is to have once the one whose place it takes is gone.
pub fn wanted_name(half: &Container) -> &str {
    half.name.split_once('_').map_or(&half.name, |(_, name)| name)
}

/// Whether the container has a process, or the engine is about to give it one again.
pub fn is_running(container: &Container) -> bool {
    matches!(container.state.status.as_str(), "running" | "restarting" | "paused")
}

/// Whether the container does its work, or has done it (an init container that ended with 0).
pub fn is_up(container: &Container) -> bool {
    let state = &container.state;
    is_running(container) || (state.status == "exited" && !state.started_at.starts_with("0001"))
}

/// Judges one service. `images` resolves references to identifiers.
pub fn place(
    touched: &Touched,
    from: Option<&ServiceSide>,
    to: Option<&ServiceSide>,
    all: &[Container],
    images: &BTreeMap<String, String>,
) -> Place {
    let own: Vec<&Container> = all.iter().filter(|container| container.service == touched.service).collect();
    let old_ids = from.map(|side| &side.ids);
    let was_there = |container: &Container| old_ids.is_some_and(|ids| ids.contains(&container.id));
    let runs = |side: &ServiceSide, container: &Container| {
        let image = images.get(&side.image).unwrap_or(&side.image);
        side.hashes.contains(&container.hash) && &container.image_id == image
    };
    let fits = |side: Option<&ServiceSide>, one: &dyn Fn(&ServiceSide, &Container) -> bool| match side {
        None => own.is_empty(),
        Some(side) => {
            own.len() == side.replicas && own.iter().all(|container| !is_half_made(container) && one(side, container))
        }
    };
    let is_before = fits(from, &|side, container| {
        let has_fallen = side.running.contains(&container.id) && !is_running(container);
        !has_fallen && (was_there(container) || (runs(side, container) && is_up(container)))
    });
    // One that was down when the plan was made, or has gone down since, is not as wanted because it once ran.
    let is_down =
        |container: &Container| was_there(container) && !is_running(container) && !has_ended_its_work(container, all);
    let is_after = fits(to, &|side, container| {
        let is_old = touched.is_forced && was_there(container);
        runs(side, container) && is_up(container) && !is_old && !is_down(container)
    });
    match (is_before, is_after) {
        (true, true) => Place::Both,
        (true, false) => Place::Before,
        (false, true) => Place::After,
        (false, false) => {
            let ours = |container: &&&Container| {
                let known = |side: Option<&ServiceSide>| side.is_some_and(|side| side.hashes.contains(&container.hash));
                was_there(container) || known(from) || known(to)
            };
            if own.iter().filter(ours).count() == own.len() { Place::Between } else { Place::Foreign }
        }
    }
}

/// A line about the containers of a service, for people.
pub fn describe(service: &str, all: &[Container]) -> String {
    let own: Vec<String> = all
        .iter()
        .filter(|container| container.service == service)
        .map(|container| {
            format!("{} ({}, image {})", container.name, container.state.status, short(&container.image_id))
        })
        .collect();
    if own.is_empty() { format!("{service}: no container") } else { format!("{service}: {}", own.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, hash: &str, image: &str) -> Container {
        let mut made = Container { id: id.into(), hash: hash.into(), image_id: image.into(), ..Container::default() };
        made.service = "web".into();
        made.name = "shop-web-1".into();
        made.state.status = "running".into();
        made.state.started_at = "2026".into();
        made
    }

    fn side(hash: &str, image: &str, ids: &[&str]) -> ServiceSide {
        ServiceSide {
            hashes: BTreeSet::from([hash.to_owned()]),
            image: image.into(),
            replicas: 1,
            ids: ids.iter().map(|&id| id.to_owned()).collect(),
            running: BTreeSet::new(),
        }
    }

    fn judge(is_forced: bool, all: &[Container]) -> Place {
        let touched = Touched { service: "web".into(), is_forced };
        let images = BTreeMap::from([("web:2".to_owned(), "sha256:2".to_owned())]);
        place(&touched, Some(&side("h1", "sha256:1", &["old"])), Some(&side("h2", "web:2", &[])), all, &images)
    }

    #[test]
    fn a_container_that_is_down_is_not_as_wanted_although_nothing_about_it_changes() {
        let same = side("h1", "sha256:1", &["old"]);
        let touched = Touched { service: "web".into(), is_forced: false };
        let judge = |one: Container| place(&touched, Some(&same), Some(&same), &[one], &BTreeMap::new());
        let ended = |code: i64, restart: &str| {
            let mut one = container("old", "h1", "sha256:1");
            (one.state.status, one.state.exit_code, one.restart) = ("exited".into(), code, restart.into());
            one
        };
        assert_eq!(judge(container("old", "h1", "sha256:1")), Place::Both);
        assert_eq!(judge(ended(137, "no")), Place::Before);
        assert_eq!(judge(ended(0, "unless-stopped")), Place::Before);
        assert_eq!(judge(ended(0, "no")), Place::Both, "it has done its work");
    }

    #[test]
    fn the_old_container_is_before_and_the_new_one_after() {
        assert_eq!(judge(false, &[container("old", "h1", "sha256:1")]), Place::Before);
        assert_eq!(judge(false, &[container("new", "h2", "sha256:2")]), Place::After);
    }

    #[test]
    fn an_old_release_brought_back_in_a_new_container_is_before() {
        assert_eq!(judge(false, &[container("again", "h1", "sha256:1")]), Place::Before);
    }

    #[test]
    fn an_old_container_that_was_stopped_on_the_way_is_not_as_before() {
        let touched = Touched { service: "web".into(), is_forced: false };
        let mut from = side("h1", "sha256:1", &["old"]);
        let mut old = container("old", "h1", "sha256:1");
        old.state.status = "exited".into();
        let judge = |from: &ServiceSide| {
            place(&touched, Some(from), Some(&side("h2", "web:2", &[])), std::slice::from_ref(&old), &BTreeMap::new())
        };
        assert_eq!(judge(&from), Place::Before, "it had ended before the plan was made");
        from.running.insert("old".into());
        assert_eq!(judge(&from), Place::Between);
    }

    #[test]
    fn both_at_once_or_none_is_between() {
        assert_eq!(judge(false, &[]), Place::Between);
        let both = [container("old", "h1", "sha256:1"), container("new", "h2", "sha256:2")];
        assert_eq!(judge(false, &both), Place::Between);
    }

    #[test]
    fn a_half_made_container_is_between_although_it_is_the_only_one() {
        let mut half = container("new", "h2", "sha256:2");
        half.name = "0123456789ab_shop-web-1".into();
        assert_eq!(judge(false, &[half]), Place::Between);
    }

    #[test]
    fn the_wanted_configuration_with_another_image_is_not_after() {
        assert_eq!(judge(false, &[container("new", "h2", "sha256:9")]), Place::Between);
    }

    #[test]
    fn a_container_that_neither_side_made_is_foreign() {
        assert_eq!(judge(false, &[container("x", "h9", "sha256:9")]), Place::Foreign);
    }

    #[test]
    fn a_forced_service_is_after_only_in_another_container() {
        let touched = Touched { service: "web".into(), is_forced: true };
        let same = side("h1", "sha256:1", &["old"]);
        let to = side("h1", "sha256:1", &[]);
        let judge =
            |id: &str| place(&touched, Some(&same), Some(&to), &[container(id, "h1", "sha256:1")], &BTreeMap::new());
        assert_eq!(judge("old"), Place::Before);
        // The planner leaves the shared digest out of the old side of a forced service; here it stands in both.
        assert_eq!(judge("new"), Place::Both);
    }
}
