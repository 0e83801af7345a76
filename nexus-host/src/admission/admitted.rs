//! The proof that an event has passed admission.

use std::sync::Arc;

use nexus_plugin_api::Event;

/// An event that was authenticated, validated and found in order. Shared, never changed again.
///
/// Only this room constructs one.
#[derive(Debug, Clone)]
pub struct Admitted {
    event: Arc<Event>,
}

impl Admitted {
    pub(super) fn new(event: Event) -> Self {
        Self {
            event: Arc::new(event),
        }
    }

    /// The event.
    pub fn event(&self) -> &Arc<Event> {
        &self.event
    }
}
