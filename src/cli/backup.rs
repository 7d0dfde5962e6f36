//! `cutover backup …`: make, prove, list and bring back. A backup changes no database, so only its restore is a run.

mod volume;

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::carry::take_lock;
use super::data::go::{go, prepare};
use super::global::Global;
use super::setup::{self, Setup};
use super::{exit, out};
use crate::adapter::clock;
use crate::adapter::database::Place;
use crate::adapter::files::spoken_size;
use crate::config::{Config, Environment};
use crate::report::SCHEMA;
use crate::report::table::{Cell, Table};
use crate::rows::backup::{self as shelf, BackupOptions, CommandBackup, Kind, Token};
use crate::rows::client_tools::{ToolPlaces, Tools};
use crate::run::Refusal;
use crate::run::data::{self, options, restoring};
use crate::step::create_backup::{tools, words};

/// `backup`.
#[derive(Args, Debug)]
pub struct Backup {
    /// What to do
    #[command(subcommand)]
    pub what: BackupVerb,
}

/// What can be done with backups.
#[derive(Debug, Subcommand)]
pub enum BackupVerb {
    /// Back a database up, restore it on trial, compare every row, write a token
    Create {
        /// Which database
        #[arg(long, value_enum, default_value = "target")]
        of: Side,
        /// Only these named volumes instead of a database; without it, those of backup.volumes come along
        #[arg(long, value_name = "NAME", value_delimiter = ',')]
        volume: Vec<String>,
        /// An image on this host that reads volumes (that of a container which uses the volume)
        #[arg(long, value_name = "IMAGE")]
        image: Option<String>,
    },
    /// Prove a backup again: its files by checksum, its rows by another restore on trial
    Verify {
        /// Its name; `cutover backup list` tells
        id: String,
        /// An image on this host that reads volumes
        #[arg(long, value_name = "IMAGE")]
        image: Option<String>,
    },
    /// Bring a backup back beside the live database, compare it, and exchange the names
    Restore {
        /// Its name; `cutover backup list` tells
        id: String,
        /// For a volume: the new volume that it is brought back into (VOLUME_restored_ID)
        #[arg(long, value_name = "NAME")]
        into: Option<String>,
        /// An image on this host that reads volumes
        #[arg(long, value_name = "IMAGE")]
        image: Option<String>,
        /// Show the plan and stop
        #[arg(long)]
        dry_run: bool,
    },
    /// The backups that are kept
    List,
}

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// The one that is being left.
    Source,
    /// The one that is being moved to.
    Target,
}

impl Side {
    /// Its table in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

/// The verb.
///
/// # Errors
/// Refusals, and faults before a run began.
pub async fn run(global: &Global, verb: &Backup) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    match &verb.what {
        BackupVerb::Create { of, volume, image } => {
            create(global, &config, &setup, *of, volume, image.as_deref()).await
        }
        BackupVerb::Verify { id, image } => verify(global, &config, &setup, id, image.as_deref()).await,
        BackupVerb::Restore { id, into, image, dry_run } => {
            let token = shelf::read_token(&options::backups(&config), id)?;
            if token.kind == Kind::Volume {
                let wish = (into.as_deref(), image.as_deref());
                return restore_volume(global, &config, &setup, &token, wish, *dry_run).await;
            }
            restore(global, &config, &setup, id, *dry_run).await
        }
        BackupVerb::List => list(global, &config),
    }
}

async fn create(
    global: &Global,
    config: &Config,
    setup: &Setup,
    of: Side,
    volumes: &[String],
    image: Option<&str>,
) -> Result<u8> {
    let lock = take_lock(&setup.state, "backup create")?;
    let stamp = stamp();
    let say = out::teller(global.quiet, setup.log.as_deref())?;
    let mut tokens = Vec::new();
    if volumes.is_empty() {
        tokens.push(create_database(config, setup, of, format!("{stamp}-{}", of.word()), &say).await?);
    }
    let also = if volumes.is_empty() && of == Side::Target { &config.backup.volumes[..] } else { volumes };
    tokens.extend(volume::create(config, setup, also, image, &stamp, &say).await?);
    drop(lock);
    print_all(global, &tokens)
}

async fn create_database(
    config: &Config,
    setup: &Setup,
    of: Side,
    id: String,
    say: &(dyn Fn(String) + Sync),
) -> Result<Token> {
    Ok(match &config.backup.command {
        Some(command) if of == Side::Target => by_command(config, setup, id, command, say).await?,
        _ => {
            let place = setup.databases.side(of.word()).map_err(Refusal::usage)?;
            data::expect_trial(place).await?;
            let tools = tools(place, &setup.process, &tool_places(setup), "cutover").await?;
            let backup = options::backup(config, &id);
            let token = shelf::create(place, None, &tools, &backup, say).await?;
            let keep = config.backup.keep as usize;
            for gone in shelf::let_go(&backup.directory, place.shown(), keep, std::slice::from_ref(&token.id))? {
                say(format!("the backup {gone} was let go"));
            }
            token
        }
    })
}

/// A volume's backup goes into a new volume beside the live one. It changes nothing that serves, so it is no run.
async fn restore_volume(
    global: &Global,
    config: &Config,
    setup: &Setup,
    token: &Token,
    (into, image): (Option<&str>, Option<&str>),
    is_dry: bool,
) -> Result<u8> {
    if is_dry {
        let into = into.map_or_else(|| "a new volume".to_owned(), |into| format!("the new volume {into}"));
        out::result(&format!("{} would be brought back into {into}; the live one stays as it is", token.place));
        return Ok(exit::DONE);
    }
    let lock = take_lock(&setup.state, "backup restore")?;
    let say = out::teller(global.quiet, setup.log.as_deref())?;
    let into = volume::restore(config, setup, token, image, into, &say).await?;
    drop(lock);
    if global.is_json() {
        out::json(json!({ "schema": SCHEMA, "backup": token.id, "volume": into }));
    } else {
        out::result(&format!("{} is brought back into the new volume {into}, and was compared", token.place));
    }
    Ok(exit::DONE)
}

async fn by_command(
    config: &Config,
    setup: &Setup,
    id: String,
    command: &[String],
    say: &(dyn Fn(String) + Sync),
) -> Result<Token> {
    let backup = CommandBackup {
        id,
        directory: options::backups(config),
        of: format!("{} in {}", config.project.name, config.project.environment),
        command: command.to_vec(),
        restore: config.backup.restore.clone().unwrap_or_default(),
        working_directory: Some(config.directory.clone()),
        deadline_s: config.backup.deadline.as_secs(),
    };
    let environment = Environment::of_process().chosen(&config.secrets.variables);
    shelf::create_by_command(&setup.process, &backup, environment, &|line| say(line.to_owned())).await
}

async fn verify(global: &Global, config: &Config, setup: &Setup, id: &str, image: Option<&str>) -> Result<u8> {
    let lock = take_lock(&setup.state, "backup verify")?;
    let options = options::backup(config, id);
    let token = shelf::read_token(&options.directory, id)?;
    if token.kind == Kind::Volume {
        let say = out::teller(global.quiet, setup.log.as_deref())?;
        let token = volume::verify(config, setup, &token, image, &say).await?;
        drop(lock);
        return print(global, "backup", &token);
    }
    let (place, tools) = reach(setup, &token, &options).await?;
    if token.kind == Kind::Database {
        data::expect_trial(place).await?;
    }
    let token = shelf::verify(place, &tools, &options, &out::teller(global.quiet, setup.log.as_deref())?).await?;
    drop(lock);
    print(global, "backup", &token)
}

/// The server on which a trial is made: the one that the backup is of.
async fn reach<'a>(setup: &'a Setup, token: &Token, options: &BackupOptions) -> Result<(&'a Place, Tools)> {
    if token.kind != Kind::Database {
        bail!("the backup {} was made by a command; only its own system can prove it", token.id);
    }
    let place = setup.databases.shown(&token.place).map_err(Refusal::usage)?;
    Ok((place, tools(place, &setup.process, &tool_places(setup), &options.session).await?))
}

async fn restore(global: &Global, config: &Config, setup: &Setup, id: &str, is_dry: bool) -> Result<u8> {
    let token = shelf::read_token(&options::backups(config), id)?;
    if token.kind != Kind::Database {
        let command = if token.restore.is_empty() { "none was configured".to_owned() } else { token.restore.join(" ") };
        let words = format!("the backup {id} was made by a command; its own brings it back: {command}");
        return Err(Refusal::Usage(words).into());
    }
    let place = setup.databases.shown(&token.place).map_err(Refusal::usage)?;
    let tools = tool_places(setup);
    let stamp = stamp();
    go(global, setup, "backup restore", is_dry, async || Ok(restoring(config, place, id, &stamp, tools))).await
}

fn list(global: &Global, config: &Config) -> Result<u8> {
    let directory = options::backups(config);
    let found = shelf::list(&directory)?;
    if global.is_json() {
        out::json(json!({ "schema": SCHEMA, "directory": directory, "backups": serde_json::to_value(&found)? }));
        return Ok(exit::DONE);
    }
    if found.is_empty() {
        out::result(&format!("no backups in {}; make one: cutover backup create", directory.display()));
        return Ok(exit::DONE);
    }
    let mut table = Table::new(&["BACKUP", "OF", "TAKEN", "SIZE", "PROVEN"]);
    for one in found {
        let row: Vec<Cell> = match &one.token {
            Some(token) => {
                let proof = token.verified.as_ref();
                let unit = if token.kind == Kind::Volume { "entries" } else { "rows" };
                let proof =
                    proof.map_or_else(|| "no".to_owned(), |proof| format!("{} {unit}, {}", proof.rows, proof.at));
                let cells = [one.id, token.place.clone(), token.taken_at.clone(), spoken_size(token.bytes), proof];
                cells.into_iter().map(Cell::from).collect()
            }
            None => {
                let why = one.problem.clone().unwrap_or_default();
                [one.id, String::new(), String::new(), String::new(), why].map(Cell::from).to_vec()
            }
        };
        table.row(row);
    }
    let style = setup::style(global, &Environment::of_process(), out::is_result_shown());
    out::result(&table.text(&style, 0));
    Ok(exit::DONE)
}

fn tool_places(setup: &Setup) -> ToolPlaces {
    let environment = Environment::of_process();
    let docker = setup.program.is_absolute().then(|| setup.program.clone());
    options::tools(environment.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin"), docker)
}

/// Now, as names hold it: `20261121-045900`.
fn stamp() -> String {
    let digits: String = clock::now().chars().filter(char::is_ascii_digit).take(14).collect();
    format!("{}-{}", &digits[..8], &digits[8..])
}

/// One backup as it always was; several as a list beside it.
fn print_all(global: &Global, tokens: &[Token]) -> Result<u8> {
    let Some(first) = tokens.first() else { bail!("nothing was named that could be backed up") };
    if tokens.len() == 1 {
        return print(global, "backup", first);
    }
    if global.is_json() {
        out::json(json!({ "schema": SCHEMA, "backup": first, "backups": tokens }));
    } else {
        out::result(&tokens.iter().map(words).collect::<Vec<_>>().join("\n"));
    }
    Ok(exit::DONE)
}

fn print(global: &Global, key: &str, token: &Token) -> Result<u8> {
    if global.is_json() {
        out::json(json!({ "schema": SCHEMA, key: serde_json::to_value(token)? }));
    } else {
        out::result(&words(token));
    }
    Ok(exit::DONE)
}
