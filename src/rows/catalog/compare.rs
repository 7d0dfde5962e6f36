//! Whether the rows of one database fit into another: what is missing there, and what is of another type.

use crate::data::catalog::{Catalog, Column, Concern, Table};

use super::concern;

/// What stands between the source's rows and the target; blocking where a row would be refused or changed.
pub fn compare(source: &Catalog, target: &Catalog) -> Vec<Concern> {
    let mut found = Vec::new();
    for table in &source.tables {
        match target.table(&table.name) {
            Some(other) => found.extend(of_table(table, other)),
            None => {
                let words = "is not in the target; make the schema there first (the application's migrations, or pg_dump --schema-only)";
                found.push(concern(true, format!("table {}", table.name), words));
            }
        }
    }
    for sequence in &source.sequences {
        if !target.sequences.iter().any(|other| other.name == sequence.name) {
            let words = "is not in the target by this name; its value does not move unless its column has another sequence there";
            found.push(concern(false, format!("sequence {}", sequence.name), words));
        }
    }
    found.extend(of_enums(source, target));
    found.extend(of_extensions(source, target));
    if target.server_version / 10_000 < source.server_version / 10_000 {
        let (new, old) = (source.server_version / 10_000, target.server_version / 10_000);
        let words = format!("is older ({old}) than the source's ({new}); values of newer types may be refused");
        found.push(concern(false, "the target's server", words));
    }
    found.sort_by_key(|concern| !concern.is_blocking);
    found
}

/// Values that the target does not know: blocking where a column that moves is of the type (or of arrays of it).
fn of_enums(source: &Catalog, target: &Catalog) -> Vec<Concern> {
    let mut found = Vec::new();
    for (name, values) in &source.enums {
        let Some((_, there)) = target.enums.iter().find(|(other, _)| other == name) else { continue };
        let missing: Vec<&str> = values.iter().filter(|value| !there.contains(value)).map(String::as_str).collect();
        if missing.is_empty() {
            continue;
        }
        let mut columns = source.tables.iter().flat_map(Table::moved);
        let is_used = columns.any(|column| column.type_name.trim_end_matches("[]") == name);
        let words = format!(
            "lacks {} in the target: rows with it would be refused; ALTER TYPE … ADD VALUE there first",
            missing.join(", ")
        );
        found.push(concern(is_used, format!("type {name}"), words));
    }
    found
}

fn of_extensions(source: &Catalog, target: &Catalog) -> Option<Concern> {
    let is_there = |name: &String| target.extensions.iter().any(|(other, _)| other == name);
    let missing: Vec<&str> =
        source.extensions.iter().map(|(name, _)| name).filter(|name| !is_there(name)).map(String::as_str).collect();
    let words = "are not in the target; where a type, a default or an index needs one: CREATE EXTENSION there first";
    (!missing.is_empty()).then(|| concern(false, format!("extensions {}", missing.join(", ")), words))
}

fn of_table(source: &Table, target: &Table) -> Vec<Concern> {
    let about = format!("table {}", source.name);
    let column = |table: &Table, name: &str| table.columns.iter().find(|column| column.name == name).cloned();
    let mut found = Vec::new();
    let mut add = |is_blocking: bool, words: String| found.push(concern(is_blocking, about.clone(), words));
    for from in source.moved() {
        match column(target, &from.name) {
            None => add(true, format!("the column {} is not in the target", from.name)),
            Some(to) => of_column(from, &to, &mut add),
        }
    }
    for to in &target.columns {
        let from = column(source, &to.name);
        if from.is_some_and(|from| !from.is_generated || to.is_generated) || to.is_generated {
            continue;
        }
        let is_filled = to.default.is_some() || to.identity.is_some();
        if to.is_required && !is_filled {
            let words =
                format!("the target's column {} is not null and has no default: every row would be refused", to.name);
            add(true, words);
        } else {
            let filled = if is_filled { "gets its default" } else { "stays empty" };
            add(false, format!("the target's column {} gets nothing from the source and {filled}", to.name));
        }
    }
    if !target.is_owned {
        let words = "belongs to another role in the target: its indexes, foreign keys and triggers cannot be set aside; connect as its owner";
        add(false, words.to_owned());
    }
    if source.identity() != target.identity() && !source.keys.is_empty() {
        let words = format!("is told apart by ({}), which is no first key in the target", source.identity().join(", "));
        add(false, words);
    }
    found
}

fn of_column(from: &Column, to: &Column, add: &mut impl FnMut(bool, String)) {
    if to.is_generated {
        add(true, format!("the column {} is generated in the target: its values would be refused", from.name));
    }
    if from.type_name != to.type_name {
        let (one, other) = (&from.type_name, &to.type_name);
        if is_wider(one, other) {
            add(
                false,
                format!(
                    "the column {} is {one} in the source and {other} in the target, which holds all its values",
                    from.name
                ),
            );
        } else {
            let words = format!(
                "the column {} is {one} in the source and {other} in the target: values would be refused or changed",
                from.name
            );
            add(true, words);
        }
    }
    if to.is_required && !from.is_required {
        add(
            false,
            format!(
                "the column {} may be null in the source and not in the target: such a row would be refused",
                from.name
            ),
        );
    }
}

/// Whether every value of one type is a value of the other with the very same text.
fn is_wider(from: &str, to: &str) -> bool {
    let length =
        |text: &str| -> Option<u32> { text.strip_prefix("character varying(")?.strip_suffix(')')?.parse().ok() };
    let whole = |text: &str| ["smallint", "integer", "bigint", "numeric"].iter().position(|name| *name == text);
    match (length(from), length(to), whole(from), whole(to)) {
        (Some(from), Some(to), ..) => from <= to,
        (.., Some(from), Some(to)) => from <= to,
        // numeric keeps its scale in its text; without limits every such text is its own value.
        _ if from.starts_with("numeric(") => matches!(to, "numeric" | "text" | "character varying"),
        _ => matches!(to, "text" | "character varying"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_type_is_told_from_one_that_changes_values() {
        for (from, to) in [
            ("integer", "bigint"),
            ("smallint", "numeric"),
            ("character varying(20)", "character varying(40)"),
            ("uuid", "text"),
            ("numeric(6,2)", "numeric"),
            ("public.mood", "character varying"),
        ] {
            assert!(is_wider(from, to) && !is_wider(to, from), "{from} {to}");
        }
        for (from, to) in [("json", "jsonb"), ("timestamp with time zone", "timestamp without time zone")] {
            assert!(!is_wider(from, to) && !is_wider(to, from), "{from} {to}");
        }
    }
}
