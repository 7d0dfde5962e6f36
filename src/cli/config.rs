//! `config`: check and show.

use anyhow::Result;

use super::flags::{Config, ConfigVerb};
use super::global::Global;
use super::{exit, out, setup};
use crate::config;

/// The verb.
///
/// # Errors
/// Every problem of the file.
pub fn run(global: &Global, verb: &Config) -> Result<u8> {
    match verb.what {
        ConfigVerb::Show { defaults: true } if !global.is_json() => out::result(&config::defaults()),
        ConfigVerb::Show { defaults } => {
            let config = setup::config(global)?;
            if global.is_json() {
                out::json(config::show(&config, defaults));
            } else {
                out::result(&config::show_text(&config, defaults));
            }
        }
        ConfigVerb::Check => {
            let config = setup::config(global)?;
            for note in &config.notes {
                out::say(&format!("note: {note}"));
            }
            if global.is_json() {
                out::json(serde_json::json!({ "schema": "cutover/v1", "valid": true, "notes": config.notes }));
            } else {
                out::result(&format!("{} is valid", global.config.display()));
            }
        }
    }
    Ok(exit::DONE)
}
