//! Counts of a fixed number of things: a room keeps one and adds to it, and whoever wants to know reads it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often each of `N` things has happened since the hub started. To add to one costs one atomic
/// addition, and nobody waits.
pub struct Tally<const N: usize>([AtomicU64; N]);

impl<const N: usize> Tally<N> {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Self([const { AtomicU64::new(0) }; N])
    }

    /// Counts one more of the thing at a place; a place that there is not, counts nothing.
    pub fn add(&self, place: usize) {
        if let Some(count) = self.0.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often each has happened, by place.
    pub fn counts(&self) -> [u64; N] {
        std::array::from_fn(|place| self.0[place].load(Ordering::Relaxed))
    }
}

impl<const N: usize> Default for Tally<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for Tally<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.counts()).finish()
    }
}
