//! Desktop notifications through Toasty, and what people answer to them.
//!
//! Receives requests of effects (`show`, `update`, `dismiss`; see [`Request`]) and carries them out
//! over one gRPC channel to a Toasty server (`toasty.v1`). Hands on what becomes of the toasts, from
//! the server's Watch stream, as events: `toasty.action.invoked`, `toasty.dismissed` and
//! `toasty.failed`, each correlated with the event behind the toast. Never decides what is shown,
//! and never opens a link. The hub's questions to people become toasts with buttons, and what is pressed their answer
//! (processor `approvals`).
//!
//! - A repeated delivery shows nothing twice: the idempotency key is the server's `request_id`.
//! - An answer is published before the place in the stream is stored, under an id derived from that
//!   place, so that after a failure of any part it comes again at most as a duplicate.
//! - A server that is away is waited for; meanwhile the plugin says that it is degraded.
//!
//! ```toml
//! [plugins.toasty.config]
//! endpoint = "http://127.0.0.1:7072"
//! timeout = "5s"             # for one call
//! connect_timeout = "2s"
//! keepalive = "30s"
//! watch = true               # turn answers into events
//! approvals = true           # show the hub's questions to people, and answer them
//! app_id = "Nexus"           # who shows the toasts, where a request does not say
//! ```

mod approvals;
mod config;
mod ended;
mod events;
mod link;
mod origin;
pub mod request;
mod status;
mod toasts;
mod watch;

pub use approvals::Approvals;
pub use config::Config;
pub use events::{ActionInvoked, DismissReason, Dismissed, Failed};
pub use nexus_plugin_api::Period;
pub use request::Request;
pub use toasts::Toasts;

use nexus_plugin_api::export_plugin;

export_plugin! {
    id: "toasty",
    config: Config,
    contracts: [ActionInvoked, Dismissed, Failed],
    processors: [Approvals],
    sources: [Toasts],
    integrations: [Toasts],
    services: ["publish", "state"],
    capabilities: ["network"],
}
