//! The switch directory: files that Caddy reads at request time. Law: what is switched together changes by one rename.
//!
//! `live` is a link to a directory of `.sides`; `id` and the file of each route are links through it. So one rename of
//! `live` changes all of them at once, an older Caddyfile that reads `app` needs no edit, and a crash leaves the old side
//! or the new one. Names are read by others (Caddy runs as another user), so they are open to all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::files;

/// The file that tells who serves.
pub const ID: &str = "id";
/// The link that is the switch.
const LIVE: &str = "live";
/// Where the sides stand that the link can name.
const SIDES: &str = ".sides";
/// How a name begins that is not in its place yet.
const UNFINISHED: &str = ".new-";
/// The file that means maintenance while it is there.
const MAINTENANCE: &str = "maintenance";

/// Where the routes lead, and who that is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Pointing {
    /// The identity; absent where none is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Route and the host name that it leads to; a route that is not here leads nowhere.
    pub routes: BTreeMap<String, String>,
}

impl Pointing {
    /// In words: `shop-r2: app leads to shop-r2-backend`.
    pub fn words(&self) -> String {
        let routes: Vec<String> = self.routes.iter().map(|(route, to)| format!("{route} leads to {to}")).collect();
        let routes = if routes.is_empty() { "no route leads anywhere".to_owned() } else { routes.join(", ") };
        self.id.as_ref().map_or(routes.clone(), |id| format!("{id}: {routes}"))
    }

    fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        let id = self.id.as_deref().map(|id| (ID, id));
        id.into_iter().chain(self.routes.iter().map(|(route, to)| (route.as_str(), to.as_str())))
    }

    /// Name of the directory that holds it: the same pointing has the same name.
    fn place(&self) -> String {
        let text: String = self.files().map(|(name, value)| format!("{name}={value}\n")).collect();
        let sign = |sign: char| if sign.is_ascii_alphanumeric() || "-_".contains(sign) { sign } else { '_' };
        let head: String = self.id.as_deref().unwrap_or("nobody").chars().take(64).map(sign).collect();
        format!("{head}-{}", &files::sha256(text.as_bytes())[..8])
    }
}

/// Whether a name can be a route's file: it must not be one of the other names here.
pub fn is_route(name: &str) -> bool {
    let is_word = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|sign| sign.is_ascii_lowercase() || sign.is_ascii_digit() || "-_".contains(sign));
    is_word && ![ID, LIVE, MAINTENANCE].contains(&name)
}

/// What Caddy reads now, of these routes and the identity.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn read<'a>(directory: &Path, routes: impl IntoIterator<Item = &'a String>) -> Result<Pointing> {
    let mut seen = Pointing { id: content(directory, ID)?, routes: BTreeMap::new() };
    for route in routes {
        if let Some(to) = content(directory, route)? {
            seen.routes.insert(route.clone(), to);
        }
    }
    Ok(seen)
}

/// A file's content as Caddy takes it: without one newline at its end.
fn content(directory: &Path, name: &str) -> Result<Option<String>> {
    let path = directory.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.strip_suffix('\n').unwrap_or(&text).to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Brings the directory from what it says now to `to`, by one rename. Whoever calls has looked at `now` and holds the lock.
///
/// # Errors
/// When it cannot be written; then it says what it said before.
pub fn point(directory: &Path, now: &Pointing, to: &Pointing) -> Result<()> {
    if !directory.is_dir() {
        bail!(
            "{} is no directory; make it, and mount it into Caddy at /run/cutover (the directory, not its files)",
            directory.display()
        );
    }
    sweep(directory)?;
    let aim = put(directory, to)?;
    let names: BTreeSet<&str> = now.files().chain(to.files()).map(|(name, _)| name).collect();
    let plain: Vec<&str> = names.into_iter().filter(|name| !is_through_live(directory, name)).collect();
    if !plain.is_empty() {
        // Each becomes a link through `live` that says what the file itself said, so that nobody sees a change.
        let present = put(directory, now)?;
        link(directory, &present, LIVE)?;
        for name in plain {
            link(directory, &Path::new(LIVE).join(name), name)?;
        }
    }
    link(directory, &aim, LIVE)?;
    clear(directory, &[&now.place(), &to.place()])
}

fn is_through_live(directory: &Path, name: &str) -> bool {
    fs::read_link(directory.join(name)).is_ok_and(|target| target == Path::new(LIVE).join(name))
}

/// Writes a side, unless it is there; gives its path as the link tells it.
fn put(directory: &Path, side: &Pointing) -> Result<PathBuf> {
    let inside = Path::new(SIDES).join(side.place());
    let place = directory.join(&inside);
    let is_whole = side.files().all(|(name, value)| content(&place, name).is_ok_and(|is| is.as_deref() == Some(value)));
    if is_whole && place.is_dir() {
        return Ok(inside);
    }
    let failed = || format!("cannot write {}", place.display());
    let sides = directory.join(SIDES);
    let aside = sides.join(format!("{UNFINISHED}{}", side.place()));
    open_directory(&sides).with_context(failed)?;
    remove_tree(&aside).with_context(failed)?;
    open_directory(&aside).with_context(failed)?;
    for (name, value) in side.files() {
        if value.contains(['\n', ' ', '/']) || value.is_empty() {
            bail!("{value:?} cannot stand in {name}: Caddy takes the whole content for one name");
        }
        files::write_atomically(&aside.join(name), value.as_bytes(), 0o644)?;
    }
    remove_tree(&place).with_context(failed)?;
    fs::rename(&aside, &place).and_then(|()| files::sync_directory(&sides)).with_context(failed)?;
    Ok(inside)
}

/// Puts a link in its place by one rename.
fn link(directory: &Path, target: &Path, name: &str) -> Result<()> {
    let aside = directory.join(format!("{UNFINISHED}{name}"));
    let attempt = || -> io::Result<()> {
        symlink(target, &aside)?;
        fs::rename(&aside, directory.join(name))?;
        files::sync_directory(directory)
    };
    attempt().with_context(|| format!("cannot put {} in its place", directory.join(name).display()))
}

/// What an earlier process left unfinished.
fn sweep(directory: &Path) -> Result<()> {
    files::sweep(directory)
}

/// Sides that no rename of ours can want back.
fn clear(directory: &Path, kept: &[&str]) -> Result<()> {
    for entry in fs::read_dir(directory.join(SIDES)).into_iter().flatten().flatten() {
        if !kept.iter().any(|kept| entry.file_name() == **kept) {
            remove_tree(&entry.path()).with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

fn open_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The page that is shown to everybody while maintenance is on; nothing while it is off.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn maintenance(directory: &Path) -> Result<Option<String>> {
    let path = directory.join(MAINTENANCE);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Switches maintenance on with this page, or off.
///
/// # Errors
/// When the directory cannot be written.
pub fn set_maintenance(directory: &Path, page: Option<&str>) -> Result<()> {
    let path = directory.join(MAINTENANCE);
    match page {
        Some(page) => files::write_atomically(&path, page.as_bytes(), 0o644),
        None => {
            files::remove_if_there(&path)?;
            files::sync_directory(directory).with_context(|| format!("cannot make {} durable", directory.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(id: &str, routes: &[(&str, &str)]) -> Pointing {
        let routes = routes.iter().map(|(route, to)| ((*route).to_owned(), (*to).to_owned())).collect();
        Pointing { id: Some(id.to_owned()), routes }
    }

    fn read_all(directory: &Path) -> Pointing {
        read(directory, &["app".to_owned(), "api".to_owned()]).unwrap()
    }

    #[test]
    fn a_plain_file_becomes_a_link_and_the_way_back_says_what_it_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::write(path.join("app"), "backend\n").unwrap();
        let before = read_all(path);
        assert_eq!(before, Pointing { id: None, routes: BTreeMap::from([("app".into(), "backend".into())]) });
        let new = to("shop-r2", &[("app", "shop-r2-backend"), ("api", "shop-r2-api")]);
        point(path, &before, &new).unwrap();
        assert_eq!(read_all(path), new);
        point(path, &new, &before).unwrap();
        assert_eq!(read_all(path), before);
    }

    #[test]
    fn several_routes_change_by_one_rename_of_one_link() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let one = to("shop-r1", &[("app", "a1"), ("api", "b1")]);
        let two = to("shop-r2", &[("app", "a2"), ("api", "b2")]);
        point(path, &Pointing::default(), &one).unwrap();
        let links: Vec<_> = ["app", "api", "id"].map(|name| fs::read_link(path.join(name)).unwrap()).into();
        point(path, &one, &two).unwrap();
        let same: Vec<_> = ["app", "api", "id"].map(|name| fs::read_link(path.join(name)).unwrap()).into();
        assert_eq!(links, same, "only `live` was changed");
        assert_eq!(read_all(path), two);
        assert!(fs::read_link(path.join("live")).unwrap().starts_with(SIDES), "a link that holds inside a mount");
    }

    #[test]
    fn what_a_killed_process_left_half_made_does_no_harm_and_is_cleared() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let one = to("shop-r1", &[("app", "a1")]);
        let two = to("shop-r2", &[("app", "a2")]);
        point(path, &Pointing::default(), &one).unwrap();
        symlink("nowhere", path.join(".new-live")).unwrap();
        fs::create_dir(path.join(SIDES).join(format!("{UNFINISHED}{}", two.place()))).unwrap();
        fs::create_dir(path.join(SIDES).join(two.place())).unwrap();
        assert_eq!(read_all(path), one);
        point(path, &one, &two).unwrap();
        assert_eq!(read_all(path), two);
        assert!(!path.join(".new-live").exists());
        assert_eq!(fs::read_dir(path.join(SIDES)).unwrap().count(), 2, "the side before and the side now");
    }

    #[test]
    fn everybody_can_read_what_caddy_reads() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        point(path, &Pointing::default(), &to("r1", &[("app", "a1")])).unwrap();
        let mode = |place: &Path| fs::metadata(place).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path.join("app")), mode(&path.join("live"))), (0o644, 0o755));
    }

    #[test]
    fn a_name_that_caddy_would_take_for_another_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        for bad in ["a b", "a\nb", "", "../x"] {
            assert!(point(directory.path(), &Pointing::default(), &to("r1", &[("app", bad)])).is_err(), "{bad:?}");
        }
        assert!(is_route("app") && is_route("web-sockets"));
        assert!(!is_route("id") && !is_route("maintenance") && !is_route("live") && !is_route("../x"));
    }

    #[test]
    fn maintenance_is_on_while_its_file_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!(maintenance(path).unwrap(), None);
        set_maintenance(path, Some("page")).unwrap();
        assert_eq!(maintenance(path).unwrap().as_deref(), Some("page"));
        set_maintenance(path, None).unwrap();
        set_maintenance(path, None).unwrap();
        assert_eq!(maintenance(path).unwrap(), None);
    }
}
