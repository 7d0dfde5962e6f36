//! Who is waited for, said once per change: who, since when, with what, and how long still. Values of queries are not shown.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::adapter::clock::spoken;
use crate::adapter::database::Session;
use crate::rows::Say;

/// Characters of a query that are shown.
const SHOWN: usize = 60;

/// What is asked of a session, after its process id.
macro_rules! traits {
    () => {
        "coalesce(a.usename::text, '?'), coalesce(nullif(a.application_name, ''), 'unnamed'), \
         extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.xact_start, a.backend_start))::float8, \
         coalesce(a.state, ''), coalesce(a.query, '')"
    };
}
pub(super) use traits;

/// A session of somebody else.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Other {
    pub pid: i32,
    /// `user (application, pid 7)`.
    pub name: String,
    /// Since when its transaction, or else the session, is open; none where this role may not see that.
    age: Option<Duration>,
    state: String,
    query: String,
}

impl Other {
    /// From a row: process id, then [`traits`].
    pub(super) fn of(row: &tokio_postgres::Row) -> Result<Self> {
        let (pid, user, application): (i32, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let age: Option<f64> = row.try_get(3)?;
        Ok(Self {
            pid,
            name: format!("{user} ({application}, pid {pid})"),
            age: age.map(|age| Duration::from_secs_f64(age.clamp(0.0, 1e9))),
            state: row.try_get(4)?,
            query: row.try_get(5)?,
        })
    }

    /// `app (shop, pid 7), open for 2 min 03 s, idle in transaction: UPDATE item SET name = ?`.
    pub(super) fn words(&self) -> String {
        let age = self.age.map_or_else(String::new, |age| format!(", open for {}", spoken(age)));
        let state = if self.state.is_empty() { String::new() } else { format!(", {}", self.state) };
        // What another role is doing is hidden from one that may not know.
        let is_hidden = self.query.is_empty() || self.query.starts_with("<insufficient privilege>");
        let query = if is_hidden { String::new() } else { format!(": {}", without_values(&self.query)) };
        format!("{}{age}{state}{query}", self.name)
    }
}

/// Says whom is waited for, whenever those are others than before.
#[derive(Default)]
pub(super) struct Waiting {
    said: Vec<(i32, String, String)>,
}

impl Waiting {
    /// Looks at them; `what` is waited for.
    pub(super) fn look(&mut self, others: &[Other], what: &str, left: Option<Duration>, say: Say<'_>) {
        let mut now: Vec<_> =
            others.iter().map(|other| (other.pid, other.state.clone(), without_values(&other.query))).collect();
        now.sort();
        if now == self.said || now.is_empty() {
            self.said = now;
            return;
        }
        let who: Vec<String> = others.iter().map(Other::words).collect();
        let left = left.map_or_else(|| "no longer".to_owned(), |left| format!("at most {} more", spoken(left)));
        say(format!("waiting {left} for {what}: {}", who.join("; ")));
        self.said = now;
    }
}

/// Who holds a lock on a table of this database; `is_reading` counts those too who only read.
pub(super) async fn lockers(session: &Session, is_reading: bool) -> Result<Vec<Other>> {
    let sql = concat!(
        "SELECT DISTINCT a.pid, ",
        traits!(),
        " FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
        WHERE l.locktype = 'relation' AND l.granted AND a.pid <> pg_catalog.pg_backend_pid() \
        AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
        AND ($1 OR l.mode NOT IN ('AccessShareLock', 'RowShareLock')) \
        AND coalesce(a.backend_type, '') <> 'autovacuum worker' AND l.relation >= 16384"
    );
    let rows = session.query(sql, &[&is_reading]).await.context("cannot read who holds locks")?;
    rows.iter().map(Other::of).collect()
}

/// A query on one line, short, with a `?` for each value.
pub(super) fn without_values(query: &str) -> String {
    let signs: Vec<char> = query.chars().collect();
    let (mut out, mut at) = (String::new(), 0);
    while at < signs.len() && out.chars().count() <= SHOWN {
        let (sign, next) = (signs[at], signs.get(at + 1));
        let is_in_word = out.chars().last().is_some_and(|last| last.is_alphanumeric() || last == '_' || last == '"');
        match sign {
            '\'' => {
                let is_escaped = out.ends_with(['E', 'e']);
                at = end_of_text(&signs, at, is_escaped);
                out.push('?');
            }
            '$' if !is_in_word && next.is_some_and(|next| *next == '$' || next.is_alphabetic() || *next == '_') => {
                at = end_of_dollars(&signs, at);
                out.push('?');
            }
            '-' if next == Some(&'-') => {
                at = signs[at..].iter().position(|sign| *sign == '\n').map_or(signs.len(), |line| at + line);
            }
            '/' if next == Some(&'*') => at = end_of_comment(&signs, at),
            '"' => {
                let end = signs[at + 1..].iter().position(|sign| *sign == '"');
                let end = end.map_or(signs.len(), |end| at + end + 2);
                out.extend(&signs[at..end]);
                at = end;
            }
            sign if sign.is_ascii_digit() && !is_in_word => {
                let is_number = |sign: &char| sign.is_ascii_alphanumeric() || *sign == '.';
                at += signs[at..].iter().position(|sign| !is_number(sign)).unwrap_or(signs.len() - at);
                out.push('?');
            }
            sign if sign.is_whitespace() || sign.is_control() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
                at += 1;
            }
            sign => {
                out.push(sign);
                at += 1;
            }
        }
    }
    let short: String = out.trim().chars().take(SHOWN).collect();
    if short.len() < out.trim().len() || at < signs.len() { format!("{} …", short.trim_end()) } else { short }
}

/// Behind a text that begins at `at`; one without an end goes to the end.
fn end_of_text(signs: &[char], at: usize, is_escaped: bool) -> usize {
    let mut at = at + 1;
    while at < signs.len() {
        match signs[at] {
            '\\' if is_escaped => at += 2,
            '\'' if signs.get(at + 1) == Some(&'\'') => at += 2,
            '\'' => return at + 1,
            _ => at += 1,
        }
    }
    signs.len()
}

fn end_of_dollars(signs: &[char], at: usize) -> usize {
    let Some(tag) = signs[at + 1..].iter().position(|sign| *sign == '$') else { return signs.len() };
    let tag = &signs[at..at + tag + 2];
    let inside = at + tag.len();
    let end = signs[inside..].windows(tag.len()).position(|signs| signs == tag);
    end.map_or(signs.len(), |end| inside + end + tag.len())
}

fn end_of_comment(signs: &[char], at: usize) -> usize {
    let end = signs[at + 2..].windows(2).position(|pair| pair == ['*', '/']);
    end.map_or(signs.len(), |end| at + end + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_shown_short_and_without_a_value() {
        let shown = |query: &str, expected: &str| assert_eq!(without_values(query), expected, "{query}");
        shown(
            "UPDATE item SET name = 'it''s', n1 = 17.5e3\n WHERE id=3",
            "UPDATE item SET name = ?, n1 = ? WHERE id=?",
        );
        shown("SELECT E'a\\'secret' -- 'x\n, \"col 1\" /* 'y' */ FROM t2", "SELECT E? , \"col 1\" FROM t2");
        shown("DO $do$ secret $do$; SELECT $$x$$, a$b", "DO ?; SELECT ?, a$b");
        shown("SELECT 'never ended secret", "SELECT ?");
        let long = without_values(&format!("SELECT {}", "column, ".repeat(20)));
        assert!(long.ends_with(" …") && long.chars().count() <= SHOWN + 2, "{long}");
    }

    #[test]
    fn whom_is_waited_for_is_said_once_per_change() {
        let said = std::sync::Mutex::new(Vec::new());
        let say = |line: String| said.lock().unwrap().push(line);
        let other = |pid: i32, query: &str| Other {
            pid,
            name: format!("app (shop, pid {pid})"),
            age: Some(Duration::from_secs(123)),
            state: "idle in transaction".into(),
            query: query.into(),
        };
        let mut waiting = Waiting::default();
        let left = Some(Duration::from_secs(90));
        for query in ["UPDATE item SET a = 1", "UPDATE item SET a = 2", "DELETE FROM item"] {
            waiting.look(&[other(7, query)], "writers", left, &say);
        }
        waiting.look(&[], "writers", left, &say);
        let said = said.lock().unwrap();
        assert_eq!(said.len(), 2, "{said:?}");
        assert_eq!(
            said[0],
            "waiting at most 1 min 30 s more for writers: app (shop, pid 7), open for 2 min 03 s, idle in transaction: \
             UPDATE item SET a = ?"
        );
    }
}
