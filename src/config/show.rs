//! Shows a configuration with the origin of every value, the defaults alone, and the reference page. Decides nothing.

use super::Config;
use super::read::{Origin, Reader};

/// One value and where it came from.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The key's path.
    pub key: String,
    /// Where it came from.
    pub origin: Origin,
}

pub(super) fn settings(_reader: &Reader<'_>) -> Vec<Setting> {
    Vec::new()
}
/// x
pub fn show(_config: &Config, _defaults: bool) -> serde_json::Value {
    serde_json::Value::Null
}
/// x
pub fn show_text(_config: &Config, _defaults: bool) -> String {
    String::new()
}
/// x
pub fn defaults() -> String {
    String::new()
}
/// x
pub fn reference() -> String {
    String::new()
}
