//! The proof that an event has passed admission.

use std::sync::Arc;

use nexus_plugin_api::Event;
use semver::Version;

use super::Notice;
use super::suspicion::Flag;

/// An event that was authenticated, validated and found in order. Shared, never changed again.
///
/// Only this room constructs one.
#[derive(Debug, Clone)]
pub struct Admitted {
    event: Arc<Event>,
    migrated_from: Option<Arc<Version>>,
    notice: Option<Arc<Notice>>,
    /// Absent for nearly every event.
    flags: Option<Arc<[Flag]>>,
}

impl Admitted {
    pub(super) fn new(event: Event, flags: Vec<Flag>) -> Self {
        Self {
            event: Arc::new(event),
            migrated_from: None,
            notice: None,
            flags: (!flags.is_empty()).then(|| flags.into()),
        }
    }

    pub(super) fn migrated_from(self, version: Version) -> Self {
        Self {
            migrated_from: Some(Arc::new(version)),
            ..self
        }
    }

    pub(super) fn with_notice(self, notice: Option<Arc<Notice>>) -> Self {
        Self { notice, ..self }
    }

    /// Goes on in a trace from there: what follows from the event belongs to it.
    pub(crate) fn goes_on_from(&mut self, traceparent: String) {
        Arc::make_mut(&mut self.event).traceparent = Some(traceparent);
    }

    /// The event.
    pub fn event(&self) -> &Arc<Event> {
        &self.event
    }

    /// The contract version that it was sent as, when it was carried over to a later one.
    pub fn sent_as(&self) -> Option<&Version> {
        self.migrated_from.as_deref()
    }

    /// What its sender is told, when the version that was sent is outdated.
    pub fn notice(&self) -> Option<&Arc<Notice>> {
        self.notice.as_ref()
    }

    /// What in its payload looks like an attack; empty for nearly every event.
    pub fn flags(&self) -> &[Flag] {
        self.flags.as_deref().unwrap_or_default()
    }
}
