//! What the hub alone knows, and knows again after a restart with a durable queue: a random number of its
//! own. It never leaves the process and its queue.

use std::sync::Arc;

use nexus_plugin_api::StateWrite;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use crate::intake::STORAGE_RETRY;
use crate::queue::{Queue, Unavailable};

/// Where it stands in the state of plugins. None can have this name.
const OWNER: &str = ":hub";
const KEY: &str = "secret";

/// The one that the queue keeps, or a new one. While the queue's storage does not work, a new one that is
/// kept as soon as it does.
pub(super) async fn of(queue: &Arc<dyn Queue>, background: &mut JoinSet<()>) -> Uuid {
    let fresh = Uuid::new_v4();
    let queue = queue.clone();
    let attempt = move || {
        let queue = queue.clone();
        async move { kept(queue.as_ref(), fresh).await }
    };
    in_use(fresh, attempt, background).await
}

/// What the first attempt to keep `fresh` answers, or `fresh`. Further attempts are made in the background.
async fn in_use<F>(
    fresh: Uuid,
    attempt: impl Fn() -> F + Send + 'static,
    background: &mut JoinSet<()>,
) -> Uuid
where
    F: Future<Output = Result<Uuid, Unavailable>> + Send,
{
    let error = match attempt().await {
        Ok(kept) => return kept,
        Err(error) => error,
    };
    tracing::warn!(
        %error,
        "the hub's own secret can be neither read nor kept for the moment: until the next start, requests \
         with an Idempotency-Key from before are not recognised"
    );
    background.spawn(async move {
        let kept = loop {
            sleep(STORAGE_RETRY).await;
            if let Ok(kept) = attempt().await {
                break kept;
            }
        };
        if kept == fresh {
            tracing::info!(
                "the hub's own secret is kept now: requests with an Idempotency-Key are recognised after a \
                 restart"
            );
        } else {
            tracing::warn!(
                "the hub has kept another secret of its own since before: requests with an Idempotency-Key \
                 since this start are not recognised after the next"
            );
        }
    });
    fresh
}

async fn kept(queue: &dyn Queue, fresh: Uuid) -> Result<Uuid, Unavailable> {
    let kept = queue.state_get(OWNER, KEY).await?;
    if let Some(secret) = kept.and_then(|bytes| Uuid::from_slice(&bytes).ok()) {
        return Ok(secret);
    }
    let write = StateWrite {
        key: KEY.to_owned(),
        value: Some(fresh.as_bytes().to_vec()),
    };
    queue.state_put(OWNER, write).await?;
    Ok(fresh)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::queue::{self, MemoryQueue};

    /// What is in use, and then stored, where the storage does not work at first and holds `before`.
    async fn started(failures: u32, before: Option<Uuid>) -> (Uuid, Uuid) {
        let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::new(&queue::Config::default(), true));
        if let Some(before) = before {
            kept(queue.as_ref(), before).await.unwrap();
        }
        let fresh = Uuid::new_v4();
        let attempts = Arc::new(AtomicU32::new(0));
        let storage = queue.clone();
        let attempt = move || {
            let (storage, attempts) = (storage.clone(), attempts.clone());
            async move {
                if attempts.fetch_add(1, Ordering::Relaxed) < failures {
                    let reason = "the disk is full".to_owned();
                    return Err(Unavailable { reason });
                }
                kept(storage.as_ref(), fresh).await
            }
        };
        let mut background = JoinSet::new();
        let in_use = in_use(fresh, attempt, &mut background).await;
        background.join_all().await;
        let after_restart = of(&queue, &mut JoinSet::new()).await;
        (in_use, after_restart)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_use_is_known_again_once_the_storage_works() {
        for failures in [0, 1, 5] {
            let (in_use, after_restart) = started(failures, None).await;
            assert_eq!(in_use, after_restart, "{failures}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_kept_before_is_never_replaced() {
        let before = Uuid::new_v4();
        assert_eq!(started(0, Some(before)).await, (before, before));
        let (in_use, after_restart) = started(2, Some(before)).await;
        assert!(in_use != before && after_restart == before);
    }
}
