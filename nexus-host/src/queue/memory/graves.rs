//! The dead letters, bounded in count and bytes; what no longer fits is told to the log.

use std::collections::{HashSet, VecDeque};

use uuid::Uuid;

use super::records::RecordKey;
use crate::queue::work::size;
use crate::queue::{DeadLetter, LetterFilter, Page};

/// The dead letters, oldest first, each with the record that its event has or had.
#[derive(Debug)]
pub(super) struct Graves {
    letters: VecDeque<(RecordKey, DeadLetter)>,
    bytes: u64,
    capacity: usize,
    max_bytes: u64,
}

impl Graves {
    pub(super) fn new(capacity: usize, max_bytes: u64) -> Self {
        Self {
            letters: VecDeque::new(),
            bytes: 0,
            capacity,
            max_bytes,
        }
    }

    /// Keeps a letter. The oldest make room for it.
    pub(super) fn push(&mut self, record: RecordKey, letter: DeadLetter) {
        tracing::warn!(
            event_id = %letter.event.event_id,
            dead_letter = %letter.id,
            reason = letter.reason,
            "work on an event goes to the dead letters"
        );
        self.bytes += size(&letter.event);
        self.letters.push_back((record, letter));
        while self.letters.len() > 1
            && (self.letters.len() > self.capacity || self.bytes > self.max_bytes)
        {
            let Some((_, oldest)) = self.letters.pop_front() else {
                return;
            };
            self.bytes -= size(&oldest.event);
            tracing::error!(
                event_id = %oldest.event.event_id,
                dead_letter = %oldest.id,
                kept = self.letters.len(),
                "the oldest dead letter is discarded: too many are kept; raise \
                 queue.dead_letter_capacity or queue.max_bytes"
            );
        }
    }

    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    /// Takes out those of these letters that are there.
    pub(super) fn take(&mut self, wanted: &[Uuid]) -> Vec<(RecordKey, DeadLetter)> {
        let wanted: HashSet<&Uuid> = wanted.iter().collect();
        let all = std::mem::take(&mut self.letters);
        let (taken, kept): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|(_, one)| wanted.contains(&one.id));
        self.letters = kept.into();
        self.bytes -= taken.iter().map(|(_, one)| size(&one.event)).sum::<u64>();
        taken
    }

    /// Those that are meant, oldest first.
    pub(super) fn select(&self, filter: &LetterFilter, page: Page) -> Vec<DeadLetter> {
        let begin = page.after.map_or(0, |after| {
            self.letters.partition_point(|(_, one)| one.id <= after)
        });
        let rest = self.letters.range(begin..).map(|(_, one)| one);
        let meant = rest.filter(|one| filter.matches(one));
        meant.take(page.limit).cloned().collect()
    }
}
