//! What the hub tells about itself: its log, the live view of events, and what is counted and measured.
//!
//! Receives records from every room and imports none of them.

pub mod config;
mod histogram;
mod logging;
pub mod measures;
pub mod metrics;
pub mod overview;
pub mod stages;
mod tally;
mod tap;
pub mod traces;
mod trail;

pub use config::{Config, LogFormat};
pub use histogram::{Durations, Histogram};
pub(crate) use logging::drain as drain_log;
pub use logging::{Lines, Log, LogFilter, LoggingError, SetBy, init_logging};
pub use measures::Measures;
pub use metrics::Metrics;
pub use overview::Overviews;
pub use stages::Stages;
pub use tally::Tally;
pub use tap::{Forgotten, Heard, Listener, Passed, Tap};
pub use traces::Tracer;
pub(crate) use trail::Ids;
pub use trail::{LogField, Trail};
