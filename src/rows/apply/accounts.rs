//! Accounts that were made since the import: which of them stand in the changes, and what the source does without them.

use std::collections::{BTreeSet, HashSet};

use anyhow::{Context, Result, bail};

use super::{Work, aside, read};
use crate::data::copy_text;

/// How many accounts without an old id are named.
const NAMED: usize = 20;

impl Work<'_> {
    /// Reads which accounts are new, and which changes the source's foreign keys do not let in without them.
    pub(super) async fn look_for_accounts(&mut self) -> Result<()> {
        let unknown = self.unknown_ids().await?;
        // Without a mapping every id is as it was; then only those count that a foreign key asks for.
        if self.options.mapping.is_some() {
            let mapped: BTreeSet<String> =
                unknown.iter().filter(|(_, is_mapped)| *is_mapped).map(|(id, _)| id.clone()).collect();
            self.accounts = mapped.into_iter().collect();
        }
        if self.options.is_undo {
            // What was not written is not there: undoing finds it as it was before.
            return Ok(());
        }
        let ids: HashSet<Vec<u8>> = unknown.into_iter().map(|(id, _)| id.into_bytes()).collect();
        let (file, users_table) = (&self.options.file, &self.options.users_table);
        self.aside = aside::find(file, &self.head, &self.catalog, users_table, &ids)?;
        Ok(())
    }

    /// Refuses accounts that are in the way.
    pub(super) fn must_be_allowed(&self) -> Result<()> {
        if self.options.keeps_new_accounts {
            return Ok(());
        }
        let named = |ids: &[String]| {
            let more = if ids.len() > NAMED { ", …" } else { "" };
            format!("{}{more}", ids.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "))
        };
        let words =
            |count: usize| if count == 1 { "1 account exists".into() } else { format!("{count} accounts exist") };
        if !self.accounts.is_empty() {
            bail!(
                "{} in the new service only, so that the ids cannot be mapped back: {}; make those users in the old service \
                 and add them to the mapping, or keep the ids as they are",
                words(self.accounts.len()),
                named(&self.accounts)
            );
        }
        if !self.aside.is_empty() {
            let ids: Vec<String> = self.aside.accounts.iter().cloned().collect();
            bail!(
                "{} in the new service only, and foreign keys of the source ask for them in {}: {} ({}); make those users \
                 there, or leave those changes in the file",
                words(ids.len()),
                self.options.users_table,
                named(&ids),
                self.aside.words()
            );
        }
        Ok(())
    }

    /// Ids in the new rows that have no old partner and that the source's users have not; each with whether it stands in a
    /// column whose ids were mapped.
    async fn unknown_ids(&self) -> Result<BTreeSet<(String, bool)>> {
        let mut ids = BTreeSet::new();
        read(&self.options.file, |table, change| {
            let (row, other) =
                if self.options.is_undo { (&change.old, &change.new) } else { (&change.new, &change.old) };
            let tied = aside::tied(&self.catalog, &table.table, &self.options.users_table);
            let others: Vec<&[u8]> = other.iter().flat_map(|row| copy_text::fields(row)).collect();
            let fields = row.iter().flat_map(|row| copy_text::fields(row));
            for (at, (column, id)) in table.columns.iter().zip(fields).enumerate() {
                let is_mapped = table.users.contains(column) && self.options.mapping.is_some();
                let is_user = (is_mapped || tied.contains(&column.as_str())) && !copy_text::is_null(id);
                // What stood there before the change is no account that was made since.
                let was_there = others.get(at) == Some(&id);
                if is_user && !was_there && self.backward.get(&id.to_ascii_lowercase()).is_none() {
                    ids.insert((String::from_utf8_lossy(id).into_owned(), is_mapped));
                }
            }
            Ok(())
        })?;
        if ids.is_empty() {
            return Ok(ids);
        }
        let known = self.known(ids.iter().map(|(id, _)| id.clone()).collect()).await?;
        Ok(ids.into_iter().filter(|(id, _)| !known.contains(id)).collect())
    }

    /// Which of these ids the source's table of users has.
    async fn known(&self, ids: Vec<String>) -> Result<BTreeSet<String>> {
        let users = self.options.users_table.sql();
        let is_there = "SELECT pg_catalog.to_regclass($1) IS NOT NULL";
        let mut known = BTreeSet::new();
        if self.session.query_one(is_there, &[&users]).await?.try_get(0)? {
            let ask = format!("SELECT id::pg_catalog.text FROM {users} WHERE id::pg_catalog.text = ANY ($1)");
            for row in self.session.query(&ask, &[&ids]).await.context("cannot read the source's users")? {
                known.insert(row.try_get(0)?);
            }
        }
        Ok(known)
    }
}
