//! Freezing: a model whose images are named by our tags and whose configuration files are copies of today's.
//!
//! Owner and mode of a copied file are kept, because the container reads the copy as it read the file.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::model::{self, ConfigSource};
use super::record::FrozenFile;
use crate::adapter::files;

/// A directory with more than this many bytes is data, not configuration, and stays where it is.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Fingerprints files with a key of this host, so that a fingerprint tells nothing of a short secret.
#[derive(Clone)]
pub struct Fingerprints {
    key: Vec<u8>,
}

impl Fingerprints {
    /// The key of a state directory, or nothing when none was made yet.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(state: &Path) -> Result<Option<Self>> {
        let path = state.join("fingerprint.key");
        match fs::read(&path) {
            Ok(key) => Ok(Some(Self { key })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// The key of a state directory, made when there is none.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn read_or_make(state: &Path) -> Result<Self> {
        if let Some(found) = Self::read(state)? {
            return Ok(found);
        }
        let mut key = vec![0_u8; 32];
        fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut key)).context("no random bytes")?;
        files::write_atomically(&state.join("fingerprint.key"), &key, 0o600)?;
        Ok(Self { key })
    }

    /// Fingerprint of a file, or of a directory with everything in it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(&self, path: &Path) -> Result<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).context("the fingerprint key is empty")?;
        for file in walk(path)? {
            let inside = file.strip_prefix(path).unwrap_or(&file);
            mac.update(inside.as_os_str().as_encoded_bytes());
            mac.update(b"\0");
            let bytes = read_or_target(&file)?;
            mac.update(&(bytes.len() as u64).to_be_bytes());
            mac.update(&bytes);
        }
        Ok(files::hex(&mac.finalize().into_bytes()[..16]))
    }

    /// Fingerprints of everything that the services get as configuration, by service and path.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn of_sources(&self, sources: &[ConfigSource]) -> Result<BTreeMap<(String, PathBuf), String>> {
        let mut found = BTreeMap::new();
        for source in sources.iter().filter(|source| is_configuration(&source.path)) {
            found.insert((source.service.clone(), source.path.clone()), self.of(&source.path)?);
        }
        Ok(found)
    }
}

/// Whether a path is there and small enough to be configuration.
fn is_configuration(path: &Path) -> bool {
    let Ok(all) = walk(path) else { return false };
    path.exists()
        && all.iter().filter_map(|file| file.symlink_metadata().ok()).map(|meta| meta.len()).sum::<u64>() <= LARGEST
}

/// The tag under which the image of a service is kept for a release. `.invalid` can never be pulled from anywhere.
pub fn pinned_reference(project: &str, service: &str, number: u32) -> String {
    format!("cutover.invalid/{}/{}:r{number}", component(project), component(service))
}

/// A name as a part of a reference. Compose takes names that the engine does not take there, such as `Web` or `web_`: such
/// a one is written in the letters that it takes, with a digest that keeps `Web` and `web` apart.
fn component(name: &str) -> String {
    let is_letter = |one: &u8| one.is_ascii_lowercase() || one.is_ascii_digit();
    let is_joint = |joint: &str| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|one| one == b'-');
    let bytes = name.as_bytes();
    let has_ends = bytes.first().is_some_and(is_letter) && bytes.last().is_some_and(is_letter);
    if has_ends && name.split(|one: char| one.is_ascii_lowercase() || one.is_ascii_digit()).all(is_joint) {
        return name.to_owned();
    }
    let lower = name.to_ascii_lowercase();
    let words: Vec<&str> =
        lower.split(|one: char| !one.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let digest = files::sha256(name.as_bytes());
    words.into_iter().chain([&digest[..8]]).collect::<Vec<_>>().join("-")
}

/// A release's model with its images pinned and its files read from copies, and where the copies are to stand.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// The model.
    pub model: Value,
    /// Path of a file, and of its copy relative to the release's directory.
    copies: BTreeMap<PathBuf, String>,
    /// Who reads what.
    sources: Vec<ConfigSource>,
}

/// Works out the pinned model; nothing is copied yet. `place` is the release's directory.
pub fn pin(rendered: &Value, directory: &Path, number: u32, project: &str, place: &Path) -> Pinned {
    let mut sources = model::config_sources(rendered, directory);
    sources.retain(|source| is_configuration(&source.path));
    let mut copies = BTreeMap::new();
    for source in &sources {
        let name = source.path.file_name().unwrap_or_default().to_string_lossy();
        let copy = format!("files/{}/{name}", copies.len());
        copies.entry(source.path.clone()).or_insert(copy);
    }
    let moved = copies.iter().map(|(path, copy)| (path.display().to_string(), place.join(copy)));
    let mut pinned = rendered.clone();
    redirect(&mut pinned, &moved.collect());
    for name in model::services(&pinned) {
        let reference = pinned_reference(project, &name, number);
        let pointer = format!("/services/{}", escape(&name));
        if let Some(service) = pinned.pointer_mut(&pointer).and_then(Value::as_object_mut) {
            service.insert("image".into(), Value::String(reference));
            service.shift_remove("build");
        }
    }
    Pinned { model: pinned, copies, sources }
}

impl Pinned {
    /// Copies the files below `aside`, which will stand at the release's place when it is finished.
    ///
    /// # Errors
    /// When a file cannot be copied.
    pub fn copy(&self, aside: &Path, fingerprints: &Fingerprints) -> Result<Vec<FrozenFile>> {
        let mut known = BTreeMap::new();
        for (path, copy) in &self.copies {
            // Who may read a copy is decided by its own mode, which the container needs; who may reach it, by these.
            let copy = aside.join(copy);
            copy.parent().map_or(Ok(()), files::make_private_directory)?;
            copy_tree(path, &copy)?;
            known.insert(path, fingerprints.of(path)?);
        }
        let frozen = self.sources.iter().map(|source| FrozenFile {
            service: source.service.clone(),
            path: source.path.display().to_string(),
            fingerprint: known.get(&source.path).cloned().unwrap_or_default(),
            copy: self.copies.get(&source.path).cloned().unwrap_or_default(),
        });
        Ok(frozen.collect())
    }
}

/// Lets mounts, configs and secrets of the model read the copies.
fn redirect(pinned: &mut Value, moved: &BTreeMap<String, PathBuf>) {
    let turn = |place: &mut Value| {
        if let Some(copy) = place.as_str().and_then(|path| moved.get(path)) {
            *place = Value::String(copy.display().to_string());
        }
    };
    for table in ["configs", "secrets"] {
        let all = pinned.get_mut(table).and_then(Value::as_object_mut).into_iter().flatten();
        all.filter_map(|(_, one)| one.get_mut("file")).for_each(turn);
    }
    let services = pinned.get_mut("services").and_then(Value::as_object_mut).into_iter().flatten();
    for (_, service) in services {
        let mounts = service.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten();
        let read_only = mounts.filter(|mount| mount.get("read_only").and_then(Value::as_bool) == Some(true));
        read_only.filter_map(|mount| mount.get_mut("source")).for_each(turn);
    }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Every file and link below a path, in a stable order; the path itself when it is a file.
fn walk(path: &Path) -> Result<Vec<PathBuf>> {
    let meta = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !meta.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
        let kind = entry.file_type().with_context(|| format!("cannot read {}", entry.path().display()))?;
        if kind.is_dir() {
            found.extend(walk(&entry.path())?);
        } else if kind.is_file() || kind.is_symlink() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Content of a file; of a link that stands inside a tree, where it points.
fn read_or_target(path: &Path) -> Result<Vec<u8>> {
    if let Ok(target) = fs::read_link(path)
        && !path.is_file()
    {
        return Ok(target.as_os_str().as_encoded_bytes().to_vec());
    }
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let meta = fs::metadata(from).with_context(|| format!("cannot read {}", from.display()))?;
    let parent = to.parent().unwrap_or(to);
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    if meta.is_dir() {
        fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
        for file in walk(from)? {
            let inside = file.strip_prefix(from).unwrap_or(&file);
            copy_tree(&file, &to.join(inside))?;
        }
    } else {
        fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
        fs::File::open(to).and_then(|file| file.sync_all()).with_context(|| format!("cannot keep {}", to.display()))?;
    }
    fs::set_permissions(to, fs::Permissions::from_mode(meta.mode() & 0o7777))
        .and_then(|()| std::os::unix::fs::chown(to, Some(meta.uid()), Some(meta.gid())))
        .with_context(|| format!("cannot give {} the owner and mode of {}", to.display(), from.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_frozen_model_reads_copies_and_our_tags_and_changes_nothing_else() {
        let project = tempfile::tempdir().unwrap();
        let aside = tempfile::tempdir().unwrap();
        let root = project.path();
        fs::write(root.join("Caddyfile"), "one").unwrap();
        let path = root.join("Caddyfile").display().to_string();
        let rendered = json!({"services": {"web": {
            "image": "caddy:2", "build": {"context": "."},
            "volumes": [{"type": "bind", "source": path, "target": "/c", "read_only": true},
                        {"type": "bind", "source": "/run/x", "target": "/x", "read_only": true}]}}});
        let fingerprints = Fingerprints { key: vec![1] };
        let place = Path::new("/state/releases/r3");
        let pinned = pin(&rendered, root, 3, "shop", place);
        let frozen = pinned.copy(aside.path(), &fingerprints).unwrap();
        assert_eq!(
            pinned.model,
            json!({"services": {"web": {"image": "cutover.invalid/shop/web:r3",
            "volumes": [{"type": "bind", "source": "/state/releases/r3/files/0/Caddyfile", "target": "/c", "read_only": true},
                        {"type": "bind", "source": "/run/x", "target": "/x", "read_only": true}]}}})
        );
        assert_eq!(fs::read_to_string(aside.path().join(&frozen[0].copy)).unwrap(), "one");
    }

    #[test]
    fn every_name_that_compose_takes_becomes_a_reference_that_the_engine_takes() {
        for plain in ["web", "a.b", "a_b", "a__b", "a--b", "7", "db-main"] {
            assert_eq!(pinned_reference("shop", plain, 3), format!("cutover.invalid/shop/{plain}:r3"));
        }
        let is_taken = letters_and_dashes();
        let odd = ["Tor.web", "tor.Web", "web_", "_web", "a..b", "a._b", "a___b", "-", "."];
        let written: std::collections::BTreeSet<String> = odd.iter().map(|name| component(name)).collect();
        assert_eq!(written.len(), odd.len(), "{written:?}");
        assert!(written.iter().all(|part| is_taken(part)), "{written:?}");
        assert!(is_taken(&component("shop-")), "a project may end so");
    }

    /// As the engine says it: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`; here without the joints that an odd name never gets.
    fn letters_and_dashes() -> impl Fn(&str) -> bool {
        let is_letter = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit();
        move |part: &str| part.split('-').all(|word| !word.is_empty() && word.chars().all(is_letter))
    }

    #[test]
    fn a_fingerprint_changes_with_content_and_names_and_with_nothing_else() {
        let one = tempfile::tempdir().unwrap();
        fs::write(one.path().join("a"), "x").unwrap();
        let fingerprints = Fingerprints { key: vec![1] };
        let before = fingerprints.of(one.path()).unwrap();
        assert_eq!(fingerprints.of(one.path()).unwrap(), before);
        fs::rename(one.path().join("a"), one.path().join("b")).unwrap();
        assert_ne!(fingerprints.of(one.path()).unwrap(), before);
        assert_ne!(Fingerprints { key: vec![2] }.of(one.path()).unwrap(), before);
    }
}
