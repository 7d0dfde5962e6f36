//! What moved, as a table at the end of a run: table, rows, size, time, rate; the whole in its last line.

use std::time::Duration;

use serde_json::{Value, json};

use super::style::{Paint, Style};
use super::table::{Cell, Table};
use super::text::{hang, harmless};
use crate::adapter::clock::spoken;
use crate::adapter::files::spoken_size;
use crate::data::moved::{Moved, MovedTable};
use crate::journal::RunState;

/// Bytes in a second; none where nothing was measured.
fn rate(bytes: u64, seconds: f64) -> Option<u64> {
    (seconds > 0.0).then(|| (bytes as f64 / seconds) as u64)
}

/// The table, with its notes below.
pub fn moved_text(moved: &Moved, style: &Style) -> String {
    let mut table = Table::new(&["TABLE", "ROWS", "SIZE", "TIME", "RATE"]);
    let row = |name: Cell, rows: u64, bytes: u64, seconds: f64| -> Vec<Cell> {
        let time = if seconds > 0.0 { spoken(Duration::from_secs_f64(seconds)) } else { String::new() };
        let rate = rate(bytes, seconds).map_or_else(String::new, |rate| format!("{}/s", spoken_size(rate)));
        vec![name, rows.to_string().into(), spoken_size(bytes).into(), time.into(), rate.into()]
    };
    for MovedTable { table: name, rows, bytes, seconds } in &moved.tables {
        table.row(row(harmless(name).into(), *rows, *bytes, *seconds));
    }
    if moved.tables.len() != 1 {
        table.row(row(Cell::painted(Paint::Strong, "total"), moved.rows(), moved.bytes(), moved.seconds));
    }
    let notes: String = moved.notes.iter().map(|note| hang("  ", &harmless(note), style.width)).collect();
    table.text(style, 2) + &notes
}

/// The same for programs: seconds, bytes, bytes per second.
pub fn moved_json(moved: &Moved) -> Value {
    let table = |table: &MovedTable| {
        json!({
            "table": table.table, "rows": table.rows, "bytes": table.bytes, "seconds": table.seconds,
            "bytes_per_second": rate(table.bytes, table.seconds),
        })
    };
    json!({
        "tables": moved.tables.iter().map(table).collect::<Vec<_>>(),
        "rows": moved.rows(),
        "bytes": moved.bytes(),
        "seconds": moved.seconds,
        "bytes_per_second": rate(moved.bytes(), moved.seconds),
        "notes": moved.notes,
    })
}

/// What each step of a run moved, with the step's name.
pub(super) fn of_run(run: &RunState) -> Vec<(&str, Moved)> {
    run.items.iter().filter_map(|item| Some((item.name.as_str(), Moved::of_journal(&item.data)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved() -> Moved {
        let table = |table: &str, rows, bytes, seconds| MovedTable { table: table.into(), rows, bytes, seconds };
        let tables = vec![table("units", 40, 4096, 2.0), table("notes", 1, 10, 0.0)];
        Moved { tables, seconds: 2.5, notes: vec!["ltree was left out".into()] }
    }

    #[test]
    fn every_table_has_a_line_and_the_whole_has_the_last() {
        let expected = "  TABLE  ROWS  SIZE     TIME   RATE
  units  40    4.0 KiB  2.0 s  2.0 KiB/s
  notes  1     10 B
  total  41    4.0 KiB  2.5 s  1.6 KiB/s
  ltree was left out
";
        assert_eq!(moved_text(&moved(), &Style::plain(80)), expected);
    }

    #[test]
    fn programs_get_numbers_without_units_and_null_where_nothing_was_measured() {
        let value = moved_json(&moved());
        assert_eq!((&value["rows"], &value["tables"][0]["bytes_per_second"]), (&json!(41), &json!(2048)));
        assert_eq!(value["tables"][1]["bytes_per_second"], Value::Null);
    }
}
