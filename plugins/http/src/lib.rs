//! Requests to any system with an HTTP API, written in the configuration: a new system needs no code.
//!
//! Receives requests of effects, each with the name of a target and the values that its address, headers and body are
//! filled in with; hands on what the system answers, as an event where the target wants one. It follows no redirect,
//! signs in with secrets that no request names, and connects to no inner address that came with an event.
//!
//! ```toml
//! [plugins.http.config.targets.refund]
//! url = "https://shop.example.org/orders/{values.order.id}/refunds"
//! auth = { bearer = "shop_token" }
//! body = '{"amount": "{values.amount}", "note": "Order {values.order.id}"}'
//!
//! [plugins.http.secrets]
//! shop_token = { env = "SHOP_TOKEN" }
//! ```
//!
//! An effect then says `{"target": "refund", "values": {"order": {"id": 17}, "amount": 2.5}}`.

mod address;
mod answered;
mod auth;
mod body;
mod config;
mod content;
mod fit;
mod headers;
mod request;
mod requests;
mod target;
mod template;

pub use answered::Answered;
pub use auth::{Auth, Basic, Header};
pub use config::{Config, TargetConfig};
pub use request::Request;
pub use requests::Requests;

use nexus_plugin_api::export_plugin;

export_plugin! {
    id: "http",
    config: Config,
    contracts: [Answered],
    integrations: [Requests],
    services: ["secrets"],
    capabilities: ["network"],
}
