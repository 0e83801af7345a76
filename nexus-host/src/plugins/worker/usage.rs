//! How much of the processors a worker takes: receives what the system has counted for its process so far, again
//! and again, and says when that is too much. The processes that it starts itself are not counted.
//!
//! The system's own limit (`RLIMIT_CPU`) counts a process's whole life: a worker that lives long enough would reach
//! any.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// What is looked at: so long may a worker take all there is.
const WINDOW: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Usage {
    /// Processors, on average over the window.
    most: f64,
    /// When it was counted, and what it was then: the window, and one before it.
    counted: VecDeque<(Instant, Duration)>,
}

impl Usage {
    pub(super) fn of_at_most(processors: f64) -> Self {
        Self {
            most: processors,
            counted: VecDeque::new(),
        }
    }

    /// The process has used so much until now. `Some` when that is too much: on average so many processors.
    pub(super) fn is_now(&mut self, used: Duration) -> Option<f64> {
        let now = Instant::now();
        self.counted.push_back((now, used));
        while let Some((next, _)) = self.counted.get(1)
            && now - *next >= WINDOW
        {
            self.counted.pop_front();
        }
        let (since, before) = self.counted.front()?;
        let length = now - *since;
        let average = used.saturating_sub(*before).as_secs_f64() / length.as_secs_f64();
        (length >= WINDOW && average > self.most).then_some(average)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bursts_are_let_through_and_lasting_use_is_told() {
        let second = Duration::from_secs(1);
        let mut usage = Usage::of_at_most(0.5);
        let mut used = Duration::ZERO;
        assert_eq!(usage.is_now(used), None);
        // A start, and then a burst every ten seconds: at most five seconds of any ten.
        for turn in 0..40 {
            tokio::time::advance(second).await;
            used += if turn % 10 < 5 {
                second
            } else {
                Duration::ZERO
            };
            assert_eq!(usage.is_now(used), None, "after {turn} seconds");
        }
        let mut seconds = 0;
        let average = loop {
            tokio::time::advance(second).await;
            used += second;
            seconds += 1;
            if let Some(average) = usage.is_now(used) {
                break average;
            }
            assert!(seconds < 20, "it is never told");
        };
        assert!(average > 0.5 && seconds >= 5, "{average} after {seconds} s");
    }
}
