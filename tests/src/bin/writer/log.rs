//! The simplest that can be durable: a file that only grows.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use nexus_tests::disk::{LINES, Marks};

pub(crate) fn write(folder: &Path, marks: &Marks, events: u32) -> Result<(), Box<dyn Error>> {
    let mut log = File::create_new(folder.join(LINES))?;
    File::open(folder)?.sync_all()?;
    for n in 0..events {
        log.write_all(format!("{n}\n").as_bytes())?;
        log.sync_data()?;
        marks.accepted(n);
    }
    Ok(())
}
