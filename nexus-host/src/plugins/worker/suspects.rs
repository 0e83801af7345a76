//! What workers have died over: is told of deaths and of what came to a good end, and answers what is suspected, and
//! what is to blame: whatever a second worker has died over, alone.

use std::collections::HashMap;
use std::sync::Arc;

use nexus_plugin_api::abi::{CallV1, ErrorV1};
use parking_lot::Mutex;

use super::super::extra::Extra;
use super::line::Death;

/// So many deaths are remembered of events that nobody shows again.
const MOST: usize = 10_000;

/// See the module.
pub(super) struct Suspects {
    /// Of the plugin's library.
    sha256: [u8; 32],
    known: Mutex<HashMap<Key, Suspicion>>,
}

/// What a worker was at when it died.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    component: u32,
    event_id: [u8; 16],
    /// What tells it apart from others of this id: the event's source, or the key of its effect.
    within: String,
}

/// How often a worker has died over it, and how the last did that was seen.
#[derive(Debug, Clone)]
struct Suspicion {
    deaths: u32,
    last: Option<Arc<Death>>,
}

/// Work on an event.
pub(super) struct Work {
    key: Key,
    /// Whether a worker has died over it, as the queue remembers: this hub may not have been there.
    is_suspected: bool,
}

impl Work {
    /// `None` for a call that belongs to no event.
    pub(super) fn of(call: &CallV1<'_>, within: &str) -> Option<Self> {
        let is_event = call.event_id != [0; 16];
        is_event.then(|| Self {
            key: Key {
                component: call.component,
                event_id: call.event_id,
                within: within.to_owned(),
            },
            is_suspected: Extra::read(call.extra.as_slice()).is_suspected,
        })
    }
}

impl Suspects {
    pub(super) fn new(sha256: [u8; 32]) -> Self {
        Self {
            sha256,
            known: Mutex::default(),
        }
    }

    /// Whether a worker has died over it, so that it is to be shown alone.
    ///
    /// # Errors
    /// When it is to blame, and not to be shown at all.
    pub(super) fn suspects(&self, work: &Work) -> Result<bool, ErrorV1> {
        let mut known = self.known.lock();
        let suspicion = known.get(&work.key);
        if let Some(guilty) = suspicion.and_then(|one| self.convict(one)) {
            known.remove(&work.key);
            return Err(guilty);
        }
        Ok(work.is_suspected || suspicion.is_some())
    }

    /// It has come to a good end.
    pub(super) fn acquit(&self, work: &Work) {
        self.known.lock().remove(&work.key);
    }

    /// Notes that a worker has died over it.
    pub(super) fn blame(&self, work: &Work, death: &Arc<Death>) {
        let mut known = self.known.lock();
        if known.len() >= MOST {
            known.clear();
        }
        let suspicion = known.entry(work.key.clone()).or_insert(Suspicion {
            deaths: u32::from(work.is_suspected),
            last: None,
        });
        // It may have been under way twice: given up, and shown again.
        let is_told = |last: &Arc<Death>| Arc::ptr_eq(last, death);
        if !suspicion.last.as_ref().is_some_and(is_told) {
            suspicion.deaths += 1;
            suspicion.last = Some(death.clone());
        }
    }

    /// The answer for what has killed a second worker.
    fn convict(&self, suspicion: &Suspicion) -> Option<ErrorV1> {
        let last = suspicion.last.as_ref();
        let last = last.filter(|_| suspicion.deaths >= 2)?;
        let sha256 = hex::encode(self.sha256);
        Some(ErrorV1::permanent(
            "killed_the_worker",
            format!("two workers of the plugin (sha256 {sha256}) have died over it: {last}"),
        ))
    }
}
