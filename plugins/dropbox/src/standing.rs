//! How Dropbox stands, account by account: receives what worked and what failed, hands on how long to leave it alone,
//! and what is wrong, for the plugin's health.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nexus_plugin_api::{Health, PluginError};
use parking_lot::Mutex;

/// How long to wait after a first failure; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// By how much a pause is lengthened at random, so that what failed together does not come back together.
const SPREAD: f64 = 0.25;

#[derive(Debug)]
struct Trouble {
    failures: u32,
    quiet_until: Instant,
    reason: String,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    troubles: Mutex<BTreeMap<String, Trouble>>,
}

impl Standing {
    /// Notes that an account could be listed.
    pub(crate) fn works(&self, account: &str) {
        if self.troubles.lock().remove(account).is_some() {
            tracing::info!(account, "Dropbox answers again");
        }
    }

    /// Notes a failure: how long to wait before anything is asked again.
    pub(crate) fn failed(&self, account: &str, error: &PluginError) -> Duration {
        let mut troubles = self.troubles.lock();
        let failures = troubles.get(account).map_or(0, |trouble| trouble.failures);
        if failures == 0 {
            // Said once: what lasts for hours must not fill the log.
            tracing::warn!(account, "Dropbox cannot be listed: {error}");
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(16));
        let pause = pause
            .min(LONGEST_PAUSE)
            .mul_f64(1.0 + SPREAD * rand::random::<f64>());
        let pause = pause.max(error.retry_after.unwrap_or_default());
        let trouble = Trouble {
            failures: failures.saturating_add(1),
            quiet_until: Instant::now() + pause,
            reason: error.to_string(),
        };
        troubles.insert(account.to_owned(), trouble);
        pause
    }

    /// How much longer an account is to be left alone.
    pub(crate) fn pause(&self, account: &str) -> Option<Duration> {
        let troubles = self.troubles.lock();
        let left = troubles.get(account)?.quiet_until;
        let left = left.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    pub(crate) fn health(&self) -> Health {
        match self.troubles.lock().iter().next() {
            None => Health::Ready,
            Some((account, trouble)) => Health::Degraded {
                reason: format!("{account}: {}", trouble.reason),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_dropbox_has_the_last_word() {
        let standing = Standing::default();
        let error = PluginError::retryable("unavailable", "down");
        let pauses: Vec<_> = (0..12).map(|_| standing.failed("a", &error)).collect();
        assert!(pauses[0] >= FIRST_PAUSE && pauses[0] <= FIRST_PAUSE.mul_f64(1.25));
        assert!(pauses[3] >= FIRST_PAUSE * 8, "{pauses:?}");
        assert!(pauses[11] <= LONGEST_PAUSE.mul_f64(1.25), "{pauses:?}");
        let told = error.clone().after(Duration::from_secs(1000));
        assert_eq!(standing.failed("b", &told), Duration::from_secs(1000));
        assert!(standing.pause("b").is_some());
        assert!(matches!(standing.health(), Health::Degraded { .. }));
        standing.works("a");
        standing.works("b");
        assert_eq!(
            (standing.pause("b"), standing.health()),
            (None, Health::Ready)
        );
    }
}
