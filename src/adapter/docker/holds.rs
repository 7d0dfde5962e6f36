//! The few things that are written to the engine directly: tags and holders that keep images, and what puts right
//! a recreation that was killed.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters as ask;

use super::{Docker, absent_is_none, label};

impl Docker {
    /// Gives an image a tag of ours.
    ///
    /// # Errors
    /// When the image is gone, or [`EngineAway`].
    pub async fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<()> {
        let options = ask::TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        self.patiently(|| self.engine.tag_image(image, Some(options.clone())))
            .await
            .with_context(|| format!("cannot tag the image {image} as {repository}:{tag}"))
    }

    /// Lets references name the images they named before; one that named nothing is left, nothing runs from it.
    ///
    /// # Errors
    /// When an image is gone, or [`EngineAway`].
    pub async fn give_back(&self, named: &BTreeMap<String, String>) -> Result<String> {
        let mut given = Vec::new();
        for (reference, id) in named {
            if self.image_id(reference).await?.as_deref() != Some(id) {
                let (repository, tag) = reference.rsplit_once(':').unwrap_or((reference, "latest"));
                self.tag(id, repository, tag).await?;
                given.push(reference.clone());
            }
        }
        Ok(if given.is_empty() {
            "the images stay; nothing runs from them".into()
        } else {
            format!("names the image before again: {}; the new images stay", given.join(", "))
        })
    }

    /// Takes a tag away; the image stays while anything else holds it.
    ///
    /// # Errors
    /// The engine's own words; a tag that is not there is no error.
    pub async fn untag(&self, reference: &str) -> Result<()> {
        let options = ask::RemoveImageOptionsBuilder::new().noprune(true).build();
        absent_is_none(self.patiently(|| self.engine.remove_image(reference, Some(options.clone()), None)).await)?;
        Ok(())
    }

    /// Makes a container that is never started: while it is there, `docker image prune --all` spares the image.
    ///
    /// An image that compose built carries the labels of its service, and a container takes over those of its image: they
    /// are written over, or compose and we would take the holder for a container of the project.
    ///
    /// # Errors
    /// The engine's own words; one that already holds this image is no error.
    pub async fn hold(&self, name: &str, image: &str, release: &str) -> Result<()> {
        if let Some(there) = self.container(name).await? {
            let is_of_no_project = there.labels.get(label::PROJECT).is_none_or(String::is_empty);
            if is_of_no_project && Some(there.image_id) == self.image_id(image).await? {
                return Ok(());
            }
            // Left by a run that was killed before the release was recorded: the number is given anew.
            self.remove(name).await?;
        }
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: Some(vec!["held by cutover, never started".to_owned()]),
            labels: Some(HashMap::from([
                (label::HOLDS.to_owned(), release.to_owned()),
                (label::PROJECT.to_owned(), String::new()),
                (label::SERVICE.to_owned(), String::new()),
            ])),
            host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        };
        let options = ask::CreateContainerOptionsBuilder::new().name(name).build();
        let made = self.patiently(|| self.engine.create_container(Some(options.clone()), body.clone())).await;
        made.map(|_| ()).with_context(|| format!("cannot hold the image {image}"))
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// The engine's own words.
    pub async fn rename(&self, id: &str, name: &str) -> Result<()> {
        let options = ask::RenameContainerOptionsBuilder::new().name(name).build();
        self.patiently(|| self.engine.rename_container(id, options.clone()))
            .await
            .with_context(|| format!("cannot give a container the name {name}"))
    }

    /// Removes a container by force, with its anonymous volumes; one that is not there is no error.
    ///
    /// # Errors
    /// The engine's own words.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let options = ask::RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        absent_is_none(self.patiently(|| self.engine.remove_container(name, Some(options.clone()))).await)?;
        Ok(())
    }
}
