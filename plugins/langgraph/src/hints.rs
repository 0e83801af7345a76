//! Hints that something may have happened: receives them from webhooks and deliveries, wakes whoever
//! follows the run. They are kept nowhere; whoever misses one looks by itself a little later.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    /// There may be a run that nobody follows yet.
    pub(crate) new_run: Notify,
    followed: Mutex<HashMap<Uuid, Arc<Notify>>>,
}

/// Where the hints to one run arrive, as long as this lives.
#[derive(Debug)]
pub(crate) struct Listening<'a> {
    hints: &'a Hints,
    run_id: Uuid,
    bell: Arc<Notify>,
}

impl Hints {
    /// Listens for hints to a run. One follower follows each.
    pub(crate) fn listen(&self, run_id: Uuid) -> Listening<'_> {
        let bell = Arc::new(Notify::new());
        self.followed.lock().insert(run_id, Arc::clone(&bell));
        Listening {
            hints: self,
            run_id,
            bell,
        }
    }

    /// Something may have happened to a run.
    pub(crate) fn give(&self, run_id: Uuid) {
        match self.followed.lock().get(&run_id) {
            Some(bell) => bell.notify_one(),
            None => self.new_run.notify_one(),
        }
    }
}

impl Listening<'_> {
    /// Ready when a hint has come since the last time.
    pub(crate) async fn hint(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.hints.followed.lock().remove(&self.run_id);
    }
}
