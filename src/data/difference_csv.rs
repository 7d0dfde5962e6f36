//! Changes as CSV, for people and spreadsheets; nothing reads it back.

use super::change_file::Op;
use super::copy_text;
use super::difference::Change;
use super::verification;

/// One line of a CSV file for people: the operation, what changed, and the row's values (of a deleted row, its last ones).
/// Null is an empty field, an empty text is `""`.
pub fn line(columns: &[String], change: &Change) -> String {
    let Some(op) = Op::of(change) else { return String::new() };
    let mut fields = vec![op.word().to_owned()];
    let changed = match (&change.old, &change.new) {
        (Some(old), Some(new)) => verification::differing(columns, old, new),
        _ => Vec::new(),
    };
    let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let changed: Vec<String> =
        changed.iter().map(|one| format!("{}: {} -> {}", one.column, show(&one.source), show(&one.target))).collect();
    fields.push(field(Some(changed.join("; ").into_bytes())));
    if let Some(row) = change.new.as_ref().or(change.old.as_ref()) {
        fields.extend(copy_text::fields(row).map(|value| field(verification::value(value))));
    }
    fields.join(",") + "\n"
}

/// The first line of that file.
pub fn head(columns: &[String]) -> String {
    let names = ["operation", "changed"].into_iter().chain(columns.iter().map(String::as_str));
    names.map(|name| field(Some(name.as_bytes().to_vec()))).collect::<Vec<_>>().join(",") + "\n"
}

fn field(value: Option<Vec<u8>>) -> String {
    let Some(value) = value else { return String::new() };
    let text = String::from_utf8_lossy(&value);
    let is_plain = !text.is_empty() && !text.contains(['"', ',', '\n', '\r']) && !text.starts_with(' ');
    if is_plain { text.into_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_it_as_csv() {
        let columns = ["id".to_owned(), "v".into()];
        let change = |old: &str, new: &str| {
            let row = |text: &str| (text != "-").then(|| text.as_bytes().to_vec());
            line(&columns, &Change { key: Vec::new(), old: row(old), new: row(new) })
        };
        assert_eq!(head(&columns), "operation,changed,id,v\n");
        assert_eq!(change("-", "1\t\\N"), "insert,\"\",1,\n");
        assert_eq!(change("1\ta,b", "-"), "delete,\"\",1,\"a,b\"\n");
        assert_eq!(change("1\t\\N", "1\tsay \"x\""), "update,\"v: null -> say \"\"x\"\"\",1,\"say \"\"x\"\"\"\n");
    }
}
