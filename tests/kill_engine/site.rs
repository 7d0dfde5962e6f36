//! A project that is killed at again and again: what it is before, what must be true after. Law: looked at from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cutover::journal::runs::{self, RunFile};
use cutover::journal::{Outcome, RunState};
use cutover::release::{Release, Store};
use serde_json::Value;

use crate::events::Events;
use crate::support::project::{Project, docker};

/// A failed expectation, in words.
pub type Told<T> = Result<T, String>;

/// A container, as the engine tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub id: String,
    pub name: String,
    pub image: String,
    pub hash: String,
    pub status: String,
    pub started: String,
    pub is_one_off: bool,
}

/// What the last run's journal says.
#[derive(Clone, Debug)]
pub enum Last {
    /// It can be gone on with.
    Open(Box<RunState>),
    /// It has an end, or there is none.
    Ended(Option<(u32, Outcome)>),
}

/// A project with what is known of it.
pub struct Site {
    pub project: Project,
    pub events: Events,
    /// Release that serves: 0 for none, 1 or 2.
    pub at: u8,
    /// Whether it ran before cutover came: then no release is the current one until a run was done.
    is_adopted: bool,
    rows: u32,
    images: [String; 2],
}

impl Site {
    /// Makes the project; nothing runs yet.
    pub fn new(label: &str) -> Self {
        let project = Project::new(label);
        // A service that ends at once is lost at once: the failing deploy turns back without a wait.
        project.set("RESTART", "no");
        let events = Events::of(&project.name);
        let image =
            |tag: &str| docker(&["image", "inspect", "--format", "{{.Id}}", &format!("cutover-lab/demo:{tag}")]);
        let images = ["1", "2"].map(|tag| image(tag).trim().to_owned());
        Self { project, events, at: 0, is_adopted: false, rows: 0, images }
    }

    /// Brings release 1 up by hand, as it was before cutover came.
    pub fn adopt(&mut self) {
        let up = self.project.compose(&["up", "--detach"]);
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        let migrate = |_: &u32| {
            let exec = ["exec", "-T", "backend", "demo-backend", "migrate"];
            self.project.compose(&exec).status.success()
        };
        assert!((0..20).any(|attempt| migrate(&attempt)), "release 1 has a schema");
        (self.at, self.is_adopted) = (1, true);
    }

    pub fn store(&self) -> Store {
        Store::new(&self.project.state())
    }

    pub fn runs(&self) -> Told<Vec<RunFile>> {
        runs::list(&self.project.state().join("runs")).map_err(|error| error.to_string())
    }

    /// The last run whose first line was durable.
    pub fn last(&self) -> Told<Last> {
        for file in self.runs()?.iter().rev() {
            let run = file.state().map_err(|error| error.to_string())?;
            if run.header.is_some() {
                if run.is_open() {
                    return Ok(Last::Open(Box::new(run)));
                }
                return Ok(Last::Ended(run.outcome.map(|(outcome, _)| (file.number, outcome))));
            }
        }
        Ok(Last::Ended(None))
    }

    /// Writes a row, as a visitor would; every row must be there for ever.
    pub fn write_row(&mut self) {
        let inserted = self.project.sql(&format!("INSERT INTO items(name) VALUES ('row {}') RETURNING 1", self.rows));
        if inserted.trim() == "1" {
            self.rows += 1;
        }
    }

    /// Takes the second migration back, so that the next deploy of release 2 has something to migrate.
    pub fn unmigrate(&self) {
        let sql = "ALTER TABLE items DROP COLUMN IF EXISTS note; DELETE FROM schema_migrations WHERE version = 2";
        self.project.sql(sql);
    }

    /// Every container of the project, one-shots too.
    pub fn look(&self) -> Vec<Seen> {
        let filter = format!("label=com.docker.compose.project={}", self.project.name);
        let ids = docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]);
        let ids: Vec<&str> = ids.lines().collect();
        if ids.is_empty() {
            return Vec::new();
        }
        let text = docker(&[&["inspect"], &ids[..]].concat());
        let all: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
        all.iter().map(seen).collect()
    }

    /// Everything that must hold once nothing is at work any more.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn judge(&self, at: u8) -> Told<()> {
        self.nothing_at_work()?;
        self.containers_serve(at)?;
        self.releases_are_whole()?;
        self.journals_are_whole()?;
        self.nothing_half_written()?;
        if at > 0 {
            self.database_is_whole(at)?;
            // Half a second is all that `status` gives the engine; a busy machine makes it say that it does not know.
            let mut asked = std::iter::repeat_with(|| self.status()).take(20);
            let verdict = asked.find(|verdict| verdict.as_deref() != Ok("unknown"));
            let verdict = verdict.unwrap_or_else(|| Err("the engine never answered `status` in time".into()))?;
            let is_unknown = self.store().current().is_ok_and(|current| current.is_none()) && self.is_adopted;
            want("the verdict of `cutover status`", &verdict.as_str(), &if is_unknown { "nothing" } else { "ok" })?;
        }
        Ok(())
    }

    fn nothing_at_work(&self) -> Told<()> {
        if let Last::Open(run) = self.last()? {
            return Err(format!("run {} ({}) is still open: {:?}", run.number, run.kind, run.outcome));
        }
        let held = cutover::journal::lock::held(&self.project.state()).map_err(|error| error.to_string())?;
        if let Some(held) = held {
            return Err(format!("the lock is not free: {}", held.words()));
        }
        let open = processes_with(&self.project.state().join("lock"));
        want("processes that have the lock's file open", &open, &Vec::new())
    }

    fn containers_serve(&self, at: u8) -> Told<()> {
        let all = self.look();
        let names: BTreeSet<&str> = all.iter().map(|seen| seen.name.as_str()).collect();
        let prefix = &self.project.name;
        let wanted: Vec<String> = match at {
            0 => Vec::new(),
            _ => ["backend", "db", "worker"].iter().map(|service| format!("{prefix}-{service}-1")).collect(),
        };
        want("the set of containers", &names, &wanted.iter().map(String::as_str).collect())?;
        let Some(current) = self.store().current().map_err(|error| format!("{error:#}"))? else {
            let is_fine = at == 0 || (at == 1 && self.is_adopted);
            return want("whether no release may be called current", &is_fine, &true);
        };
        want("whether a release is called current", &(at > 0), &true)?;
        let record = self.record(current)?;
        for seen in &all {
            let service = seen.name.trim_start_matches(&format!("{prefix}-")).trim_end_matches("-1");
            let kept = record.services.get(service).ok_or(format!("r{current} does not know {service}"))?;
            want(&format!("status of {service}"), &seen.status.as_str(), &"running")?;
            want(&format!("image of {service} against the record of r{current}"), &seen.image, &kept.image_id)?;
            let is_its = [&kept.hash, &kept.pinned_hash].contains(&&seen.hash);
            want(&format!("whether {service} runs the configuration of r{current}"), &is_its, &true)?;
            if service != "db" {
                want(&format!("image of {service}"), &seen.image, &self.images[usize::from(at) - 1])?;
            }
        }
        Ok(())
    }

    fn record(&self, number: u32) -> Told<Release> {
        let record = self.store().read(number).map_err(|error| format!("{error:#}"))?;
        record.ok_or(format!("there is no record of r{number}"))
    }

    /// Tags and holders are those of the recorded releases, all of them and no others.
    fn releases_are_whole(&self) -> Told<()> {
        let name = &self.project.name;
        let (mut tags, mut holders) = (BTreeSet::new(), BTreeSet::new());
        for number in self.store().numbers().map_err(|error| format!("{error:#}"))? {
            for (service, kept) in self.record(number)?.services {
                holders.insert(format!("{name}-{service}-held-by-cutover-r{number}"));
                tags.insert(format!("{} {}", kept.pinned, kept.image_id));
            }
        }
        let reference = format!("reference=cutover.invalid/{name}/*");
        let format = "{{.Repository}}:{{.Tag}} {{.ID}}";
        let there = docker(&["image", "ls", "--no-trunc", "--format", format, "--filter", &reference]);
        want("the tags that keep images", &there.lines().map(str::to_owned).collect(), &tags)?;
        let there = docker(&["ps", "--all", "--format", "{{.Names}}", "--filter", "label=dev.cutover.holds"]);
        let prefix = format!("{name}-");
        let own = there.lines().filter(|holder| holder.starts_with(&prefix)).map(str::to_owned).collect();
        want("the containers that hold images", &own, &holders)
    }

    fn journals_are_whole(&self) -> Told<()> {
        for file in self.runs()? {
            let entries = file.entries().map_err(|error| error.to_string())?;
            if entries.is_empty() {
                continue;
            }
            let run = file.state().map_err(|error| error.to_string())?;
            let is_manifest_due = file.kind == "rollback" && run.outcome.is_some();
            let manifest = self.project.state().join(format!("reports/{:04}-manifest.json", file.number));
            if is_manifest_due && !manifest.exists() {
                return Err(format!("rollback {} has ended and has no manifest", file.number));
            }
        }
        Ok(())
    }

    fn nothing_half_written(&self) -> Told<()> {
        let marks = [".new-", ".making-", ".gone-", ".unfinished"];
        let is_half = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            marks.iter().any(|mark| name.contains(mark))
        };
        let left: Vec<PathBuf> = walk(&self.project.state()).into_iter().filter(is_half).collect();
        want("half-written files", &left, &Vec::new())
    }

    fn database_is_whole(&self, at: u8) -> Told<()> {
        let count =
            self.project.sql("SELECT count(*) || ' ' || count(DISTINCT name) FROM items WHERE name LIKE 'row %'");
        want("rows, and different ones", &count.trim().to_owned(), &format!("{0} {0}", self.rows))?;
        let ledger = self.project.sql("SELECT string_agg(version::text, ' ' ORDER BY version) FROM schema_migrations");
        let known: &[&str] = if at == 2 { &["1 2"] } else { &["1", "1 2"] };
        want("whether the ledger of migrations is known", &known.contains(&ledger.trim()), &true)?;
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'cutover %'";
        want("sessions of cutover in the database", &self.project.sql(sessions).trim().to_owned(), &"0".to_owned())
    }

    /// The verdict's word.
    ///
    /// # Errors
    /// When `status` prints no JSON.
    pub fn status(&self) -> Told<String> {
        let output = self.project.cutover(&["status", "--output", "json"]);
        let text = String::from_utf8_lossy(&output.stdout);
        let document: Value =
            serde_json::from_str(&text).map_err(|error| format!("`cutover status`: {error}: {text}"))?;
        Ok(document["verdict"].as_str().unwrap_or_default().to_owned())
    }

    /// The containers of the services, and what of them tells that nobody has touched one.
    pub fn lives(&self) -> BTreeMap<String, (String, String)> {
        let services = self.look().into_iter().filter(|seen| !seen.is_one_off);
        services.map(|seen| (seen.name, (seen.id, seen.started))).collect()
    }
}

/// Compares, and says what.
///
/// # Errors
/// When they differ.
pub fn want<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Told<()> {
    if found == wanted { Ok(()) } else { Err(format!("{what}: found {found:?}, wanted {wanted:?}")) }
}

fn seen(one: &Value) -> Seen {
    let text = |pointer: &str| one.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let label = |name: &str| one["Config"]["Labels"][name].as_str().unwrap_or_default().to_owned();
    Seen {
        id: text("/Id"),
        name: text("/Name").trim_start_matches('/').to_owned(),
        image: text("/Image"),
        hash: label("com.docker.compose.config-hash"),
        status: text("/State/Status"),
        started: text("/State/StartedAt"),
        is_one_off: label("com.docker.compose.oneoff") == "True",
    }
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(walk(&entry.path()));
        }
        found.push(entry.path());
    }
    found
}

/// Processes, other than this one, that have a file open.
fn processes_with(file: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = std::fs::metadata(file) else { return Vec::new() };
    let has_it = |pid: &str| {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors
            .filter_map(|descriptor| std::fs::metadata(descriptor.path()).ok())
            .any(|found| (found.dev(), found.ino()) == (meta.dev(), meta.ino()))
    };
    let own = std::process::id().to_string();
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()) && *pid != own && has_it(pid)).collect()
}
