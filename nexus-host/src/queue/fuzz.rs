//! The fuzz targets of this room, beside what they read.

pub use super::sqlite::fuzz::{queue_file, queue_log, queue_rows};
