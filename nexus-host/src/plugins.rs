//! Plugins: found in a folder or linked in, checked, loaded, started, and called.
//!
//! Receives configuration and files; hands on a [`Catalog`] that dispatch and ingress call through
//! their ports. What is not taken is kept with its reason. One bad file never stops the others,
//! unless the configuration says that it is required.

mod catalog;
pub mod config;
mod discover;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod instance;
mod load;
mod manifest;
mod owned;
pub mod port;
mod private;
mod redaction;
mod refusal;
mod routes;
mod service;
mod sources;
mod start;
pub mod worker;

pub use catalog::{Catalog, PluginReport, PluginState};
pub use config::{Config, Isolation};
pub use discover::{Candidate, Found, Refused, examine, scan};
pub use owned::Owned;
pub use refusal::{Refusal, RefusalCode};
pub use start::{StartError, Starter};
