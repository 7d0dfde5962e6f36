//! What was moved, compared, kept and written since: read leniently from what the steps left in the journal.

use serde_json::Value;

use super::{Backup, Changes, Gap, Material, Moved, MovedTable, Tone, Verification};
use crate::data::moved;
use crate::data::plural::counted;
use crate::data::verification;
use crate::journal::{Fact, RunState};
use crate::report::planned::{act, text_of, title};

/// Items that left something behind.
fn left(run: &RunState) -> impl Iterator<Item = (usize, &str, &Value)> {
    run.items
        .iter()
        .enumerate()
        .filter(|(_, item)| !item.data.is_null())
        .map(|(index, item)| (index, item.name.as_str(), &item.data))
}

/// A text of a value.
pub fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// A number of a value.
pub fn number(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer).and_then(Value::as_u64)
}

/// What was moved, with the digests of tables that were compared afterwards.
pub fn moved(run: &RunState, material: &Material<'_>) -> Vec<Moved> {
    let digest = |table: &str| {
        let reports = material.verifications.iter().filter_map(|(_, report)| report.as_ref().ok());
        let short = table.strip_prefix("public.").unwrap_or(table);
        reports
            .filter_map(|report| report.tables.get(table).or_else(|| report.tables.get(short)))
            .find_map(|one| one.target_checksum.clone().filter(|_| one.status == verification::Status::Pass))
    };
    let of = |(index, name, data): (usize, &str, &Value)| {
        let moved = moved::Moved::of_journal(data)?;
        let table = |one: moved::MovedTable| MovedTable {
            digest: digest(&one.table),
            table: one.table,
            rows: one.rows,
            bytes: one.bytes,
            seconds: one.seconds,
        };
        Some(Moved {
            step: name.to_owned(),
            title: title(run, index),
            seconds: moved.seconds,
            tables: moved.tables.into_iter().map(table).collect(),
            notes: moved.notes,
        })
    };
    left(run).filter_map(of).collect()
}

/// What was compared.
pub fn verifications(run: &RunState, material: &Material<'_>) -> Vec<Verification> {
    let of = |(index, item): (usize, &crate::journal::ItemState)| {
        if act(run, index) != "expect_same_rows" || item.said.is_empty() {
            return None;
        }
        let report = material.verifications.iter().find(|(of, _)| *of == index).map(|(_, report)| report);
        let (tone, unread) = match report {
            Some(Ok(report)) if !report.success => (Tone::Bad, None),
            Some(Ok(report)) if report.is_whole() => (Tone::Good, None),
            Some(Ok(_)) => (Tone::Careful, None),
            Some(Err(why)) => (Tone::Plain, Some(why.clone())),
            None => (Tone::Plain, None),
        };
        Some(Verification {
            step: item.name.clone(),
            tone,
            words: unread.map_or_else(|| item.said.clone(), |why| format!("{}; {why}", item.said)),
            report: report.and_then(|report| without_values(report.as_ref().ok()?)),
            path: text(&item.data, "/report").or_else(|| text_of(run, index, "/report").map(str::to_owned)),
        })
    };
    run.items.iter().enumerate().filter_map(of).collect()
}

/// A report without the values of rows that differ: a page travels further than the database's own people.
fn without_values(report: &verification::Report) -> Option<Value> {
    let mut value = serde_json::to_value(report).ok()?;
    for table in value.get_mut("tables").and_then(Value::as_object_mut)?.values_mut() {
        table.as_object_mut()?.shift_remove("differences");
    }
    Some(value)
}

/// What the public route answered meanwhile, wherever a step, a line or a file beside the journal says so.
pub fn gaps(run: &RunState, material: &Material<'_>) -> Vec<Gap> {
    let of = |(name, gap): (&str, &Value)| {
        let requests = ["/asked", "/requests", "/total"].iter().find_map(|key| number(gap, key))?;
        let longest = ["/longest_ms", "/longest_stall_ms", "/stall_ms"].iter().find_map(|key| number(gap, key));
        Some(Gap {
            step: name.to_owned(),
            requests,
            failed: number(gap, "/failed").unwrap_or(0),
            longest_ms: longest.filter(|_| requests > 0),
            words: text(gap, "/words").unwrap_or_default(),
            url: text(gap, "/url"),
            first_failure: text(gap, "/first_failure"),
            behind_page: number(gap, "/behind_page").unwrap_or(0),
            new_side: text(gap, "/new_side").zip(number(gap, "/first_answer_ms")),
        })
    };
    let observed = material.entries.iter().filter_map(|entry| match &entry.fact {
        Fact::Observed { name, data, .. } => Some((name.as_str(), data)),
        _ => None,
    });
    let named = |(name, data): (_, &'_ Value)| {
        let gap = ["/gap", "/probe", "/prober"].iter().find_map(|pointer| data.pointer(pointer))?;
        of((name, gap))
    };
    let told = left(run).map(|(_, name, data)| (name, data)).chain(observed).filter_map(named);
    let probed = material.probed.iter().filter_map(|probed| of(("the whole run", probed)));
    told.chain(probed).collect()
}

/// What was written since the cutover.
pub fn changes(run: &RunState) -> Vec<Changes> {
    let of = |(index, name, data): (usize, &str, &Value)| {
        if !["save_changes", "apply_changes"].contains(&act(run, index)) {
            return None;
        }
        let tables = data.get("tables").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let count = |table: &Value, key: &str| number(table, key).unwrap_or(0);
        let table = |table: &Value| {
            let name = text(table, "/table")?;
            let counts = (count(table, "/inserted"), count(table, "/updated"), count(table, "/deleted"));
            Some((name, counts.0, counts.1, counts.2, text(table, "/csv")))
        };
        let said = run.items.get(index).map(|item| item.said.clone()).unwrap_or_default();
        // Whoever looks for it needs the whole path.
        let placed = |file: String| match text_of(run, index, "/directory") {
            Some(directory) if !file.starts_with('/') => format!("{}/{file}", directory.trim_end_matches('/')),
            _ => file,
        };
        Some(Changes {
            step: name.to_owned(),
            words: said,
            file: text(data, "/file").map(placed),
            sha256: text(data, "/sha256"),
            tables: tables.iter().filter_map(table).collect(),
        })
    };
    left(run).filter_map(of).collect()
}

/// Backups and dumps.
pub fn backups(run: &RunState) -> Vec<Backup> {
    let of = |(index, name, data): (usize, &str, &Value)| match act(run, index) {
        "create_backup" => {
            let proof = match number(data, "/verified/rows") {
                Some(rows) => format!(
                    "restored on trial{}, {} the same",
                    text(data, "/verified/at")
                        .map_or_else(String::new, |at| format!(" at {}", super::super::text::moment(&at))),
                    counted(rows, "row")
                ),
                None => "never restored on trial".to_owned(),
            };
            let bytes = data.get("files").and_then(Value::as_array);
            let bytes = bytes.map(|files| files.iter().filter_map(|file| number(file, "/bytes")).sum());
            Some(Backup {
                step: name.to_owned(),
                token: text(data, "/id")?,
                of: text(data, "/place").unwrap_or_default(),
                at: text(data, "/takenAt"),
                bytes,
                proof,
            })
        }
        kind @ ("back_up_database" | "export_database") => {
            let directory = text_of(run, index, "/directory").map(|directory| directory.trim_end_matches('/'));
            let file = text(data, "/file").or_else(|| text_of(run, index, "/file").map(str::to_owned))?;
            let what = if kind == "export_database" { "export" } else { "backup" };
            let seen = run.items.get(index).map(|item| item.said.clone()).unwrap_or_default();
            let token = directory.map_or_else(|| file.clone(), |directory| format!("{directory}/{file}"));
            // Its path is told once.
            let proof = seen.strip_prefix(token.as_str()).unwrap_or(&seen).trim();
            let proof = proof.strip_prefix('(').and_then(|proof| proof.strip_suffix(')')).unwrap_or(proof);
            Some(Backup {
                step: name.to_owned(),
                proof: proof.to_owned(),
                token,
                of: text_of(run, index, "/database/service")
                    .map_or_else(|| what.into(), |of| format!("{what} of {of}")),
                at: run.items.get(index).and_then(|item| item.times.clone()).map(|(_, last)| last),
                bytes: number(data, "/bytes"),
            })
        }
        _ => None,
    };
    left(run).filter_map(of).collect()
}
