//! How events come in over the wire: receives connections, hands bodies to the intake, and answers
//! with what became of them. It judges no event and knows no plugin: what it needs of others is
//! in [`Ports`].
//!
//! `accept` owns the sockets and every deadline on them; `http` owns the routes and what they
//! answer; `cloudevents` knows how events look in that format, whichever way they come, and
//! `webhooks` the senders that need no plugin.

mod accept;
mod cloudevents;
pub mod config;
mod follower;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod grpc;
mod http;
mod ports;
mod server;
mod tls;
pub mod webhooks;

#[cfg(test)]
mod harness;

pub use accept::{BindError, Served};
pub use config::Config;
pub use ports::{
    Admin, Check, CheckStatus, HookFailure, Hooks, NotReloaded, Ports, Readiness, ReadyReport,
    ReadyStatus,
};
pub use server::{Doors, Server, ServerError};
pub use tls::{TlsError, check_files as check_tls_files};
