//! What a run tells while it works, and how it is shown. An event in, text or JSON out; decides nothing.

mod carried;
mod changed;
pub mod checkpoint;
pub mod dns;
pub mod event;
pub mod history;
mod left;
pub mod manifest;
pub mod moved;
pub mod moves;
pub mod output;
pub mod paced;
pub mod page;
#[cfg(test)]
mod pages;
pub mod paper;
pub mod plain;
pub mod plan;
pub mod planned;
pub mod preflight;
pub mod releases;
pub mod result;
pub mod route;
#[cfg(test)]
pub(crate) mod sample;
pub mod screen;
pub mod status;
pub mod style;
pub mod table;
pub mod text;
pub mod told_apart;
pub mod untold;
pub mod verified;
pub mod watched;
pub mod way_back;

pub use event::{Event, Listener};
pub use output::Patient;
pub use plain::Plain;
pub use screen::Screen;
pub use style::{Inputs, Style};

/// What every JSON document of cutover says of its own shape.
pub const SCHEMA: &str = "cutover/v1";
