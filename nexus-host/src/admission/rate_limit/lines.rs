//! Lines of the log that others cause: receives that one is due, answers whether it is written. Of a flood
//! some are, and the next one tells how many were left out.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::quota::{Bucket, Quota, now};

/// So many at once, and so many a minute.
const PER_MINUTE: u32 = 20;

/// What was told of one thing.
pub(crate) struct Lines {
    quota: Bucket,
    left_out: AtomicU64,
}

impl Lines {
    pub(crate) fn new() -> Self {
        let rate = f64::from(PER_MINUTE) / 60.0;
        Self {
            quota: Bucket::new(Quota::new(rate, Some(PER_MINUTE))),
            left_out: AtomicU64::new(0),
        }
    }

    /// Whether another line may be written: how many were left out since the one before.
    pub(crate) fn next(&self) -> Option<u64> {
        self.next_at(now())
    }

    fn next_at(&self, now: u64) -> Option<u64> {
        if self.quota.take(now).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.left_out.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_some_are_written_and_the_rest_is_counted() {
        const SECOND: u64 = 1_000_000_000;
        let lines = Lines::new();
        for _ in 0..20 {
            assert_eq!(lines.next_at(0), Some(0));
        }
        for _ in 0..1_000 {
            assert_eq!(lines.next_at(SECOND), None);
        }
        assert_eq!(lines.next_at(4 * SECOND), Some(1_000));
        assert_eq!(lines.next_at(4 * SECOND), None);
    }
}
