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
//! The queue is in memory, unless the configuration names a file for it. Then an accepted event is on
//! disk, and what is not finished when the program ends, however it ends, is there with the next start:
//!
//! ```
//! # mod doorbell {
//! #     use nexus_plugin_api::prelude::*;
//! #     #[derive(Serialize, Deserialize, JsonSchema)]
//! #     pub struct Rung { pub by: String }
//! #     impl Contract for Rung {
//! #         const TYPE: &'static str = "doorbell.rung";
//! #         const VERSION: &'static str = "1.0.0";
//! #     }
//! #     struct Remind;
//! #     impl Component for Remind {
//! #         type Config = NoConfig;
//! #         fn new(_: NoConfig, _: &Setup) -> Result<Self, PluginError> { Ok(Self) }
//! #     }
//! #     impl Processor for Remind {
//! #         const NAME: &'static str = "remind";
//! #         const SUBSCRIPTIONS: &'static [Subscription] = &[Subscription::to(Rung::TYPE)];
//! #         type Payload = Rung;
//! #         async fn process(&self, _: &Context, _: Event<Rung>) -> Result<Outcome, PluginError> {
//! #             let later = std::time::Duration::from_secs(3_600);
//! #             Ok(Outcome::done().with(Effect::notify("toasty", &json!({}))?.after(later)))
//! #         }
//! #     }
//! #     export_plugin! { id: "doorbell", contracts: [Rung], processors: [Remind] }
//! # }
//! use doorbell::Rung;
//! use nexus_host::{Config, Host};
//! use nexus_plugin_api::Event;
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("nexus.db");
//! let config = Config::from_toml_str(&format!(
//!     "[queue]\nbackend = \"sqlite\"\nsqlite.path = '{}'",
//!     file.display()
//! ))?;
//! let hub = || Host::builder().config(config.clone()).plugin(doorbell::plugin()).without_server();
//!
//! let host = hub().build()?.start().await?;
//! let rung = host.publish(Event::of("front-door", Rung { by: "Ada".to_owned() })).await?;
//! let report = host.shutdown().await?;
//! assert!(report.kept, "its reminder is due in an hour");
//!
//! let host = hub().build()?.start().await?;
//! assert!(host.journey(rung.event_id).await?.is_some(), "nothing is forgotten");
//! assert_eq!(host.stats().depth, 1);
//! host.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! The rooms, in the order in which an event passes them: [`ingress`], [`admission`], [`queue`],
//! [`dispatch`], [`plugins`]. [`intake`] joins the first three, [`host`] wires them all,
//! [`observe`] is told of what happens.

pub mod admission;
pub mod alerts;
pub mod approvals;
mod builder;
pub mod config;
mod current;
pub mod descriptors;
pub mod dispatch;
mod expression;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
pub mod host;
pub mod ingress;
pub mod intake;
pub mod observe;
mod ordinary;
pub mod outgoing;
pub mod plugins;
mod processes;
pub mod queue;
mod quota;
mod redaction;
pub mod routes;
pub mod signals;
mod space;
pub mod subscriptions;
mod unseen;

pub use builder::{BuildError, HostBuilder, PreparedHost};
pub use config::Config;
pub use host::{Host, PublishError, ShutdownReport, StartError, Subscription};
pub use plugins::worker;
pub use queue::{DeadLetter, EventStatus, Journey, LetterFilter, Page, Unavailable};
