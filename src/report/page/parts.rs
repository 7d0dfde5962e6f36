//! Small parts of pages: tags, tables, numbers.

use maud::{Markup, html};

use super::class;
use crate::report::paper::Tone;
use crate::report::text::moment;

/// A word in a coloured frame.
pub fn tag(tone: Tone, word: &str) -> Markup {
    html! { span class={ "tag " (class(tone)) } { (word) } }
}

/// A number with thin spaces between thousands.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// The day and time of a moment, in UTC.
pub fn when(at: &str) -> String {
    moment(at).replace(" UTC", "")
}

/// The first digits of a hash.
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// A table with these heads; heads that begin with `#` are of numbers.
pub fn table(heads: &[&str], rows: &Markup, foot: Option<&Markup>) -> Markup {
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        @for head in heads {
                            @if let Some(head) = head.strip_prefix('#') { th.num scope="col" { (head) } }
                            @else { th scope="col" { (head) } }
                        }
                    }
                }
                tbody { (rows) }
                @if let Some(foot) = foot { tfoot { (foot) } }
            }
        }
    }
}

/// A section with a head that can be linked to.
pub fn section(id: &str, title: &str, lead: &str, body: &Markup) -> Markup {
    html! {
        section id=(id) {
            h2 { (title) }
            @if !lead.is_empty() { p.lead { (lead) } }
            (body)
        }
    }
}
