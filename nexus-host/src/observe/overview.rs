//! The whole hub at a glance, once a second, for whoever watches: asks the rooms how they stand, makes rates of what
//! they have counted, and hands the same text on to everybody. While nobody watches, nothing is asked and nothing runs.

mod look;
mod rates;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

pub use look::{Component, Figures, Listed, Look, Queue, Standing, Waiting};
pub use rates::{Overview, Second};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// How many seconds are kept for whoever comes later.
const SECONDS: usize = 300;

/// So many looks back reach the rates of components, which would jump about from one second to the next.
const REACH: usize = 10;

/// Who knows how the hub stands.
pub trait Rooms: Send + Sync + 'static {
    /// How it stands now, and what was counted so far.
    fn look(&self) -> Look;
}

/// See the module.
#[derive(Clone)]
pub struct Overviews(Arc<Inner>);

struct Inner {
    rooms: Arc<dyn Rooms>,
    known: Mutex<Known>,
    latest: watch::Sender<Option<Bytes>>,
}

/// What was seen so far.
#[derive(Default)]
struct Known {
    /// Whether somebody looks, once a second.
    is_watching: bool,
    looks: VecDeque<(Instant, Look)>,
    seconds: VecDeque<Second>,
}

/// Somebody who watches.
#[derive(Debug)]
pub struct Watcher {
    latest: watch::Receiver<Option<Bytes>>,
    /// The seconds before, as JSON: `{"seconds": [..]}`, oldest first.
    pub before: Bytes,
}

#[derive(Serialize)]
struct Before<'a> {
    seconds: &'a VecDeque<Second>,
}

impl Overviews {
    /// Of these rooms.
    pub fn new(rooms: Arc<dyn Rooms>) -> Self {
        Self(Arc::new(Inner {
            rooms,
            known: Mutex::default(),
            latest: watch::Sender::new(None),
        }))
    }

    /// Watches from now on.
    pub fn watch(&self) -> Watcher {
        let mut known = self.0.known.lock();
        let seconds = &known.seconds;
        let before = serde_json::to_vec(&Before { seconds });
        let latest = self.0.latest.subscribe();
        if !known.is_watching {
            known.is_watching = true;
            tokio::spawn(self.0.clone().look_on());
        }
        Watcher {
            latest,
            // Numbers and times always serialise.
            before: before.unwrap_or_default().into(),
        }
    }
}

impl Watcher {
    /// The next overview, as JSON; `None` when there will be none.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.latest.changed().await.ok()?;
        self.latest.borrow_and_update().clone()
    }
}

impl Inner {
    /// Looks once a second, until nobody watches any more.
    async fn look_on(self: Arc<Self>) {
        self.known.lock().looks.clear();
        self.look();
        let mut ticks = interval_at(Instant::now() + PAUSE, PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            {
                let mut known = self.known.lock();
                // Under the lock: whoever begins to watch now either is counted here or finds that nobody looks.
                if self.latest.receiver_count() == 0 {
                    known.is_watching = false;
                    known.looks.clear();
                    return;
                }
            }
            if let Some(overview) = self.look() {
                match serde_json::to_vec(&overview) {
                    Ok(text) => drop(self.latest.send_replace(Some(text.into()))),
                    Err(error) => tracing::error!(%error, "failed to write the overview"),
                }
            }
        }
    }

    /// Takes one look; what has happened since those before.
    fn look(&self) -> Option<Overview> {
        let (now, look) = (Instant::now(), self.rooms.look());
        let mut known = self.known.lock();
        let overview = known.looks.back().and_then(|(before, last)| {
            let (first, oldest) = known.looks.front()?;
            Some(Overview::of(
                &look,
                (oldest, now.duration_since(*first)),
                (last, now.duration_since(*before)),
            ))
        });
        if let Some(overview) = &overview {
            push(&mut known.seconds, overview.second.clone(), SECONDS);
        }
        push(&mut known.looks, (now, look), REACH);
        overview
    }
}

/// Adds one, and forgets the oldest of more than fit.
fn push<T>(all: &mut VecDeque<T>, one: T, most: usize) {
    if all.len() == most {
        all.pop_front();
    }
    all.push_back(one);
}

impl fmt::Debug for Overviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Overviews(..)")
    }
}

#[cfg(test)]
mod tests;
