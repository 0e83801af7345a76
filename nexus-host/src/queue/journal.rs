//! How an event's journal is kept, alike in every backend: bounded, and without repeating itself.

use super::{JournalLine, Step};

/// Lines kept of one event's journal. An event retried for ever must not grow for ever.
pub(super) const MAX_LINES: usize = 512;

/// Whether a step says anew what the last one said. Through an outage the same effect is parked again
/// and again: the last time tells all.
pub(super) fn is_parked_again(last: &Step, next: &Step) -> bool {
    match (last, next) {
        (Step::Parked { effect, .. }, Step::Parked { effect: again, .. }) => effect == again,
        _ => false,
    }
}

/// How much of an event's work is among the dead letters. What a journal has forgotten may have died
/// before it was taken up again.
pub(super) fn outstanding(lines: &[JournalLine]) -> usize {
    let count = |is: fn(&Step) -> bool| lines.iter().filter(|line| is(&line.step)).count();
    let dead = count(|step| matches!(step, Step::Dead { .. }));
    let again = count(|step| matches!(step, Step::Replayed { .. }));
    dead.saturating_sub(again)
}
