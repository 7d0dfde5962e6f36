//! Layers a and b: read-only by default, for the database and for every role that says otherwise; put back exactly.

use anyhow::{Context, Result};
use tokio_postgres::error::SqlState;

use super::{FreezeOptions, Frozen, RoleSetting};
use crate::adapter::database::Session;
use crate::data::catalog::{literal, quoted};

const NAME: &str = "default_transaction_read_only";

/// What stands in the catalog.
pub(super) struct Settings {
    /// The database's own value.
    pub database: Option<String>,
    /// Roles with a value of their own.
    pub roles: Vec<RoleValue>,
}

/// A role's values.
pub(super) struct RoleValue {
    pub role: String,
    /// For every database.
    everywhere: Option<String>,
    /// For this database; it wins over the other.
    here: Option<String>,
}

impl RoleValue {
    /// Its value for this database.
    pub fn here(&self) -> Option<&str> {
        self.here.as_deref()
    }

    /// Whether the role's sessions begin read-only in a database whose default is read-only.
    pub fn is_read_only(&self) -> bool {
        self.here.as_deref().or(self.everywhere.as_deref()).is_none_or(is_on)
    }
}

pub(super) fn is_on(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "on" | "true" | "tru" | "tr" | "t" | "yes" | "ye" | "y" | "1")
}

/// Reads the settings of the database and of the roles that may connect to it; their values are the texts that were given, not what the server makes of them.
pub(super) async fn read(session: &Session) -> Result<Settings> {
    let sql = "SELECT s.setdatabase <> 0, r.rolname::text, \
         pg_catalog.substr(entry, pg_catalog.length('default_transaction_read_only=') + 1) \
         FROM pg_catalog.pg_db_role_setting s CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) entry \
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
         WHERE entry LIKE 'default\\_transaction\\_read\\_only=%' AND (s.setrole <> 0 OR s.setdatabase <> 0) \
         AND (s.setrole = 0 OR r.rolcanlogin \
              AND pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CONNECT')) \
         AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database \
                                   WHERE datname = pg_catalog.current_database())) ORDER BY 2, 1";
    let mut settings = Settings { database: None, roles: Vec::new() };
    for row in session.query(sql, &[]).await.context("cannot read the settings of roles and databases")? {
        let (is_here, role, value): (bool, Option<String>, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let Some(role) = role else {
            settings.database = Some(value);
            continue;
        };
        let found = settings.roles.iter().position(|known| known.role == role).unwrap_or_else(|| {
            settings.roles.push(RoleValue { role, everywhere: None, here: None });
            settings.roles.len() - 1
        });
        let slot = &mut settings.roles[found];
        *(if is_here { &mut slot.here } else { &mut slot.everywhere }) = Some(value);
    }
    Ok(settings)
}

/// Sets the database's default, and overrides the roles that say otherwise. A role's value is written down first.
pub(super) async fn apply(session: &Session, frozen: &mut Frozen, options: &FreezeOptions) -> Result<()> {
    let database = quoted(&frozen.database);
    session.batch_execute(&format!("ALTER DATABASE {database} SET {NAME} = on")).await.with_context(|| {
        format!("cannot make {} read-only by default: the role must own the database", frozen.database)
    })?;
    for value in read(session).await?.roles {
        if value.is_read_only() {
            continue;
        }
        if !frozen.roles.iter().any(|known| known.role == value.role) {
            frozen.roles.push(RoleSetting { role: value.role.clone(), before: value.here.clone() });
            frozen.write(&options.record)?;
        }
        let sql = format!("ALTER ROLE {} IN DATABASE {database} SET {NAME} = on", quoted(&value.role));
        match session.batch_execute(&sql).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                frozen.roles.retain(|known| known.role != value.role);
                frozen.write(&options.record)?;
                let words = "its own setting lets it write by default and may not be changed by this role; \
                             the triggers stop it all the same";
                frozen.gap("role", value.role, words);
            }
            Err(error) => return Err(error).with_context(|| format!("cannot make {} read-only", value.role)),
        }
    }
    Ok(())
}

/// Puts back the values that were recorded.
pub(super) async fn put_back(session: &Session, frozen: &Frozen) -> Result<()> {
    let database = quoted(&frozen.database);
    let change = |before: &Option<String>| match before {
        Some(value) => format!("SET {NAME} = {}", literal(value)),
        None => format!("RESET {NAME}"),
    };
    let mut statements = vec![format!("ALTER DATABASE {database} {}", change(&frozen.default_before))];
    for RoleSetting { role, before } in &frozen.roles {
        statements.push(format!("ALTER ROLE {} IN DATABASE {database} {}", quoted(role), change(before)));
    }
    let sql = format!("BEGIN; {}; COMMIT", statements.join("; "));
    session.batch_execute(&sql).await.context("the defaults of database and roles cannot be put back")
}
