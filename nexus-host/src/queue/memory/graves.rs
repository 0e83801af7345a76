//! The dead letters, bounded in count and bytes; what no longer fits is told to the log.

use std::collections::{HashSet, VecDeque};

use uuid::Uuid;

use super::records::RecordKey;
use crate::observe::Ids;
use crate::queue::work::size;
use crate::queue::{DeadLetter, Deaths, LetterFilter, Page};

/// A dead letter, and what the queue knows of its event beside.
#[derive(Debug)]
pub(super) struct Buried {
    /// The record that the event has or had.
    pub(super) record: RecordKey,
    pub(super) id_is_shared: bool,
    pub(super) letter: DeadLetter,
}

/// The dead letters, oldest first.
#[derive(Debug)]
pub(super) struct Graves {
    letters: VecDeque<Buried>,
    deaths: Deaths,
    bytes: u64,
    capacity: usize,
    max_bytes: u64,
}

impl Graves {
    pub(super) fn new(capacity: usize, max_bytes: u64) -> Self {
        Self {
            letters: VecDeque::new(),
            deaths: Deaths::default(),
            bytes: 0,
            capacity,
            max_bytes,
        }
    }

    /// Keeps a letter. The oldest make room for it.
    pub(super) fn push(&mut self, buried: Buried) {
        let letter = &buried.letter;
        Ids::of(&letter.event).span().in_scope(|| {
            let (dead_letter, reason) = (&letter.id, &letter.reason);
            tracing::warn!(%dead_letter, reason, "work goes to the dead letters");
        });
        self.deaths.add(&letter.reason);
        self.bytes += size(&letter.event);
        self.letters.push_back(buried);
        while self.letters.len() > 1
            && (self.letters.len() > self.capacity || self.bytes > self.max_bytes)
        {
            let Some(Buried { letter: oldest, .. }) = self.letters.pop_front() else {
                return;
            };
            self.bytes -= size(&oldest.event);
            Ids::of(&oldest.event).span().in_scope(|| {
                tracing::error!(
                    dead_letter = %oldest.id,
                    kept = self.letters.len(),
                    "the oldest dead letter is discarded: too many are kept; raise \
                     queue.dead_letter_capacity or queue.max_bytes"
                );
            });
        }
    }

    /// All that were ever kept.
    pub(super) fn deaths(&self) -> Deaths {
        self.deaths
    }

    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    /// Takes out those of these letters that are there.
    pub(super) fn take(&mut self, wanted: &[Uuid]) -> Vec<Buried> {
        let wanted: HashSet<&Uuid> = wanted.iter().collect();
        let all = std::mem::take(&mut self.letters);
        let (taken, kept): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|one| wanted.contains(&one.letter.id));
        self.letters = kept.into();
        let bytes = taken.iter().map(|one| size(&one.letter.event));
        self.bytes -= bytes.sum::<u64>();
        taken
    }

    /// Those that are meant, oldest first.
    pub(super) fn select(&self, filter: &LetterFilter, page: Page) -> Vec<DeadLetter> {
        let begin = page.after.map_or(0, |after| {
            self.letters.partition_point(|one| one.letter.id <= after)
        });
        let rest = self.letters.range(begin..).map(|one| &one.letter);
        let meant = rest.filter(|one| filter.matches(one));
        meant.take(page.limit).cloned().collect()
    }
}
