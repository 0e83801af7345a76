//! What events under way belong to: receives events while a plugin works on them, hands on their correlation ids by
//! event id. A plugin's line names its event alone, and comes from a thread or a process that knows no more.

use std::collections::HashMap;

use nexus_plugin_api::Event;
use parking_lot::Mutex;
use uuid::Uuid;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Correlations(Mutex<HashMap<Uuid, Held>>);

#[derive(Debug)]
struct Held {
    correlation_id: String,
    /// Several calls may be about one event.
    calls: usize,
}

impl Correlations {
    /// Remembers an event's as long as what is handed back is there.
    pub(super) fn hold(&self, event: &Event) -> Option<impl Drop + '_> {
        struct Hold<'c>(&'c Correlations, Uuid);
        impl Drop for Hold<'_> {
            fn drop(&mut self) {
                self.0.let_go(self.1);
            }
        }
        let correlation_id = event.correlation_id.as_ref()?;
        let mut held = self.0.lock();
        let one = held.entry(event.event_id).or_insert_with(|| Held {
            correlation_id: correlation_id.clone(),
            calls: 0,
        });
        one.calls += 1;
        Some(Hold(self, event.event_id))
    }

    /// The one of an event that is under way.
    pub(super) fn of(&self, event_id: Uuid) -> Option<String> {
        let held = self.0.lock();
        held.get(&event_id).map(|one| one.correlation_id.clone())
    }

    fn let_go(&self, event_id: Uuid) {
        let mut held = self.0.lock();
        if let Some(one) = held.get_mut(&event_id) {
            one.calls -= 1;
            if one.calls == 0 {
                held.remove(&event_id);
            }
        }
    }
}
