//! Lists of data runs: what moves rows and accounts, freezes or backs up. No container changes, so there is no release.

pub mod changes;
pub mod later;
mod moving;
pub mod options;
pub mod standing;

pub use moving::{Freezing, copying, expect_trial, exporting, freezing_of, importing, proven_backup};

use std::path::Path;

use super::deploy::Planned;
use super::list::item;
use crate::adapter::database::Place;
use crate::adapter::files::sha256;
use crate::adapter::stack_auth::StackAuth;
use crate::config::Config;
use crate::rows;
use crate::rows::backup::RestoreOptions;
use crate::rows::client_tools::ToolPlaces;
use crate::rows::freeze::FreezeOptions;
use crate::step::Act;
use crate::step::expect_frozen::ExpectFrozen;
use crate::step::freeze_source::FreezeSource;
use crate::step::migrate_users::MigrateUsers;
use crate::step::plan::{Item, Plan, RunKind};
use crate::step::restore_backup::RestoreBackup;

/// A plan of these items. A failure is put back: the engine undoes what was begun.
pub fn plan(config: &Config, deed: String, items: Vec<Item>) -> Planned {
    let empty = Plan::empty(RunKind::Data, config.compose_project(), &config.project.environment);
    let plan = Plan { deed: Some(deed), items, ..empty };
    Planned { plan, files: Vec::new() }
}

/// The freezing of a source, proven by attempted writes.
pub fn freezing(config: &Config, place: &Place, deadline_s: u64) -> Planned {
    let options = freeze(config, place.shown(), deadline_s);
    let shown = place.shown().to_owned();
    let freeze = FreezeSource { place: shown.clone(), options: options.clone() };
    let prove = ExpectFrozen { place: shown.clone(), options };
    let items = vec![
        item("freeze_source", format!("make every table of {shown} refuse writes"), Act::FreezeSource(freeze)),
        item("expect_frozen", "writes of every kind are attempted, and refused".into(), Act::ExpectFrozen(prove)),
    ];
    let mut planned = plan(config, format!("the freezing of {shown}"), items);
    planned.plan.remarks.push(
        "sessions that could still write are ended; applications see errors until `cutover data unfreeze`".into(),
    );
    planned
}

/// The end of a freeze.
pub fn unfreezing(config: &Config, place: &Place, deadline_s: u64) -> Planned {
    let options = freeze(config, place.shown(), deadline_s);
    let shown = place.shown().to_owned();
    let title = format!("let {shown} take writes again");
    let action = Act::FreezeSource(FreezeSource { place: shown.clone(), options });
    let back = Item { name: "unfreeze_source".into(), title, back: true, action };
    plan(config, format!("the unfreezing of {shown}"), vec![back])
}

/// The end of the freeze of a source: two databases take writes then.
pub fn unfreezing_source(config: &Config, place: &Place, deadline_s: u64) -> Planned {
    let mut planned = unfreezing(config, place, deadline_s);
    planned.plan.remarks.push(format!(
        "what is written to {0} from then on is in no export and no target that was filled before; a target that was copied \
         from it (`cutover data copy`) can then no longer be told apart from it, so a rollback of that copy is refused",
        place.shown()
    ));
    planned
}

/// The making of accounts. A failure is held: thousands of accounts are not deleted because of one user.
pub fn migrating_users(config: &Config, accounts: &StackAuth, wishes: &UserWishes) -> Planned {
    let options = users(config, wishes);
    let title = format!("make an account for every user in {}", options.directory.display());
    let action = Act::MigrateUsers(MigrateUsers { service: accounts.fingerprint(), options });
    let base = config.users.as_ref().map_or("", |users| users.base_url.as_str());
    let deed = format!("the making of accounts at {}", base.trim_end_matches('/'));
    let mut planned = plan(config, deed, vec![item("migrate_users", title, action)]);
    planned.plan.rolls_back = false;
    planned
}

/// A restore: a new database, compared with the token, that exchanges names with the live one.
pub fn restoring(config: &Config, place: &Place, id: &str, stamp: &str, tools: ToolPlaces) -> Planned {
    let live = place.database().to_owned();
    let step = RestoreBackup {
        place: place.shown().to_owned(),
        aside: format!("{live}_aside_{stamp}"),
        live,
        options: RestoreOptions { backup: options::backup(config, id), keeps_owners: true },
        tools,
        flip_deadline_s: 60,
    };
    let title = format!("restore {id} beside {}, compare, and exchange the names", step.live);
    let deed = format!("the restore of the backup {id} to {}", step.place);
    let remark = format!("the database that is live now is kept as {}; sessions of both are ended", step.aside);
    let mut planned = plan(config, deed, vec![item("restore_backup", title, Act::RestoreBackup(step))]);
    planned.plan.remarks.push(remark);
    planned
}

/// What a person may ask for beside the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserWishes {
    /// Of several users with one address the first keeps it.
    pub keeps_first: bool,
    /// Accounts that were there before are taken for users with the same confirmed address.
    pub links_existing: bool,
}

/// How users are moved.
pub fn users(config: &Config, wishes: &UserWishes) -> rows::users::Options {
    let mut options = rows::users::Options::new(config.data.directory.clone());
    options.keep = config.data.keep_mapping;
    options.is_linking_existing = wishes.links_existing;
    if wishes.keeps_first {
        options.collisions = rows::users::Collisions::KeepFirst;
    }
    if let Some(users) = &config.users {
        options.concurrency = users.concurrency as usize;
        (options.rate, options.attempts) = (users.rate, users.attempts);
        options.has_passwords = users.has_passwords;
        options.settle = users.settle;
        options.oauth.clone_from(&users.oauth);
    }
    options
}

/// How the source is frozen. The name of the freeze is the project's: a run that is not the one which froze may end it.
pub fn freeze(config: &Config, place: &str, deadline_s: u64) -> FreezeOptions {
    FreezeOptions {
        id: format!("{} in {}", config.project.name, config.project.environment),
        record: freeze_record(&config.state.directory, place),
        required: Vec::new(),
        deadline_s,
        session: "cutover".into(),
    }
}

/// Where it is written down how a database was frozen.
pub fn freeze_record(state: &Path, place: &str) -> std::path::PathBuf {
    let name = sha256(place.as_bytes());
    state_file(state, "freeze", &format!("{}.json", &name[..16]))
}

/// A file of data runs in the state directory.
pub fn state_file(state: &Path, kind: &str, name: &str) -> std::path::PathBuf {
    state.join("data").join(kind).join(name)
}
