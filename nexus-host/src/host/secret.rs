//! What the hub alone knows, and knows again after a restart with a durable queue: a random number of its
//! own. It never leaves the process and its queue.

use std::sync::Arc;

use nexus_plugin_api::StateWrite;
use uuid::Uuid;

use crate::queue::{Queue, Unavailable};

/// Where it stands in the state of plugins. None can have this name.
const OWNER: &str = ":hub";
const KEY: &str = "secret";

/// The one that the queue keeps, or a new one. While the queue's storage does not work, a new one
/// for this process.
pub(super) async fn of(queue: &Arc<dyn Queue>) -> Uuid {
    let fresh = Uuid::new_v4();
    kept(queue.as_ref(), fresh).await.unwrap_or_else(|error| {
        tracing::warn!(
            %error,
            "the hub's own secret cannot be kept: requests with an Idempotency-Key from before are not \
             recognised"
        );
        fresh
    })
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
