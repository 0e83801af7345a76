//! The hub that the plugin sees: answers what it asks for out of memory, admits what it publishes as any hub does
//! and queues nothing. It can be told to be late, to fail, or to say nothing at all.

use std::collections::BTreeMap;
use std::future::{pending, ready};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use nexus_host::admission::{Admission, Origin, Rejection};
use nexus_host::plugins::port::Upstream;
use nexus_host::queue::BoxFuture;
use nexus_plugin_api::{NewEvent, PluginError, PublishStatus, Published, StateWrite};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::sleep;

/// How late a hub is that is slow.
const LATE: Duration = Duration::from_millis(200);

/// How the hub answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// At once.
    Ready,
    /// Late.
    Slow,
    /// That it cannot, for the moment.
    Failing,
    /// Never.
    Silent,
}

/// See the module.
pub(crate) struct Hub {
    /// Whoever holds it holds the plugin, which holds this.
    admission: Weak<Admission>,
    mood: Mutex<Mood>,
    state: Mutex<BTreeMap<String, Vec<u8>>>,
    asked: AtomicU64,
    runtime: Handle,
}

impl Hub {
    pub(crate) fn new(admission: &Arc<Admission>) -> Arc<Self> {
        Arc::new(Self {
            admission: Arc::downgrade(admission),
            mood: Mutex::new(Mood::Ready),
            state: Mutex::default(),
            asked: AtomicU64::new(0),
            runtime: Handle::current(),
        })
    }

    /// How it answers from now on.
    pub(crate) fn be(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    /// How often it was asked for something.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn answer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, PluginError>,
    ) -> BoxFuture<'static, Result<T, PluginError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mood = *self.mood.lock();
        match mood {
            Mood::Ready => Box::pin(ready(work(self))),
            Mood::Slow => {
                let answer = work(self);
                // A plugin that runs in this process waits on a runtime of its own, whose clock is another.
                let late = self.runtime.spawn(async { sleep(LATE).await });
                Box::pin(async move {
                    // It ends early only with the hub.
                    let _ = late.await;
                    answer
                })
            }
            Mood::Failing => {
                let message = "the hub cannot do that, for the moment";
                Box::pin(ready(Err(PluginError::retryable(
                    "storage_unavailable",
                    message,
                ))))
            }
            Mood::Silent => Box::pin(pending()),
        }
    }
}

impl Upstream for Hub {
    fn publish(
        &self,
        plugin: &str,
        event: NewEvent,
    ) -> BoxFuture<'static, Result<Published, PluginError>> {
        self.answer(|hub| {
            let admission = hub.admission.upgrade();
            let admission = admission
                .ok_or_else(|| PluginError::retryable("shutting_down", "the hub is stopping"))?;
            let admitted = admission.admit_new(event, Origin::Plugin(plugin));
            let admitted = admitted.map_err(Rejection::into_plugin_error)?;
            Ok(Published {
                event_id: admitted.event().event_id,
                status: PublishStatus::Accepted,
            })
        })
    }

    fn state_get(
        &self,
        _: &str,
        key: &str,
    ) -> BoxFuture<'static, Result<Option<Vec<u8>>, PluginError>> {
        self.answer(|hub| Ok(hub.state.lock().get(key).cloned()))
    }

    fn state_put(&self, _: &str, write: StateWrite) -> BoxFuture<'static, Result<(), PluginError>> {
        self.answer(|hub| {
            let mut state = hub.state.lock();
            match write.value {
                Some(value) => drop(state.insert(write.key, value)),
                None => drop(state.remove(&write.key)),
            }
            Ok(())
        })
    }

    fn state_keys(
        &self,
        _: &str,
        prefix: &str,
    ) -> BoxFuture<'static, Result<Vec<String>, PluginError>> {
        self.answer(|hub| {
            let state = hub.state.lock();
            let keys = state.keys().filter(|key| key.starts_with(prefix));
            Ok(keys.cloned().collect())
        })
    }
}
