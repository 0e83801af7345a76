//! One rate: receives the time, answers whether there is a share left. The whole state of a bucket
//! is one number, the time at which it would be full again if nothing more were taken (GCRA); so it
//! is exact at every boundary and costs nothing while it rests.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The longest time between two events that a rate stands for. Slower ones come to the same.
const LONGEST_INTERVAL: u64 = 366 * 24 * 60 * 60 * NANOS;

/// Nanoseconds that a burst may be worth: what the arithmetic holds, with room to spare.
const LONGEST_BURST: u64 = 1 << 61;

const NANOS: u64 = 1_000_000_000;

/// Nanoseconds since the process first asked. Enough for centuries.
pub(crate) fn now() -> u64 {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(ORIGIN.elapsed().as_nanos()).unwrap_or(u64::MAX / 4)
}

/// So many events per time, and so many at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    /// Nanoseconds between two events, at least 1.
    interval: u64,
    burst: u32,
}

impl Quota {
    /// `rate` in events per second, above 0; `burst` one second's worth when it is not given.
    pub(crate) fn new(rate: f64, burst: Option<u32>) -> Self {
        // Float casts saturate, so whatever was configured ends between the bounds.
        let interval = (NANOS as f64 / rate).round() as u64;
        let interval = interval.clamp(1, LONGEST_INTERVAL);
        let wanted = burst.unwrap_or(rate.ceil() as u32).max(1);
        let most = u32::try_from(LONGEST_BURST / interval).unwrap_or(u32::MAX);
        Self {
            interval,
            burst: wanted.min(most),
        }
    }

    /// How long a bucket that is used up takes to be full.
    fn whole(&self) -> u64 {
        self.interval * u64::from(self.burst)
    }

    /// Takes a share of a bucket that is full at `full`: when it is full then.
    ///
    /// # Errors
    /// How long to wait until there is a share.
    pub(crate) fn take(&self, full: u64, now: u64) -> Result<u64, Duration> {
        let full = full.max(now) + self.interval;
        match (full - now).checked_sub(self.whole()) {
            None | Some(0) => Ok(full),
            Some(wait) => Err(Duration::from_nanos(wait)),
        }
    }

    pub(crate) fn give_back(&self, full: u64) -> u64 {
        full.saturating_sub(self.interval)
    }
}

/// How much of a rate is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How many events may come at once when nothing was used.
    pub quota: u32,
    /// How long so many events take at the rate.
    pub window: Duration,
    /// How many may come now.
    pub remaining: u32,
    /// After what time there is everything again.
    pub reset: Duration,
}

/// One rate's state.
#[derive(Debug)]
pub(crate) struct Bucket {
    quota: Quota,
    full: AtomicU64,
}

impl Bucket {
    pub(crate) fn new(quota: Quota) -> Self {
        Self {
            quota,
            full: AtomicU64::new(0),
        }
    }

    /// Takes one share.
    ///
    /// # Errors
    /// How long to wait until there is one.
    pub(crate) fn take(&self, now: u64) -> Result<(), Duration> {
        let mut full = self.full.load(Ordering::Relaxed);
        loop {
            let then = self.quota.take(full, now)?;
            let swapped =
                self.full
                    .compare_exchange_weak(full, then, Ordering::Relaxed, Ordering::Relaxed);
            match swapped {
                Ok(_) => return Ok(()),
                Err(changed) => full = changed,
            }
        }
    }

    pub(crate) fn standing(&self, now: u64) -> Standing {
        let used = self.full.load(Ordering::Relaxed).saturating_sub(now);
        let left = self.quota.whole().saturating_sub(used) / self.quota.interval;
        Standing {
            quota: self.quota.burst,
            window: Duration::from_nanos(self.quota.whole()),
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            reset: Duration::from_nanos(used),
        }
    }
}
