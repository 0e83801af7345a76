//! The time after a breaker has closed, in which a growing share of the calls is let through, so
//! that what has waited does not arrive as a herd. It knows no target and looks at no clock.
//!
//! It grows a share, not a rate: what the target can bear, nobody has said. What is held back comes
//! again at a random moment of the rest. So a backlog that is all there at the beginning is let
//! through over the whole ramp, slowly first, and however large it is, no tenth of the ramp lets
//! more than three tenths of it through.

use std::time::Duration;

use tokio::time::Instant;

/// Lets through, after a part of its time has passed, that part of the calls.
#[derive(Debug)]
pub(super) struct Ramp {
    began: Instant,
    lasts: Duration,
    /// What those who asked have brought together since the last call that was let through: each
    /// the time that had passed. A call costs the whole ramp.
    saved: Duration,
}

impl Ramp {
    /// Begins now. The first call is let through.
    pub(super) fn new(now: Instant, lasts: Duration) -> Self {
        Self {
            began: now,
            lasts,
            saved: lasts,
        }
    }

    /// Asks for one call.
    ///
    /// # Errors
    /// When it is held back: how long the ramp still lasts.
    pub(super) fn ask(&mut self, now: Instant) -> Result<(), Duration> {
        let Some(left) = self.left(now) else {
            return Ok(());
        };
        self.saved += self.lasts - left;
        if self.saved < self.lasts {
            return Err(left);
        }
        self.saved -= self.lasts;
        Ok(())
    }

    /// How long it still lasts; `None` when it is over.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        let left = self.lasts.checked_sub(now.duration_since(self.began))?;
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENTH: Duration = Duration::from_secs(1);

    fn let_through(ramp: &mut Ramp, now: Instant, asked: usize) -> usize {
        (0..asked).filter(|_| ramp.ask(now).is_ok()).count()
    }

    #[test]
    fn the_share_grows_with_time() {
        let began = Instant::now();
        let mut ramp = Ramp::new(began, 10 * TENTH);
        assert_eq!(let_through(&mut ramp, began, 1_000), 1, "the first");
        for tenth in 1..10 {
            let now = began + tenth * TENTH;
            let expected = 100 * tenth as usize;
            let found = let_through(&mut ramp, now, 1_000);
            assert!(found.abs_diff(expected) <= 1, "{found} after {tenth} s");
        }
        assert_eq!(let_through(&mut ramp, began + 10 * TENTH, 1_000), 1_000);
    }

    #[test]
    fn a_backlog_comes_slowly_first_and_is_never_a_herd() {
        const BACKLOG: usize = 2_000;
        let began = Instant::now();
        let mut ramp = Ramp::new(began, 10 * TENTH);
        let mut waiting = vec![began; BACKLOG];
        let mut passed = Vec::new();
        while let Some(now) = waiting.iter().min().copied() {
            waiting.retain_mut(|at| {
                if *at > now {
                    return true;
                }
                match ramp.ask(now) {
                    Ok(()) => passed.push(now - began),
                    Err(left) => *at = now + left.mul_f64(rand::random()),
                }
                *at > now
            });
        }
        let within = |from: u32, to: u32| {
            let span = from * TENTH..to * TENTH;
            passed.iter().filter(|at| span.contains(at)).count()
        };
        assert!(within(0, 1) <= BACKLOG / 50, "{}", within(0, 1));
        for tenth in 0..10 {
            let found = within(tenth, tenth + 1);
            assert!(found <= BACKLOG * 3 / 10, "{found} in tenth {tenth}");
        }
        assert!(within(0, 10) >= BACKLOG * 9 / 10, "{}", within(0, 10));
    }

    #[test]
    fn a_ramp_of_no_time_holds_nothing_back() {
        let now = Instant::now();
        let mut ramp = Ramp::new(now, Duration::ZERO);
        assert_eq!(let_through(&mut ramp, now, 100), 100);
    }
}
