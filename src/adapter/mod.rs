//! The outside world, one file each; no adapter knows a step, a run or the journal.

pub mod answer;
pub mod clock;
pub mod compose;
pub mod connections;
pub mod database;
pub mod dns;
pub mod dns_api;
pub mod docker;
pub mod files;
pub mod http;
pub mod http_at;
pub mod inside;
pub mod loki;
pub mod notify;
pub mod outbound;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod room;
pub mod stack_auth;
pub mod switch;
pub mod systemd;
pub mod tls;
pub mod x509;
