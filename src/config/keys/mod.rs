//! The one list of keys: path, kind, default and documentation stand together, and everything else is derived from it.
//!
//! Reading, unknown-key errors, `config show --defaults`, environment names and `docs/configuration.md` all
//! come from [`all`], so a key cannot be read without being documented, nor documented without being read.

mod deploy;
mod later;
mod rehearsal;
mod runbook;
mod watching;

/// The keys of one kind of file.
#[derive(Debug, Clone, Copy)]
pub struct KeyList(&'static [&'static [Key]]);

/// The keys of cutover.toml.
pub const CONFIGURATION: KeyList = KeyList(&[deploy::KEYS, later::KEYS, watching::KEYS, rehearsal::KEYS]);
/// The keys of a runbook.
pub const RUNBOOK: KeyList = KeyList(&[runbook::KEYS, runbook::ENTRY, runbook::ITEM]);

impl KeyList {
    /// Every key, tables before what they hold, in the order in which they are shown.
    pub fn all(self) -> impl Iterator<Item = &'static Key> {
        self.0.iter().flat_map(|part| part.iter())
    }

    /// The key declared under this path (`health[].url`).
    pub fn find(self, path: &str) -> Option<&'static Key> {
        self.all().find(|key| key.path == path)
    }

    /// The keys that stand directly in a table; the empty path is the file itself.
    pub fn children(self, table: &str) -> impl Iterator<Item = &'static Key> {
        self.all().filter(move |key| key.parent() == table)
    }
}

/// A key of cutover.toml, or a table of keys.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Where it stands, such as `deploy.strategy`; an element of an array of tables is written `health[]`.
    pub path: &'static str,
    /// What may be written there.
    pub kind: Kind,
    /// What is true when it is left out.
    pub fallback: Fallback,
    /// What it means, with its unit; one or two sentences.
    pub doc: &'static str,
}

/// What may be written for a key.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A table that is always there, since all its keys have defaults.
    Table,
    /// A table that may be missing; its defaults count only where it stands.
    OptionalTable,
    /// An array of tables, `[[…]]`.
    Tables,
    /// A string of a certain shape.
    Text(Shape),
    /// An array of strings of a certain shape, none twice.
    List(Shape),
    /// A program and its arguments, at least one string.
    Command,
    /// An address, `http://` or `https://`, without credentials.
    Url,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// A duration within these bounds.
    Duration(&'static str, &'static str),
    /// A size within these bounds.
    Size(&'static str, &'static str),
    /// A share within these bounds.
    Percent(&'static str, &'static str),
    /// A table from JSON pointers to the values expected there.
    JsonMap,
    /// A table from names to arrays of names.
    NameLists,
    /// A table from names to names.
    Names,
    /// An array of services, or a table of them with how each is handled.
    Services(&'static [&'static str]),
}

/// What a string must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Anything but nothing.
    Free,
    /// One line of printable text.
    Line,
    /// A compose project name.
    ProjectName,
    /// A compose service, profile or similar name.
    Service,
    /// A short name that people type.
    Word,
    /// The name of an environment variable.
    Variable,
    /// The name of a file, without a directory.
    FileName,
    /// A path; relative ones start at the directory of cutover.toml.
    Path,
    /// The path part of an address.
    UrlPath,
    /// One to three numbers with points.
    Version,
    /// A domain name.
    Host,
    /// A domain name, or `*.` and one: the owner of a record.
    Owner,
    /// An address of either family, without a port.
    Ip,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An address of either family, with a port or without.
    Server,
    /// A loopback address with its port, or `unix:` and an absolute path.
    Listen,
    /// A name of a database object.
    SqlName,
    /// A decimal number.
    Number,
    /// The value of an HTTPS record.
    ServiceBinding,
    /// A moment in RFC 3339.
    Moment,
}

/// What is true when a key is left out.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// The key must be written wherever its table stands.
    Required,
    /// Nothing is set; says what then happens.
    Unset(&'static str),
    /// This value, as it would be written in the file.
    Is(&'static str),
}

/// Every key, tables before what they hold, in the order in which they are shown.
pub fn all() -> impl Iterator<Item = &'static Key> {
    CONFIGURATION.all()
}

/// The key declared under this path (`health[].url`).
pub fn find(path: &str) -> Option<&'static Key> {
    CONFIGURATION.find(path)
}

/// The keys that stand directly in a table; the empty path is the file itself.
pub fn children(table: &str) -> impl Iterator<Item = &'static Key> {
    CONFIGURATION.children(table)
}

impl Key {
    /// The path of the table it stands in: `health[]` for `health[].url`, nothing for a top-level key.
    pub fn parent(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    /// Its own name, the last part of the path.
    pub fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name).trim_end_matches("[]")
    }

    /// Is it a table of keys?
    pub fn is_table(&self) -> bool {
        matches!(self.kind, Kind::Table | Kind::OptionalTable | Kind::Tables)
    }

    /// The environment variable that overrides it. Only single values outside arrays have one.
    pub fn variable(&self) -> Option<String> {
        let single = !self.is_table()
            && !self.path.contains("[]")
            && !matches!(
                self.kind,
                Kind::List(_) | Kind::Command | Kind::JsonMap | Kind::NameLists | Kind::Names | Kind::Services(_)
            );
        // The version of the format belongs to the file: overriding it would make a lie of it.
        (single && self.path != "schema").then(|| format!("CUTOVER_{}", self.path.replace('.', "_").to_uppercase()))
    }

    /// Does it name where a secret is? Then its own value is not repeated in messages: people paste the
    /// secret itself there.
    pub fn locates_secret(&self) -> bool {
        self.path.ends_with("_env") || self.path.ends_with("_file")
    }
}

/// One row of the list.
const fn key(path: &'static str, kind: Kind, fallback: Fallback, doc: &'static str) -> Key {
    Key { path, kind, fallback, doc }
}

/// A row that opens a table.
const fn table(path: &'static str, kind: Kind, doc: &'static str) -> Key {
    key(path, kind, Fallback::Unset(""), doc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_key_is_declared_once_after_its_table_and_documented() {
        let mut seen = BTreeSet::from([""]);
        for key in all() {
            assert!(seen.contains(key.parent()), "{} stands before its table", key.path);
            assert!(seen.insert(key.path), "{} is declared twice", key.path);
            assert!(key.doc.len() > 10 && key.doc.ends_with('.'), "{}: {}", key.path, key.doc);
        }
    }

    #[test]
    fn no_two_keys_share_an_environment_variable() {
        let mut seen = BTreeSet::from(["CUTOVER_CONFIG".to_owned()]);
        for variable in all().filter_map(Key::variable) {
            assert!(seen.insert(variable.clone()), "{variable} would set two keys");
        }
        assert!(seen.contains("CUTOVER_STATE_DIRECTORY"));
        assert!(seen.contains("CUTOVER_DEPLOY_KEEP_RELEASES"));
    }
}
