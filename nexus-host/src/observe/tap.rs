//! The live view: every accepted event, for whoever listens at the moment.

use std::sync::Arc;

use nexus_plugin_api::Event;
use tokio::sync::broadcast;

/// Events a slow listener may be behind before it loses the oldest.
const BEHIND: usize = 1_024;

/// Where accepted events pass by. Costs next to nothing while nobody listens.
#[derive(Debug, Clone)]
pub struct Tap {
    sender: broadcast::Sender<Arc<Event>>,
}

impl Tap {
    /// Nobody listens yet.
    pub fn new() -> Self {
        Self {
            sender: broadcast::Sender::new(BEHIND),
        }
    }

    /// Shows an accepted event.
    pub fn show(&self, event: &Arc<Event>) {
        if self.sender.receiver_count() > 0 {
            // It fails when the last listener has just left, which is all the same.
            let _ = self.sender.send(event.clone());
        }
    }

    /// The channel itself, for those who subscribe as they come.
    pub fn sender(&self) -> &broadcast::Sender<Arc<Event>> {
        &self.sender
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.sender.subscribe()
    }
}

impl Default for Tap {
    fn default() -> Self {
        Self::new()
    }
}
