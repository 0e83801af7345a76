//! What happened to toasts, in order: receives events, numbers them, hands them to every watcher.
//!
//! A bounded ring holds the newest events, and each watcher reads it at its own pace, so that a
//! slow one costs no memory and holds nobody up. One that falls behind the ring, or resumes from
//! before it, is told so and never silently skips an event.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use nexus_proto::toasty::v1::WatchEvent;
use nexus_proto::toasty::v1::watch_event::Event;
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use crate::toast::Toast;

/// Past events kept for resuming.
pub(crate) const KEPT_EVENTS: usize = 1024;

/// The log of one run of the server.
#[derive(Debug)]
pub(crate) struct WatchLog {
    id: String,
    ring: Mutex<VecDeque<WatchEvent>>,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    last_seq: u64,
    closed: bool,
}

/// Why a watcher gets no further.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum WatchError {
    #[error(
        "after_seq: the events {from} to {to} are no longer kept; call List for what is on show, \
         then Watch without after_seq"
    )]
    Lost { from: u64, to: u64 },
    #[error(
        "after_seq: {after} is later than the last event, {last}, of this log ({log_id}); the \
         server was started again: call List for what is on show, then Watch without after_seq"
    )]
    Ahead {
        after: u64,
        last: u64,
        log_id: String,
    },
    #[error(
        "log_id: `{asked}` is not this log ({log_id}); the server was started again: call List for \
         what is on show, then Watch without after_seq"
    )]
    OtherLog { asked: String, log_id: String },
    #[error("the server is stopping; watch again once it is back")]
    Stopping,
}

impl WatchLog {
    pub(crate) fn new() -> Self {
        Self {
            id: Uuid::now_v7().to_string(),
            ring: Mutex::new(VecDeque::with_capacity(KEPT_EVENTS)),
            state: watch::Sender::new(State::default()),
        }
    }

    /// Names this run's log.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Appends what happened to a toast, and returns the event as watchers see it.
    pub(crate) fn append(&self, toast: &Toast, event: Event) -> WatchEvent {
        let mut ring = self.ring.lock();
        let seq = self.state.borrow().last_seq + 1;
        let event = WatchEvent {
            seq,
            log_id: self.id.clone(),
            at: Some(SystemTime::now().into()),
            toast_id: toast.id().to_string(),
            request_id: toast.request().request_id.clone(),
            correlation: toast.request().correlation.clone(),
            event: Some(event),
        };
        if ring.len() == KEPT_EVENTS {
            ring.pop_front();
        }
        ring.push_back(event.clone());
        // With the ring still held, so that numbers are told in order.
        self.state.send_modify(|state| state.last_seq = seq);
        event
    }

    /// No event comes after this: watchers get what there is, then [`WatchError::Stopping`].
    pub(crate) fn close(&self) {
        self.state.send_modify(|state| state.closed = true);
    }

    /// A place in the log after `after_seq`, or at its end.
    ///
    /// # Errors
    ///
    /// The events after it are gone, or belong to another run.
    pub(crate) fn follow(
        self: &Arc<Self>,
        after_seq: Option<u64>,
        log_id: &str,
    ) -> Result<Watcher, WatchError> {
        if !log_id.is_empty() && log_id != self.id {
            return Err(WatchError::OtherLog {
                asked: log_id.to_owned(),
                log_id: self.id.clone(),
            });
        }
        let ring = self.ring.lock();
        let state = self.state.subscribe();
        let last = state.borrow().last_seq;
        let after = after_seq.unwrap_or(last);
        if after > last {
            return Err(WatchError::Ahead {
                after,
                last,
                log_id: self.id.clone(),
            });
        }
        read_after(&ring, after)?;
        Ok(Watcher {
            log: Arc::clone(self),
            state,
            after,
        })
    }
}

/// One reader of the log.
#[derive(Debug)]
pub(crate) struct Watcher {
    log: Arc<WatchLog>,
    state: watch::Receiver<State>,
    after: u64,
}

impl Watcher {
    /// The next event, once it is there. Safe to drop while it waits.
    ///
    /// # Errors
    ///
    /// The watcher fell behind the ring, or the log was closed.
    pub(crate) async fn next(&mut self) -> Result<WatchEvent, WatchError> {
        loop {
            // Read before the ring: what is appended after this wakes the wait below.
            let closed = self.state.borrow_and_update().closed;
            if let Some(event) = read_after(&self.log.ring.lock(), self.after)? {
                self.after = event.seq;
                return Ok(event);
            }
            if closed || self.state.changed().await.is_err() {
                return Err(WatchError::Stopping);
            }
        }
    }
}

/// The event right after `after`; `None` if it is still to come.
fn read_after(ring: &VecDeque<WatchEvent>, after: u64) -> Result<Option<WatchEvent>, WatchError> {
    let Some(first) = ring.front().map(|event| event.seq) else {
        return Ok(None);
    };
    if after + 1 < first {
        return Err(WatchError::Lost {
            from: after + 1,
            to: first - 1,
        });
    }
    let place = usize::try_from(after + 1 - first).unwrap_or(usize::MAX);
    Ok(ring.get(place).cloned())
}

#[cfg(test)]
mod tests {
    use nexus_proto::toasty::v1::{ShowRequest, Shown};

    use super::*;

    fn log_of(events: usize) -> Arc<WatchLog> {
        let log = Arc::new(WatchLog::new());
        append(&log, events);
        log
    }

    fn append(log: &WatchLog, events: usize) {
        let toast = Toast::new(ShowRequest::default());
        for _ in 0..events {
            log.append(&toast, Event::Shown(Shown {}));
        }
    }

    #[tokio::test]
    async fn a_watcher_reads_on_from_where_it_was() {
        let log = log_of(3);
        let mut watcher = log.follow(Some(1), log.id()).unwrap();
        assert_eq!(watcher.next().await.unwrap().seq, 2);
        assert_eq!(watcher.next().await.unwrap().seq, 3);
        let mut live = log.follow(None, "").unwrap();
        append(&log, 1);
        assert_eq!(live.next().await.unwrap().seq, 4);
        log.close();
        assert_eq!(watcher.next().await.unwrap().seq, 4);
        assert_eq!(watcher.next().await, Err(WatchError::Stopping));
    }

    #[tokio::test]
    async fn a_lost_range_is_told() {
        let log = log_of(1);
        let mut slow = log.follow(Some(0), "").unwrap();
        append(&log, KEPT_EVENTS + 4);
        let lost = WatchError::Lost { from: 1, to: 5 };
        assert_eq!(slow.next().await.unwrap_err(), lost);
        assert_eq!(log.follow(Some(0), "").unwrap_err(), lost);
        assert!(log.follow(Some(5), "").is_ok());
    }

    #[test]
    fn another_run_is_told() {
        let log = log_of(2);
        assert!(matches!(
            log.follow(Some(3), ""),
            Err(WatchError::Ahead { last: 2, .. })
        ));
        assert!(matches!(
            log.follow(Some(1), "another"),
            Err(WatchError::OtherLog { .. })
        ));
    }
}
