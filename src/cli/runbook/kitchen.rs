//! What lists of built-ins are made from, and how: each as the verb of its name makes it. By reading only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::sides::Sides;
use crate::adapter::database::Place;
use crate::adapter::switch;
use crate::cli::dns::look::Look;
use crate::cli::global::Global;
use crate::cli::notify;
use crate::cli::setup::Setup;
use crate::config::runbook::Settings;
use crate::config::{Config, Environment, Part, RowsFrom, SecretAt};
use crate::rows::client_tools::ToolPlaces;
use crate::rows::users::MAPPING_FILE;
use crate::run::data::later::{copying_later, importing_later};
use crate::run::data::options::{self, CompareWishes, ExportWishes, FillWishes, same_rows};
use crate::run::data::{self, UserWishes};
use crate::run::deploy::{Planned, health_gate};
use crate::run::list::item;
use crate::run::{Refusal, maintenance, names};
use crate::step::Act;
use crate::step::compared::Against;
use crate::step::create_backup::CreateBackup;
use crate::step::expect_command::ExpectCommand;
use crate::step::expect_dns::ExpectDns;
use crate::step::expect_files::ExpectFiles;
use crate::step::expect_health::ExpectHealth;
use crate::step::run_command::RunCommand;
use crate::step::set_maintenance::{SetMaintenance, page};

/// The longest that a freeze waits for sessions to end, seconds.
const FREEZE_S: u64 = 30;
/// The longest that a program of a gate may take, where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Exit codes by which a verb of our own says no: a gate refused. It failed, or could not be called: not known.
const NO: [i32; 1] = [crate::cli::exit::REFUSED as i32];

/// What a built-in is asked for.
pub struct Ask<'a> {
    /// Name of the entry, or of the item of a checkpoint.
    pub name: &'a str,
    /// What it is told.
    pub settings: &'a Settings,
    /// The longest that it may take, where it is said.
    pub deadline: Option<Duration>,
    /// The longest that a gate may take, where nothing is said: in a checkpoint it looks, elsewhere it waits.
    pub patience: Duration,
}

/// Everything that lists are made from.
pub struct Kitchen<'a> {
    /// Flags.
    pub global: &'a Global,
    /// Configuration.
    pub config: &'a Config,
    /// Adapters.
    pub setup: &'a Setup,
    /// Directory of the runbook.
    pub directory: PathBuf,
    /// What backups of this run are called.
    pub backup_name: String,
    /// Whether user ids are mapped by this runbook, so that the mapping need not be there yet.
    pub maps_users: bool,
    /// What the page of its maintenance says.
    pub maintenance_message: Option<String>,
    /// Whether it switches maintenance on.
    pub has_maintenance: bool,
}

impl Kitchen<'_> {
    fn side(&self, side: &str) -> Result<&Place> {
        Ok(self.setup.databases.side(side).map_err(Refusal::usage)?)
    }

    fn listed(&self, items: Vec<crate::step::Item>) -> Planned {
        data::plan(self.config, String::new(), items)
    }

    fn gate(&self, ask: &Ask<'_>, title: String, action: Act) -> Planned {
        self.listed(vec![item(ask.name, title, action)])
    }

    pub(super) async fn freeze(&self, ask: &Ask<'_>) -> Result<Planned> {
        let deadline = ask.deadline.map_or(FREEZE_S, |deadline| deadline.as_secs());
        Ok(data::freezing(self.config, self.side("source")?, deadline))
    }

    pub(super) async fn unfreeze(&self, ask: &Ask<'_>) -> Result<Planned> {
        let deadline = ask.deadline.map_or(FREEZE_S, |deadline| deadline.as_secs());
        Ok(data::unfreezing_source(self.config, self.side("source")?, deadline))
    }

    pub(super) async fn frozen(&self, ask: &Ask<'_>) -> Result<Planned> {
        let mut planned = self.freeze(ask).await?;
        planned.plan.items.retain(|item| item.action.is_gate());
        planned.plan.remarks.clear();
        Ok(planned)
    }

    pub(super) async fn migrate_users(&self, ask: &Ask<'_>) -> Result<Planned> {
        let missing = || Refusal::Usage("[users] is missing; it says which service the accounts move to".into());
        let accounts = self.setup.accounts.as_ref().ok_or_else(missing)?;
        let accounts = accounts.as_ref().map_err(|why| Refusal::Usage(why.clone()))?;
        let (keeps_first, links_existing) = (ask.settings.keep_first, ask.settings.link_existing);
        Ok(data::migrating_users(self.config, accounts, &UserWishes { keeps_first, links_existing }))
    }

    pub(super) async fn export(&self, ask: &Ask<'_>) -> Result<Planned> {
        let (tables, is_without_users) = (ask.settings.tables.clone(), ask.settings.skip_users);
        let wishes = ExportWishes { tables, is_without_users, ..ExportWishes::default() };
        data::exporting(self.config, self.side("source")?, &wishes).await
    }

    pub(super) async fn import(&self, ask: &Ask<'_>) -> Result<Planned> {
        let source = self.config.source.is_some().then(|| self.side("source")).transpose()?;
        importing_later(self.config, source, self.side("target")?, &fill(ask)).await
    }

    pub(super) async fn copy(&self, ask: &Ask<'_>) -> Result<Planned> {
        copying_later(self.config, self.side("source")?, self.side("target")?, &fill(ask)).await
    }

    pub(super) async fn maintenance(&self, ask: &Ask<'_>, is_on: bool) -> Result<Planned> {
        let missing =
            || Refusal::Usage(format!("{}: caddy.directory is not set; maintenance is a file in it", ask.name));
        let caddy = self.config.caddy.as_ref().ok_or_else(missing)?;
        let directory = caddy.directory.clone().ok_or_else(missing)?;
        // On and off stand in one plan, so each begins where the other ends, whatever stands there now.
        let (now, own) = (switch::maintenance(&directory)?, page(self.maintenance_message.as_deref()));
        let step = match is_on {
            true => SetMaintenance { directory, from: now, to: Some(own) },
            false if self.has_maintenance => SetMaintenance { directory, from: Some(own), to: None },
            false => SetMaintenance { directory, from: now, to: None },
        };
        let message = self.maintenance_message.as_deref();
        Ok(self.listed(maintenance::acts(caddy.url.as_str(), step, message)))
    }

    pub(super) async fn notice(&self, ask: &Ask<'_>) -> Result<Planned> {
        let notice = ask.settings.notice.clone().unwrap_or_default();
        notify::can_be_sent(self.config, self.setup, &notice).with_context(|| ask.name.to_owned())?;
        let mut step = self.program(ask, self.own(&["notify", "send", &notice, "--yes", "--in-run"])?);
        step.environment = variables(self.config);
        Ok(self.gate(ask, format!("send the notice {notice} to users"), Act::RunCommand(step)))
    }

    pub(super) async fn backup(&self, ask: &Ask<'_>) -> Result<Planned> {
        let part = match ask.settings.of {
            Part::Source => "source",
            Part::Target => "target",
        };
        data::expect_trial(self.side(part)?).await?;
        let place = self.side(part)?.shown().to_owned();
        let id = format!("{}-{part}", self.backup_name);
        let step = CreateBackup {
            options: options::backup(self.config, &id),
            tools: self.tools(),
            keep: self.config.backup.keep as usize,
            place: place.clone(),
        };
        let title = format!("back {place} up as {id}, restore it on trial, compare every row");
        Ok(self.gate(ask, title, Act::CreateBackup(step)))
    }

    fn tools(&self) -> ToolPlaces {
        let environment = Environment::of_process();
        let docker = self.setup.program.is_absolute().then(|| self.setup.program.clone());
        options::tools(environment.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin"), docker)
    }

    pub(super) async fn verify(&self, ask: &Ask<'_>) -> Result<Planned> {
        let against = match ask.settings.from {
            RowsFrom::Files => Against::Files(self.config.data.directory.clone()),
            RowsFrom::Source => Against::Place(self.side("source")?.shown().to_owned()),
        };
        let wishes = CompareWishes { is_counting_only: ask.settings.counts_only, ..CompareWishes::default() };
        let mut gate = same_rows(self.config, against, self.side("target")?.shown(), wishes);
        if self.maps_users {
            gate.compared.mapping = Some(self.config.data.directory.join(MAPPING_FILE));
        }
        let what = if gate.is_counting_only { "the rows of each table are as many" } else { "every row is the same" };
        let title = format!("{what} in {}", gate.compared.target);
        Ok(self.gate(ask, title, Act::ExpectSameRows(gate)))
    }

    pub(super) async fn deploy(&self, _: &Ask<'_>) -> Result<Planned> {
        crate::cli::deploy::make_whole(self.config, self.setup).await
    }

    pub(super) async fn dns_switch(&self, _: &Ask<'_>) -> Result<Planned> {
        let look = Look::new(self.config, &[])?;
        let (sight, _) = look.once().await?;
        names::switching(self.config, &look.wish, &look.demand, &sight, &self.setup.names).await
    }

    pub(super) async fn dns_wait(&self, ask: &Ask<'_>) -> Result<Planned> {
        let look = Look::new(self.config, &[])?;
        let settings = crate::cli::dns::look::settings(self.config)?;
        let gate = ExpectDns {
            wish: look.wish,
            demand: look.demand,
            waits_for_caches: true,
            interval_ms: u64::try_from(settings.interval.as_millis()).unwrap_or(u64::MAX),
            deadline_s: ask.deadline.unwrap_or(settings.deadline).as_secs(),
        };
        Ok(self.gate(ask, "the caches have the new records too".into(), Act::ExpectDns(gate)))
    }

    pub(super) async fn health(&self, ask: &Ask<'_>) -> Result<Planned> {
        let sides = Sides::of(self.config, self.setup).await?;
        let gates = self.config.health.iter().map(|health| {
            let mut gate = health_gate(health);
            gate.straight = sides.as_ref().and_then(|sides| sides.straight(self.config, health));
            if let Some(deadline) = ask.deadline {
                gate.deadline_s = whole_seconds(deadline);
            }
            let title = gate.expected();
            item(&format!("health_{}", gate.name), title, Act::ExpectHealth(gate))
        });
        let gates: Vec<_> = gates.collect();
        if gates.is_empty() {
            return Err(Refusal::Usage("gate = \"health\": the configuration has no [[health]]".into()).into());
        }
        Ok(self.listed(gates))
    }

    pub(super) async fn http(&self, ask: &Ask<'_>) -> Result<Planned> {
        let settings = ask.settings;
        let url = settings.url.as_ref().map(ToString::to_string).unwrap_or_default();
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let gate = ExpectHealth {
            name: ask.name.to_owned(),
            url: url.clone(),
            status: settings.status.and_then(|status| u16::try_from(status).ok()).unwrap_or(200),
            json: settings.json.clone(),
            body_contains: settings.contains.clone(),
            successes: settings.successes.unwrap_or(1),
            interval_ms: ms(settings.interval.unwrap_or(Duration::from_secs(1))),
            timeout_ms: ms(settings.timeout.unwrap_or(Duration::from_secs(5))),
            deadline_s: whole_seconds(ask.deadline.unwrap_or(ask.patience)),
            straight: None,
        };
        Ok(self.gate(ask, format!("{url} answers as expected"), Act::ExpectHealth(gate)))
    }

    pub(super) async fn file(&self, ask: &Ask<'_>) -> Result<Planned> {
        let settings = ask.settings;
        let files: Vec<PathBuf> = settings.files.iter().map(|path| self.placed(path)).collect();
        let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
        let gate = ExpectFiles {
            files,
            pointers: settings.pointers.clone(),
            json: settings.json.clone(),
            contains: settings.contains.clone(),
        };
        Ok(self.gate(ask, format!("there and as expected: {}", names.join(", ")), Act::ExpectFiles(gate)))
    }

    /// `{data}/` stands for the directory of the export, which the configuration names.
    fn placed(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(self.directory.join("{data}")) {
            Ok(inside) => self.config.data.directory.join(inside),
            Err(_) => path.to_owned(),
        }
    }

    pub(super) async fn command(&self, ask: &Ask<'_>) -> Result<Planned> {
        let run = ask.settings.command.clone().unwrap_or_default();
        let title = format!("`{}` says yes", run.join(" "));
        let gate = ExpectCommand { command: self.program(ask, run), refuses: vec![1] };
        Ok(self.gate(ask, title, Act::ExpectCommand(gate)))
    }

    pub(super) async fn preflight(&self, ask: &Ask<'_>) -> Result<Planned> {
        let only = ask.settings.checks.join(",");
        let words: Vec<&str> = if only.is_empty() { vec!["preflight"] } else { vec!["preflight", "--only", &only] };
        self.verb(ask, &words).await
    }

    pub(super) async fn stabilized(&self, ask: &Ask<'_>) -> Result<Planned> {
        let Some(stabilize) = &self.config.stabilize else {
            return Err(Refusal::Usage("gate = \"stabilized\": the configuration has no [stabilize]".into()).into());
        };
        // The window is accepted on enough evidence, which may take longer than the window itself.
        let timeout = ask.settings.timeout.unwrap_or(stabilize.window * 2 + TIMEOUT);
        let mut planned = self.verb(ask, &["watch", "--new"]).await?;
        for item in &mut planned.plan.items {
            if let Act::ExpectCommand(gate) = &mut item.action {
                gate.command.timeout_s = whole_seconds(timeout);
            }
        }
        Ok(planned)
    }

    /// A verb of our own that only looks, as a gate.
    pub(super) async fn verb(&self, ask: &Ask<'_>, words: &[&str]) -> Result<Planned> {
        let mut command = self.program(ask, self.own(words)?);
        command.environment = variables(self.config);
        let title = format!("`cutover {}` says yes", words.join(" "));
        Ok(self.gate(ask, title, Act::ExpectCommand(ExpectCommand { command, refuses: NO.to_vec() })))
    }

    /// A call of our own program, with this configuration and state.
    fn own(&self, words: &[&str]) -> Result<Vec<String>> {
        let program = std::env::current_exe()?;
        let config = std::path::absolute(&self.global.config)?;
        let mut run: Vec<String> = vec![
            program.display().to_string(),
            "--config".into(),
            config.display().to_string(),
            "--state-directory".into(),
            self.config.state.directory.display().to_string(),
            "--no-color".into(),
        ];
        run.extend(words.iter().map(|word| (*word).to_owned()));
        Ok(run)
    }

    fn program(&self, ask: &Ask<'_>, run: Vec<String>) -> RunCommand {
        let settings = ask.settings;
        RunCommand {
            name: ask.name.to_owned(),
            run,
            undo: None,
            check: None,
            dry_run: None,
            directory: settings.directory.clone().unwrap_or_else(|| self.directory.clone()),
            environment: settings.environment.clone(),
            timeout_s: whole_seconds(settings.timeout.or(ask.deadline).unwrap_or(TIMEOUT)),
            log: None,
            run_number: None,
        }
    }
}

fn fill(ask: &Ask<'_>) -> FillWishes {
    FillWishes { tables: ask.settings.tables.clone(), ..FillWishes::default() }
}

/// Seconds, at least one where it is any time at all.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// The variables that the configuration names, as far as they are set: a verb of ours finds its secrets by them.
pub(super) fn variables(config: &Config) -> Vec<String> {
    let mut at: Vec<&SecretAt> = Vec::new();
    at.extend(config.source.iter().chain(&config.target).map(|database| &database.url));
    at.extend(config.users.iter().flat_map(|users| [&users.project_id, &users.secret_key]));
    at.extend(config.dns.iter().flat_map(|dns| dns.token.iter().chain(dns.tsig.as_ref().map(|tsig| &tsig.secret))));
    at.extend(config.notify.iter().flat_map(|notify| &notify.channels).flat_map(|one| one.url.iter().chain(&one.key)));
    let named = at.into_iter().filter_map(|at| match at {
        SecretAt::Variable(name) => Some(name.clone()),
        SecretAt::File(_) => None,
    });
    let environment = Environment::of_process();
    let all = named.chain(config.secrets.variables.iter().cloned());
    let mut names: Vec<String> = all.filter(|name| environment.get(name).is_some()).collect();
    names.sort();
    names.dedup();
    names
}
