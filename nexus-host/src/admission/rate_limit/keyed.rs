//! Buckets for names that others choose: receives a name and the time, answers as a bucket of its
//! own would. It holds a bounded number of them, whoever chooses the names.
//!
//! A bucket that is full again is the same as none, so it is dropped without any loss when room is
//! needed. One that is not full is never dropped: otherwise somebody who has used up his rate would
//! only have to send under enough other names to have it anew. When every bucket is in use, further
//! names share one.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::mem;
use std::time::Duration;

use parking_lot::Mutex;

use crate::quota::{Bucket, Quota};

/// How many names a table holds at most: 16 parts of 114,688, which is what a hash map of 131,072
/// places takes before it grows; 36 MiB at 17 bytes a place.
pub(super) const MOST_KEYS: usize = PARTS * 114_688;

const PARTS: usize = 16;

/// A part that is full is looked through for buckets to drop at most so often, in nanoseconds; or
/// strangers could have it done for each of their names.
const SWEEP_INTERVAL: u64 = 100_000_000;

/// When the buckets of names are full again.
pub(in crate::admission) struct Keyed {
    /// Secret, so that nobody can choose names that collide.
    secret: RandomState,
    parts: Box<[Mutex<Part>]>,
    most_in_part: usize,
}

#[derive(Default)]
struct Part {
    full: HashMap<u64, u64, BuildHasherDefault<Hashed>>,
    swept: Option<u64>,
}

/// The names are hashed already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Keyed {
    /// A table for at most so many names.
    pub(in crate::admission) fn new(most: usize) -> Self {
        Self {
            secret: RandomState::new(),
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            most_in_part: (most / PARTS).max(1),
        }
    }

    /// Takes one share of the name's bucket; of `rest` when there is no room for another bucket.
    ///
    /// # Errors
    /// How long to wait until there is one.
    pub(in crate::admission) fn take(
        &self,
        rule: usize,
        name: &str,
        quota: &Quota,
        rest: &Bucket,
        now: u64,
    ) -> Result<(), Duration> {
        let hash = self.secret.hash_one((rule, name));
        let mut part = self.part(hash).lock();
        let held = part.full.get(&hash).copied();
        if held.is_none() && !part.has_room(self.most_in_part, now) {
            drop(part);
            return rest.take(now);
        }
        let full = quota.take(held.unwrap_or(0), now)?;
        part.full.insert(hash, full);
        Ok(())
    }

    /// Undoes [`take`](Self::take), when the name has a bucket of its own.
    pub(in crate::admission) fn give_back(&self, rule: usize, name: &str, quota: &Quota, now: u64) {
        let hash = self.secret.hash_one((rule, name));
        let mut part = self.part(hash).lock();
        if let Some(full) = part.full.get_mut(&hash) {
            *full = quota.give_back(*full).max(now);
        }
    }

    fn part(&self, hash: u64) -> &Mutex<Part> {
        // Bits that the map itself uses neither for the place nor for the tag.
        &self.parts[(hash >> 32) as usize % PARTS]
    }

    #[cfg(test)]
    pub(in crate::admission) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().full.len()).sum()
    }

    /// Bytes that the places take, used or not.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let places = |part: &Mutex<Part>| {
            let capacity = part.lock().full.capacity();
            if capacity == 0 {
                0
            } else {
                (capacity * 8 / 7).next_power_of_two() * 17
            }
        };
        self.parts.iter().map(places).sum()
    }
}

impl Part {
    fn has_room(&mut self, most: usize, now: u64) -> bool {
        if self.full.len() < most {
            return true;
        }
        if self
            .swept
            .is_some_and(|swept| now.saturating_sub(swept) < SWEEP_INTERVAL)
        {
            return false;
        }
        self.swept = Some(now);
        if self.full.values().any(|full| *full <= now) {
            // Into a new map: in the old one, the places of what is dropped stay marked, and a map in which
            // too few places are unmarked grows beyond what it was meant to take.
            let held = mem::take(&mut self.full).into_iter();
            self.full = held.filter(|(_, full)| *full > now).collect();
        }
        self.full.len() < most
    }
}
