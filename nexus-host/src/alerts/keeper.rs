//! What has to happen to alerts without anybody doing anything: the rooms are looked at, what follows is told, and
//! what is known is kept. Looking never waits for telling: a queue that is full or fails is what is to be seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nexus_plugin_api::alert::{AlertAcknowledged, AlertEscalated, AlertRaised, AlertResolved};
use nexus_plugin_api::{Contract, Event, PluginError, Priority, RawJson};
use tokio::time::{Instant, sleep, timeout};

use super::book::{Kind, News, Severity};
use super::gauges::Reading;
use super::{Alerts, LEARNT, STANDING};
use crate::admission::HUB;
use crate::queue::Unavailable;

/// How often the rooms are looked at while something goes on.
const LOOK: Duration = Duration::from_secs(1);

/// How often while nothing does: a failure is seen and told within 5 s all the same.
const GLANCE: Duration = Duration::from_secs(2);

/// After so many looks at which nothing had changed, nothing goes on.
const STILL: u32 = 10;

/// When something that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How often what is usual is kept.
const KEEP: Duration = Duration::from_secs(5 * 60);

impl Alerts {
    /// Looks after everything; never ends.
    pub async fn keep(self: Arc<Self>) {
        tokio::join!(self.watch(), self.tell_all(), self.keep_learnt());
    }

    /// Looks at the rooms, again and again, as long as there is anything to look for.
    async fn watch(&self) {
        let mut last = Reading::default();
        let mut still = 0;
        loop {
            let mut reading = self.rooms.read();
            reading.disk = self.disk.free().await;
            let own = |count: &AtomicU64| count.load(Ordering::Relaxed);
            reading.accepted = reading.accepted.saturating_sub(own(&self.told));
            reading.refused = reading.refused.saturating_sub(own(&self.refused));
            still = match reading.is_as_still_as(&last) {
                true => still + 1,
                false => 0,
            };
            let is_busy = self.look(&reading);
            last = reading;
            let pause = if is_busy || (still < STILL && self.is_enabled()) {
                LOOK
            } else if self.is_enabled() {
                GLANCE
            } else {
                Duration::MAX
            };
            let _ = timeout(pause, self.reconfigured.notified()).await;
        }
    }

    /// One look. Whether something is under way that wants the next one soon.
    fn look(&self, reading: &Reading) -> bool {
        let mut lookout = self.lookout.lock();
        lookout.look(self.now(), reading);
        if lookout.book.is_changed() {
            self.changed.notify_one();
        }
        lookout.book.active().next().is_some()
    }

    /// Keeps and tells what there is, as soon as there is something.
    async fn tell_all(&self) {
        loop {
            loop {
                // First kept, then told: what was told is not raised anew by the next process.
                if let Err(error) = self.keep_standing().await {
                    tracing::warn!(%error, "alerts cannot be kept for the moment");
                }
                let Some(news) = self.lookout.lock().book.next_untold() else {
                    break;
                };
                if let Err(error) = self.tell(&news).await {
                    tracing::warn!(%error, title = news.payload.title, "an alert is told later");
                    sleep(AGAIN).await;
                }
            }
            self.changed.notified().await;
        }
    }

    async fn keep_standing(&self) -> Result<(), Unavailable> {
        let written = {
            let mut lookout = self.lookout.lock();
            if !lookout.book.take_changed() {
                return Ok(());
            }
            serde_json::to_vec(&lookout.book)
        };
        let written = written.map_err(|error| Unavailable {
            reason: format!("alerts cannot be written: {error}"),
        })?;
        let kept = self.write(STANDING, written).await;
        if kept.is_err() {
            self.lookout.lock().book.keep_again();
        }
        kept
    }

    /// Publishes one piece of news.
    async fn tell(&self, news: &News) -> Result<(), PluginError> {
        let event = news.event()?;
        match self.announce.announce(event).await {
            Ok(()) => {
                self.told.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                if error.retryable {
                    return Err(error);
                }
                tracing::error!(%error, title = news.payload.title, "an alert cannot be told");
            }
        }
        self.lookout.lock().book.told(news.event_id);
        Ok(())
    }

    /// Keeps what is usual now and then.
    async fn keep_learnt(&self) {
        let mut next = Instant::now() + KEEP;
        loop {
            tokio::time::sleep_until(next).await;
            next += KEEP;
            self.rest().await;
        }
    }

    /// Keeps what is usual for the next process.
    pub(crate) async fn rest(&self) {
        let learnt = self.lookout.lock().learnt();
        let kept = match postcard::to_allocvec(&learnt) {
            Ok(learnt) => self.write(LEARNT, learnt).await,
            Err(error) => Err(Unavailable {
                reason: error.to_string(),
            }),
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "what is usual is not kept for the moment");
        }
    }
}

impl Reading {
    /// Whether nothing has been counted since, and everything stands as it did.
    fn is_as_still_as(&self, before: &Self) -> bool {
        let counts = |reading: &Self| (reading.accepted, reading.refused, reading.attempts);
        counts(self) == counts(before)
            && self.fill == before.fill
            && self.breakers == before.breakers
            && self.plugins == before.plugins
            && self.refused_plugins == before.refused_plugins
            && self.storage_fails == before.storage_fails
    }
}

impl News {
    fn event(&self) -> Result<Event, PluginError> {
        let event_type = match self.kind {
            Kind::Raised => AlertRaised::TYPE,
            Kind::Acknowledged => AlertAcknowledged::TYPE,
            Kind::Escalated => AlertEscalated::TYPE,
            Kind::Resolved => AlertResolved::TYPE,
        };
        let payload = RawJson::of(&self.payload).map_err(PluginError::from)?;
        let mut event = Event::new(event_type, HUB, payload);
        event.event_id = self.event_id;
        event.causation_id = self.cause;
        event.correlation_id = Some(self.payload.group_id.to_string());
        // What is told of one group comes in its order, and waits for no other.
        event.partition_key = Some(self.payload.group_id.to_string());
        Ok(event.with_priority(match self.payload.severity {
            Severity::Warning => Priority::High,
            Severity::Critical => Priority::Critical,
        }))
    }
}
