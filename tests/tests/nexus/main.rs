//! Behaviour of Nexus over its real edges: one binary, one module per behaviour.
// A test's helper may unwrap as the test itself does: its panic is the failure.
#![allow(clippy::unwrap_used)]

mod desktop_toast;
