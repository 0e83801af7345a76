//! The hub, as the plugin in a worker sees it: what it asks goes out as a frame, and the answer comes back as
//! one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use nexus_plugin_api::abi::{AnswerV1, ErrorV1, FutureV1, HostService, RecordV1, level};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::frame::{Record, ToHub};
use super::serve::Hub;

/// See the module.
pub(super) struct Service {
    hub: Hub,
    /// The most talkative level that is kept.
    level: AtomicU8,
    next: AtomicU64,
    open: Open,
}

/// The questions that are not answered yet.
type Open = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<AnswerV1, ErrorV1>>>>>;

impl Service {
    pub(super) fn new(hub: Hub) -> Self {
        Self {
            hub,
            level: AtomicU8::new(level::INFO),
            next: AtomicU64::new(0),
            open: Arc::default(),
        }
    }

    /// Keeps what is logged up to a level.
    pub(super) fn keep(&self, level: u8) {
        self.level.store(level, Ordering::Relaxed);
    }

    /// The hub has answered.
    pub(super) fn answered(&self, id: u64, reply: Result<AnswerV1, ErrorV1>) {
        if let Some(asker) = self.open.lock().remove(&id) {
            // Who has asked may be gone.
            let _ = asker.send(reply);
        }
    }
}

impl HostService for Service {
    fn enabled(&self, level: u8, _: &str) -> bool {
        level <= self.level.load(Ordering::Relaxed)
    }

    fn log(&self, record: &RecordV1<'_>) {
        self.hub.log(Record::of(record));
    }

    fn call(&self, op: u32, head: &[u8], body: &[u8]) -> FutureV1 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (asker, answer) = oneshot::channel();
        self.open.lock().insert(id, asker);
        let asked = Asked {
            id,
            open: self.open.clone(),
        };
        if let Err(error) = self.hub.say(&ToHub::Ask { id, op, head, body }) {
            return FutureV1::ready(Err(error));
        }
        FutureV1::new(async move {
            let _asked = asked;
            answer.await.unwrap_or_else(|_| {
                Err(ErrorV1::permanent("stopped", "the worker comes to its end"))
            })
        })
    }
}

/// Forgets a question when nobody waits for its answer any more.
struct Asked {
    id: u64,
    open: Open,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.open.lock().remove(&self.id);
    }
}
