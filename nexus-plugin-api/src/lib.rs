//! Write Nexus plugins in plain async Rust.
//!
//! A whole plugin: a contract, a processor, and one line that exports them.
//!
//! ```
//! use nexus_plugin_api::prelude::*;
//!
//! /// A mail has arrived.
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! pub struct MailReceived { sender: String, subject: String }
//!
//! impl Contract for MailReceived {
//!     const TYPE: &'static str = "outlook.mail.received";
//!     const VERSION: &'static str = "1.0.0";
//! }
//!
//! /// Shows mail from important people as toasts.
//! pub struct Vip(Config);
//!
//! #[derive(Default, Deserialize, ConfigSchema)]
//! #[serde(default, deny_unknown_fields)]
//! pub struct Config {
//!     /// Whose mail is shown.
//!     people: Vec<String>,
//! }
//!
//! impl Component for Vip {
//!     type Config = Config;
//!     fn new(config: Config, _: &Setup) -> Result<Self, PluginError> { Ok(Self(config)) }
//! }
//!
//! impl Processor for Vip {
//!     const NAME: &'static str = "vip";
//!     const SUBSCRIPTIONS: &'static [Subscription] = &[Subscription::to(MailReceived::TYPE)];
//!     type Payload = MailReceived;
//!
//!     async fn process(&self, _: &Context, event: Event<MailReceived>) -> Result<Outcome, PluginError> {
//!         let mail = event.payload;
//!         if !self.0.people.contains(&mail.sender) {
//!             return Ok(Outcome::skip("not from an important person"));
//!         }
//!         let toast = json!({ "show": { "title": mail.sender, "body": mail.subject } });
//!         Ok(Outcome::done().with(Effect::notify("toasty", &toast)?))
//!     }
//! }
//!
//! export_plugin! { id: "vip", config: Config, contracts: [MailReceived], processors: [Vip] }
//! # fn main() { assert_eq!(plugin().manifest().id, "vip"); }
//! ```
//!
//! Compiled as a `cdylib`, the file goes into the host's plugins folder. The same code is linked
//! into a host with `Host::builder().plugin(vip::plugin())`.
//!
//! Inside a component, `tokio`, `reqwest`, `tonic` and `tracing` work as in any program: timers
//! and sockets run on the plugin's own runtime, and log lines arrive in the host's log with the
//! plugin's name and the event's id. A panic becomes an error of that one call.

pub mod alert;
pub mod approval;
mod component;
mod context;
mod contract;
mod error;
mod event;
#[doc(hidden)]
pub mod export;
mod migration;
mod outcome;
pub mod outgoing;
mod period;
mod plugin;
mod schema;
mod shim;
pub mod testing;
pub mod wire;

pub use component::{
    Component, Health, HookReply, HookRequest, Integration, Processor, Reply, Source, Subscription,
};
pub use context::{Context, Services, Setup, State};
pub use contract::{Contract, ContractInfo, Rule, RuleInfo};
pub use error::{PluginError, one_line};
pub use event::{Event, NewEvent, Priority, RawJson};
pub use migration::Migration;
pub use nexus_plugin_abi as abi;
pub use nexus_plugin_macros::{ConfigSchema, export_plugin};
pub use outcome::{Decision, Effect, Outcome, StateWrite};
pub use period::Period;
pub use plugin::{Definition, Plugin};
pub use schema::{ConfigSchema, NoConfig, Property, Schema};
pub use shim::traceparent;
pub use wire::{Isolation, PublishStatus, Published};

/// Everything a plugin usually names.
pub mod prelude {
    pub use crate::{
        Component, ConfigSchema, Context, Contract, ContractInfo, Decision, Effect, Event, Health,
        HookReply, HookRequest, Integration, Migration, NewEvent, NoConfig, Outcome, PluginError,
        Priority, Processor, RawJson, Reply, Rule, Services, Setup, Source, Subscription,
        export_plugin,
    };
    pub use schemars::{self, JsonSchema};
    pub use serde::{self, Deserialize, Serialize};
    pub use serde_json::{self, json};
    pub use tracing;
}
