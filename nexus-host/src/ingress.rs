//! How events come in over the wire: receives connections, hands bodies to the intake, and answers
//! with what became of them. It judges no event and knows no plugin: what it needs of others is
//! in [`Ports`].
//!
//! `accept` owns the sockets and every deadline on them; `http` owns the routes and what they
//! answer; `webhooks` knows the senders that need no plugin.

mod accept;
pub mod config;
mod http;
mod ports;
pub mod webhooks;

#[cfg(test)]
mod harness;

pub use accept::{BindError, Served, Server};
pub use config::Config;
pub use ports::{
    Admin, Check, CheckStatus, HookFailure, Hooks, Ports, Readiness, ReadyReport, ReadyStatus,
};
