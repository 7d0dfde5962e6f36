//! `data connections`: both sides looked at side by side, changing nothing; what is there, and what stands in the way.

use anyhow::Result;
use serde_json::{Value, json};

use super::go::prepare;
use crate::adapter::files::spoken_size;
use crate::cli::global::Global;
use crate::cli::{exit, out, setup};
use crate::config::{Config, Environment};
use crate::data::catalog::{Concern, TableName};
use crate::data::patterns::{Patterns, table_name};
use crate::report::style::{Paint, Style};
use crate::report::table::{Cell, Table};
use crate::report::text::hang;
use crate::rows::connections::{Connection, Server, Side, between, look};
use crate::run::Refusal;

/// What was seen of both sides.
struct Seen {
    source: Option<Connection>,
    target: Option<Connection>,
    between: Vec<Concern>,
}

/// The verb.
///
/// # Errors
/// When the configuration is not valid, or names no database.
pub async fn run(global: &Global) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    if config.source.is_none() && config.target.is_none() {
        let why = "neither [source] nor [target] is there; say where a database is: url_env = \"VARIABLE\" or url_file = \"path\"";
        return Err(Refusal::Usage(why.to_owned()).into());
    }
    let (patterns, users) = chosen(&config)?;
    let side = async |side: Side, is_there: bool| -> Result<Option<Connection>> {
        if !is_there {
            return Ok(None);
        }
        let place = setup.databases.side(side.word()).map_err(Refusal::usage)?;
        Ok(Some(look(place, side, &patterns, &users).await))
    };
    let (source, target) =
        tokio::try_join!(side(Side::Source, config.source.is_some()), side(Side::Target, config.target.is_some()))?;
    let found = match (&source, &target) {
        (Some(source), Some(target)) => between(source, target),
        _ => Vec::new(),
    };
    let seen = Seen { source, target, between: found };
    if global.is_json() {
        out::json(seen.json());
    } else {
        let style = setup::style(global, &Environment::of_process(), out::is_result_shown());
        out::result(&seen.text(&style));
    }
    Ok(if seen.is_fit() { exit::DONE } else { exit::REFUSED })
}

/// The tables that the configuration names, and its table of users.
///
/// # Errors
/// When a pattern is none.
pub fn chosen(config: &Config) -> Result<(Patterns, TableName)> {
    let usage = |table: &'static str| move |why: String| Refusal::Usage(format!("{table}: {why}"));
    let patterns = Patterns::parse(&config.data.include, &config.data.exclude).map_err(usage("[data]"))?;
    let users = table_name(&config.data.users_table).map_err(usage("data.users_table"))?;
    Ok((patterns, users))
}

impl Seen {
    fn sides(&self) -> impl Iterator<Item = &Connection> {
        self.source.iter().chain(&self.target)
    }

    fn is_fit(&self) -> bool {
        self.sides().all(Connection::is_fit) && !self.between.iter().any(|concern| concern.is_blocking)
    }

    fn json(&self) -> Value {
        json!({
            "schema": "cutover/v1",
            "verdict": if self.is_fit() { "ok" } else { "fail" },
            "source": self.source,
            "target": self.target,
            "between": self.between,
        })
    }

    fn text(&self, style: &Style) -> String {
        let mut text = String::new();
        for side in self.sides() {
            text.push_str(&format!("{}  {}\n", style.paint(Paint::Strong, side.side.word()), plain(&side.shown)));
            match &side.server {
                Some(server) => text.push_str(&facts(side, server).text(style, 2)),
                None => text.push_str("  was not reached\n"),
            }
            text.push('\n');
        }
        let tables = self.tables();
        if !tables.is_empty() {
            text.push_str(&tables.text(style, 0));
            text.push('\n');
        }
        text.push_str(&self.concerns(style));
        text.push_str(&hang("", &self.verdict(), style.width));
        text
    }

    /// Every table of either side, in the order in which it can be filled.
    fn tables(&self) -> Table {
        let mut table = Table::new(&["TABLE", "SOURCE ROWS", "SIZE", "TARGET ROWS", "SIZE "]);
        let of = |side: &Option<Connection>, name: &str| -> [Cell; 2] {
            let found = side.iter().flat_map(|side| &side.tables).find(|table| table.name == name);
            let rows = |rows: Option<i64>| rows.map_or_else(|| "not estimated".to_owned(), |rows| format!("~{rows}"));
            found.map_or_else(Default::default, |table| {
                [rows(table.rows_estimate).into(), spoken_size(table.bytes).into()]
            })
        };
        let mut names: Vec<&str> = Vec::new();
        for side in self.sides() {
            for table in &side.tables {
                if !names.contains(&&*table.name) {
                    names.push(&table.name);
                }
            }
        }
        for name in names {
            let ([rows, size], [there, size_there]) = (of(&self.source, name), of(&self.target, name));
            table.row(vec![plain(name).into(), rows, size, there, size_there]);
        }
        table
    }

    fn concerns(&self, style: &Style) -> String {
        let mut table = Table::new(&["", "WHERE", "ABOUT", "WHAT"]);
        let sides = self.sides().flat_map(|side| side.concerns.iter().map(|concern| (side.side.word(), concern)));
        let mut all: Vec<(&str, &Concern)> =
            sides.chain(self.between.iter().map(|concern| ("both", concern))).collect();
        all.sort_by_key(|(_, concern)| !concern.is_blocking);
        for (place, concern) in all {
            let (paint, word) = if concern.is_blocking { (Paint::Bad, "FAIL") } else { (Paint::Careful, "note") };
            let cells = [plain(place).into(), plain(&concern.about).into(), plain(&concern.words).into()];
            table.row([Cell::painted(paint, word)].into_iter().chain(cells).collect());
        }
        if table.is_empty() { String::new() } else { table.text(style, 0) + "\n" }
    }

    fn verdict(&self) -> String {
        let blocking = self.sides().flat_map(|side| &side.concerns).chain(&self.between);
        let count = blocking.filter(|concern| concern.is_blocking).count();
        let sides = match (&self.source, &self.target) {
            (Some(_), Some(_)) => "source and target are reached",
            (Some(_), None) => "the source is reached; there is no [target] in the configuration",
            _ => "the target is reached; there is no [source] in the configuration",
        };
        match count {
            0 => format!("{sides}; nothing stands in the way"),
            1 => "one thing stands in the way; put it right and call again".to_owned(),
            count => format!("{count} things stand in the way; put them right and call again"),
        }
    }
}

/// What a server and a role are, as words.
fn facts(side: &Connection, server: &Server) -> Table {
    let state = match (server.is_standby, server.is_read_only) {
        (true, _) => "a standby, read-only",
        (_, true) => "sessions begin read-only",
        _ => "takes writes",
    };
    let size = spoken_size(u64::try_from(server.bytes).unwrap_or_default());
    let encryption = &server.encryption;
    let encryption = match (&encryption.version, &encryption.cipher) {
        (Some(version), cipher) => {
            let cipher = cipher.as_ref().map_or_else(String::new, |cipher| format!(" {cipher}"));
            format!("{version}{cipher}, {}", encryption.assurance)
        }
        _ => "not encrypted".to_owned(),
    };
    let speed = format!("open after {:.1} ms, {:.1} ms there and back", server.connect_ms, server.round_trip_ms);
    let role = &server.role;
    let rights = [
        (role.can_bypass_row_security, "pass by row security"),
        (role.can_replicate, "replicate"),
        (role.can_create_databases, "create databases"),
        (role.can_create_schemas, "create schemas"),
        (role.can_signal_backends, "end others' sessions"),
        (role.is_database_owner, "set the database's defaults"),
    ];
    let those =
        |has: bool| -> Vec<&str> { rights.iter().filter(|right| right.0 == has).map(|right| right.1).collect() };
    let may = match (those(true), those(false)) {
        _ if role.is_superuser => "superuser".to_owned(),
        (can, cannot) if cannot.is_empty() => format!("may {}", can.join(", ")),
        (can, cannot) if can.is_empty() => format!("may not {}", cannot.join(", ")),
        (can, cannot) => format!("may {}; may not {}", can.join(", "), cannot.join(", ")),
    };
    let extensions: Vec<String> = side.extensions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let mut table = Table::new(&["", ""]);
    let rows = [
        ("server", format!("PostgreSQL {}, {}, {size}, {state}", server.version, server.encoding)),
        ("connection", format!("{encryption}; {speed}")),
        ("role", format!("{}: {may}", role.name)),
        ("extensions", extensions.join(", ")),
    ];
    for (label, words) in rows.into_iter().filter(|(_, words)| !words.is_empty()) {
        table.row(vec![Cell::painted(Paint::Faint, label), plain(&words).into()]);
    }
    table
}

/// Control characters from the world must not reach a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}
