//! Run a plugin against the real host in its own tests.
//!
//! Receives plugins, linked or as library files, and events; hands on what became of them: each
//! event's journey, the requests that integrations were given, the events that were emitted. The
//! host is the one that runs in service, with its admission, queue and dispatcher; nothing of it
//! is imitated. It never opens a port.
//!
//! ```
//! use nexus_plugin_testkit::{EventStatus, TestHub};
//! # mod bell {
//! #     use nexus_plugin_api::prelude::*;
//! #     #[derive(Serialize, Deserialize, JsonSchema)]
//! #     pub struct Rung { pub by: String }
//! #     impl Contract for Rung {
//! #         const TYPE: &'static str = "bell.rung";
//! #         const VERSION: &'static str = "1.0.0";
//! #     }
//! #     pub struct Announce;
//! #     impl Component for Announce {
//! #         type Config = NoConfig;
//! #         fn new(_: NoConfig, _: &Setup) -> Result<Self, PluginError> { Ok(Self) }
//! #     }
//! #     impl Processor for Announce {
//! #         const NAME: &'static str = "announce";
//! #         const SUBSCRIPTIONS: &'static [Subscription] = &[Subscription::to(Rung::TYPE)];
//! #         type Payload = Rung;
//! #         async fn process(&self, _: &Context, event: Event<Rung>) -> Result<Outcome, PluginError> {
//! #             let toast = json!({ "show": { "title": event.payload.by } });
//! #             Ok(Outcome::done().with(Effect::notify("toasty", &toast)?))
//! #         }
//! #     }
//! #     export_plugin! { id: "bell", contracts: [Rung], processors: [Announce] }
//! # }
//! use nexus_plugin_api::prelude::*;
//!
//! # fn main() { run().unwrap(); }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn run() -> Result<(), nexus_plugin_testkit::Failure> {
//! // `bell` announces whoever rings as a toast.
//! let hub = TestHub::builder()
//!     .plugin(bell::plugin())
//!     .record_integration("toasty")
//!     .start()
//!     .await?;
//!
//! let rung = Event::of("door", bell::Rung { by: "Ada".to_owned() });
//! let journey = hub.process(rung).await?;
//!
//! assert_eq!(journey.status, EventStatus::Processed);
//! assert_eq!(hub.requests("toasty")[0].request, json!({ "show": { "title": "Ada" } }));
//! hub.stop().await?;
//! # Ok(()) }
//! ```
//!
//! [`TestHub::load`] does the same with the plugin's real library, which [`build_library`] builds.
//! Each hub is fresh: its queue is in memory, and nothing of one test is seen by another. Two
//! things differ from a hub in service: retries wait 10 ms instead of seconds, and no plugins
//! folder is looked into but the hub's own. [`Builder::config`] sets them as in service.
//!
//! What no author thinks of is shown to the library by the [`conformance`] kit.

mod builder;
mod failure;
mod hub;
mod library;
mod recorder;

pub use builder::Builder;
pub use failure::Failure;
pub use hub::TestHub;
pub use library::build_library;
pub use nexus_host::queue::{JournalLine, Step};
pub use nexus_host::{DeadLetter, EventStatus, Host, Journey};
/// A plugin's library, shown whatever a hub might show it.
pub use nexus_plugin_conformance as conformance;
pub use recorder::Recorded;
