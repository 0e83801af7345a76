//! How many pings and pongs a client may send: receives each, answers whether it was one too many. They
//! are work for the hub and bring it nothing; no client that means well comes near the bound.

use tokio::time::Instant;

use crate::quota::{Bucket, Quota};

/// So many at once, when none came for a while.
const MOST: u32 = 1_000;

/// So many a second after that.
const PER_SECOND: f64 = 100.0;

/// See the module.
pub(super) struct Allowance {
    began: Instant,
    bucket: Bucket,
}

impl Allowance {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            bucket: Bucket::new(Quota::new(PER_SECOND, Some(MOST))),
        }
    }

    /// Takes in one, if it may come.
    pub(super) fn take(&mut self) -> bool {
        let now = u64::try_from(self.began.elapsed().as_nanos());
        // Centuries, which no socket lasts.
        self.bucket.take(now.unwrap_or(u64::MAX / 4)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_thousand_at_once_and_then_a_hundred_a_second() {
        let mut allowance = Allowance::new();
        let mut taken = |at_most: u32| (0..at_most).filter(|_| allowance.take()).count();
        assert_eq!(taken(5_000), 1_000);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(taken(5_000), 100);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(taken(5_000), 1_000);
    }
}
