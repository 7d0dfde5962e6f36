//! Text as it is laid out: measured, cut, wrapped, made harmless. Pure; knows nothing of runs.

use super::style::{Paint, Style};

/// Columns of a text, counted in characters; what paints it takes none.
pub fn columns(text: &str) -> usize {
    let mut count = 0;
    let mut is_code = false;
    for character in text.chars() {
        match character {
            '\u{1b}' => is_code = true,
            'm' if is_code => is_code = false,
            _ if is_code => {}
            _ => count += 1,
        }
    }
    count
}

/// Fills up with blanks on the right.
pub fn pad(text: &str, width: usize) -> String {
    let mut padded = text.to_owned();
    padded.extend(std::iter::repeat_n(' ', width.saturating_sub(columns(text))));
    padded
}

/// The first line, cut to `width` columns; `ellipsis` stands for the rest. Unpainted text only.
pub fn cut(text: &str, width: usize, ellipsis: &str) -> String {
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default().trim_end();
    if line.chars().count() <= width && lines.next().is_none() {
        return line.to_owned();
    }
    let room = width.saturating_sub(ellipsis.chars().count());
    let kept: String = line.chars().take(room).collect();
    format!("{}{ellipsis}", kept.trim_end()).chars().take(width).collect()
}

/// Words in lines of at most `width` columns. Lines that fit stay as they are, blanks and all; a word that is
/// longer than a line has one to itself.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = line.trim_end();
        if columns(line) <= width {
            lines.push(line.to_owned());
            continue;
        }
        let mut current: String = line.chars().take_while(|character| *character == ' ').take(width / 2).collect();
        let mut is_empty = true;
        for word in line.split_whitespace() {
            if !is_empty && columns(&current) + 1 + columns(word) > width {
                lines.push(std::mem::take(&mut current));
                is_empty = true;
            }
            if !is_empty {
                current.push(' ');
            }
            current.push_str(word);
            is_empty = false;
        }
        lines.push(current);
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// A text behind `head`, wrapped; the lines after the first stand under the text, not under the head.
pub fn hang(head: &str, text: &str, width: usize) -> String {
    lead(head, text, columns(head), width)
}

/// A text behind `head`, wrapped; the lines after the first are `indent` columns in.
pub fn lead(head: &str, text: &str, indent: usize, width: usize) -> String {
    // The first line is shorter by what the head takes more than the indent: blanks stand for it while wrapping.
    let owed = columns(head).saturating_sub(indent);
    let lines = wrap(&format!("{}{text}", "\u{1}".repeat(owed)), width.saturating_sub(indent).max(10));
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        let start = if index == 0 { head.to_owned() } else { " ".repeat(indent) };
        out.push_str(format!("{start}{}", line.trim_start_matches('\u{1}')).trim_end());
        out.push('\n');
    }
    out
}

/// Takes out what could move the cursor or paint: logs of containers and answers of servers are foreign text.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_sequence(&mut characters),
            '\t' => out.push_str("  "),
            '\n' => out.push('\n'),
            // Marks that turn the direction of writing can make a line read as another one.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            _ if character.is_control() => {}
            _ => out.push(character),
        }
    }
    out
}

/// What follows an escape: `[ … letter`, `] … BEL` or `] … ESC \`, or one character.
fn skip_sequence(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match characters.peek() {
        Some('[') => {
            characters.next();
            while characters.peek().is_some_and(|next| *next != '\n') {
                if characters.next().is_some_and(|next| ('@'..='~').contains(&next)) {
                    return;
                }
            }
        }
        Some(']') => {
            while characters.peek().is_some_and(|next| *next != '\n') {
                match characters.next() {
                    Some('\u{7}') => return,
                    Some('\u{1b}') => {
                        characters.next_if_eq(&'\\');
                        return;
                    }
                    _ => {}
                }
            }
        }
        _ => {
            characters.next_if(|next| *next != '\n');
        }
    }
}

/// Shortens every `sha256:` and the 64 digits after it to the first 12 digits, as the engine prints them.
pub fn short_ids(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("sha256:") {
        let digits = &rest[at + 7..];
        let length = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
        out.push_str(&rest[..at]);
        if length > 12 {
            out.push_str(&digits[..12]);
        } else {
            out.push_str(&rest[at..at + 7 + length]);
        }
        rest = &digits[length..];
    }
    out.push_str(rest);
    out
}

/// Wall time for people: `2026-01-23T10:02:05.123Z` is `2026-01-23 10:02:05 UTC`.
pub fn moment(at: &str) -> String {
    match at.strip_suffix('Z').and_then(|at| at.split_once('T')) {
        Some((day, time)) => format!("{day} {} UTC", time.split('.').next().unwrap_or(time)),
        None => at.to_owned(),
    }
}

/// What many lines say in one: the first; where it only announces what follows, the last as well, for that is the cause.
pub fn gist(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    match (first.strip_suffix(':'), lines.next_back()) {
        (Some(_), Some(last)) => format!("{first} {last}"),
        _ => first.to_owned(),
    }
}

/// The next commands, one line each.
pub fn next_text(next: &[(String, String)], style: &Style) -> String {
    let widest = next.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    let mut out = String::new();
    for (index, (command, words)) in next.iter().enumerate() {
        let label = if index == 0 { "next: " } else { "      " };
        let painted = style.paint(Paint::Strong, command);
        let blanks = " ".repeat(widest - command.len());
        let head = format!("{label}{painted}{blanks}  ");
        let indent = columns(&head);
        // On a narrow screen the words go on below the command instead of beside it.
        let indent = if indent > style.width / 2 { label.len() + 2 } else { indent };
        out.push_str(&lead(&head, words, indent, style.width));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paint_takes_no_columns() {
        assert_eq!(columns("\u{1b}[1;31mbad\u{1b}[0m"), 3);
        assert_eq!(pad("✓", 3), "✓  ");
    }

    #[test]
    fn a_text_is_cut_to_its_first_line_and_says_so() {
        assert_eq!(cut("short", 10, "…"), "short");
        assert_eq!(cut("a rather long line", 10, "…"), "a rather…");
        assert_eq!(cut("first\nsecond", 10, "…"), "first…");
        assert_eq!(cut("abcdef", 2, "..."), "..");
    }

    #[test]
    fn lines_are_wrapped_at_words_and_lines_that_fit_keep_their_blanks() {
        assert_eq!(wrap("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(wrap("a  b\n  c", 9), ["a  b", "  c"]);
        assert_eq!(wrap("x registry.example.com/team/web y", 9), ["x", "registry.example.com/team/web", "y"]);
    }

    #[test]
    fn a_hanging_text_stands_beside_its_head() {
        assert_eq!(hang("  ! ", "one two three", 12), "  ! one two\n    three\n");
    }

    #[test]
    fn foreign_text_cannot_move_the_cursor_or_paint() {
        assert_eq!(harmless("a\u{1b}[31mred\u{1b}[0m\rb\u{7}"), "aredb");
        assert_eq!(harmless("\u{1b}]0;title\u{7}x\u{1b}]8;;u\u{1b}\\y\u{1b}cz"), "xyz");
        assert_eq!(harmless("\u{9b}2Jx\ty\u{202e}z"), "2Jx  yz");
        assert_eq!(harmless("cut \u{1b}[\nnext"), "cut \nnext");
    }

    #[test]
    fn identifiers_are_shortened_as_the_engine_does() {
        let id = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(short_ids(&format!("web:2 ({id}) and sha256:ab")), "web:2 (0123456789ab) and sha256:ab");
    }

    #[test]
    fn the_gist_of_a_failed_command_is_what_it_said_last() {
        assert_eq!(gist("one\ntwo\n"), "one");
        assert_eq!(gist("`dump` exited 1:\nconnecting\nno space left\n"), "`dump` exited 1: no space left");
        assert_eq!(gist("nothing follows:"), "nothing follows:");
        assert_eq!(gist(""), "");
    }

    #[test]
    fn a_moment_is_read_in_utc() {
        assert_eq!(moment("2026-01-23T10:02:05.123Z"), "2026-01-23 10:02:05 UTC");
        assert_eq!(moment("yesterday"), "yesterday");
    }
}
