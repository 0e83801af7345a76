//! Events that cause each other: receives an admitted event, knows how many came before it, each caused by the one
//! before, and refuses the one that is too many. So what two routes, two plugins or an agent and a route start
//! between them comes to an end, wherever in the circle the hub stands.
//!
//! Only events that name their cause are remembered, only the last of them, and only while the hub runs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use nexus_plugin_api::Event;
use parking_lot::Mutex;
use uuid::Uuid;

use super::rejection::{Code, Rejection};

/// How long a chain is counted for. What goes on more slowly than the limit allows in this time, such as a plugin
/// that wakes itself every minute, is no circle that has run away.
const WINDOW: Duration = Duration::from_secs(60 * 60);

/// How many events one generation remembers. There are two, and each takes up to 2 MiB.
const GENERATION: usize = 32_768;

/// How far events are from what has no cause here.
#[derive(Debug, Default)]
pub(super) struct Chains(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Uuid, Link>,
    old: HashMap<Uuid, Link>,
}

/// An event's place in its chain.
#[derive(Debug, Clone, Copy)]
struct Link {
    /// When the first event was caused that is counted.
    since: Instant,
    /// How many were caused since then.
    place: u32,
}

impl Chains {
    /// Adds an event to the chain that its cause belongs to. Once more the same event has the same place.
    ///
    /// # Errors
    /// `conflict` when more than `longest` events were caused one by another within an hour.
    pub(super) fn join(&self, event: &Event, longest: u32, now: Instant) -> Result<(), Rejection> {
        let Some(cause) = event.causation_id.filter(|cause| *cause != event.event_id) else {
            return Ok(());
        };
        let mut known = self.0.lock();
        let link = match known.find(&cause) {
            Some(link) if now.saturating_duration_since(link.since) < WINDOW => Link {
                place: link.place.saturating_add(1),
                ..link
            },
            _ => Link {
                since: now,
                place: 1,
            },
        };
        if link.place > longest {
            return Err(endless(longest));
        }
        known.keep(event.event_id, link);
        Ok(())
    }
}

impl Generations {
    fn find(&self, event_id: &Uuid) -> Option<Link> {
        let link = self.young.get(event_id).or_else(|| self.old.get(event_id));
        link.copied()
    }

    fn keep(&mut self, event_id: Uuid, link: Link) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(event_id, link);
    }
}

fn endless(longest: u32) -> Rejection {
    let message = format!(
        "it ends a chain in which each event caused the next, {longest} of them within an hour, which is what \
         limits.max_chain allows; follow causation_id back to the routes, plugins or agents that go in a circle"
    );
    Rejection::new(Code::Conflict, message)
}

#[cfg(test)]
mod tests;
