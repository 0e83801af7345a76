//! Which failures have a line in the log: receives where each comes from and why, answers whether it has
//! one, and how many had none since the line before. Bounded for each address and altogether, however many
//! come from however many.
//!
//! The first of an address within a minute has another bound than the rest: those who guess on from few
//! addresses cannot push the others out of the log.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::super::rate_limit::Keyed;
use super::{MOST_ADDRESSES, PER_MINUTE, Reason};
use crate::quota::{Bucket, Quota};

/// Lines for addresses that had none within a minute: so many at once, and so many a minute.
const FIRST: (u32, u32) = (600, 300);

/// Lines for all others.
const FURTHER: (u32, u32) = (200, 60);

/// See the module.
pub(super) struct Lines {
    /// By address; and by address and reason.
    told: Keyed,
    once_a_minute: Quota,
    of_reason: Quota,
    /// For addresses that have no room in the table.
    without_room: [Bucket; 2],
    first: Bucket,
    further: Bucket,
    left_out: AtomicU64,
    addresses_left_out: AtomicU64,
}

/// What had no line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Failures.
    pub(super) failures: u64,
    /// Addresses that had no line at all within a minute.
    pub(super) addresses: u64,
}

fn a_minute(burst: u32, rate: u32) -> Quota {
    Quota::new(f64::from(rate) / 60.0, Some(burst))
}

impl Lines {
    pub(super) fn new() -> Self {
        let once_a_minute = a_minute(1, 1);
        let of_reason = a_minute(PER_MINUTE, PER_MINUTE);
        Self {
            told: Keyed::new(MOST_ADDRESSES),
            once_a_minute,
            of_reason,
            without_room: [once_a_minute, of_reason].map(Bucket::new),
            first: Bucket::new(a_minute(FIRST.0, FIRST.1)),
            further: Bucket::new(a_minute(FURTHER.0, FURTHER.1)),
            left_out: AtomicU64::new(0),
            addresses_left_out: AtomicU64::new(0),
        }
    }

    /// Whether a failure has a line, and what had none before.
    pub(super) fn take(&self, place: &str, reason: Reason, now: u64) -> Option<LeftOut> {
        let [once, often] = &self.without_room;
        let told = |rule, quota, rest| self.told.take(rule, place, quota, rest, now).is_ok();
        let is_within = told(1 + reason as usize, &self.of_reason, often);
        let is_first = told(0, &self.once_a_minute, once);
        let has_line = match is_first {
            true => self.first.take(now).is_ok(),
            false => is_within && self.further.take(now).is_ok(),
        };
        if has_line {
            return Some(LeftOut {
                failures: self.left_out.swap(0, Ordering::Relaxed),
                addresses: self.addresses_left_out.swap(0, Ordering::Relaxed),
            });
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        self.addresses_left_out
            .fetch_add(u64::from(is_first), Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn told(
        lines: &Lines,
        places: impl Iterator<Item = String>,
        reason: Reason,
        now: u64,
    ) -> usize {
        let has_line = |place: &String| lines.take(place, reason, now).is_some();
        places.filter(has_line).count()
    }

    fn one(place: &str) -> impl Iterator<Item = String> {
        std::iter::repeat_n(place.to_owned(), 1_000)
    }

    #[test]
    fn of_an_address_twenty_lines_of_a_kind_are_written_and_the_rest_is_counted() {
        let lines = Lines::new();
        assert_eq!(told(&lines, one("a"), Reason::UnknownKey, 0), 20);
        assert_eq!(told(&lines, one("a"), Reason::ExpiredKey, 0), 20);
        assert_eq!(told(&lines, one("b"), Reason::UnknownKey, 0), 20);
        let later = lines.take("a", Reason::UnknownKey, 3 * SECOND);
        // What came before was told with the first line of the next kind.
        let failures = 980;
        assert_eq!(
            later,
            Some(LeftOut {
                failures,
                addresses: 0
            })
        );
        let later = lines.take("a", Reason::UnknownKey, 6 * SECOND);
        assert_eq!(
            later,
            Some(LeftOut {
                failures: 0,
                addresses: 0
            })
        );
    }

    #[test]
    fn a_flood_from_anywhere_is_bounded_and_pushes_no_other_address_out() {
        let lines = Lines::new();
        let few = || (0..100).map(|n| format!("few {n}"));
        let flood = (0..1_000).flat_map(|_| few());
        assert_eq!(told(&lines, flood, Reason::UnknownKey, 0), 300);
        assert!(lines.take("quiet", Reason::UnknownKey, 0).is_some());
        let (mut written, mut failures, mut addresses) = (0, 0, 0);
        let many = (0..100_000).map(|n| (format!("many {n}"), SECOND));
        for (place, now) in many.chain([("later".to_owned(), 61 * SECOND)]) {
            if let Some(left_out) = lines.take(&place, Reason::UnknownKey, now) {
                written += 1;
                failures += left_out.failures;
                addresses += left_out.addresses;
            }
        }
        assert!((490..=600).contains(&written), "{written}");
        assert!(failures > 99_000, "{failures}");
        // As many as there is room for.
        assert!(addresses > 30_000, "{addresses}");
        assert!(lines.told.len() <= MOST_ADDRESSES);
    }
}
