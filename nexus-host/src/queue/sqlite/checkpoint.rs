//! Copies what is in the log into the main file, on a thread of its own, so that nobody waits for it
//! and the log can begin anew.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::schema::{self, Copying, OpenError};

#[derive(Debug, Default)]
struct Shared {
    asked: Mutex<Asked>,
    changed: Condvar,
    /// Pages in a log that is long.
    long: i64,
    is_long: AtomicBool,
}

#[derive(Debug, Default)]
struct Asked {
    copy: bool,
    stop: bool,
}

/// See the module. Dropping it waits for its thread.
#[derive(Debug)]
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// A log of a quarter of `log_size`, in bytes, is long: under constant load the copying never
    /// catches up with it, and the sooner the writer copies the rest, the less is left.
    pub(super) fn start(path: &Path, log_size: u64) -> Result<Self, OpenError> {
        let connection = schema::open_checkpointer(path)?;
        let shared = Arc::new(Shared {
            long: i64::try_from(log_size / 4 / u64::from(schema::PAGE)).unwrap_or(i64::MAX),
            ..Shared::default()
        });
        let thread = std::thread::Builder::new().name("nexus-queue-log".to_owned());
        let with = shared.clone();
        let thread = thread.spawn(move || with.run(&connection));
        let thread = thread.map_err(|source| OpenError::Io {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Asks for the log to be copied.
    pub(super) fn ask(&self) {
        self.shared.asked.lock().copy = true;
        self.shared.changed.notify_one();
    }

    /// Whether the writer should copy the rest of the log itself; asked once for each time.
    pub(super) fn wants_help(&self) -> bool {
        self.shared.is_long.swap(false, Ordering::AcqRel)
    }
}

impl Shared {
    fn run(&self, connection: &Connection) {
        loop {
            let mut asked = self.asked.lock();
            self.changed
                .wait_while(&mut asked, |asked| !asked.copy && !asked.stop);
            if asked.stop {
                return;
            }
            asked.copy = false;
            drop(asked);
            match schema::copy_log(connection, Copying::Passive) {
                Ok(pages) => self.is_long.store(pages > self.long, Ordering::Release),
                // The log keeps what it holds, and the next time copies it.
                Err(error) => tracing::warn!(%error, "failed to copy the queue's log"),
            }
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Checkpointer {
    /// Ends its thread, and waits for that.
    pub(super) fn stop(&mut self) {
        self.shared.asked.lock().stop = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that copies the queue's log had panicked");
        }
    }
}
