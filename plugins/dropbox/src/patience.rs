//! How long one call may take: receives the hub's limit for it, hands on when to begin nothing more and when to end, so
//! that what has come is kept. The hub's own limit would lose it.

use std::time::Duration;

use nexus_plugin_api::Context;
use tokio::time::{Instant, timeout_at};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    begun: Instant,
    limit: Duration,
}

/// Where the hub has no limit.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

impl Patience {
    /// That of a call which begins now.
    pub(crate) fn of(ctx: &Context) -> Self {
        Self {
            begun: Instant::now(),
            limit: ctx.time_limit().unwrap_or(LONG),
        }
    }

    /// Whether nothing more is to be begun.
    pub(crate) fn is_half_gone(&self) -> bool {
        self.begun.elapsed() >= self.limit / 2
    }

    /// What somebody answers, unless there would be no time left to keep it.
    pub(crate) async fn for_an_answer<T>(&self, asked: impl Future<Output = T>) -> Option<T> {
        let until = self.begun + self.limit * 4 / 5;
        timeout_at(until, asked).await.ok()
    }

    /// The whole call, unless the hub would break it off.
    pub(crate) async fn for_all<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let until = self.begun + self.limit * 9 / 10;
        timeout_at(until, call).await.ok()
    }
}
