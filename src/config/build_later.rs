//! Puts the tables that a migration needs into their types. Judges nothing: what is missing was reported before.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::choices::{DnsProvider, TsigAlgorithm, UserProvider};
use super::later::{Assertion, Data, Database, Dns, Listen, Record, Serve, Tsig, Users, server};
use super::table::{Table, texts};
use super::value::Value;

pub(super) fn database(table: &Table<'_>) -> Option<Database> {
    Some(Database { url: table.secret("url")?, ca_certificate: table.path("ca_certificate") })
}

pub(super) fn data(table: &Table<'_>, assertions: Vec<Assertion>) -> Option<Data> {
    Some(Data {
        directory: table.path("directory")?,
        user_columns: name_lists(table, "user_columns")?,
        include: table.list("include")?,
        exclude: table.list("exclude")?,
        users_table: table.text("users_table")?,
        unmapped: name_lists(table, "unmapped")?,
        workers: table.number("workers")?,
        is_compressed: table.flag("compress")?,
        large: table.size("large")?,
        keep_mapping: table.duration("keep_mapping")?,
        log_file: table.path("log_file"),
        assertions,
    })
}

pub(super) fn assertion(table: &Table<'_>) -> Option<Assertion> {
    Some(Assertion { name: table.text("name")?, sql: table.text("sql")? })
}

fn name_lists(table: &Table<'_>, name: &str) -> Option<BTreeMap<String, Vec<String>>> {
    match table.get(name)? {
        Value::Lists(lists) => Some(lists.iter().map(|(name, items)| (name.clone(), texts(items))).collect()),
        _ => None,
    }
}

pub(super) fn users(table: &Table<'_>) -> Option<Users> {
    Some(Users {
        provider: table.word("provider", UserProvider::from_word),
        base_url: table.url("base_url")?,
        project_id: table.secret("project_id")?,
        secret_key: table.secret("secret_key")?,
        concurrency: table.number("concurrency")?,
        rate: table.number("rate")?,
        attempts: table.number("attempts")?,
        timeout: table.duration("timeout")?,
        settle: table.duration("settle")?,
        has_passwords: table.flag("passwords")?,
        oauth: table.list("oauth").unwrap_or_default(),
    })
}

pub(super) fn dns(table: &Table<'_>, records: Vec<Record>) -> Option<Dns> {
    let tsig = |name| {
        Some(Tsig {
            name,
            algorithm: table.word("tsig_algorithm", TsigAlgorithm::from_word),
            secret: table.secret("tsig_secret")?,
        })
    };
    Some(Dns {
        provider: table.word("provider", DnsProvider::from_word),
        zone: table.text("zone"),
        server: table.text("server").and_then(|text| server(&text)),
        tsig: table.text("tsig_name").and_then(tsig),
        token: table.secret("token"),
        ttl: table.duration("ttl")?,
        api_url: table.url("api_url"),
        resolvers: servers(table, "resolvers"),
        quorum: table.number("quorum")?,
        roots: servers(table, "roots"),
        port: port(table, "port")?,
        timeout: table.duration("timeout")?,
        interval: table.duration("interval")?,
        deadline: table.duration("deadline")?,
        issuers: table.list("issuers")?,
        origin: table.parsed("origin"),
        http_port: port(table, "http_port")?,
        https_port: port(table, "https_port")?,
        ca_certificate: table.path("ca_certificate"),
        records,
    })
}

fn servers(table: &Table<'_>, name: &str) -> Vec<SocketAddr> {
    table.list(name).unwrap_or_default().iter().filter_map(|text| server(text)).collect()
}

fn port(table: &Table<'_>, name: &str) -> Option<u16> {
    table.number(name).and_then(|port| u16::try_from(port).ok())
}

/// Names are compared with answers of servers, so they get one form here.
pub(super) fn record(table: &Table<'_>) -> Option<Record> {
    let name = |text: String| text.trim_end_matches('.').to_ascii_lowercase();
    Some(Record {
        name: table.text("name").map(name)?,
        a: table.parsed("A"),
        aaaa: table.parsed("AAAA"),
        cname: table.text("CNAME").map(name),
        is_proxied: table.flag("proxied")?,
        txt: table.list("TXT"),
        caa: table.list("CAA"),
        https: table.list("HTTPS"),
    })
}

pub(super) fn serve(table: &Table<'_>) -> Option<Serve> {
    Some(Serve { listen: Listen::parse(&table.text("listen")?)?, hosts: table.list("hosts").unwrap_or_default() })
}
