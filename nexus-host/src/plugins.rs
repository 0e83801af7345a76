//! Plugins: found in a folder or linked in, checked, loaded, started, and called.
//!
//! Receives configuration and files; hands on a [`Catalog`] that dispatch and ingress call through
//! their ports. The [`Supervisor`] says who is in it, and changes that while the hub runs. What is not taken is kept
//! with its reason. One bad file never stops the others, unless the configuration says that it is required.

mod backoff;
mod catalog;
pub mod config;
mod correlations;
mod discover;
mod extra;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod generations;
mod glance;
mod instance;
mod lineup;
mod load;
mod manifest;
mod member;
mod open;
mod owned;
pub mod port;
mod private;
mod redaction;
mod refusal;
mod service;
pub mod signature;
mod sources;
mod standing;
mod start;
mod supervisor;
mod trial;
mod watch;
pub mod worker;

pub use catalog::{Catalog, PluginReport};
pub use config::{Config, Isolation};
pub use discover::{Candidate, Found, Refused, examine, scan};
pub use generations::LibraryCost;
pub use glance::{Glance, WorkersGlance};
pub use member::Origin;
pub use owned::Owned;
pub use refusal::{Refusal, RefusalCode};
pub use standing::PluginState;
pub use supervisor::{Change, StartError, Supervisor, required};
pub use trial::Trial;
