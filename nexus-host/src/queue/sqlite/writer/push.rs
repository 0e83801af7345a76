//! Putting events in: duplicates, room, and who has to give way.

use std::sync::Arc;

use nexus_plugin_api::{Event, Priority};

use super::Writer;
use super::group::{Group, News, Then};
use crate::admission::Admitted;
use crate::queue::config::WhenFull;
use crate::queue::sqlite::clock;
use crate::queue::sqlite::mailbox::Push;
use crate::queue::sqlite::ready::Row;
use crate::queue::sqlite::rows::Key;
use crate::queue::sqlite::store::Trouble;
use crate::queue::{PushError, Pushed};

/// What became of one event of a push.
enum Put {
    Answer(Result<Pushed, PushError>),
    /// The events that would have to give way are part of this very transaction.
    NotYet,
}

/// An event that may give way.
enum Found {
    /// In the window.
    Here(Key),
    OnDisk(Row),
    /// Part of this very transaction: not at hand yet, so it cannot give way.
    Fresh,
    Nothing,
}

impl Found {
    fn place(&self) -> i64 {
        match self {
            Self::Here(key) => key.place(),
            Self::OnDisk(row) => row.key.place(),
            Self::Fresh | Self::Nothing => i64::MAX,
        }
    }
}

/// Whether there is room now.
enum Room {
    /// This event gave way.
    Made(Arc<Event>),
    NotYet,
    None,
}

impl Writer {
    /// Puts events in as far as there is room; who may wait for more stays in line.
    pub(super) fn push(
        &mut self,
        group: &mut Group,
        mut push: Push,
        now: i64,
    ) -> Result<(), Trouble> {
        let others_wait = group.pushed.iter().any(|(_, then)| *then == Then::InLine);
        let may_wait = push.patience.is_some_and(|until| until > now);
        let mut then = Then::Answered;
        while let Some(event) = push.events.get(push.report.answers.len()) {
            if self.shared.intake_is_closed() {
                push.report.answers.push(Err(PushError::Closed));
                continue;
            }
            if others_wait && may_wait {
                then = Then::InLine;
                break;
            }
            let event = event.clone();
            match self.put(group, &event, now, &mut push.report.given_way) {
                Ok(Put::Answer(Err(PushError::Full { .. }))) if may_wait => {
                    then = Then::InLine;
                    break;
                }
                Ok(Put::Answer(answer)) => push.report.answers.push(answer),
                Ok(Put::NotYet) => {
                    group.is_full = true;
                    then = Then::Resumed;
                    break;
                }
                Err(trouble) => {
                    group.pushed.push((push, then));
                    return Err(trouble);
                }
            }
        }
        group.pushed.push((push, then));
        Ok(())
    }

    fn put(
        &mut self,
        group: &mut Group,
        event: &Admitted,
        now: i64,
        given_way: &mut Vec<Arc<Event>>,
    ) -> Result<Put, Trouble> {
        if let Some(at) = self.store.first_accepted(event.event(), now)? {
            let first_accepted_at = clock::at(at);
            return Ok(Put::Answer(Ok(Pushed::Duplicate {
                first_accepted_at,
                id_is_shared: self.store.id_is_shared(event.event()),
            })));
        }
        while !self.store.has_room(event.event(), (0, 0)) {
            match self.make_room(group, event, now)? {
                Room::Made(event) => given_way.push(event),
                Room::NotYet => return Ok(Put::NotYet),
                Room::None => {
                    let capacity = self.shared.config.capacity;
                    return Ok(Put::Answer(Err(PushError::Full { capacity })));
                }
            }
        }
        let row = self.store.accept(event, now)?;
        group.news.push(News::Accepted(row));
        Ok(Put::Answer(Ok(Pushed::Accepted)))
    }

    /// Lets one event give way, if that helps in the end.
    fn make_room(
        &mut self,
        group: &mut Group,
        event: &Admitted,
        now: i64,
    ) -> Result<Room, Trouble> {
        let event = event.event();
        let (lowest_first, most) = match self.shared.config.when_full {
            WhenFull::Reject | WhenFull::Wait => return Ok(Room::None),
            WhenFull::DropOldest => (false, Priority::Critical),
            WhenFull::DropLowest => (true, event.priority),
        };
        let droppable = self
            .store
            .droppable(most, group.routing(&self.shared.ready.lock()));
        if !self.store.has_room(event, droppable) {
            return Ok(Room::None);
        }
        loop {
            let row = match self.find_victim(group, lowest_first, most, now)? {
                Found::Here(key) => {
                    let Some(row) = self.shared.ready.lock().give_way(key) else {
                        // A worker was faster.
                        continue;
                    };
                    group.victims.push(row.clone());
                    row
                }
                Found::OnDisk(row) => {
                    group.give_way(&row);
                    row
                }
                Found::Fresh => return Ok(Room::NotYet),
                Found::Nothing => return Ok(Room::None),
            };
            self.store.give_way(&row, now)?;
            return Ok(Room::Made(row.event));
        }
    }

    /// The oldest event that waits for its first routing, or the oldest of the lowest class; none
    /// above `most`.
    fn find_victim(
        &mut self,
        group: &Group,
        lowest_first: bool,
        most: Priority,
        now: i64,
    ) -> Result<Found, Trouble> {
        let (oldest, busy) = {
            let ready = self.shared.ready.lock();
            let oldest = std::array::from_fn::<_, 4, _>(|class| ready.oldest_of(class));
            let busy = ready.routing().chain(ready.suspects()).map(|row| row.key);
            (oldest, busy.collect::<Vec<_>>())
        };
        let mut victim = Found::Nothing;
        for (class, oldest) in oldest.iter().enumerate().take(most as usize + 1) {
            let fresh = group.first_accepted(class);
            let end = fresh.unwrap_or(Key::end_of(class));
            let before = oldest.here.map_or(end, |here| here.min(end));
            let behind = match oldest.behind {
                Some(from) => self.store.oldest_unrouted(from..before, &busy, now)?,
                None => None,
            };
            let found = match (behind, oldest.here, fresh) {
                (Some(row), ..) => Found::OnDisk(row),
                (_, Some(key), _) => Found::Here(key),
                (.., Some(_)) => Found::Fresh,
                _ => continue,
            };
            if lowest_first {
                return Ok(found);
            }
            if found.place() < victim.place() {
                victim = found;
            } else if matches!((&victim, &found), (Found::Nothing, Found::Fresh)) {
                victim = Found::Fresh;
            }
        }
        Ok(victim)
    }
}
