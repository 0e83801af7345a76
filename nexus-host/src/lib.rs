//! The Nexus runtime, as a library: admits events, queues them, shows them to plugins and performs
//! what they decide.
//!
//! ```
//! use nexus_host::Host;
//! use nexus_plugin_api::prelude::*;
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let host = Host::builder().plugins_dir("plugins").without_server().build()?.start().await?;
//! let refused = host.publish(Event::new("mail.received", "demo", json!({}))).await;
//! assert!(refused.is_err(), "no plugin brings a contract for this type");
//! host.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! The rooms, in the order in which an event passes them: [`ingress`], [`admission`], [`queue`],
//! [`dispatch`], [`plugins`]. [`intake`] joins the first three, [`host`] wires them all,
//! [`observe`] is told of what happens.

pub mod admission;
mod builder;
pub mod config;
pub mod dispatch;
pub mod host;
pub mod ingress;
pub mod intake;
pub mod observe;
pub mod plugins;
pub mod queue;
pub mod signals;

pub use builder::{BuildError, HostBuilder, PreparedHost};
pub use config::Config;
pub use host::{Host, PublishError, ShutdownReport, StartError, Subscription};
pub use queue::{DeadLetter, EventStatus, Journey, LetterFilter, Page, Unavailable};
