//! The server over its real edge: a gRPC socket on a free port, or the binary as a child process.
// A test's helper may unwrap as the test itself does: its panic is the failure.
#![allow(clippy::unwrap_used)]

mod answers;
mod binary;
mod harness;
mod lifetime;
mod showing;
mod watching;
