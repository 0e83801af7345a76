//! Writes to a folder, and marks there what it has promised to keep.
//!
//! `writer KIND FOLDER EVENTS [HOW]`:
//!
//! - `log`: lines at the end of a file, each synced.
//! - `queue`: events to a durable queue, by as many producers and workers as `HOW` says, such as
//!   `4 2`; with no workers the events stay there.
//! - `sqlite`: rows of a SQLite database, each a transaction; `HOW` is its `synchronous`.
//!
//! What the storage refuses is tried again, and told on standard output, a line each time.

#![allow(clippy::print_stdout, reason = "by its output it tells what it meets")]

mod log;
mod queue;
mod sqlite;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use nexus_tests::disk::{Load, Marks};

/// How long it waits before it tries again.
const PAUSE: Duration = Duration::from_millis(5);

/// After this it has hung, and ends itself.
const END_WITHIN: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    thread::spawn(|| {
        thread::sleep(END_WITHIN);
        eprintln!("writer: still not done after {END_WITHIN:?}");
        std::process::abort();
    });
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("writer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let [kind, folder, events, ref how @ ..] = arguments[..] else {
        return Err("writer KIND FOLDER EVENTS [HOW]".into());
    };
    let (folder, events) = (Path::new(folder), events.parse::<u32>()?);
    let marks = Marks::open(folder)?;
    match (kind, how) {
        ("log", []) => log::write(folder, &marks, events),
        ("queue", [producers, workers]) => {
            let load = Load {
                producers: producers.parse()?,
                events: events.into(),
                workers: workers.parse()?,
            };
            queue::write(folder, marks, load)
        }
        ("sqlite", [synchronous]) => sqlite::write(folder, &marks, events, synchronous),
        _ => Err(format!("no such writer: {arguments:?}").into()),
    }
}

fn refused(reason: &str) {
    println!("refused: {reason}");
}
