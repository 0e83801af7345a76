//! The test harness: real parts for tests to run against.
//!
//! Hands processes, desktops and peers to the tests in `tests/`; tests nothing by itself.

pub mod artifacts;
pub mod conformance;
pub mod desktop;
pub mod disk;
pub mod events;
pub mod hub;
pub mod model;
pub mod skip;
pub mod toasty;
