//! How many pings and pongs a client may send: receives each, answers whether it was one too many. They
//! are work for the hub and bring it nothing; no client that means well comes near the bound.

use std::time::Duration;

use tokio::time::Instant;

/// So many at once, when none came for a while.
const MOST: u32 = 1_000;

/// After so long there may be one more.
const EACH: Duration = Duration::from_millis(10);

/// See the module.
pub(super) struct Allowance {
    /// When as many as may be at once may come again.
    whole: Instant,
}

impl Allowance {
    pub(super) fn new() -> Self {
        Self {
            whole: Instant::now(),
        }
    }

    /// Takes in one, if it may come.
    pub(super) fn take(&mut self) -> bool {
        let now = Instant::now();
        let whole = self.whole.max(now) + EACH;
        let may_come = whole - now <= EACH * MOST;
        if may_come {
            self.whole = whole;
        }
        may_come
    }
}

#[cfg(test)]
mod tests {
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
