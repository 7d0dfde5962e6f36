//! Reads what a database holds from its own catalog. Law: what cannot be moved, or not whole, is said before anything moves.

mod compare;
mod concerns;
mod sequences;
mod statements;
mod tables;

use anyhow::{Context, Result, bail};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

pub use self::compare::compare;
use crate::adapter::database::Session;
use crate::data::catalog::{Catalog, Concern, TableName};
use crate::data::order;
use crate::data::patterns::Patterns;

/// The oldest server whose catalog is understood: 12.
const OLDEST: u32 = 120_000;

/// Something that could hold rows.
struct Relation {
    oid: u32,
    name: TableName,
    kind: char,
    has_row_security: bool,
    is_hidden: bool,
    is_owned: bool,
    owner: String,
    is_readable: bool,
    has_children: bool,
    extension: Option<String>,
}

/// Reads the catalog of a database: the tables that the patterns choose, in the order in which they can be filled, with all
/// that moving them needs, and what does not move. `users_table` is where foreign keys may point although it does not
/// move. Four rounds of questions; nothing is changed.
///
/// # Errors
/// When the server is older than 12, or a question fails.
pub async fn read(session: &Session, patterns: &Patterns, users_table: &TableName) -> Result<Catalog> {
    let (relations, whole, enums) = tokio::try_join!(
        ask(session, statements::RELATIONS),
        ask(session, statements::WHOLE),
        ask(session, statements::ENUMS)
    )?;
    let whole = whole.first().context("the server did not say what it is")?;
    let server_version = u32::try_from(whole.get::<_, i32>(0)).unwrap_or_default();
    if server_version < OLDEST {
        bail!("the server is version {}; its catalog is understood from 12 on", server_version / 10_000);
    }
    let (names, versions): (Vec<String>, Vec<String>) = (whole.get(3), whole.get(4));
    let block_size = u64::try_from(whole.get::<_, i64>(7)).unwrap_or(8192).max(1);
    let relations: Vec<Relation> = relations.iter().map(relation).collect();
    let mut catalog = Catalog {
        server_version,
        database: whole.get(1),
        enums: enums.iter().map(|row| (row.get(0), row.get(1))).collect(),
        extensions: names.into_iter().zip(versions).collect(),
        ..Catalog::default()
    };
    let role: String = whole.get(2);
    catalog.concerns = concerns::of_patterns(&relations, patterns);
    catalog.concerns.extend(concerns::of_schemas(&relations, patterns, users_table));
    let chosen: Vec<&Relation> = relations.iter().filter(|relation| is_moved(relation, patterns)).collect();
    let found = tables::read(session, &chosen, block_size).await?;
    catalog.tables = found.tables;
    let cycles = order::sort(&mut catalog.tables, &found.more);
    let left_out = relations.iter().filter(|relation| patterns.is_chosen(&relation.name));
    catalog.concerns.extend(left_out.filter_map(concerns::of_kind));
    catalog.concerns.extend(chosen.iter().filter_map(|relation| concerns::of_access(relation, &role)));
    catalog.concerns.extend(found.concerns);
    catalog.concerns.extend(concerns::of_tables(&catalog.tables, users_table, &cycles));
    let sequences = sequences::read(session, patterns, &chosen, &role).await?;
    catalog.sequences = sequences.0;
    catalog.concerns.extend(sequences.1);
    catalog.concerns.extend(concerns::of_whole(whole.get(5), &whole.get::<_, Vec<String>>(6)));
    catalog.concerns.sort_by_key(|concern| !concern.is_blocking);
    Ok(catalog)
}

fn is_moved(relation: &Relation, patterns: &Patterns) -> bool {
    matches!(relation.kind, 'r' | 'p') && relation.extension.is_none() && patterns.is_chosen(&relation.name)
}

async fn ask(session: &Session, statement: &str) -> Result<Vec<Row>> {
    session.query_typed(statement, &[]).await.context("cannot read the server's catalog")
}

async fn ask_about(session: &Session, statement: &str, oids: &Vec<u32>) -> Result<Vec<Row>> {
    session.query_typed(statement, &[(oids, Type::OID_ARRAY)]).await.context("cannot read the server's catalog")
}

fn relation(row: &Row) -> Relation {
    let sign = |at: usize| row.get::<_, String>(at).chars().next().unwrap_or(' ');
    Relation {
        oid: row.get(0),
        name: TableName::new(row.get::<_, String>(1), row.get::<_, String>(2)),
        kind: sign(3),
        has_row_security: row.get(4),
        is_hidden: row.get(5),
        is_owned: row.get(6),
        owner: row.get(7),
        is_readable: row.get(8),
        has_children: row.get(9),
        extension: row.get(10),
    }
}

fn concern(is_blocking: bool, about: impl Into<String>, words: impl Into<String>) -> Concern {
    Concern { is_blocking, about: about.into(), words: words.into() }
}
