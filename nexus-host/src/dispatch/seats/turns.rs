//! Turns: how many calls of one component are under way. Whoever waits for one waits in the queue's order: what has
//! left the queue already passes nobody by who comes later and is more urgent.

use std::collections::HashMap;

use nexus_plugin_api::Priority;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::queue::Schedule;

/// The turns of one component.
pub(super) struct Turns {
    state: Mutex<State>,
}

struct State {
    free: usize,
    waiting: Schedule,
    /// Whom to tell that it is their turn, by their places in `waiting`.
    told: HashMap<u64, oneshot::Sender<()>>,
    arrivals: u64,
}

/// One of them. Whoever is next has it once it is dropped.
pub(super) struct Turn<'t>(&'t Turns);

/// Somebody who waits, or does so no more and has not taken the turn.
struct Waiting<'t> {
    turns: &'t Turns,
    place: u64,
    priority: Priority,
}

impl Turns {
    pub(super) fn new(free: usize) -> Self {
        let state = State {
            free,
            waiting: Schedule::default(),
            told: HashMap::new(),
            arrivals: 0,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// A turn, if there is one at once.
    pub(super) fn free(&self) -> Option<Turn<'_>> {
        let mut state = self.state.lock();
        state.free = state.free.checked_sub(1)?;
        Some(Turn(self))
    }

    /// Waits for a turn.
    pub(super) async fn next(&self, priority: Priority) -> Turn<'_> {
        let (waiting, told) = {
            let mut state = self.state.lock();
            if state.free > 0 {
                state.free -= 1;
                return Turn(self);
            }
            let place = state.arrivals;
            state.arrivals += 1;
            let (tell, told) = oneshot::channel();
            state.waiting.push(place, priority, None);
            state.told.insert(place, tell);
            let waiting = Waiting {
                turns: self,
                place,
                priority,
            };
            (waiting, told)
        };
        // Nobody forgets whom to tell: it is told, or this is dropped.
        let _ = told.await;
        std::mem::forget(waiting);
        Turn(self)
    }

    /// Gives a turn to whoever is next.
    fn pass(&self) {
        let mut state = self.state.lock();
        while let Some((place, _)) = state.waiting.pop() {
            let tell = state.told.remove(&place);
            if tell.is_some_and(|tell| tell.send(()).is_ok()) {
                return;
            }
        }
        state.free += 1;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.pass();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state.lock();
        if state.told.remove(&self.place).is_some() {
            state.waiting.remove(self.place, self.priority, None);
        } else {
            // It was told so meanwhile.
            drop(state);
            self.turns.pass();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_more_urgent_goes_first_however_late_it_came() {
        let turns = Turns::new(1);
        let only = turns.free().expect("it is free");
        assert!(turns.free().is_none());
        let mut low = Box::pin(turns.next(Priority::Low));
        let mut critical = Box::pin(turns.next(Priority::Critical));
        assert!(low.as_mut().now_or_never().is_none());
        assert!(critical.as_mut().now_or_never().is_none());
        drop(only);
        assert!(low.as_mut().now_or_never().is_none());
        let urgent = critical.now_or_never().expect("its turn");
        drop(urgent);
        assert!(low.now_or_never().is_some());
        assert!(turns.free().is_some(), "nobody has it any more");
    }

    #[test]
    fn who_gives_up_keeps_no_turn() {
        let turns = Turns::new(1);
        let only = turns.free().expect("it is free");
        let mut one = Box::pin(turns.next(Priority::Normal));
        let mut two = Box::pin(turns.next(Priority::Normal));
        let mut three = Box::pin(turns.next(Priority::Normal));
        for waiting in [&mut one, &mut two, &mut three] {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        drop(two);
        drop(only);
        drop(one); // It had been told, and did not look.
        let last = three.now_or_never().expect("its turn");
        drop(last);
        assert!(turns.free().is_some());
    }
}
