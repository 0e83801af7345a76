//! Accepted events for the program that the hub is in: receives those that pass, hands on those that are wanted.

use std::sync::Arc;

use nexus_plugin_api::Event;

use crate::config::Selector;
use crate::observe::{Heard, Listener, Passed};

/// Accepted events as they pass.
#[derive(Debug)]
pub struct Subscription {
    events: Listener,
    event_type: Selector,
    source: Selector,
    missed: u64,
}

impl Subscription {
    pub(super) fn of(events: Listener, event_type: &str, source: &str) -> Self {
        Self {
            events,
            event_type: selector(event_type),
            source: selector(source),
            missed: 0,
        }
    }

    /// Waits for the next event; `None` once the hub has stopped. A reader that is too slow loses
    /// the oldest, see [`Subscription::missed`].
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            match self.events.hear().await {
                Heard::Event(Passed { event, .. }) => {
                    let wanted = self.event_type.matches(&event.event_type)
                        && self.source.matches(&event.source);
                    if wanted {
                        return Some(event);
                    }
                }
                Heard::Missed(missed) => self.missed += missed,
                Heard::End => return None,
            }
        }
    }

    /// Events of any kind that were lost because this reader was too slow.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

fn selector(text: &str) -> Selector {
    text.parse()
        .unwrap_or_else(|_| Selector::Exact(text.to_owned()))
}
