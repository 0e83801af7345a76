//! How long things take, in fixed steps: a room keeps a [`Histogram`] and adds to it; whoever wants to know takes the
//! [`Durations`] counted so far, and the difference to those taken before.
//!
//! The steps are the same for everything, so that any two can be added and compared. Each is at most two and a half
//! times as long as the one before: what is told of a share of them is off by no more than that, and mostly by far
//! less.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where the steps end, in nanoseconds: 1, 2.5 and 5 of every power of ten, from 10 µs to 1,000 s. What a service
/// promises is mostly one of these, so that whether it was kept is counted and not estimated.
const ENDS: [u64; 25] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    25_000_000_000,
    50_000_000_000,
    100_000_000_000,
    250_000_000_000,
    500_000_000_000,
    1_000_000_000_000,
];

/// With the last, for what is longer than all of these.
const STEPS: usize = ENDS.len() + 1;

/// How long each of many things has taken since the hub started. To add one costs two atomic additions, and nobody
/// waits.
pub struct Histogram {
    steps: [AtomicU64; STEPS],
    nanos: AtomicU64,
}

/// What a [`Histogram`] had counted at a moment, or between two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Durations {
    steps: [u64; STEPS],
    nanos: u64,
}

impl Histogram {
    /// Nothing is counted yet.
    pub fn new() -> Self {
        Self {
            steps: [const { AtomicU64::new(0) }; STEPS],
            nanos: AtomicU64::new(0),
        }
    }

    /// Counts one more.
    pub fn add(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let step = ENDS.partition_point(|end| *end < nanos);
        self.steps[step].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// All that was counted so far.
    pub fn counted(&self) -> Durations {
        Durations {
            steps: std::array::from_fn(|step| self.steps[step].load(Ordering::Relaxed)),
            nanos: self.nanos.load(Ordering::Relaxed),
        }
    }
}

impl Durations {
    /// How many.
    pub fn count(&self) -> u64 {
        self.steps.iter().sum()
    }

    /// How long all of them together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// What came since `before` was taken of the same.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            steps: std::array::from_fn(|step| self.steps[step].saturating_sub(before.steps[step])),
            nanos: self.nanos.wrapping_sub(before.nanos),
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            steps: std::array::from_fn(|step| self.steps[step] + other.steps[step]),
            nanos: self.nanos.wrapping_add(other.nanos),
        }
    }

    /// How long the given share of them took at most: 0.5 for the median, 0.99 for all but the slowest in a hundred.
    /// Within a step they are taken to be spread evenly; of those beyond the last step no more is known than its
    /// beginning. `None` when there are none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = share.clamp(0.0, 1.0) * self.count() as f64;
        let mut below = 0.0;
        let mut begin = 0;
        for (step, count) in self
            .steps
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
        {
            let count = *count as f64;
            if step > 0 {
                begin = ENDS[step - 1];
            }
            if below + count >= rank {
                let end = ENDS.get(step).copied().unwrap_or(begin);
                let within = (rank - below) / count * (end - begin) as f64;
                return Some(Duration::from_nanos(begin) + Duration::from_nanos(within as u64));
            }
            below += count;
        }
        None
    }

    /// How many there are in each step, shortest first, with the end of the step; the last one has none.
    pub fn steps(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let ends = ENDS.iter().copied().map(Duration::from_nanos).map(Some);
        ends.chain([None]).zip(self.steps)
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counted().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Histogram {
        let histogram = Histogram::new();
        for each in millis {
            histogram.add(Duration::from_millis(each));
        }
        histogram
    }

    #[test]
    fn what_takes_as_long_as_a_step_is_within_it() {
        let counted = of([5, 6, 10, 2_000_000]).counted();
        let steps = counted.steps().filter(|(_, count)| *count > 0);
        let steps: Vec<_> = steps.collect();
        let end = |millis| Some(Duration::from_millis(millis));
        assert_eq!(steps, [(end(5), 1), (end(10), 2), (None, 1)]);
        assert_eq!(counted.count(), 4);
        assert_eq!(counted.sum(), Duration::from_millis(2_000_021));
    }

    #[test]
    fn a_share_is_told_to_within_a_step() {
        let counted = of(1..=1_000).counted();
        for (share, truth) in [(0.5, 500), (0.9, 900), (0.99, 990), (0.01, 10)] {
            let told = counted.quantile(share).unwrap().as_millis() as f64;
            assert!(
                (told / f64::from(truth) - 1.0).abs() < 0.1,
                "{share}: {told}"
            );
        }
        assert_eq!(Durations::default().quantile(0.5), None);
        let long = of([2_000_000]).counted().quantile(0.99);
        assert_eq!(
            long,
            Some(Duration::from_secs(1_000)),
            "as far as it is known"
        );
        let short = of([0]).counted().quantile(1.0).unwrap();
        assert!(short <= Duration::from_micros(10), "{short:?}");
    }

    #[test]
    fn a_difference_is_what_came_meanwhile() {
        let histogram = of([1, 10]);
        let before = histogram.counted();
        histogram.add(Duration::from_millis(100));
        let since = histogram.counted().since(&before);
        assert_eq!(since, of([100]).counted());
        assert_eq!(before.and(&since), histogram.counted());
        assert_eq!(before.since(&before), Durations::default());
    }
}
