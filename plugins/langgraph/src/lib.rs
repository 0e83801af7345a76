//! Agents on a LangGraph server: asks them, hears how it ended, answers their questions.
//!
//! Receives requests of effects (`run`, `resume`, `cancel`; see [`Request`]) and carries them out over the
//! server's HTTP API. Hands on what becomes of the runs as events, each correlated with the event that
//! asked: `langgraph.run.completed`, `langgraph.run.failed`, `langgraph.run.interrupted`, and for streamed
//! runs `langgraph.run.progress`. Never waits for a run within a delivery, and never believes a webhook
//! more than that it is time to look.
//!
//! - A repeated delivery begins no second run: a run carries its delivery's idempotency key, by which it
//!   is found again.
//! - A run is remembered in the plugin's state from the delivery's answer until its ending is published,
//!   and followed from there, also after a restart.
//! - An ending's id is derived from its run's: however often it is seen, it is one event.
//!
//! ```toml
//! [plugins.langgraph.config]
//! url = "http://127.0.0.1:2024"
//! webhook_url = "https://hub.example.org/v1/hooks/langgraph"   # left out: endings are waited for
//! run_timeout = "1h"
//!
//! [plugins.langgraph.secrets]
//! api_key = { env = "LANGGRAPH_API_KEY" }                      # where the server wants one
//! webhook_secret = { env = "LG_WEBHOOK_TOKEN" }
//! ```

mod agents;
mod config;
mod ending;
mod events;
mod follow;
mod hints;
mod hook;
mod ledger;
mod progress;
pub mod request;
mod server;
mod sse;
mod start;
mod truth;

pub use agents::Agents;
pub use config::Config;
pub use events::{Completed, Failed, Failure, FailureKind, Interrupt, Interrupted, Progress};
pub use nexus_plugin_api::Period;
pub use request::Request;

use nexus_plugin_api::export_plugin;

export_plugin! {
    id: "langgraph",
    config: Config,
    contracts: [Completed, Failed, Interrupted, Progress],
    sources: [Agents],
    integrations: [Agents],
    services: ["publish", "state", "secrets"],
    capabilities: ["network"],
}
