//! What the hub tells about itself: its log, and the live view of events.
//!
//! Receives records from every room and imports none of them.

pub mod config;
mod logging;
mod tap;

pub use config::{Config, LogFormat};
pub use logging::{LoggingError, init_logging};
pub use tap::{Forgotten, Passed, Tap};
