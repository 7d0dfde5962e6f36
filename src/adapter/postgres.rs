//! PostgreSQL in a container of the stack, by the client tools of its own image, so that versions always match.
//!
//! A dump counts once it was read back in full: `pg_restore --list` accepts a truncated file, so every row of
//! the archive is read and thrown away.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::files;
use super::process::{Command, Process, Sink};

mod sight;

pub use sight::Sight;

/// A dump reads every table: behind somebody who has one locked for changing it, it fails in time instead of waiting
/// for its whole deadline.
const LOCK_WAIT: &str = "--lock-wait-timeout=60s";

/// How often sessions are ended while two databases wait to change names.
const PACE: Duration = Duration::from_millis(500);
/// How often the change of names is tried; the server waits five seconds for sessions to leave, each time.
const TRIES: u32 = 4;

/// A database inside a container.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Database {
    /// Compose service that runs the server.
    pub service: String,
    /// Role to connect as, over the container's own socket.
    pub user: String,
    /// Database name.
    pub name: String,
}

/// A dump on disk that was read back.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Dump {
    /// File name inside its directory.
    pub file: String,
    /// SHA-256, as `sha256sum` prints it.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Tables whose rows the archive holds.
    pub tables: usize,
    /// Rows that were read back.
    pub rows: u64,
}

/// Calls the client tools inside containers.
#[derive(Clone, Debug)]
pub struct Postgres {
    docker: PathBuf,
    process: Process,
}

impl Postgres {
    /// `docker` is the command-line client, found by the caller.
    pub fn new(docker: PathBuf, process: Process) -> Self {
        Self { docker, process }
    }

    fn exec(&self, container: &str, tag: &str, words: &[&str]) -> Command {
        let mut arguments = vec!["exec".to_owned(), "--interactive".into()];
        arguments.extend(["--env".into(), format!("PGAPPNAME={tag}"), container.to_owned()]);
        arguments.extend(words.iter().map(|&word| word.to_owned()));
        Command::new(&self.docker, arguments)
    }

    /// Runs one statement and gives its output, unaligned, one row per line.
    ///
    /// # Errors
    /// The server's own words.
    pub async fn ask(&self, container: &str, database: &Database, tag: &str, sql: &str) -> Result<String> {
        let words = [
            "psql",
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            "--username",
            &database.user,
            "--dbname",
            &database.name,
            "--command",
            sql,
        ];
        let bytes = self.process.run(self.exec(container, tag, &words), &|_| ()).await?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    /// Ends every session that an earlier, killed run of ours left in the server.
    ///
    /// # Errors
    /// The server's own words.
    pub async fn end_our_sessions(&self, container: &str, database: &Database, tag: &str) -> Result<()> {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE application_name LIKE 'cutover %' AND pid <> pg_backend_pid()";
        self.ask(container, database, tag, sql).await.map(|_| ())
    }

    /// Digest of the schema: two databases with the same tables, columns, keys and functions have the same one.
    ///
    /// # Errors
    /// The server's own words.
    pub async fn schema_digest(&self, container: &str, database: &Database, tag: &str) -> Result<String> {
        let words =
            ["pg_dump", "--schema-only", "--no-owner", "--username", &database.user, "--dbname", &database.name];
        let bytes = self.process.run(self.exec(container, tag, &words), &|_| ()).await?;
        // Newer clients guard the script with a random token; it says nothing of the schema.
        let text: String = String::from_utf8_lossy(&bytes)
            .lines()
            .filter(|line| {
                !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict") && !line.starts_with("--")
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        Ok(files::sha256(text.as_bytes()))
    }

    /// Dumps the whole database to `path`, reads it back in full, and gives its digest.
    ///
    /// # Errors
    /// When the dump or the reading back fails; an unfinished file is removed, so none can be taken for a backup.
    pub async fn dump(
        &self,
        container: &str,
        database: &Database,
        tag: &str,
        path: &Path,
        deadline: Duration,
        say: &(dyn Fn(String) + Sync),
    ) -> Result<Dump> {
        let directory = path.parent().unwrap_or_else(|| Path::new("/"));
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let unfinished = directory.join(format!("{file}.unfinished"));
        let outcome = self.dump_and_read_back(container, database, tag, &unfinished, deadline, say).await;
        let (tables, rows) = match outcome {
            Ok(found) => found,
            Err(error) => {
                if let Err(left) = std::fs::remove_file(&unfinished)
                    && left.kind() != std::io::ErrorKind::NotFound
                {
                    return Err(error.context(format!("and {} could not be removed: {left}", unfinished.display())));
                }
                return Err(error);
            }
        };
        let (sha256, bytes) = files::sha256_of_file(&unfinished)?;
        std::fs::rename(&unfinished, path).context("cannot give the finished dump its name")?;
        files::sync_directory(directory).context("cannot make the dump's name durable")?;
        Ok(Dump { file, sha256, bytes, tables, rows })
    }

    async fn dump_and_read_back(
        &self,
        container: &str,
        database: &Database,
        tag: &str,
        unfinished: &Path,
        deadline: Duration,
        say: &(dyn Fn(String) + Sync),
    ) -> Result<(usize, u64)> {
        let output = files::create_private(unfinished)?;
        let words = ["pg_dump", "--format=custom", LOCK_WAIT, "--username", &database.user, "--dbname", &database.name];
        let mut command = self.exec(container, tag, &words);
        command.output = Sink::File(output.try_clone().context("cannot share the dump's file")?);
        command.deadline = deadline;
        let watched = self.process.run(command, &|_| ());
        with_size(unfinished, "dumping", say, watched).await.context("the dump failed")?;
        output.sync_all().context("cannot make the dump durable")?;
        say(format!("reading back {}", files::spoken_size(output.metadata().map_or(0, |meta| meta.len()))));
        self.read_back(container, tag, unfinished, deadline).await.context("the dump cannot be read back in full")
    }

    /// Reads every row of an archive inside the container and counts tables and rows.
    async fn read_back(&self, container: &str, tag: &str, archive: &Path, deadline: Duration) -> Result<(usize, u64)> {
        // awk counts the lines between `COPY … FROM stdin;` and `\.`; pipefail is not POSIX, so the exit code of
        // pg_restore is carried in the last line, which counts only outside of a table's rows.
        let count = r#"{ pg_restore --file=- --data-only; echo CUTOVER-RESTORE-EXIT $?; } | awk '
            inside && $0 == "\\." { inside = 0; next }
            inside { rows++; next }
            /^CUTOVER-RESTORE-EXIT / { code = $2; ended = 1; next }
            /^COPY .* FROM stdin;$/ { inside = 1; tables++ }
            END { print (ended ? code + 0 : 1), tables + 0, rows + 0 }'"#;
        let mut command = self.exec(container, tag, &["sh", "-c", count]);
        command.input = Some(File::open(archive).with_context(|| format!("cannot read {}", archive.display()))?);
        command.deadline = deadline;
        let printed = String::from_utf8_lossy(&self.process.run(command, &|_| ()).await?).trim().to_owned();
        let numbers: Vec<u64> = printed.split(' ').filter_map(|word| word.parse().ok()).collect();
        match numbers[..] {
            [0, tables, rows] => Ok((usize::try_from(tables).unwrap_or(usize::MAX), rows)),
            [code, ..] => bail!("pg_restore exited {code}"),
            [] => bail!("the count of the archive's rows was not printed"),
        }
    }

    /// Puts a database back to what an archive holds, and keeps what it held before under the name `aside`.
    ///
    /// The archive is restored into a database of its own first; then both change names in one transaction.
    ///
    /// # Errors
    /// The server's own words; the database is then as it was.
    pub async fn restore(
        &self,
        container: &str,
        database: &Database,
        tag: &str,
        archive: &Path,
        aside: &str,
        deadline: Duration,
    ) -> Result<()> {
        let fresh = Database { name: format!("{aside}_new"), ..database.clone() };
        let maintenance = Database { name: "postgres".into(), ..database.clone() };
        let (quoted, quoted_fresh, quoted_aside) = (quote(&database.name), quote(&fresh.name), quote(aside));
        self.ask(container, &maintenance, tag, &format!("DROP DATABASE IF EXISTS {quoted_fresh}")).await?;
        self.ask(container, &maintenance, tag, &format!("CREATE DATABASE {quoted_fresh} TEMPLATE template0")).await?;
        let words = ["pg_restore", "--exit-on-error", "--username", &fresh.user, "--dbname", &fresh.name];
        let mut command = self.exec(container, tag, &words);
        command.input = Some(File::open(archive).with_context(|| format!("cannot read {}", archive.display()))?);
        command.deadline = deadline;
        self.process.run(command, &|_| ()).await.context("the restore failed; nothing was changed")?;
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}",
            literal(&database.name)
        );
        let swap = format!(
            "{end}; BEGIN; ALTER DATABASE {quoted} RENAME TO {quoted_aside}; \
             ALTER DATABASE {quoted_fresh} RENAME TO {quoted}; COMMIT"
        );
        let mut tries = TRIES;
        while let Err(error) = self.swap(container, &maintenance, tag, &swap, &end).await {
            // All of it or nothing: what failed left both names as they were.
            tries -= 1;
            if tries == 0 {
                return Err(error).context("the databases could not change names");
            }
        }
        Ok(())
    }

    /// Changes names. Who is sent away comes back at once, but waits at the lock that the first change of a name takes; who
    /// came between is sent away while that change waits.
    async fn swap(&self, container: &str, maintenance: &Database, tag: &str, swap: &str, end: &str) -> Result<()> {
        let swapping = self.ask(container, maintenance, tag, swap);
        tokio::pin!(swapping);
        let mut sent_away = Ok(());
        loop {
            match tokio::time::timeout(PACE, &mut swapping).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => return sent_away.and(Err(error)),
                Err(_) => {
                    let outcome = self.ask(container, maintenance, tag, end).await;
                    sent_away = outcome.map(|_| ()).context("the database's sessions could not be ended");
                }
            }
        }
    }

    /// Whether a database of that name exists in the server.
    ///
    /// # Errors
    /// The server's own words.
    pub async fn exists(&self, container: &str, database: &Database, tag: &str, name: &str) -> Result<bool> {
        let maintenance = Database { name: "postgres".into(), ..database.clone() };
        let sql = format!("SELECT count(*) FROM pg_database WHERE datname = {}", literal(name));
        Ok(self.ask(container, &maintenance, tag, &sql).await? == "1")
    }
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Waits for `work` and says how large the file has become, once a second.
async fn with_size<T>(file: &Path, what: &str, say: &(dyn Fn(String) + Sync), work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    let mut before = 0;
    loop {
        match tokio::time::timeout(Duration::from_secs(1), &mut work).await {
            Ok(done) => return done,
            Err(_) => {
                let size = std::fs::metadata(file).map_or(0, |meta| meta.len());
                let rate = files::spoken_size(size.saturating_sub(before));
                say(format!("{what}: {}, {rate}/s", files::spoken_size(size)));
                before = size;
            }
        }
    }
}
