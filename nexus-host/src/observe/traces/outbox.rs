//! Spans that wait for the collector: receives them as they end, hands them on in batches. Whoever ends one never waits:
//! where too many wait it is dropped, and counted. Without spans it sleeps, and a collector that is away is told of once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use parking_lot::Mutex;
use tokio::sync::Notify;
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
    waiting: Arc<Waiting>,
    sending: Mutex<Option<JoinHandle<()>>>,
}

impl Outbox {
    /// Begins to send, and hands back what takes spans in.
    pub(super) fn open(config: &Config, exporter: Exporter) -> (Self, Entry) {
        let waiting = Arc::new(Waiting::new(config));
        let counting = Arc::new(Counting::default());
        let post = Post {
            exporter,
            waiting: waiting.clone(),
            counting: counting.clone(),
            timeout: config.timeout.get(),
            is_away: false,
        };
        let outbox = Self {
            counting: counting.clone(),
            waiting: waiting.clone(),
            sending: Mutex::new(Some(tokio::spawn(post.work()))),
        };
        (outbox, Entry { waiting, counting })
    }

    pub(super) fn counts(&self) -> SpanCounts {
        SpanCounts {
            sent: self.counting.sent.load(Ordering::Relaxed),
            dropped: self.counting.dropped.load(Ordering::Relaxed),
        }
    }

    /// Sends what waits, until the deadline.
    pub(super) async fn close(&self, deadline: Instant) {
        self.waiting.close();
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
    waiting: Arc<Waiting>,
    counting: Arc<Counting>,
}

impl SpanProcessor for Entry {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && !self.waiting.put(span) {
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

/// Spans until they are sent. Who sends them is woken by the first one and by the last of a batch, not by each.
#[derive(Debug)]
struct Waiting {
    spans: Mutex<Spans>,
    /// That there is a first one, a whole batch, or that no more will come.
    changed: Notify,
    /// How many are sent at once.
    batch: usize,
    capacity: usize,
    /// The longest that the first one waits for more to go with it.
    delay: Duration,
}

#[derive(Debug, Default)]
struct Spans {
    queue: VecDeque<SpanData>,
    is_closed: bool,
}

impl Waiting {
    fn new(config: &Config) -> Self {
        Self {
            spans: Mutex::default(),
            changed: Notify::new(),
            // With room for those that come while one is sent.
            batch: BATCH.min(config.capacity / 2),
            capacity: config.capacity,
            delay: config.delay.get(),
        }
    }

    /// Whether there was room for it.
    fn put(&self, span: SpanData) -> bool {
        let mut spans = self.spans.lock();
        if spans.is_closed || spans.queue.len() >= self.capacity {
            return false;
        }
        spans.queue.push_back(span);
        let waiting = spans.queue.len();
        drop(spans);
        if waiting == 1 || waiting == self.batch {
            self.changed.notify_one();
        }
        true
    }

    /// No more are taken in.
    fn close(&self) {
        self.spans.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// The next batch, once it is whole, its first one has waited long enough, or no more will come; none when none
    /// will.
    async fn batch(&self) -> Option<Vec<SpanData>> {
        self.until(1).await;
        // Or as many as there are by then.
        let _ = timeout(self.delay, self.until(self.batch)).await;
        let mut spans = self.spans.lock();
        let many = spans.queue.len().min(self.batch);
        (many > 0).then(|| spans.queue.drain(..many).collect())
    }

    /// Waits until so many wait, or no more will come.
    async fn until(&self, many: usize) {
        loop {
            {
                let spans = self.spans.lock();
                if spans.is_closed || spans.queue.len() >= many {
                    return;
                }
            }
            self.changed.notified().await;
        }
    }
}

/// What sends.
struct Post {
    exporter: Exporter,
    waiting: Arc<Waiting>,
    counting: Arc<Counting>,
    timeout: Duration,
    /// Whether the collector did not take the last batch.
    is_away: bool,
}

impl Post {
    async fn work(mut self) {
        while let Some(batch) = self.waiting.batch().await {
            self.send(batch).await;
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
