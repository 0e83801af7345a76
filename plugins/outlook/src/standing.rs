//! How the plugin stands: receives what goes wrong and what goes well again, hands on its health. It keeps the last
//! trouble of each folder, and how many notifications were turned away of late.

use std::collections::BTreeMap;
use std::time::Duration;

use nexus_plugin_api::{Health, PluginError};
use parking_lot::Mutex;
use tokio::time::Instant;

/// For how long a notification that was turned away shows in the health.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By mailbox.
    troubles: BTreeMap<String, String>,
    turned_away: BTreeMap<&'static str, TurnedAway>,
}

#[derive(Debug)]
struct TurnedAway {
    count: u64,
    last: Instant,
}

impl Standing {
    /// Notes a failure; said once, not each time it happens again.
    pub(crate) fn trouble(&self, mailbox: &str, error: &PluginError) {
        let told = format!("{mailbox}: {error}");
        let before = self
            .inner
            .lock()
            .troubles
            .insert(mailbox.to_owned(), told.clone());
        if before.as_ref() != Some(&told) {
            tracing::warn!("mail of {told}");
        }
    }

    /// Notes that it works.
    pub(crate) fn works(&self, mailbox: &str) {
        if self.inner.lock().troubles.remove(mailbox).is_some() {
            tracing::info!("mail of {mailbox} is followed again");
        }
    }

    /// Notes a notification that was not processed, and why.
    pub(crate) fn turned_away(&self, why: &'static str) {
        let count = {
            let mut inner = self.inner.lock();
            let now = Instant::now();
            let noted = inner.turned_away.entry(why).or_insert(TurnedAway {
                count: 0,
                last: now,
            });
            noted.count += 1;
            noted.last = now;
            noted.count
        };
        // Whoever sends many must not fill the log.
        if count.is_power_of_two() {
            tracing::warn!(count, "a notification was not processed: {why}");
        }
    }

    pub(crate) fn health(&self) -> Health {
        let inner = self.inner.lock();
        let mut reasons: Vec<String> = inner.troubles.values().cloned().collect();
        let recent = inner
            .turned_away
            .iter()
            .filter(|(_, noted)| noted.last.elapsed() < REMEMBERED);
        reasons.extend(
            recent
                .map(|(why, noted)| format!("{} notifications not processed: {why}", noted.count)),
        );
        match reasons.is_empty() {
            true => Health::Ready,
            false => Health::Degraded {
                reason: reasons.join("; "),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_turned_away_shows_for_a_while_and_trouble_until_it_is_over() {
        let standing = Standing::default();
        assert_eq!(standing.health(), Health::Ready);
        standing.trouble("me", &PluginError::retryable("unavailable", "not now"));
        standing.turned_away("wrong clientState");
        standing.turned_away("wrong clientState");
        let Health::Degraded { reason } = standing.health() else {
            panic!("degraded");
        };
        assert_eq!(
            reason,
            "me: not now (unavailable); 2 notifications not processed: wrong clientState"
        );
        standing.works("me");
        assert!(matches!(standing.health(), Health::Degraded { .. }));
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(standing.health(), Health::Ready);
    }
}
