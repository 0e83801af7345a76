//! The product's own durable queue.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use nexus_host::queue::SqliteQueue;
use nexus_tests::disk::{Load, Marks, drive, durable};

use crate::refused;

pub(crate) fn write(folder: &Path, marks: Marks, load: Load) -> Result<(), Box<dyn Error>> {
    let queue = Arc::new(SqliteQueue::open(&durable(folder), true)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()?;
    runtime.block_on(drive(queue, Arc::new(marks), load, refused));
    Ok(())
}
