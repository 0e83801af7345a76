//! The plugin in a real hub, against real sockets: what is sent, what is refused, and what is never told.
// A test may unwrap: its panic is the failure.
#![allow(clippy::unwrap_used)]

mod asker;
mod config;
mod inner;
mod scene;
mod sent;
