//! What a log of one's own would give in the place of SQLite: a queue in memory that answers when a log
//! has on disk what it was told.
//!
//! It is there to be measured only. It never reads its log, so it keeps nothing across a restart, and
//! its memory grows with what waits. A queue to be trusted would have to do more, and so be slower.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nexus_host::admission::Admitted;
use nexus_host::queue::{
    BoxFuture, Config, DeadLetter, Delivery, Journey, Lease, LetterFilter, Meant, MemoryQueue,
    Page, PushReport, Queue, QueueStats, SettleError, Settled, Settlement, Unavailable,
};
use nexus_plugin_api::StateWrite;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

/// Bytes of a segment. It is written once before it is used, so that what is added makes no file longer,
/// and used anew when it is full.
const SEGMENT: u64 = 64 * 1024 * 1024;

type Waiting = (Vec<u8>, oneshot::Sender<()>);

/// Bytes one after the other, and one `fdatasync` for all that came meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Log {
    waiting: Mutex<(Vec<Waiting>, bool)>,
    arrived: Condvar,
}

impl Log {
    /// A log in a file that grows.
    pub(crate) fn growing(path: &Path) -> std::io::Result<Arc<Self>> {
        Self::start(File::create(path)?, u64::MAX)
    }

    /// A log in one segment.
    fn in_segment(path: &Path) -> std::io::Result<Arc<Self>> {
        let mut file = File::create(path)?;
        std::io::copy(
            &mut std::io::Read::take(std::io::repeat(0), SEGMENT),
            &mut file,
        )?;
        file.sync_all()?;
        file.rewind()?;
        Self::start(file, SEGMENT)
    }

    fn start(file: File, segment: u64) -> std::io::Result<Arc<Self>> {
        let log = Arc::new(Self::default());
        let of_thread = log.clone();
        let thread = std::thread::Builder::new().name("log".to_owned());
        thread.spawn(move || of_thread.write(file, segment).expect("the log is written"))?;
        Ok(log)
    }

    /// Ready when the bytes are on disk.
    pub(crate) async fn append(&self, bytes: Vec<u8>) {
        let (reply, written) = oneshot::channel();
        self.waiting.lock().0.push((bytes, reply));
        self.arrived.notify_one();
        written.await.expect("the log is written");
    }

    /// Ends its thread.
    pub(crate) fn end(&self) {
        self.waiting.lock().1 = true;
        self.arrived.notify_one();
    }

    fn write(&self, mut file: File, segment: u64) -> std::io::Result<()> {
        let (mut bytes, mut at) = (Vec::new(), 0);
        loop {
            let mut waiting = self.waiting.lock();
            while waiting.0.is_empty() {
                if waiting.1 {
                    return Ok(());
                }
                self.arrived
                    .wait_for(&mut waiting, Duration::from_millis(50));
            }
            let group = std::mem::take(&mut waiting.0);
            drop(waiting);
            bytes.clear();
            group
                .iter()
                .for_each(|(record, _)| bytes.extend_from_slice(record));
            let len = u64::try_from(bytes.len()).unwrap_or(0);
            if at + len > segment {
                at = file.seek(SeekFrom::Start(0))?;
            }
            at += len;
            file.write_all(&bytes)?;
            file.sync_data()?;
            for (_, reply) in group {
                let _ = reply.send(());
            }
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Logged {
    memory: MemoryQueue,
    log: Arc<Log>,
}

impl Logged {
    pub(crate) fn open(config: &Config, folder: &Path) -> std::io::Result<Self> {
        Ok(Self {
            memory: MemoryQueue::new(config, true),
            log: Log::in_segment(&folder.join("log"))?,
        })
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        self.log.end();
    }
}

/// An event as a record: what SQLite's rows hold of it too.
fn record(event: &Admitted, into: &mut Vec<u8>) {
    let event = event.event();
    let head = (
        event.event_id,
        &event.event_type,
        &event.source,
        event.timestamp,
        event.priority,
        &event.correlation_id,
    );
    serde_json::to_writer(&mut *into, &head).expect("it is JSON");
    into.extend_from_slice(event.payload.as_slice());
}

impl Queue for Logged {
    fn push(&self, events: Vec<Admitted>) -> BoxFuture<'_, PushReport> {
        Box::pin(async move {
            let mut bytes = Vec::with_capacity(2_048);
            events.iter().for_each(|event| record(event, &mut bytes));
            self.log.append(bytes).await;
            self.memory.push(events).await
        })
    }

    fn lease(&self) -> BoxFuture<'_, Option<Delivery>> {
        self.memory.lease()
    }

    fn settle(
        &self,
        lease: Lease,
        with: Settlement,
    ) -> BoxFuture<'_, Result<Settled, SettleError>> {
        Box::pin(async move {
            let mut bytes = Vec::with_capacity(512);
            serde_json::to_writer(&mut bytes, &with.steps).expect("it is JSON");
            with.emitted
                .iter()
                .for_each(|event| record(event, &mut bytes));
            // At once, so that the lane goes on.
            let settled = self.memory.settle(lease, with).await;
            self.log.append(bytes).await;
            settled
        })
    }

    fn close_intake(&self) {
        self.memory.close_intake();
    }

    fn close_leasing(&self) {
        self.memory.close_leasing();
    }

    fn drained(&self, until: Instant) -> BoxFuture<'_, ()> {
        self.memory.drained(until)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.memory.close()
    }

    fn journey(
        &self,
        event_id: Uuid,
        of: Meant,
    ) -> BoxFuture<'_, Result<Option<Journey>, Unavailable>> {
        self.memory.journey(event_id, of)
    }

    fn dead_letters(
        &self,
        filter: LetterFilter,
        page: Page,
    ) -> BoxFuture<'_, Result<Vec<DeadLetter>, Unavailable>> {
        self.memory.dead_letters(filter, page)
    }

    fn replay(&self, letters: Vec<Uuid>) -> BoxFuture<'_, Result<Vec<Uuid>, Unavailable>> {
        self.memory.replay(letters)
    }

    fn purge(&self, letters: Vec<Uuid>) -> BoxFuture<'_, Result<Vec<Uuid>, Unavailable>> {
        self.memory.purge(letters)
    }

    fn state_get(
        &self,
        plugin: &str,
        key: &str,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, Unavailable>> {
        self.memory.state_get(plugin, key)
    }

    fn state_put(&self, plugin: &str, write: StateWrite) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.memory.state_put(plugin, write)
    }

    fn state_keys(
        &self,
        plugin: &str,
        prefix: &str,
    ) -> BoxFuture<'_, Result<Vec<String>, Unavailable>> {
        self.memory.state_keys(plugin, prefix)
    }

    fn stats(&self) -> QueueStats {
        self.memory.stats()
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn trouble(&self) -> Option<Unavailable> {
        self.memory.trouble()
    }
}
