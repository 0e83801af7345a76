//! How a plugin stands: its state, why, and since when.

use std::time::Duration;

use chrono::{DateTime, Utc};
use nexus_plugin_api::Health;
use serde::{Serialize, Serializer};

use super::backoff;
use super::refusal::Refusal;

/// What becomes of a plugin or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PluginState {
    /// A file that has just come or changed, and is looked at as soon as nobody writes to it any more.
    Discovered,
    /// It is not used, and why.
    Refused(Refusal),
    /// It is being started, or started again, and why again.
    Starting(Option<String>),
    /// It runs.
    Ready,
    /// It runs, but not as it should.
    Degraded(String),
    /// It does not work. It is started again.
    Failed(String),
    /// It did not work again and again. It is left alone for a while before it is started once more.
    Quarantined(String),
    /// It is not there any more.
    Stopped(String),
}

impl PluginState {
    /// Every state as text.
    pub const NAMES: [&str; 8] = [
        "discovered",
        "refused",
        "starting",
        "ready",
        "degraded",
        "failed",
        "quarantined",
        "stopped",
    ];

    /// The state as text.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Discovered => "discovered",
            Self::Refused(_) => "refused",
            Self::Starting(_) => "starting",
            Self::Ready => "ready",
            Self::Degraded(_) => "degraded",
            Self::Failed(_) => "failed",
            Self::Quarantined(_) => "quarantined",
            Self::Stopped(_) => "stopped",
        }
    }

    /// Why it is so, where there is anything to tell. A refusal has more to it than its reason.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Discovered | Self::Ready | Self::Starting(None) => None,
            Self::Refused(refusal) => Some(&refusal.reason),
            Self::Starting(Some(reason))
            | Self::Degraded(reason)
            | Self::Failed(reason)
            | Self::Quarantined(reason)
            | Self::Stopped(reason) => Some(reason),
        }
    }

    /// Why it is not used, if it is refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether it does nothing yet, since nobody has told it what to do: its component says [`Health::not_configured`].
    pub(crate) fn is_unconfigured(&self) -> bool {
        let Self::Degraded(reason) = self else {
            return false;
        };
        // Before it stands which component says so.
        let said = reason.split_once(": ").map(|(_, said)| said);
        said.is_some_and(|said| said.starts_with(Health::NOT_CONFIGURED))
    }

    /// Whether events are shown to it, however well it is.
    pub fn serves(&self) -> bool {
        matches!(self, Self::Ready | Self::Degraded(_))
    }
}

impl Serialize for PluginState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A state, and since when.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) state: PluginState,
    pub(super) since: DateTime<Utc>,
}

impl Standing {
    pub(super) fn now(state: PluginState) -> Self {
        let since = Utc::now();
        Self { state, since }
    }
}

/// How often something is tried again that fails, and when the next time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trials {
    failed: u32,
}

impl Trials {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(60);

    /// After so many, it is left alone.
    const MOST: u32 = 5;

    /// Counts one that failed; how long to wait before the next.
    pub(super) fn failed(&mut self) -> Duration {
        let before = self.failed;
        self.failed = before.saturating_add(1);
        let first = match self.is_hopeless() {
            true => Self::LONGEST,
            false => Self::FIRST,
        };
        backoff::delay(before, first, Self::LONGEST)
    }

    /// Whether it has failed too often to be tried as if it could work.
    pub(super) fn is_hopeless(self) -> bool {
        self.failed >= Self::MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_and_then_it_is_left_alone() {
        let mut trials = Trials::default();
        for seconds in [1, 2, 4, 8] {
            let delay = trials.failed();
            let least = Duration::from_secs(seconds);
            assert!(delay >= least && delay <= least.mul_f64(1.25), "{delay:?}");
            assert!(!trials.is_hopeless());
        }
        assert!(trials.failed() >= Trials::LONGEST);
        assert!(trials.is_hopeless());
    }
}
