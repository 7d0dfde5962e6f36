//! Making and dropping whole databases, and giving one the settings and grants of another.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use crate::adapter::database::{Place, Session};
use crate::data::catalog::{literal, quoted};

/// Settings whose stored text is a list of quoted names already.
const LISTS: &[&str] = &["search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries"];
/// How the comment of a database begins that is ours and not finished.
pub(super) const OURS: &str = "cutover: ";

/// What a database can only be made with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shape {
    /// Encoding, such as `UTF8`.
    pub encoding: String,
    /// LC_COLLATE.
    pub collate: String,
    /// LC_CTYPE.
    pub ctype: String,
    /// `icu` or `builtin` with its locale, where the server's library is not used.
    pub provider: Option<(String, String)>,
}

impl Shape {
    /// The shape of the database that the session is in.
    pub async fn read(session: &Session) -> Result<Self> {
        // As JSON, because the columns have other names in other versions.
        let sql = "SELECT pg_catalog.pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, \
            pg_catalog.to_jsonb(d) ->> 'datlocprovider', \
            coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale') \
            FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";
        let row = session.query_one(sql, &[]).await.context("cannot read how the database was made")?;
        let (provider, locale): (Option<String>, Option<String>) = (row.try_get(3)?, row.try_get(4)?);
        let provider = match (provider.as_deref(), locale) {
            (Some("i"), Some(locale)) => Some(("icu".to_owned(), locale)),
            (Some("b"), Some(locale)) => Some(("builtin".to_owned(), locale)),
            _ => None,
        };
        Ok(Self { encoding: row.try_get(0)?, collate: row.try_get(1)?, ctype: row.try_get(2)?, provider })
    }

    fn clauses(&self) -> String {
        let mut clauses = format!(
            "TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
            literal(&self.encoding),
            literal(&self.collate),
            literal(&self.ctype)
        );
        if let Some((provider, locale)) = &self.provider {
            let key = if provider == "icu" { "ICU_LOCALE" } else { "BUILTIN_LOCALE" };
            clauses += &format!(" LOCALE_PROVIDER {provider} {key} {}", literal(locale));
        }
        clauses
    }
}

/// A session that may write although the database may be read-only by default.
pub(super) async fn admin(place: &Place, name: &str) -> Result<Session> {
    let session = place.connect(name).await?;
    session.batch_execute("SET default_transaction_read_only = off; SET client_min_messages = warning").await?;
    Ok(session)
}

/// Whether the role may make databases.
///
/// # Errors
/// When it may not, with the statement that lets it; or when it cannot be asked.
pub async fn may_be_made(place: &Place, session: &str) -> Result<()> {
    let session = place.connect(session).await?;
    let sql = "SELECT rolcreatedb OR rolsuper, rolname::text FROM pg_catalog.pg_roles WHERE rolname = current_user";
    let row = session.query_one(sql, &[]).await.context("cannot read the role's rights")?;
    if row.try_get::<_, bool>(0)? {
        return Ok(());
    }
    bail!(
        "a backup counts once it was restored into a database of its own, and the role at {} may not make one; as a \
         superuser or a role with CREATEROLE there: ALTER ROLE {} CREATEDB",
        place.shown(),
        quoted(&row.try_get::<_, String>(1)?)
    );
}

/// Makes a database and marks it as ours.
pub(super) async fn make(admin: &Session, name: &str, shape: &Shape, mark: &str) -> Result<()> {
    let sql = format!("CREATE DATABASE {} {}", quoted(name), shape.clauses());
    admin.batch_execute(&sql).await.with_context(|| format!("cannot make the database {name}"))?;
    comment(admin, name, &format!("{OURS}{mark}")).await
}

pub(super) async fn comment(admin: &Session, name: &str, text: &str) -> Result<()> {
    let sql = format!("COMMENT ON DATABASE {} IS {}", quoted(name), literal(text));
    admin.batch_execute(&sql).await.with_context(|| format!("cannot mark the database {name}"))
}

/// The comment of a database, or nothing when there is no such database.
pub(super) async fn comment_of(admin: &Session, name: &str) -> Result<Option<String>> {
    let sql = "SELECT coalesce(pg_catalog.shobj_description(oid, 'pg_database'), '') \
               FROM pg_catalog.pg_database WHERE datname = $1::text";
    let row = admin.query_opt(sql, &[&name]).await.with_context(|| format!("cannot look for the database {name}"))?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// Drops a database with the sessions in it, and looks whether it is gone. One that is not there is no error.
pub(super) async fn drop(admin: &Session, name: &str) -> Result<()> {
    let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name));
    admin.batch_execute(&sql).await.with_context(|| format!("cannot drop the database {name}"))?;
    match comment_of(admin, name).await? {
        None => Ok(()),
        Some(_) => bail!("the database {name} was dropped and is still there"),
    }
}

/// Gives `to` the owner, the connection limit, the grants and the settings of the database that `from` is in. What this
/// role may not give is given back as statements for one that may.
pub(super) async fn dress(from: &Session, to: &str) -> Result<Vec<String>> {
    let mut statements = Vec::new();
    let name = quoted(to);
    let sql = "SELECT pg_catalog.pg_get_userbyid(datdba)::text, datconnlimit, datacl IS NOT NULL \
        FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()";
    let row = from.query_one(sql, &[]).await.context("cannot read the database's owner and limits")?;
    let (owner, limit, has_grants): (String, i32, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    statements.push(format!("ALTER DATABASE {name} CONNECTION LIMIT {limit}"));
    let sql = "SELECT r.rolname::text, entry FROM pg_catalog.pg_db_role_setting s \
        CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) entry LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
        WHERE s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
        AND (entry NOT LIKE 'default\\_transaction\\_read\\_only=%' OR pg_catalog.to_regclass('_cutover.freeze') IS NULL)";
    for row in from.query(sql, &[]).await.context("cannot read the database's settings")? {
        let (role, entry): (Option<String>, String) = (row.try_get(0)?, row.try_get(1)?);
        let Some((key, value)) = entry.split_once('=') else { continue };
        let value = if LISTS.contains(&key) { value.to_owned() } else { literal(value) };
        statements.push(match role {
            None => format!("ALTER DATABASE {name} SET {} = {value}", setting(key)),
            Some(role) => format!("ALTER ROLE {} IN DATABASE {name} SET {} = {value}", quoted(&role), setting(key)),
        });
    }
    if has_grants {
        statements.push(format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"));
        let sql = "SELECT CASE WHEN a.grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END, \
            a.privilege_type, a.is_grantable FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a \
            WHERE d.datname = pg_catalog.current_database() AND a.grantee <> d.datdba";
        for row in from.query(sql, &[]).await.context("cannot read the database's grants")? {
            let (grantee, right, is_grantable): (Option<String>, String, bool) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let grantee = grantee.map_or_else(|| "PUBLIC".to_owned(), |role| quoted(&role));
            let passing_on = if is_grantable { " WITH GRANT OPTION" } else { "" };
            statements.push(format!("GRANT {right} ON DATABASE {name} TO {grantee}{passing_on}"));
        }
    }
    // Last: afterwards the rest could be another's to say.
    statements.push(format!("ALTER DATABASE {name} OWNER TO {}", quoted(&owner)));
    let mut left = Vec::new();
    for statement in statements {
        match from.batch_execute(&statement).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => left.push(statement),
            Err(error) => return Err(error).with_context(|| format!("cannot dress {to} as the live one: {statement}")),
        }
    }
    Ok(left)
}

/// A setting's name; those of extensions have two parts.
fn setting(key: &str) -> String {
    key.split('.').map(quoted).collect::<Vec<_>>().join(".")
}
