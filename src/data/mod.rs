//! Rows as bytes: codecs, catalog, order, mapping, digests, differences. Pure: no server, no clock, no file it was not handed.

pub mod catalog;
pub mod change_file;
pub mod copy_binary;
pub mod copy_text;
pub mod difference;
pub mod difference_csv;
pub mod digest;
pub mod json_rows;
pub mod mapping;
pub mod metadata;
pub mod moved;
pub mod order;
pub mod passage;
pub mod patterns;
pub mod plural;
pub mod shell;
pub mod sidecar;
pub mod sidecar_shape;
pub mod sorted;
pub mod uncompared;
pub mod users;
pub mod verification;
