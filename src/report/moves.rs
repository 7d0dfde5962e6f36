//! What stands of the moving of rows, in words: what refuses writes, what was filled, what is half-way.

/// One thing that stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    /// `frozen`, `freezing`, `filled` or `unfinished`.
    pub what: &'static str,
    /// The database, without its password.
    pub place: String,
    /// The run that did it, where it is known.
    pub run: Option<u32>,
    /// Since when, RFC 3339, where it is known.
    pub since: Option<String>,
    /// The command that ends it or goes on with it.
    pub next: &'static str,
}

impl Standing {
    /// In words.
    pub fn words(&self) -> String {
        let Self { place, next, .. } = self;
        let by = self.run.map_or_else(String::new, |run| format!(", by run {run}"));
        let since = self.since.as_ref().map_or_else(String::new, |since| format!(" since {since}"));
        match self.what {
            "frozen" => format!("{place} refuses every write{since}{by}; `{next}` ends that"),
            "freezing" => format!("the freeze of {place} is not whole{by}; `{next}` goes on"),
            "filled" => format!("{place} was filled{by}; `{next}` tells what was written to it since"),
            _ => format!("{place} is filled by half{by}; `{next}` goes on, `cutover rollback` takes it back"),
        }
    }
}
