//! The plugin in a real hub, against the double: webhooks, listings, long polls, and what may go wrong in between.
// A test may unwrap: its panic is the failure.
#![allow(clippy::unwrap_used)]

mod changes;
mod faults;
mod hooks;
mod longpoll;
mod restarts;
mod scene;
mod teller;
