//! Spans that wait for the collector: receives them as they end, hands them on in batches. Whoever ends one never waits:
//! where too many wait it is dropped, and counted. Without spans it sleeps, and a collector that is away is told of once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::config::Config;
use super::export::{Exporter, Untaken};

/// The most spans of one batch.
const BATCH: usize = 512;

/// After how long a batch that was not taken is sent again, each time.
const AGAIN: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1_600),
];

/// What has become of spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// The collector has taken them.
    pub sent: u64,
    /// Dropped, since too many waited or the collector did not take them.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct Counting {
    sent: AtomicU64,
    dropped: AtomicU64,
}

/// The hub's side of the outbox.
#[derive(Debug)]
pub(super) struct Outbox {
    counting: Arc<Counting>,
    closing: Arc<Notify>,
    sending: Mutex<Option<JoinHandle<()>>>,
}

impl Outbox {
    /// Begins to send, and hands back what takes spans in.
    pub(super) fn open(config: &Config, exporter: Exporter) -> (Self, Entry) {
        let (spans, waiting) = channel(config.capacity);
        let counting = Arc::new(Counting::default());
        let closing = Arc::new(Notify::new());
        let post = Post {
            exporter,
            waiting,
            counting: counting.clone(),
            closing: closing.clone(),
            delay: config.delay.get(),
            timeout: config.timeout.get(),
            is_away: false,
        };
        let outbox = Self {
            counting: counting.clone(),
            closing,
            sending: Mutex::new(Some(tokio::spawn(post.work()))),
        };
        (outbox, Entry { spans, counting })
    }

    pub(super) fn counts(&self) -> SpanCounts {
        SpanCounts {
            sent: self.counting.sent.load(Ordering::Relaxed),
            dropped: self.counting.dropped.load(Ordering::Relaxed),
        }
    }

    /// Sends what waits, until the deadline.
    pub(super) async fn close(&self, deadline: Instant) {
        self.closing.notify_one();
        let sending = self.sending.lock().take();
        if let Some(mut sending) = sending
            && timeout_at(deadline, &mut sending).await.is_err()
        {
            sending.abort();
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if let Some(sending) = self.sending.lock().take() {
            sending.abort();
        }
    }
}

/// Where spans come in.
#[derive(Debug)]
pub(super) struct Entry {
    spans: Sender<SpanData>,
    counting: Arc<Counting>,
}

impl SpanProcessor for Entry {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.spans.try_send(span).is_err() {
            self.counting.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// What sends.
struct Post {
    exporter: Exporter,
    waiting: Receiver<SpanData>,
    counting: Arc<Counting>,
    closing: Arc<Notify>,
    delay: Duration,
    timeout: Duration,
    /// Whether the collector did not take the last batch.
    is_away: bool,
}

impl Post {
    async fn work(mut self) {
        let mut batch = Vec::new();
        loop {
            let closing = self.closing.clone();
            tokio::select! {
                taken = self.waiting.recv_many(&mut batch, BATCH) => if taken == 0 {
                    return;
                },
                () = closing.notified() => self.waiting.close(),
            }
            if !self.waiting.is_closed() {
                self.gather(&mut batch).await;
            }
            if !batch.is_empty() {
                self.send(std::mem::take(&mut batch)).await;
            }
        }
    }

    /// Waits for more to go with the first.
    async fn gather(&mut self, batch: &mut Vec<SpanData>) {
        let closing = self.closing.clone();
        let mut over = std::pin::pin!(sleep(self.delay));
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            tokio::select! {
                taken = self.waiting.recv_many(batch, room) => if taken == 0 {
                    return;
                },
                () = &mut over => return,
                () = closing.notified() => return self.waiting.close(),
            }
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        let spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let sent = timeout(self.timeout, self.insist(batch)).await;
        let sent = sent.unwrap_or_else(|_| Err(format!("no answer within {:?}", self.timeout)));
        let rejected = *sent.as_ref().unwrap_or(&spans).min(&spans);
        self.counting
            .sent
            .fetch_add(spans - rejected, Ordering::Relaxed);
        self.counting.dropped.fetch_add(rejected, Ordering::Relaxed);
        match sent {
            Ok(_) => {
                if std::mem::take(&mut self.is_away) {
                    tracing::info!("the collector of traces takes them again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_away, true) {
                    tracing::warn!(
                        error,
                        "the collector does not take traces; they are dropped until it does"
                    );
                }
            }
        }
    }

    /// Sends a batch, again if that may help. Answers how many of it the collector did not want.
    async fn insist(&self, batch: Vec<SpanData>) -> Result<u64, String> {
        let spans = self.exporter.packed(batch);
        let mut pauses = AGAIN.into_iter();
        loop {
            let Untaken { why, again } = match self.exporter.send(&spans).await {
                Ok(rejected) => return Ok(rejected),
                Err(untaken) => untaken,
            };
            match again.zip(pauses.next()) {
                Some((wanted, pause)) => sleep(wanted.max(pause)).await,
                None => return Err(why),
            }
        }
    }
}
