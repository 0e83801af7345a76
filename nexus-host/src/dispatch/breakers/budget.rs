//! How many retries a target may be given, so that a failing one does not get a multiple of its
//! load on top. It knows no target and looks at no clock.
//!
//! What is bounded is the retries that fail: one that works costs nothing. So a target that
//! fails for good sees little more than its first attempts, and one that is back is given all
//! that has waited, as fast as it answers.

use std::time::Duration;

use tokio::time::Instant;

/// What one retry costs. A budget is kept as time, because its reserve comes back with time.
pub(super) const RETRY: Duration = Duration::from_secs(6);

/// What a budget has at first, and comes back to by itself: ten retries, again within a minute. Rare
/// traffic earns too little for its own three. And a breaker with its default settings opens
/// before it has let as many fail, so that the two do not get in each other's way.
const RESERVE: Duration = Duration::from_secs(60);

/// How long what was earned beyond the reserve lasts: it falls to about a third in this time. Load
/// that is long over says nothing about what the target can bear now.
const KEPT: Duration = Duration::from_secs(10);

/// What is saved up for retries. Each first attempt adds a share of one.
#[derive(Debug)]
pub(super) struct Budget {
    earned_each: Duration,
    saved: Duration,
    counted: Instant,
}

impl Budget {
    /// With its reserve. A first attempt will earn `share` retries.
    pub(super) fn new(share: f64, now: Instant) -> Self {
        Self {
            earned_each: RETRY.mul_f64(share),
            saved: RESERVE,
            counted: now,
        }
    }

    /// The retries it can pay for at the moment.
    pub(super) fn retries(&mut self, now: Instant) -> u64 {
        self.count(now);
        self.saved.as_secs() / RETRY.as_secs()
    }

    /// Whether it has less than its reserve.
    pub(super) fn is_spent(&mut self, now: Instant) -> bool {
        self.count(now);
        self.saved < RESERVE
    }

    /// A first attempt is made.
    pub(super) fn earn(&mut self, now: Instant) {
        self.count(now);
        self.saved += self.earned_each;
    }

    /// Pays for a retry; `false` when it cannot.
    pub(super) fn pay(&mut self, now: Instant) -> bool {
        self.count(now);
        let left = self.saved.checked_sub(RETRY);
        self.saved = left.unwrap_or(self.saved);
        left.is_some()
    }

    /// The retry has worked, or was not made after all.
    pub(super) fn give_back(&mut self, now: Instant) {
        self.count(now);
        self.saved += RETRY;
    }

    /// Brings it up to date: what is missing comes back, what is beyond the reserve goes.
    fn count(&mut self, now: Instant) {
        let passed = now.duration_since(self.counted);
        self.counted = now;
        self.saved = match self.saved.checked_sub(RESERVE) {
            None => (self.saved + passed).min(RESERVE),
            Some(beyond) => {
                let kept = (-passed.div_duration_f64(KEPT)).exp();
                RESERVE + beyond.mul_f64(kept)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pay_all(budget: &mut Budget, now: Instant) -> usize {
        std::iter::from_fn(|| budget.pay(now).then_some(())).count()
    }

    #[test]
    fn rare_traffic_has_ten_retries_a_minute() {
        let mut now = Instant::now();
        let mut budget = Budget::new(0.0, now);
        assert_eq!(pay_all(&mut budget, now), 10);
        now += Duration::from_secs(6);
        assert_eq!(pay_all(&mut budget, now), 1);
        now += Duration::from_secs(600);
        assert_eq!(pay_all(&mut budget, now), 10, "and no more for waiting");
    }

    #[test]
    fn first_attempts_earn_and_what_they_earned_goes_with_time() {
        let now = Instant::now();
        let mut budget = Budget::new(0.1, now);
        (0..1_000).for_each(|_| budget.earn(now));
        assert_eq!(budget.retries(now), 110);
        assert_eq!(budget.retries(now + KEPT), 10 + 36);
        assert_eq!(budget.retries(now + 10 * KEPT), 10);
    }

    #[test]
    fn a_retry_that_works_costs_nothing() {
        let now = Instant::now();
        let mut budget = Budget::new(0.1, now);
        for _ in 0..1_000 {
            assert!(budget.pay(now));
            budget.give_back(now);
        }
        assert!(!budget.is_spent(now));
    }

    proptest! {
        /// Whatever comes when: the retries that failed are at most what there was at first, what
        /// came back with time, and what was earned.
        #[test]
        fn never_more_than_its_share(
            share in 0.0..2.0,
            calls in proptest::collection::vec((0_u64..5_000, any::<bool>(), any::<bool>()), 1..500),
        ) {
            let began = Instant::now();
            let (mut now, mut budget) = (began, Budget::new(share, began));
            let (mut firsts, mut failed) = (0, 0);
            for (millis, first, works) in calls {
                now += Duration::from_millis(millis);
                if first {
                    budget.earn(now);
                    firsts += 1;
                } else if budget.pay(now) {
                    if works {
                        budget.give_back(now);
                    } else {
                        failed += 1;
                    }
                }
                let most = RESERVE + (now - began) + RETRY.mul_f64(share) * firsts;
                prop_assert!(RETRY * failed <= most);
            }
        }
    }
}
