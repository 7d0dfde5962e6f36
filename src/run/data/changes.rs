//! From the configuration to what is told apart and carried back: the baseline of a target, and the list of an application.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::options::{compared, mapping};
use super::{item, plan};
use crate::adapter::database::Place;
use crate::adapter::files::sha256;
use crate::config::Config;
use crate::data::change_file::Head;
use crate::data::metadata;
use crate::journal::runs;
use crate::rows::apply::{self, State};
use crate::rows::filling::Filling;
use crate::rows::{Say, copy, import};
use crate::run::begin::plan_of;
use crate::run::deploy::Planned;
use crate::run::{Refusal, carry_back};
use crate::step::apply_changes::ApplyChanges;
use crate::step::compared::Against;
use crate::step::save_changes::{ChangesAt, SaveChanges, counted};
use crate::step::{Act, Databases, RunTag};

/// How many accounts or rows are named.
const NAMED: usize = 5;

/// What a person says the target was filled from; else its own record is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// The exported files.
    Files,
    /// The source itself, which stood still since.
    Source,
}

/// How the changes of the target are told apart.
///
/// # Errors
/// [`Refusal`], when nothing says what the target was filled from, or that is not there any more.
pub async fn saving(
    config: &Config,
    databases: &Databases,
    tables: Vec<String>,
    wish: Option<Baseline>,
    say: Say<'_>,
) -> Result<SaveChanges> {
    let target = databases.side("target").map_err(Refusal::usage)?;
    let mut step = match wish {
        Some(baseline) => configured(config, databases, target, baseline)?,
        None => recorded(config, databases, target, say).await?,
    };
    if let Against::Files(directory) = &step.compared.against
        && !directory.join(metadata::FILE).exists()
    {
        return Err(Refusal::Gate(format!(
            "the files that the target was filled from are the baseline, and {} is not there; bring the export back, or \
             take the source itself if nobody wrote to it since: --baseline source",
            directory.join(metadata::FILE).display()
        ))
        .into());
    }
    if let Some(path) = step.compared.mapping.as_ref().filter(|path| !path.exists()) {
        let words = "is not there; bring it back: without it nobody knows which id became which";
        return Err(Refusal::Gate(format!("the mapping of user ids {} {words}", path.display())).into());
    }
    if let Some(why) = step.moved_since(databases, "cutover").await? {
        return Err(Refusal::Gate(why).into());
    }
    if !tables.is_empty() {
        step.compared.tables = tables;
        step.is_narrowed = true;
    }
    Ok(step)
}

/// Where the import leaves what the rows of a target were, so that later writes are told apart in one stream.
pub fn baselines(config: &Config, target: &str) -> PathBuf {
    let name = sha256(target.as_bytes());
    super::state_file(&config.state.directory, "baselines", &name[..16])
}

/// By today's configuration alone.
fn configured(config: &Config, databases: &Databases, target: &Place, baseline: Baseline) -> Result<SaveChanges> {
    let data = &config.data;
    let against = match baseline {
        Baseline::Files => Against::Files(data.directory.clone()),
        Baseline::Source => Against::Place(databases.side("source").map_err(Refusal::usage)?.shown().to_owned()),
    };
    Ok(SaveChanges {
        compared: compared(config, against, target.shown()),
        sidecars: Some(baselines(config, target.shown())),
        directory: exports(config),
        is_given_up: false,
        is_narrowed: false,
        still: None,
    })
}

/// Where exports go.
pub fn exports(config: &Config) -> PathBuf {
    config.state.directory.join("exports")
}

/// By what the target says that it was filled with: a run of this host, or today's files and configuration.
async fn recorded(config: &Config, databases: &Databases, target: &Place, say: Say<'_>) -> Result<SaveChanges> {
    let session = target.connect("cutover").await?;
    let shown = target.shown();
    let refuse = |words: String| -> anyhow::Error { Refusal::Gate(words).into() };
    let recorded = match import::recorded(&session).await? {
        None => {
            return Err(refuse(format!(
                "no import or copy is recorded in {shown}, so there is nothing to tell its changes apart from; if it was \
                 filled by something else, say from what: --baseline files or --baseline source"
            )));
        }
        Some(recorded) if !recorded.is_complete => {
            return Err(refuse(format!(
                "the import into {shown} did not come to its end, so nothing was written since; go on with it \
                 (`cutover resume`) or take it back (`cutover rollback`)"
            )));
        }
        Some(recorded) => recorded.identity,
    };
    if let Some(step) = of_a_run(config, target, &recorded)? {
        return Ok(step);
    }
    let filling = filling(config);
    let options = import::Options { directory: config.data.directory.clone(), filling: filling.clone(), checked: None };
    if config.data.directory.exists()
        && import::identity(&options, say).await.is_ok_and(|identity| identity == recorded)
    {
        return configured(config, databases, target, Baseline::Files);
    }
    let options = copy::Options { filling, is_source_frozen: false };
    if let Ok(source) = databases.side("source")
        && copy::identity(source, &options)? == recorded
    {
        let step = configured(config, databases, target, Baseline::Source)?;
        let has_baselines = step.sidecars.as_ref().is_some_and(|directory| directory.exists());
        let still = (!has_baselines).then(|| super::freeze_record(&config.state.directory, source.shown()));
        return Ok(SaveChanges { still, ..step });
    }
    Err(refuse(format!(
        "{shown} was filled from something else than today's {} and configuration (tables, mapping or user columns are \
         others); bring those back, or say what the baseline is: --baseline files or --baseline source",
        config.data.directory.display()
    )))
}

/// The run of this host that filled the target with this: its own settings tell more than today's.
fn of_a_run(config: &Config, target: &Place, identity: &str) -> Result<Option<SaveChanges>> {
    let directory = config.state.directory.join("runs");
    for file in runs::list(&directory).context("cannot list the runs")?.iter().rev() {
        // What another version planned says nothing here; the target's own record is asked below.
        let Ok(plan) = plan_of(&file.state()?) else { continue };
        let side = runs::side_directory(&directory, file.number);
        let run = RunTag { number: file.number, epoch: 0, side };
        for item in &plan.items {
            let (sides, kind) = match &item.action {
                Act::ImportRows(step) => (&step.sides, "import_rows"),
                Act::CopyRows(step) => (&step.sides, "copy_rows"),
                _ => continue,
            };
            let began = sides.begun(&run, kind)?.map(|begun| begun.identity).or_else(|| sides.identity.clone());
            if sides.target == target.shown() && began.as_deref() == Some(identity) {
                let list = carry_back::way_back(config, None, std::slice::from_ref(item));
                return Ok(list.into_iter().find_map(|item| match item.action {
                    Act::SaveChanges(step) => Some(step),
                    _ => None,
                }));
            }
        }
    }
    Ok(None)
}

/// By what an import or a copy of the whole configuration is known.
fn filling(config: &Config) -> Filling {
    let data = &config.data;
    Filling {
        include: data.include.clone(),
        exclude: data.exclude.clone(),
        users_table: data.users_table.clone(),
        user_columns: data.user_columns.clone(),
        unmapped: data.unmapped.clone(),
        mapping: mapping(config),
        ..Filling::default()
    }
}

/// The list of an application: one step, which is undone by the old rows.
///
/// # Errors
/// [`Refusal`], when the file is not whole, its changes are of something else, or the source stands otherwise.
pub async fn applying(
    config: &Config,
    databases: &Databases,
    file: &Path,
    keeps_new_accounts: bool,
) -> Result<Planned> {
    let source = databases.side("source").map_err(Refusal::usage)?;
    let file = std::path::absolute(file).with_context(|| format!("cannot find {}", file.display()))?;
    let head = apply::read(&file, |_, _| Ok(())).map_err(|error| Refusal::Gate(format!("{error:#}")))?;
    let doubt = must_belong(&head, &file, source, databases).await?;
    let step = ApplyChanges {
        changes: ChangesAt::File(file.clone()),
        sha256: Some(head.sha256.clone()),
        source: source.shown().to_owned(),
        target: head.target.clone(),
        mapping: mapping(config),
        users_table: config.data.users_table.clone(),
        keeps_new_accounts,
    };
    let mut remarks = vec![format!("{} of {}, told apart at {}", counted(&head), head.target, head.made_at)];
    remarks.extend(doubt);
    remarks.extend(look(&step, source, &head).await?);
    let deed = format!("the application of {} to {}", counted(&head), source.shown());
    let title = format!("write {} to {}, ids mapped back, and count them there", counted(&head), source.shown());
    let mut planned = plan(config, deed, vec![item("apply_changes", title, Act::ApplyChanges(step))]);
    planned.plan.remarks = remarks;
    Ok(planned)
}

/// How the source stands to the changes, before anything is begun.
async fn look(step: &ApplyChanges, source: &Place, head: &Head) -> Result<Vec<String>> {
    // A run has no number yet; nothing of it is asked for a file that is named.
    let tag = RunTag { number: 0, epoch: 0, side: PathBuf::new() };
    let options = apply::ApplyOptions { session_name: "cutover".into(), ..step.options(&tag, false)? };
    let mut remarks = Vec::new();
    match apply::state(source, &options).await? {
        State::Before => {}
        State::After => remarks.push(format!("{} has every one of them already", source.shown())),
        State::Between => remarks.push(format!("{} has some of them already; the others are written", source.shown())),
        State::Neither(conflicts) => {
            return Err(Refusal::Gate(format!(
                "these changes do not fit {}: rows there are neither as before the changes nor as after them, so somebody \
                 else wrote to them or the changes are of another baseline; nothing was applied: {}",
                source.shown(),
                some(&conflicts)
            ))
            .into());
        }
    }
    for table in head.tables.iter().filter(|table| table.all() > 0) {
        let (inserted, updated) = (table.inserted, table.updated);
        remarks.push(format!("{}: {inserted} inserted, {updated} updated, {} deleted", table.table, table.deleted));
    }
    let (accounts, aside) = apply::new_accounts(source, &options).await?;
    let named: Vec<String> = if accounts.is_empty() { aside.accounts.iter().cloned().collect() } else { accounts };
    if named.is_empty() {
        return Ok(remarks);
    }
    let stays = match aside.is_empty() {
        true => String::new(),
        false => format!(
            "; foreign keys of the source ask for them in {}, so that {} stay in the file until those users are there ({})",
            step.users_table,
            crate::data::plural::counted(usize::try_from(aside.len()).unwrap_or(usize::MAX), "change"),
            aside.words()
        ),
    };
    if !step.keeps_new_accounts {
        return Err(Refusal::Gate(format!(
            "{} that exist in the new service only stand in the changes, so that their ids cannot be mapped back: {}; make \
             those users in the old service and add them to the mapping, or keep the ids as they are: \
             --keep-new-accounts{stays}",
            crate::data::plural::counted(named.len(), "account"),
            some(&named)
        ))
        .into());
    }
    remarks
        .push(format!("ids of accounts that the old service does not have stay as they are: {}{stays}", some(&named)));
    Ok(remarks)
}

/// Whether the changes are of this project's databases; gives what could not be asked.
async fn must_belong(head: &Head, file: &Path, source: &Place, databases: &Databases) -> Result<Option<String>> {
    let refuse =
        |words: String| -> Result<Option<String>> { Err(Refusal::Gate(format!("{}: {words}", file.display())).into()) };
    let is_of_another_place =
        head.baseline.contains('@') && !head.baseline.contains(" (export") && head.baseline != source.shown();
    if is_of_another_place {
        return refuse(format!(
            "its changes were told apart from {}, and [source] is {}",
            head.baseline,
            source.shown()
        ));
    }
    let Ok(target) = databases.side("target") else { return Ok(None) };
    if head.target != target.shown() {
        return refuse(format!("its changes are of {}, and [target] is {}", head.target, target.shown()));
    }
    let session = match target.connect("cutover").await {
        Ok(session) => session,
        // A target that is gone tells nothing against it: the rows of the source have the last word.
        Err(error) => return Ok(Some(format!("the target could not be asked which import it holds: {error:#}"))),
    };
    match (import::recorded(&session).await?, &head.import) {
        (Some(now), Some(then)) if now.identity != *then => {
            refuse(format!("its changes were made since another import than the one that {} holds now", target.shown()))
        }
        _ => Ok(None),
    }
}

fn some(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    let more = names.len().saturating_sub(NAMED);
    if more == 0 { shown } else { format!("{shown}; and {more} more") }
}
