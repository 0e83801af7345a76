//! How long to wait before the next attempt. Never the same for everybody: producers that a hub lost together are not
//! to come back together.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// The longest wait that is granted when it is asked for.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// Waits that double, until something goes well.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) fn new() -> Self {
        Self(FIRST)
    }

    /// The next wait: half of it is certain, half by chance.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.0.mul_f64(0.5 + 0.5 * rand::random::<f64>());
        self.0 = (self.0 * 2).min(LONGEST);
        wait
    }

    /// Something went well.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

/// A wait that the hub asked for: not less, and up to a quarter more. Nobody is waited for longer than an hour at once.
pub(crate) fn at_least(asked: Duration) -> Duration {
    asked
        .min(LONGEST_ASKED)
        .mul_f64(1.0 + 0.25 * rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::new();
        for most in [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            let (wait, most) = (backoff.next(), Duration::from_millis(most));
            assert!(wait >= most / 2 && wait <= most, "{wait:?} of {most:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
        let asked = Duration::from_secs(4);
        let wait = at_least(asked);
        assert!(wait >= asked && wait <= asked * 5 / 4, "{wait:?}");
        let wait = at_least(Duration::from_secs(u64::MAX));
        assert!(wait <= LONGEST_ASKED * 5 / 4, "{wait:?}");
    }
}
