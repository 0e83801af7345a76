//! The background task of a source: started, and started again with a growing delay.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::backoff;
use super::instance::Instance;

/// First delay after a failure; doubled up to the longest.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// A task that ran this long before it failed starts over with the first delay.
const HEALTHY_RUN: Duration = Duration::from_secs(60);

/// Runs a source's background task again and again, until this is dropped.
pub(super) async fn supervise(instance: Arc<Instance>, component: u32, name: String) {
    let mut failures = 0;
    loop {
        let started = Instant::now();
        match instance.run(component).await {
            Ok(()) => {
                tracing::debug!(source = name, "the source's background task has ended");
                return;
            }
            Err(error) => {
                if started.elapsed() >= HEALTHY_RUN {
                    failures = 0;
                }
                let wait = backoff::delay(failures, FIRST_DELAY, LONGEST_DELAY);
                tracing::warn!(source = name, %error, ?wait, "a source's background task failed; it is started again");
                sleep(wait).await;
                failures += 1;
            }
        }
    }
}
