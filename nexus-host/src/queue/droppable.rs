//! What a full queue may drop: events that wait for their first routing, by priority and age.

use std::collections::BTreeSet;

use nexus_plugin_api::Priority;

use super::schedule::Place;

/// The places of these events.
#[derive(Debug, Default)]
pub(super) struct Droppable {
    classes: [Class; 4],
}

#[derive(Debug, Default)]
struct Class {
    places: BTreeSet<Place>,
    bytes: u64,
}

impl Droppable {
    pub(super) fn insert(&mut self, place: Place, priority: Priority, bytes: u64) {
        let class = &mut self.classes[priority as usize];
        class.places.insert(place);
        class.bytes += bytes;
    }

    pub(super) fn remove(&mut self, place: Place, priority: Priority, bytes: u64) {
        let class = &mut self.classes[priority as usize];
        if class.places.remove(&place) {
            class.bytes -= bytes;
        }
    }

    /// How many events, and bytes of theirs, are not above a priority.
    pub(super) fn up_to(&self, priority: Priority) -> (usize, u64) {
        self.classes[..=priority as usize]
            .iter()
            .fold((0, 0), |(events, bytes), class| {
                (events + class.places.len(), bytes + class.bytes)
            })
    }

    /// The oldest of all.
    pub(super) fn oldest(&self) -> Option<Place> {
        self.heads().into_iter().flatten().min()
    }

    /// The oldest of the lowest priority that has any.
    pub(super) fn oldest_of_lowest(&self) -> Option<Place> {
        self.heads().into_iter().flatten().next()
    }

    /// How many there are, by priority, lowest first.
    pub(super) fn counts(&self) -> [usize; 4] {
        self.classes.each_ref().map(|class| class.places.len())
    }

    /// The oldest of each priority, lowest first.
    pub(super) fn heads(&self) -> [Option<Place>; 4] {
        self.classes
            .each_ref()
            .map(|class| class.places.first().copied())
    }
}
