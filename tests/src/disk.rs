//! Disks that fail and power that goes away, for programs that promise to keep something.
//!
//! A program runs on a [`Watched`] folder: the library `tests/fixtures/disk` is preloaded into it,
//! makes operations fail by [`Fault`]s, and records what the program does and what it [`Marks`] as
//! promised. From the [`Recording`] come [`Crash`]es: what the folder may hold if the power is lost
//! in between, and what was promised by then.

mod crash;
mod drive;
mod fault;
mod holding;
mod image;
mod plain;
mod promises;
mod recording;
mod watched;

pub use crash::{Cases, Crash, Disk, Syncs, crashes};
pub use drive::{Load, drive};
pub use fault::{Fault, Kind, Outcome};
pub use holding::{durable, missing_events};
pub use image::{Image, Scratch};
pub use plain::{LINES, ROWS, missing_lines, missing_rows};
pub use promises::{Marks, Promises};
pub use recording::{Record, Recording};
pub use watched::Watched;
