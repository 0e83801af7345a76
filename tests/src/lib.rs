//! The test harness: real parts for tests to run against.
//!
//! Hands processes, desktops and peers to the tests in `tests/`; tests nothing by itself.

pub mod artifacts;
pub mod conformance;
pub mod events;
pub mod desktop;
pub mod hub;
