//! A look at a database server from inside its container: does it answer, how new, how large, with which tools.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{Database, Postgres};

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Major version of the server.
    pub server: u32,
    /// Size of the database in bytes.
    pub bytes: u64,
    /// Major version of `pg_dump` in the container's image; none when it is not there.
    pub dump: Option<u32>,
    /// Major version of `pg_restore` in the container's image; none when it is not there.
    pub restore: Option<u32>,
}

/// Three answers in one call, since starting a program in a container is what takes time.
const SCRIPT: &str = r#"echo "dump $(pg_dump --version 2>/dev/null)"
echo "restore $(pg_restore --version 2>/dev/null)"
exec psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --username "$1" --dbname "$2" \
  --command "SELECT 'server', current_setting('server_version_num'), pg_database_size(current_database())""#;

impl Postgres {
    /// Looks; changes nothing.
    ///
    /// # Errors
    /// The server's own words when it does not let us in.
    pub async fn look(&self, container: &str, database: &Database, tag: &str, deadline: Duration) -> Result<Sight> {
        let mut command = self.exec(container, tag, &["sh", "-c", SCRIPT, "sh", &database.user, &database.name]);
        // Killing the client would leave psql waiting in the container: it has to give up by itself.
        let limits = [
            "--env=PGCONNECT_TIMEOUT=5",
            "--env=PGOPTIONS=-c statement_timeout=5s -c default_transaction_read_only=on",
        ];
        command.arguments.splice(1..1, limits.map(str::to_owned));
        command.deadline = deadline;
        let bytes = self.process.run(command, &|_| ()).await?;
        read(&String::from_utf8_lossy(&bytes)).context("the database's answer cannot be read")
    }
}

fn read(text: &str) -> Option<Sight> {
    let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    let mut row = line("server|")?.split('|');
    let number: u32 = row.next()?.parse().ok()?;
    Some(Sight {
        server: number / 10_000,
        bytes: row.next()?.parse().ok()?,
        dump: line("dump ").and_then(major),
        restore: line("restore ").and_then(major),
    })
}

/// `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` is of major version 15.
fn major(words: &str) -> Option<u32> {
    let version = words.split(") ").nth(1)?;
    version.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_size_are_read_and_missing_tools_are_missing() {
        let text = "dump pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\nrestore \nserver|150018|7633519\n";
        let expected = Sight { server: 15, bytes: 7_633_519, dump: Some(15), restore: None };
        assert_eq!(read(text), Some(expected));
        assert_eq!(read("dump pg_dump (PostgreSQL) 16beta1\n"), None);
        assert_eq!(major("pg_dump (PostgreSQL) 16beta1"), Some(16));
    }
}
