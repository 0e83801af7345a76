//! How often: receives one question per event, answers whether it may come now or how long to
//! wait. One limiter per configured client, made at start, so a stranger can add none and memory
//! stays what the configuration made it.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// The longest time between two events that a rate stands for. Slower ones come to the same.
const LONGEST_PERIOD: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Nanoseconds that a burst may be worth: what the limiter's arithmetic holds, with room to spare.
const LONGEST_BURST: u128 = 1 << 61;

/// Lets so many events through per second, and a burst at once.
pub(super) struct RateLimit<C: Clock = MonotonicClock> {
    limiter: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    clock: C,
}

impl RateLimit {
    pub(super) fn new(rate: f64, burst: Option<u32>) -> Self {
        Self::with_clock(rate, burst, MonotonicClock)
    }
}

impl<C: Clock + Clone> RateLimit<C> {
    /// `rate` in events per second, above 0; `burst` one second's worth when it is not given.
    fn with_clock(rate: f64, burst: Option<u32>, clock: C) -> Self {
        let period = Duration::try_from_secs_f64(rate.recip())
            .unwrap_or(LONGEST_PERIOD)
            .clamp(Duration::from_nanos(1), LONGEST_PERIOD);
        // A float cast saturates, so whatever was configured ends between the bounds.
        let wanted = burst.unwrap_or(rate.ceil() as u32);
        let most = u32::try_from(LONGEST_BURST / period.as_nanos()).unwrap_or(u32::MAX);
        let burst = NonZeroU32::new(wanted.min(most)).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(period)
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        Self {
            limiter: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
        }
    }

    /// Takes one event's share.
    ///
    /// # Errors
    /// How long to wait until there is one.
    pub(super) fn take(&self) -> Result<(), Duration> {
        self.limiter
            .check()
            .map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn the_wait_is_exact() {
        let clock = FakeRelativeClock::default();
        let limit = RateLimit::with_clock(2.0, Some(3), clock.clone());
        for _ in 0..3 {
            assert_eq!(limit.take(), Ok(()));
        }
        assert_eq!(limit.take(), Err(Duration::from_millis(500)));
        clock.advance(Duration::from_millis(499));
        assert_eq!(limit.take(), Err(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(limit.take(), Ok(()));
        assert_eq!(limit.take(), Err(Duration::from_millis(500)));
    }

    #[test]
    fn a_burst_is_one_second_s_worth_by_default() {
        for (rate, burst) in [(10.0, 10), (0.5, 1), (2.5, 3)] {
            let limit = RateLimit::with_clock(rate, None, FakeRelativeClock::default());
            for _ in 0..burst {
                assert_eq!(limit.take(), Ok(()));
            }
            assert!(limit.take().is_err(), "{rate}");
        }
    }

    #[test]
    fn over_a_long_time_the_rate_is_kept() {
        let clock = FakeRelativeClock::default();
        let limit = RateLimit::with_clock(100.0, Some(1), clock.clone());
        let mut let_through = 0;
        for _ in 0..100_000 {
            let_through += u32::from(limit.take().is_ok());
            clock.advance(Duration::from_millis(1));
        }
        assert!((9_990..=10_010).contains(&let_through), "{let_through}");
    }

    #[test]
    fn extreme_settings_work() {
        for (rate, burst) in [
            (1e9, Some(1_000_000_000)),
            (1e-300, Some(u32::MAX)),
            (f64::MIN_POSITIVE, None),
            (1e300, None),
        ] {
            let limit = RateLimit::with_clock(rate, burst, FakeRelativeClock::default());
            assert_eq!(limit.take(), Ok(()));
        }
    }
}
