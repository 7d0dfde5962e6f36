//! The server's own client programs, pg_dump and pg_restore, at least as new as the server: from the host, else from an
//! image. Law: a password reaches them by a file of mode 0600 only, never by a command line or the environment.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::adapter::database::{Place, Session};
use crate::adapter::process::{Command, Process};

/// What every session of the programs is set to: the database may be read-only by default, and a dump takes its time.
const OPTIONS: &str = "-c default_transaction_read_only=off -c statement_timeout=0";

/// Where the programs may be.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ToolPlaces {
    /// Directories of the host, in order; see [`host_directories`].
    pub directories: Vec<PathBuf>,
    /// The engine's command-line client, where there is one.
    pub docker: Option<PathBuf>,
    /// An image that is present and holds the programs: the stack's own database's, or one that was configured.
    pub image: Option<String>,
}

/// The directories of `path` (as the variable PATH is written), then those where Debian keeps each version's programs.
pub fn host_directories(path: &str) -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = path.split(':').filter(|part| part.starts_with('/')).map(Into::into).collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    versions.sort();
    directories.extend(versions);
    directories
}

/// Programs that were found and asked for their version.
#[derive(Clone, Debug)]
pub struct Tools {
    origin: Origin,
    major: u32,
    version: String,
    process: Process,
}

#[derive(Clone, Debug)]
enum Origin {
    Host(PathBuf),
    Image { docker: PathBuf, image: String },
}

/// One call of a program.
#[derive(Debug)]
pub struct Call<'a> {
    /// `pg_dump` or `pg_restore`.
    pub program: &'a str,
    /// Its arguments, without those that say where the server is.
    pub arguments: Vec<String>,
    /// The directory of its files; from an image, only this one is seen, under the same path.
    pub directory: &'a Path,
    /// `application_name` of its sessions.
    pub session: &'a str,
    /// The longest it may take.
    pub deadline: Duration,
}

/// The server's major version, such as 15.
///
/// # Errors
/// The server's own words.
pub async fn server_major(session: &Session) -> Result<u32> {
    let sql = "SELECT pg_catalog.current_setting('server_version_num')::int4 / 10000";
    let major: i32 = session.query_one(sql, &[]).await.context("cannot read the server's version")?.try_get(0)?;
    u32::try_from(major).context("the server's version is no number")
}

impl Tools {
    /// Finds the oldest programs that are not older than the server: a newer one may write what the server does not
    /// know. The host's come first.
    ///
    /// # Errors
    /// When there are none; says what was found, and what to install.
    pub async fn find(process: &Process, places: &ToolPlaces, server: u32) -> Result<Self> {
        let mut found: Vec<Self> = Vec::new();
        for directory in &places.directories {
            if ["pg_dump", "pg_restore"].iter().all(|program| directory.join(program).is_file()) {
                found.extend(Self::ask(process, Origin::Host(directory.clone())).await);
            }
        }
        // One more directory of the same version changes nothing: the first stays.
        found.sort_by_key(|tools| tools.major);
        let mut seen: Vec<String> = found.iter().map(|tools| tools.version.clone()).collect();
        if let Some(tools) = found.into_iter().find(|tools| tools.major >= server) {
            return Ok(tools);
        }
        if let (Some(docker), Some(image)) = (&places.docker, &places.image) {
            let origin = Origin::Image { docker: docker.clone(), image: image.clone() };
            match Self::ask(process, origin).await {
                Some(tools) if tools.major >= server => return Ok(tools),
                Some(tools) => seen.push(format!("{} in the image {image}", tools.version)),
                None => seen.push(format!("none that answers in the image {image}")),
            }
        }
        bail!(
            "no pg_dump and pg_restore of version {server} or later (found: {}); install postgresql-client-{server}, \
             or name an image that holds them",
            if seen.is_empty() { "none".to_owned() } else { seen.join(", ") }
        );
    }

    async fn ask(process: &Process, origin: Origin) -> Option<Self> {
        let mut tools = Self { origin, major: 0, version: String::new(), process: process.clone() };
        let command = tools.command("pg_dump", vec!["--version".into()], None, Path::new("/"));
        let printed = match process.run(command, &|_| ()).await {
            Ok(printed) => String::from_utf8_lossy(&printed).trim().to_owned(),
            Err(error) => {
                tracing::debug!(%error, "a pg_dump does not tell its version");
                return None;
            }
        };
        // `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
        let number = printed.split_once(") ").map(|(_, rest)| rest.split(' ').next().unwrap_or_default().to_owned())?;
        tools.major = number.split(|sign: char| !sign.is_ascii_digit()).next()?.parse().ok()?;
        tools.version = number;
        Some(tools)
    }

    /// Version and where it is from, as it is written down.
    pub fn shown(&self) -> String {
        match &self.origin {
            Origin::Host(directory) => format!("{} ({})", self.version, directory.display()),
            Origin::Image { image, .. } => format!("{} (image {image})", self.version),
        }
    }

    /// Runs a program against a place to its end; `line` hears its stderr.
    ///
    /// # Errors
    /// When it fails or passes its deadline, with its own words.
    pub async fn run(&self, place: &Place, call: Call<'_>, line: &(dyn Fn(&str) + Sync)) -> Result<()> {
        let password = password_file(place, call.directory)?;
        // A name alone could be read as a connection string.
        let name = place.database().replace('\\', "\\\\").replace('\'', "\\'");
        let mut arguments = vec!["--no-password".to_owned(), format!("--dbname=dbname='{name}'")];
        arguments.extend(call.arguments);
        let container = container_name(call.directory, call.program);
        let mut command = self.command(call.program, arguments, Some(&container), call.directory);
        let mut variables = place.variables();
        let written = variables.iter().position(|(name, _)| name == "PGOPTIONS").map(|at| variables.remove(at).1);
        let options = format!("{} {OPTIONS}", written.unwrap_or_default());
        variables.push(("PGOPTIONS".into(), options.trim_start().to_owned()));
        variables.push(("PGPASSFILE".into(), password.path().display().to_string()));
        variables.push(("PGAPPNAME".into(), call.session.to_owned()));
        self.give_variables(&mut command, variables, place);
        command.deadline = call.deadline;
        if let Origin::Image { docker, .. } = &self.origin {
            remove_container(&self.process, docker, &container).await?;
        }
        let outcome = self.process.run(command, line).await;
        if let (Err(_), Origin::Image { docker, .. }) = (&outcome, &self.origin) {
            // The end of the client is not the end of what runs inside.
            remove_container(&self.process, docker, &container).await?;
        }
        Ok(outcome.map(|_| ())?)
    }

    fn command(&self, program: &str, arguments: Vec<String>, container: Option<&str>, directory: &Path) -> Command {
        let Origin::Image { docker, image } = &self.origin else {
            let Origin::Host(bin) = &self.origin else { return Command::new(program, arguments) };
            return Command::new(bin.join(program), arguments);
        };
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let mut words: Vec<String> = ["run", "--rm", "--network=host", "--pull=never"].map(Into::into).into();
        words.extend([format!("--user={user}:{group}"), format!("--entrypoint={program}")]);
        if let Some(container) = container {
            let place = directory.display();
            words.extend([format!("--name={container}"), format!("--volume={place}:{place}")]);
        }
        words.push(image.clone());
        words.extend(arguments);
        Command::new(docker, words)
    }

    /// In a container only what is named on the command line is seen; none of it is a secret.
    fn give_variables(&self, command: &mut Command, variables: Vec<(String, String)>, place: &Place) {
        if matches!(self.origin, Origin::Host(_)) {
            command.environment = variables;
            return;
        }
        let mut words: Vec<String> = variables.iter().map(|(name, value)| format!("--env={name}={value}")).collect();
        let certificates = variables.iter().filter(|(name, _)| name == "PGSSLROOTCERT");
        words.extend(certificates.map(|(_, path)| format!("--volume={path}:{path}:ro")));
        if place.host().starts_with('/') {
            words.push(format!("--volume={0}:{0}", place.host()));
        }
        command.arguments.splice(1..1, words);
    }
}

/// A name that is the same for the same call, so that what a killed one left is found.
fn container_name(directory: &Path, program: &str) -> String {
    let digest = crate::adapter::files::sha256(directory.display().to_string().as_bytes());
    format!("cutover-{}-{}", program.replace('_', "-"), &digest[..12])
}

async fn remove_container(process: &Process, docker: &Path, name: &str) -> Result<()> {
    let command = Command::new(docker, ["rm", "--force", name]);
    match process.run(command, &|_| ()).await {
        Ok(_) => Ok(()),
        Err(error) if error.to_string().contains("No such container") => Ok(()),
        Err(error) => Err(error).context("a container of the client programs cannot be removed"),
    }
}

/// The password, as libpq reads it from a file. A killed process leaves it under a name that is swept away.
fn password_file(place: &Place, directory: &Path) -> Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix(".new-pass-")
        .tempfile_in(directory)
        .with_context(|| format!("cannot make a password file in {}", directory.display()))?;
    if place.password().is_some_and(|password| password.expose().contains(['\n', '\r', '\0'])) {
        bail!("the password holds a line end, which a password file cannot hold; change it");
    }
    if let Some(line) = place.passfile() {
        file.write_all(line.expose().as_bytes()).context("cannot write the password file")?;
        file.flush().context("cannot write the password file")?;
    }
    Ok(file)
}
