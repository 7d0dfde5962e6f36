//! No secret leaves its file: canaries in every place a project keeps secrets, looked for in everything cutover says,
//! starts and writes.

#![expect(clippy::disallowed_methods, reason = "tests start the program and ask the engine as a person would")]
#![expect(clippy::unwrap_used, reason = "what cannot be set up or read fails the test")]

mod canaries;
mod configuration;
mod life;
mod scene;
#[path = "../support/mod.rs"]
mod support;
