//! `cutover data …`: one file per verb. What changes a database is a run with a journal; what only reads is not.

pub mod arguments;
