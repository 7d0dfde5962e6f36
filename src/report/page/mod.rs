//! A document as one page of HTML: no script, no network, light and dark, on screens and on paper. Everything is escaped.

mod chart;
pub mod dashboard;
mod data;
mod parts;
mod sections;
mod time;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::paper::{Paper, Tone};

/// How pages look; every page of cutover uses it.
pub const STYLE: &str = include_str!("style.css");

/// The page of a run.
pub fn page(paper: &Paper) -> String {
    let title = format!("Run {}: {} in {}", paper.run.number, paper.run.title, paper.run.environment);
    frame(&title, None, &sections::all(paper)).into_string()
}

/// A whole page around a body; one that is alive asks for itself again after so many seconds.
pub fn frame(title: &str, again_s: Option<u32>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(seconds) = again_s { meta http-equiv="refresh" content=(seconds); }
                meta name="generator" content={ "cutover " (env!("CARGO_PKG_VERSION")) };
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    }
}

/// The class of a tone.
pub fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Careful => "careful",
        Tone::Bad => "bad",
        Tone::Plain => "plain",
    }
}

#[cfg(test)]
mod tests;
