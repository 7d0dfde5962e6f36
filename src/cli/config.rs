//! `config`: check and show.

use anyhow::Result;

use super::arguments::{Config, ConfigVerb, Global};
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
            let text = config::show_text(&config, defaults);
            out::result(&if global.is_json() { config::show(&config, defaults).to_string() } else { text });
        }
        ConfigVerb::Check => {
            let config = setup::config(global)?;
            for note in &config.notes {
                out::say(&format!("note: {note}"));
            }
            let words = format!("{} is valid", global.config.display());
            let document = serde_json::json!({ "schema": "cutover/v1", "valid": true, "notes": config.notes });
            out::result(&if global.is_json() { document.to_string() } else { words });
        }
    }
    Ok(exit::DONE)
}
