//! The watch: receives the server's stream of what becomes of toasts, publishes events.
//!
//! The place in the stream is stored in the plugin's state, and only after the event from there was
//! accepted: whatever dies, the stream resumes with what was not yet published. A server that is
//! away is waited for with growing pauses. One that was started again numbers its events anew,
//! which its `log_id` tells; then its new log is read from the beginning.

use std::time::Duration;

use chrono::{DateTime, Utc};
use nexus_plugin_api::{Context, NewEvent, PluginError};
use nexus_proto::toasty::v1::{GetCapabilitiesRequest, WatchEvent, WatchRequest};
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

use crate::link::Link;
use crate::{ended, events, origin};

/// Under which key the place in the stream is stored.
const PLACE: &str = "watch";

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A place in a server's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// The run of the server; empty as long as none has been heard of.
    log_id: String,
    /// The last event handled.
    seq: u64,
    /// When this plugin first ran: what happened before concerns somebody else.
    since: DateTime<Utc>,
}

/// Why a stream has ended.
#[derive(Debug)]
enum End {
    /// The server or the connection; may come back.
    Server(Status),
    /// The server no longer has the events after our place.
    Gone(Status),
    /// The host's storage.
    Host(PluginError),
}

impl From<PluginError> for End {
    fn from(error: PluginError) -> Self {
        Self::Host(error)
    }
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::OutOfRange => Self::Gone(status),
            _ => Self::Server(status),
        }
    }
}

pub(crate) struct Watch<'a> {
    link: &'a Link,
    ctx: &'a Context,
    pause: Duration,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(link: &'a Link, ctx: &'a Context) -> Self {
        Self {
            link,
            ctx,
            pause: FIRST_PAUSE,
        }
    }

    /// Follows the server for good. Ends only with a failure of the host's storage, which the host
    /// answers by running it again.
    pub(crate) async fn run(mut self) -> Result<(), PluginError> {
        let mut only_news = false;
        loop {
            let mut place = self.place().await?;
            let end = self.follow(&mut place, only_news).await;
            only_news = false;
            match end {
                End::Host(error) => return Err(error),
                End::Server(status) => self.link.failed(&status),
                End::Gone(status) => {
                    only_news = !self.begin_anew(&place).await?;
                    if only_news {
                        tracing::error!(
                            after_seq = place.seq,
                            "answers to toasts may be lost: {}",
                            status.message()
                        );
                    }
                }
            }
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Where to go on; stored at once when the plugin runs for the first time, so that a restart
    /// before the first answer misses nothing.
    async fn place(&self) -> Result<Place, PluginError> {
        if let Some(place) = self.ctx.state().get_json(PLACE).await? {
            return Ok(place);
        }
        let place = Place {
            log_id: String::new(),
            seq: 0,
            since: Utc::now(),
        };
        self.ctx.state().put_json(PLACE, &place).await?;
        Ok(place)
    }

    async fn follow(&mut self, place: &mut Place, only_news: bool) -> End {
        match self.publish_from(place, only_news).await {
            Ok(()) => End::Server(Status::unavailable("the server ended the stream")),
            Err(end) => end,
        }
    }

    async fn publish_from(&mut self, place: &mut Place, only_news: bool) -> Result<(), End> {
        let request = WatchRequest {
            after_seq: (!only_news).then_some(place.seq),
            log_id: place.log_id.clone(),
        };
        let mut client = self.link.client();
        let mut stream = self.link.call(None, client.watch(request)).await?;
        self.pause = FIRST_PAUSE;
        origin::sweep(self.ctx).await?;
        ended::sweep(self.ctx).await?;
        while let Some(seen) = stream.message().await? {
            self.take(seen, place).await?;
        }
        Ok(())
    }

    async fn take(&self, seen: WatchEvent, place: &mut Place) -> Result<(), PluginError> {
        if events::at(&seen).is_some_and(|at| at < place.since) {
            return Ok(());
        }
        let Some(mut event) = events::of(&seen)? else {
            return Ok(());
        };
        let kept = origin::recall(self.ctx, &seen.request_id).await?;
        let is_kept = kept.is_some();
        if is_kept {
            event.correlation_id = kept;
        }
        self.publish(event).await;
        place.log_id = seen.log_id;
        place.seq = seen.seq;
        self.ctx.state().put_json(PLACE, place).await?;
        if is_kept {
            origin::forget(self.ctx, &seen.request_id).await?;
        }
        Ok(())
    }

    /// Publishes until the host has taken the event, or refuses it for good. Meanwhile the server
    /// keeps what follows.
    async fn publish(&self, event: NewEvent) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.ctx.publish(event.clone()).await {
                Ok(_) => return,
                Err(error) if error.retryable => {
                    tracing::warn!("an answer to a toast has to wait: {error}");
                    tokio::time::sleep(error.retry_after.unwrap_or(pause)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => {
                    let event_type = event.event_type;
                    tracing::error!(event_type, "an answer to a toast was refused: {error}");
                    return;
                }
            }
        }
    }

    /// Answers a server that has nothing after our place: moves to the beginning of its log if that
    /// is another one. Otherwise its log has overtaken us, and `false` says that only what happens
    /// from now on can be had.
    async fn begin_anew(&self, place: &Place) -> Result<bool, PluginError> {
        let mut client = self.link.client();
        let answer = client.get_capabilities(GetCapabilitiesRequest {});
        let log_id = match self.link.call(None, answer).await {
            Ok(capabilities) => capabilities.log_id,
            // Gone again: the next round finds out.
            Err(_) => return Ok(true),
        };
        // A server that does not name its logs is believed to have begun one, once.
        let other = if log_id.is_empty() {
            place.seq > 0
        } else {
            !place.log_id.is_empty() && log_id != place.log_id
        };
        if other {
            tracing::info!(log_id, "Toasty was started again; its new log is followed");
            let place = Place {
                log_id,
                seq: 0,
                since: place.since,
            };
            self.ctx.state().put_json(PLACE, &place).await?;
        }
        Ok(other)
    }
}
