//! The time by which a durable queue plans: it goes on across restarts, and never back within one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// Where a queue takes its time from.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// The system's clock as it was at the start, and what has passed since: whoever sets the
    /// system's clock makes no retry early or late.
    System { begun: Instant, at: DateTime<Utc> },
    /// Stands still until somebody puts it forward, in microseconds.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The system's time.
    pub fn system() -> Self {
        Self(Kind::System {
            begun: Instant::now(),
            at: Utc::now(),
        })
    }

    /// The system's time, put forward.
    #[cfg(test)]
    pub(super) fn ahead(by: Duration) -> Self {
        Self(Kind::System {
            begun: Instant::now(),
            at: Utc::now() + by,
        })
    }

    /// A clock that stands still, for tests. Copies of it are the same clock.
    pub fn manual() -> Self {
        Self(Kind::Manual(Arc::new(AtomicI64::new(
            Utc::now().timestamp_micros(),
        ))))
    }

    /// Puts a clock that stands still forward. A queue looks at it when it is next asked anything.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual(micros) = &self.0 {
            micros.fetch_add(self::micros(by), Ordering::AcqRel);
        }
    }

    /// The time now, in microseconds since 1970.
    pub(super) fn micros(&self) -> i64 {
        match &self.0 {
            Kind::System { begun, at } => at
                .timestamp_micros()
                .saturating_add(micros(begun.elapsed())),
            Kind::Manual(micros) => micros.load(Ordering::Acquire),
        }
    }

    /// How long until then; `None` for a clock that does not run by itself.
    pub(super) fn until(&self, micros: i64) -> Option<Duration> {
        match self.0 {
            Kind::System { .. } => {
                let left = u64::try_from(micros.saturating_sub(self.micros())).unwrap_or(0);
                Some(Duration::from_micros(left))
            }
            Kind::Manual(_) => None,
        }
    }
}

/// A span as times are stored; one that is too long for it is the longest there is.
pub(super) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// A time as it is stored, as people read it.
pub(super) fn at(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH)
}
