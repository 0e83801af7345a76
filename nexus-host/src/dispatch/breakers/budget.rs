//! How many retries a target may be given, so that a failing one does not get a multiple of its
//! load on top. It knows no target and looks at no clock.
//!
//! What is bounded is the retries that fail: one that works gives its token back. So a target that
//! fails for good sees little more than its first attempts, and one that is back is given all
//! that has waited, as fast as it answers.

use std::time::Duration;

use tokio::time::Instant;

/// Tokens a budget has at first, and comes back to by itself: rare traffic earns too little for its
/// own three retries.
const RESERVE: f64 = 10.0;

/// How long an empty budget takes to have its reserve again. As long as a breaker counts failures
/// by default, and with more tokens than that allows failures: the two do not get in each
/// other's way.
const REFILL: Duration = Duration::from_secs(60);

/// How long what was earned beyond the reserve lasts: it falls to a third in this time. Load that
/// is long over says nothing about what the target can bear now.
const KEPT: Duration = Duration::from_secs(10);

/// Tokens for retries: each costs one, and each first attempt earns a share of one.
#[derive(Debug)]
pub(super) struct Budget {
    share: f64,
    tokens: f64,
    counted: Instant,
}

impl Budget {
    /// With its reserve. A first attempt will earn `share` tokens.
    pub(super) fn new(share: f64, now: Instant) -> Self {
        Self {
            share,
            tokens: RESERVE,
            counted: now,
        }
    }

    /// The retries it has tokens for at the moment.
    pub(super) fn retries(&mut self, now: Instant) -> u64 {
        self.count(now);
        // Never negative, and far below what a u64 holds.
        self.tokens as u64
    }

    /// Whether it has less than its reserve.
    pub(super) fn is_spent(&mut self, now: Instant) -> bool {
        self.count(now);
        self.tokens < RESERVE
    }

    /// A first attempt is made.
    pub(super) fn earn(&mut self, now: Instant) {
        self.count(now);
        self.tokens += self.share;
    }

    /// A retry is made; ask [`Budget::retries`] before.
    pub(super) fn spend(&mut self) {
        self.tokens -= 1.0;
    }

    /// The retry has worked, or was not made after all.
    pub(super) fn give_back(&mut self, now: Instant) {
        self.count(now);
        self.tokens += 1.0;
    }

    /// Brings the tokens up to date: too few come back, too many go.
    fn count(&mut self, now: Instant) {
        let passed = now.duration_since(self.counted).as_secs_f64();
        self.counted = now;
        let beyond = self.tokens - RESERVE;
        self.tokens = if beyond < 0.0 {
            (self.tokens + RESERVE * passed / REFILL.as_secs_f64()).min(RESERVE)
        } else {
            RESERVE + beyond * (-passed / KEPT.as_secs_f64()).exp()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spend_all(budget: &mut Budget, now: Instant) -> u64 {
        let mut spent = 0;
        while budget.retries(now) > 0 {
            budget.spend();
            spent += 1;
        }
        spent
    }

    #[test]
    fn rare_traffic_has_ten_retries_a_minute() {
        let mut now = Instant::now();
        let mut budget = Budget::new(0.0, now);
        assert_eq!(spend_all(&mut budget, now), 10);
        now += Duration::from_secs(6);
        assert_eq!(spend_all(&mut budget, now), 1);
        now += Duration::from_secs(600);
        assert_eq!(spend_all(&mut budget, now), 10, "and no more for waiting");
    }

    #[test]
    fn first_attempts_earn_and_what_they_earned_goes_with_time() {
        let now = Instant::now();
        let mut budget = Budget::new(0.1, now);
        (0..1_000).for_each(|_| budget.earn(now));
        assert!((109..=110).contains(&budget.retries(now)));
        let later = budget.retries(now + KEPT);
        assert!((46..=47).contains(&later), "{later}");
        assert_eq!(budget.retries(now + 10 * KEPT), 10);
    }

    #[test]
    fn a_retry_that_works_costs_nothing() {
        let now = Instant::now();
        let mut budget = Budget::new(0.1, now);
        for _ in 0..1_000 {
            assert!(budget.retries(now) > 0);
            budget.spend();
            budget.give_back(now);
        }
        assert!(!budget.is_spent(now));
    }

    proptest! {
        /// Whatever comes when: the retries that failed are at most what was earned, what there was
        /// at first, and what came back with time.
        #[test]
        fn never_more_than_its_share(
            share in 0.0..2.0,
            calls in proptest::collection::vec((0_u64..5_000, any::<bool>(), any::<bool>()), 1..500),
        ) {
            let began = Instant::now();
            let (mut now, mut budget) = (began, Budget::new(share, began));
            let (mut firsts, mut failed) = (0.0, 0.0);
            for (millis, first, works) in calls {
                now += Duration::from_millis(millis);
                if first {
                    budget.earn(now);
                    firsts += 1.0;
                } else if budget.retries(now) > 0 {
                    budget.spend();
                    if works {
                        budget.give_back(now);
                    } else {
                        failed += 1.0;
                    }
                }
                let back = RESERVE * (now - began).as_secs_f64() / REFILL.as_secs_f64();
                prop_assert!(failed <= RESERVE + back + share * firsts + 1e-6);
                prop_assert!(budget.tokens > -1e-6);
            }
        }
    }
}
