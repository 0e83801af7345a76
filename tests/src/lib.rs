//! The test harness: real parts for tests to run against.
//!
//! Hands processes, desktops and peers to the tests in `tests/`; tests nothing by itself.

pub mod artifacts;
pub mod attack;
pub mod browser;
pub mod collector;
pub mod compiler;
pub mod conformance;
pub mod crasher;
pub mod desktop;
pub mod disk;
pub mod events;
pub mod figures;
pub mod followed;
pub mod foreign;
pub mod h2;
pub mod hub;
pub mod interface;
pub mod isolated;
pub mod kill;
pub mod langgraph;
pub mod ledger;
pub mod model;
pub mod octets;
pub mod proxy;
pub mod receiver;
pub mod scrape;
pub mod simulated;
pub mod skip;
pub mod suite;
pub mod tls;
pub mod toasty;
pub mod websocket;
pub mod wire;
pub mod workshop;
pub mod ws;
