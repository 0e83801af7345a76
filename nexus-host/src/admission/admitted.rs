//! The proof that an event has passed admission.

use std::sync::Arc;

use nexus_plugin_api::Event;

use super::suspicion::Flag;

/// An event that was authenticated, validated and found in order. Shared, never changed again.
///
/// Only this room constructs one.
#[derive(Debug, Clone)]
pub struct Admitted {
    event: Arc<Event>,
    /// Absent for nearly every event.
    flags: Option<Arc<[Flag]>>,
}

impl Admitted {
    pub(super) fn new(event: Event, flags: Vec<Flag>) -> Self {
        Self {
            event: Arc::new(event),
            flags: (!flags.is_empty()).then(|| flags.into()),
        }
    }

    /// The event.
    pub fn event(&self) -> &Arc<Event> {
        &self.event
    }

    /// What in its payload looks like an attack; empty for nearly every event.
    pub fn flags(&self) -> &[Flag] {
        self.flags.as_deref().unwrap_or_default()
    }
}
