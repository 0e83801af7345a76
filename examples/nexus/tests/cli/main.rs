//! The command line as its users see it: the real program, its output and its exit codes.
// A test's helper may unwrap as the test itself does: its panic is the failure.
#![allow(clippy::unwrap_used)]

mod check;
mod contract;
mod harness;
mod key;
mod manual;
mod many;
mod new_plugin;
mod offline;
mod online;
mod run;
mod tail;
mod tls;
mod trust;
