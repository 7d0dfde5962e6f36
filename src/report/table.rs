//! A small table: columns as wide as they need to be, wrapped when the line is not. Too narrow a line gets blocks.

use super::style::{Paint, Style};
use super::text::{columns, hang, pad, wrap};

/// Between two columns.
const GAP: usize = 2;

/// One cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    paint: Option<Paint>,
}

impl Cell {
    /// A painted cell.
    pub fn painted(paint: Paint, text: impl Into<String>) -> Self {
        Self { text: text.into(), paint: Some(paint) }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, paint: None }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// The table.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings; without a line for them where all are empty.
    pub fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines, `indent` columns from the left. Columns without any text are left out.
    pub fn text(&self, style: &Style, indent: usize) -> String {
        let used: Vec<usize> = (0..self.head.len()).filter(|column| self.is_used(*column)).collect();
        let gaps = GAP * used.len().saturating_sub(1);
        let room = style.width.saturating_sub(indent + gaps);
        match self.widths(&used, room) {
            Some(widths) => self.as_lines(style, indent, &used, &widths),
            None => self.as_blocks(style, indent, &used),
        }
    }

    fn is_used(&self, column: usize) -> bool {
        self.rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.text.is_empty()))
    }

    /// The widths that fit into `room`, taken from the widest first; nothing when words would have to be broken.
    fn widths(&self, used: &[usize], room: usize) -> Option<Vec<usize>> {
        let cells = |column: usize| self.rows.iter().filter_map(move |row| row.get(column)).map(|cell| &cell.text);
        let longest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
        let (mut widths, mut least) = (Vec::new(), Vec::new());
        for &column in used {
            let head = columns(self.head[column]);
            widths.push(longest(&mut cells(column).flat_map(|text| text.lines()).map(columns)).max(head));
            let words = &mut cells(column).flat_map(|text| text.split_whitespace()).map(columns);
            least.push(longest(words).max(head));
        }
        if least.iter().sum::<usize>() > room {
            return None;
        }
        while widths.iter().sum::<usize>() > room {
            let slack = |index: &usize| widths[*index].saturating_sub(least[*index]);
            let widest = (0..widths.len()).filter(|index| slack(index) > 0).max_by_key(|index| widths[*index])?;
            widths[widest] -= 1;
        }
        Some(widths)
    }

    fn as_lines(&self, style: &Style, indent: usize, used: &[usize], widths: &[usize]) -> String {
        let mut out = String::new();
        let head: Vec<String> =
            used.iter().zip(widths).map(|(column, width)| pad(self.head[*column], *width)).collect();
        let head = head.join(&" ".repeat(GAP));
        if !head.trim_end().is_empty() {
            push_line(&mut out, indent, &style.paint(Paint::Faint, head.trim_end()));
        }
        for row in &self.rows {
            let empty = Cell::default();
            let cells: Vec<&Cell> = used.iter().map(|column| row.get(*column).unwrap_or(&empty)).collect();
            let wrapped: Vec<Vec<String>> =
                cells.iter().zip(widths).map(|(cell, width)| wrap(&cell.text, *width)).collect();
            let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
            for line in 0..height {
                let mut text = String::new();
                let mut owed = 0;
                for ((cell, lines), width) in cells.iter().zip(&wrapped).zip(widths) {
                    let part = lines.get(line).map_or("", String::as_str);
                    if !part.is_empty() {
                        text.extend(std::iter::repeat_n(' ', owed));
                        owed = 0;
                        text.push_str(&cell.paint.map_or_else(|| part.to_owned(), |paint| style.paint(paint, part)));
                    }
                    owed += width.saturating_sub(columns(part)) + GAP;
                }
                push_line(&mut out, indent, &text);
            }
        }
        out
    }

    fn as_blocks(&self, style: &Style, indent: usize, used: &[usize]) -> String {
        let label = used.iter().skip(1).map(|column| columns(self.head[*column])).max().unwrap_or(0);
        let mut out = String::new();
        for row in &self.rows {
            for (index, column) in used.iter().enumerate() {
                let Some(cell) = row.get(*column).filter(|cell| !cell.text.is_empty()) else { continue };
                let head = if index == 0 {
                    " ".repeat(indent)
                } else {
                    format!("{}{}  ", " ".repeat(indent + 2), pad(&self.head[*column].to_lowercase(), label))
                };
                let paint = if index == 0 { Some(cell.paint.unwrap_or(Paint::Strong)) } else { cell.paint };
                for line in hang(&head, &cell.text, style.width).lines() {
                    let (front, text) =
                        line.split_at(line.char_indices().nth(columns(&head)).map_or(line.len(), |at| at.0));
                    out.push_str(front);
                    out.push_str(&paint.map_or_else(|| text.to_owned(), |paint| style.paint(paint, text)));
                    out.push('\n');
                }
            }
        }
        out
    }
}

fn push_line(out: &mut String, indent: usize, text: &str) {
    if !text.is_empty() {
        out.extend(std::iter::repeat_n(' ', indent));
        out.push_str(text);
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["SERVICE", "NEVER", "WHY"]);
        table.row(vec!["backend".into(), "".into(), "the image changed and so did the file".into()]);
        table.row(vec!["db".into(), "".into(), "nothing".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let text = "  SERVICE  WHY\n  backend  the image changed and so did the file\n  db       nothing\n";
        assert_eq!(table().text(&Style::plain(80), 2), text);
    }

    #[test]
    fn the_widest_column_is_wrapped_first() {
        let text = "SERVICE  WHY\nbackend  the image changed and\n         so did the file\ndb       nothing\n";
        assert_eq!(table().text(&Style::plain(30), 0), text);
    }

    #[test]
    fn where_words_would_break_each_row_is_a_block() {
        let mut table = Table::new(&["SERVICE", "IMAGE"]);
        table.row(vec!["backend".into(), "registry.example.com/team/web:2026".into()]);
        assert_eq!(table.text(&Style::plain(30), 0), "backend\n  image  registry.example.com/team/web:2026\n");
    }

    #[test]
    fn paint_does_not_shift_the_columns() {
        let mut table = Table::new(&["A", "B"]);
        table.row(vec![Cell::painted(Paint::Bad, "x"), "y".into()]);
        let style = Style { colour: true, ..Style::plain(40) };
        assert_eq!(table.text(&style, 0), "\u{1b}[2mA  B\u{1b}[0m\n\u{1b}[1;31mx\u{1b}[0m  y\n");
    }
}
