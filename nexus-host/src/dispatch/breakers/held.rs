//! The answer to a call that may not be made yet: why, and when to ask again.

use std::time::Duration;

/// Why a call must wait, and for how long at least and at most before it makes sense to ask again.
/// Those who wait choose different times in between, so that they do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Why.
    pub because: Because,
    /// The earliest time, from now.
    pub at_least: Duration,
    /// The latest, from now.
    pub at_most: Duration,
}

/// Why a call must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Because {
    /// The breaker is open.
    Open,
    /// The one probe is under way.
    Probing,
    /// The breaker has closed only now.
    Ramping,
    /// It is a retry, and too many have failed.
    NoBudget,
}

impl Because {
    /// In a few words, for the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "its breaker is open",
            Self::Probing => "one call is trying whether it works again",
            Self::Ramping => "it works again only since a moment ago",
            Self::NoBudget => "too many of its calls fail to repeat more of them",
        }
    }
}

impl Held {
    pub(super) fn new(because: Because, at_least: Duration, spread: Duration) -> Self {
        Self {
            because,
            at_least,
            at_most: at_least + spread,
        }
    }

    /// One of the times to ask again, at random.
    pub fn pick(&self) -> Duration {
        let spread = self.at_most - self.at_least;
        self.at_least + spread.mul_f64(rand::random())
    }
}
