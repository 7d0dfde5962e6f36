//! Lists of data runs: what moves rows and accounts, freezes or backs up. No container changes, so there is no release.

use std::collections::BTreeMap;
use std::path::Path;

use super::deploy::Planned;
use super::list::item;
use crate::adapter::database::Place;
use crate::adapter::files::sha256;
use crate::config::Config;
use crate::rows::freeze::FreezeOptions;
use crate::step::Act;
use crate::step::expect_frozen::ExpectFrozen;
use crate::step::freeze_source::FreezeSource;
use crate::step::plan::{Item, Plan, RunKind};

/// A plan of these items. A failure is put back: the engine undoes what was begun.
pub fn plan(config: &Config, deed: String, items: Vec<Item>, way_back: Vec<Item>, remarks: Vec<String>) -> Planned {
    let plan = Plan {
        kind: RunKind::Data,
        project: config.compose_project().to_owned(),
        environment: config.project.environment.clone(),
        release_from: None,
        release_to: None,
        deed: Some(deed),
        undoes: None,
        services: Vec::new(),
        remarks,
        rolls_back: true,
        items,
        home: Vec::new(),
        way_back,
        files: BTreeMap::new(),
    };
    Planned { plan, files: Vec::new() }
}

/// The freezing of a source, proven by attempted writes.
pub fn freezing(config: &Config, place: &Place, deadline_s: u64) -> Planned {
    let options = freeze(config, place.shown(), deadline_s);
    let shown = place.shown().to_owned();
    let freeze = FreezeSource { place: shown.clone(), options: options.clone() };
    let prove = ExpectFrozen { place: shown.clone(), options };
    let items = vec![
        item("freeze_source", format!("make {shown} refuse every write"), Act::FreezeSource(freeze)),
        item("expect_frozen", "writes of every kind are attempted, and refused".into(), Act::ExpectFrozen(prove)),
    ];
    let remarks = vec![
        "sessions that could still write are ended; applications see errors until `cutover data unfreeze`".to_owned(),
    ];
    plan(config, format!("the freezing of {shown}"), items, Vec::new(), remarks)
}

/// The end of a freeze.
pub fn unfreezing(config: &Config, place: &Place, deadline_s: u64) -> Planned {
    let options = freeze(config, place.shown(), deadline_s);
    let shown = place.shown().to_owned();
    let title = format!("let {shown} take writes again");
    let action = Act::FreezeSource(FreezeSource { place: shown.clone(), options });
    let back = Item { name: "unfreeze_source".into(), title, back: true, action };
    plan(config, format!("the unfreezing of {shown}"), vec![back], Vec::new(), Vec::new())
}

/// How the source is frozen. The name of the freeze is the project's: a run that is not the one which froze may end it.
pub fn freeze(config: &Config, place: &str, deadline_s: u64) -> FreezeOptions {
    let name = sha256(place.as_bytes());
    FreezeOptions {
        id: format!("{} in {}", config.project.name, config.project.environment),
        record: state_file(&config.state.directory, "freeze", &format!("{}.json", &name[..16])),
        required: Vec::new(),
        deadline_s,
        session: "cutover".into(),
    }
}

/// A file of data runs in the state directory.
pub fn state_file(state: &Path, kind: &str, name: &str) -> std::path::PathBuf {
    state.join("data").join(kind).join(name)
}
