//! How much room is left where the durable queue is. Asking may take as long as a disk does, so nobody waits for the
//! answer: what is told is what was found last.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::task::spawn_blocking;

use crate::queue::config::{Backend, Config};
use crate::space;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    folder: Option<PathBuf>,
    known: Arc<Mutex<Option<u64>>>,
    is_asking: Arc<AtomicBool>,
}

impl Disk {
    /// The disk of a queue, if that is on one.
    pub(crate) fn of(queue: &Config) -> Self {
        let folder = match queue.backend {
            Backend::Memory => None,
            Backend::Sqlite => {
                queue
                    .sqlite
                    .path
                    .parent()
                    .map(|folder| match folder.as_os_str().is_empty() {
                        true => PathBuf::from("."),
                        false => folder.to_owned(),
                    })
            }
        };
        Self {
            folder,
            ..Self::default()
        }
    }

    /// The folder, and the bytes that are free there, as far as that is known.
    pub(super) async fn free(&self) -> Option<(String, u64)> {
        let folder = self.folder.clone()?;
        let name = folder.display().to_string();
        if !self.is_asking.swap(true, Ordering::AcqRel) {
            let (known, is_asking) = (self.known.clone(), self.is_asking.clone());
            let asking = spawn_blocking(move || {
                let free = space::available(&folder);
                *known.lock() = free;
                is_asking.store(false, Ordering::Release);
            });
            let patience = std::time::Duration::from_millis(100);
            let _ = tokio::time::timeout(patience, asking).await;
        }
        let free = *self.known.lock();
        free.map(|free| (name, free))
    }
}
