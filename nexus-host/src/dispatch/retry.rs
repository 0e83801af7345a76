//! When a failed attempt is made again.

use std::time::Duration;

use nexus_plugin_api::PluginError;

use super::config::Retry;
use crate::queue::Failure;

/// Code of a failure that is no failure: the processor, or the target, asked to be shown it later.
pub(super) const DEFERRED: &str = "retry_later";

/// How soon it is looked whether a plugin is back.
const ABSENCE: Duration = Duration::from_secs(2);

/// How often one event, or one effect, may be put off. Beyond it, it is a poison.
const MAX_DEFERRALS: usize = 100;

/// The configured delays: after the first failure, the second and so on; the last one repeats.
#[derive(Debug, Clone)]
pub(super) struct RetryPolicy {
    config: Retry,
}

impl RetryPolicy {
    pub(super) fn new(config: Retry) -> Self {
        Self { config }
    }

    /// The delay before the next attempt after `error`, or `None` when it is given up: it is
    /// permanent, or `max_retries` failures came before it. One that says when to come back puts off, and is no
    /// failure; that may be said so often.
    ///
    /// Jitter only lengthens, so a delay is never under the configured one; a target that names a
    /// later time is obeyed.
    pub(super) fn after(&self, earlier: &[Failure], error: &PluginError) -> Option<Duration> {
        let puts_off = puts_off(error);
        if !error.retryable || (puts_off && !Self::may_defer(earlier)) {
            return None;
        }
        let retries = earlier
            .iter()
            .filter(|failure| failure.code != DEFERRED)
            .count();
        if !puts_off && retries >= usize::try_from(self.config.max_retries).unwrap_or(usize::MAX) {
            return None;
        }
        let delays = &self.config.delays;
        let base = match delays.get(retries).or(delays.last()) {
            Some(base) => base.get(),
            None if puts_off => ABSENCE,
            None => return None,
        };
        Some(self.spread(base).max(error.retry_after.unwrap_or_default()))
    }

    /// How long to wait for a plugin that is not there.
    pub(super) fn pause(&self) -> Duration {
        self.spread(ABSENCE)
    }

    /// Lengthens a delay at random, so that what failed together does not come back together.
    fn spread(&self, delay: Duration) -> Duration {
        delay + delay.mul_f64(self.config.jitter * rand::random::<f64>())
    }

    /// Whether a processor may put the event off once more.
    pub(super) fn may_defer(earlier: &[Failure]) -> bool {
        earlier
            .iter()
            .filter(|failure| failure.code == DEFERRED)
            .count()
            < MAX_DEFERRALS
    }
}

/// Whether an error says when to come back, or has the code that says so.
pub(super) fn puts_off(error: &PluginError) -> bool {
    error.retryable && (error.retry_after.is_some() || error.code == DEFERRED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HumanDuration;
    use chrono::Utc;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn failures(count: usize) -> Vec<Failure> {
        (0..count)
            .map(|_| Failure {
                at: Utc::now(),
                code: "failed".to_owned(),
                message: String::new(),
            })
            .collect()
    }

    #[test]
    fn three_retries_at_one_two_and_four_seconds_with_jitter_upwards_only() {
        let policy = RetryPolicy::new(Retry::default());
        let error = PluginError::retryable("failed", "no");
        for (earlier, seconds) in [(0, 1.0), (1, 2.0), (2, 4.0)] {
            for _ in 0..1_000 {
                let delay = policy
                    .after(&failures(earlier), &error)
                    .expect("a retry")
                    .as_secs_f64();
                assert!(
                    (seconds..=seconds * 1.25).contains(&delay),
                    "{delay} after {earlier}"
                );
            }
        }
        assert_eq!(
            policy.after(&failures(3), &error),
            None,
            "three retries are four attempts"
        );
    }

    #[test]
    fn a_target_that_asks_for_more_time_gets_it_and_a_permanent_error_no_retry() {
        let policy = RetryPolicy::new(Retry::default());
        let later = PluginError::retryable("busy", "no").after(Duration::from_secs(9));
        assert_eq!(policy.after(&[], &later), Some(Duration::from_secs(9)));
        assert_eq!(
            policy.after(&[], &PluginError::permanent("bad", "no")),
            None
        );
    }

    #[test]
    fn a_target_that_says_when_to_come_back_is_waited_for_and_not_for_ever() {
        let policy = RetryPolicy::new(Retry::default());
        let away = PluginError::retryable("unreachable", "no").after(Duration::from_secs(9));
        let mut earlier = failures(3);
        for _ in 0..MAX_DEFERRALS {
            assert_eq!(policy.after(&earlier, &away), Some(Duration::from_secs(9)));
            let mut put_off = failures(1);
            put_off[0].code = DEFERRED.to_owned();
            earlier.extend(put_off);
        }
        assert_eq!(policy.after(&earlier, &away), None);
        let never = RetryPolicy::new(Retry {
            max_retries: 0,
            delays: Vec::new(),
            ..Retry::default()
        });
        assert!(never.after(&[], &away).is_some());
    }

    fn settings() -> impl Strategy<Value = Retry> {
        let delays = vec((1_u64..1_000_000).prop_map(Duration::from_micros), 1..10);
        (0_u32..20, delays, 0.0..=1.0).prop_map(|(max_retries, delays, jitter)| Retry {
            max_retries,
            delays: delays.into_iter().map(HumanDuration::from).collect(),
            jitter,
            ..Retry::default()
        })
    }

    proptest! {
        /// A target that fails for ever, and names times of its own now and then.
        #[test]
        fn at_most_so_many_retries_none_too_early_or_too_late(
            settings in settings(),
            named in vec(proptest::option::of(0_u64..2_000_000), 20),
            deferrals in 0_usize..5,
        ) {
            let policy = RetryPolicy::new(settings.clone());
            // That a processor put the event off is no attempt.
            let mut earlier = failures(deferrals);
            earlier.iter_mut().for_each(|one| one.code = DEFERRED.to_owned());
            let mut retries = 0;
            for round in 0..100 {
                let named = named.get(round).copied().flatten().map(Duration::from_micros);
                let error = match named {
                    Some(later) => PluginError::retryable("failed", "no").after(later),
                    None => PluginError::retryable("failed", "no"),
                };
                let Some(delay) = policy.after(&earlier, &error) else {
                    break;
                };
                let last = settings.delays.len() - 1;
                let base = settings.delays[retries.min(last)].get();
                let named = named.unwrap_or_default();
                // Rounding to nanoseconds.
                let most = base + base.mul_f64(settings.jitter) + Duration::from_nanos(1);
                prop_assert!(delay >= base.max(named), "{delay:?} is too early");
                prop_assert!(delay <= most.max(named), "{delay:?} is too late");
                let mut failed = failures(1);
                match puts_off(&error) {
                    true => failed[0].code = DEFERRED.to_owned(),
                    false => retries += 1,
                }
                earlier.extend(failed);
                prop_assert!(retries <= 20, "for ever");
            }
            prop_assert_eq!(retries, settings.max_retries as usize);
        }
    }
}
