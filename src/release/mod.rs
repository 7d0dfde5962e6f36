//! A release: what ran, frozen. Model, image identifiers, fingerprints of files; enough to bring it back without today's files.

pub mod freeze;
pub mod keep;
pub mod model;
pub mod reconstruct;
pub mod record;
pub mod side;
pub mod store;
pub mod whole;

pub use record::{Origin, Release, ReleaseSide, ServiceRecord};
pub use store::Store;
