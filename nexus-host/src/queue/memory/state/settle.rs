//! Settlements: what becomes of a lease, and everything that follows from it, in one transition.

use std::time::Duration;

use chrono::Utc;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Leased, RecordKey, State, Task, Wake};
use crate::queue::memory::graves::Buried;
use crate::queue::work::LONGEST_DELAY;
use crate::queue::{
    DeadLetter, Delivery, EventStatus, Failure, FollowUp, Grave, Lease, SettleError, Settled,
    Settlement, Step, Verdict,
};

impl State {
    /// Ends a lease, with everything that follows from it.
    pub(in super::super) fn settle(
        &mut self,
        lease: Lease,
        with: Settlement,
        now: Instant,
        wake: &mut Wake,
    ) -> Result<Settled, SettleError> {
        let Leased { task, in_lane } = self
            .leased
            .remove(&lease)
            .ok_or(SettleError::UnknownLease)?;
        let key = task.record;
        let mut settled = Settled::default();
        for (plugin, write) in with.state {
            self.plugins.write(&plugin, write);
        }
        for event in with.emitted {
            if self.seen.first(event.event(), now).is_none() {
                self.accept(&event, now, wake);
                settled.accepted.push(event);
            }
        }
        if let Some(record) = self.records.get_mut(key) {
            let at = Utc::now();
            with.steps
                .into_iter()
                .for_each(|step| record.note(step, at));
        }
        for grave in with.dead {
            self.bury(key, grave);
        }
        for follow_up in with.follow_ups {
            let at_once = self.follow_up(key, follow_up, in_lane, now, wake);
            settled.leased.extend(at_once);
        }
        match with.verdict {
            Verdict::Ack => {}
            Verdict::Nack { after, failure } => self.put_back(task, after, failure, now, wake),
        }
        if in_lane {
            self.leave_lane(key, wake);
        }
        settled.finished = self.end_task(key, wake);
        Ok(settled)
    }

    fn follow_up(
        &mut self,
        record: RecordKey,
        follow_up: FollowUp,
        in_lane: bool,
        now: Instant,
        wake: &mut Wake,
    ) -> Option<Delivery> {
        let task = Task {
            record,
            work: follow_up.work,
            attempt: 1 + u32::from(follow_up.failure.is_some()),
            errors: follow_up.failure.into_iter().collect(),
        };
        match follow_up.after {
            None => {
                self.records.add_work(record);
                self.give_out(task, in_lane)
            }
            Some(after) => {
                self.delay(task, after, now, wake);
                None
            }
        }
    }

    fn put_back(
        &mut self,
        mut task: Task,
        after: Duration,
        failure: Option<Failure>,
        now: Instant,
        wake: &mut Wake,
    ) {
        if let Some(failure) = failure {
            task.attempt += 1;
            task.errors.push(failure);
        }
        self.delay(task, after, now, wake);
    }

    /// Keeps work for later; what is too much goes to the dead letters.
    fn delay(&mut self, task: Task, after: Duration, now: Instant, wake: &mut Wake) {
        if self.delayed.len() >= self.config.max_parked {
            let grave = Grave {
                work: task.work,
                reason: "too_much_parked".to_owned(),
                errors: task.errors,
            };
            self.bury(task.record, grave);
            return;
        }
        self.records.add_delayed(task.record);
        self.next += 1;
        let due = now + after.min(LONGEST_DELAY);
        let nearest = self.delayed.first_key_value().map(|(key, _)| key.0);
        // Whoever sleeps until the nearest due time must learn of a nearer one.
        wake.clock |= nearest.is_none_or(|nearest| due < nearest);
        self.delayed.insert((due, self.next), task);
    }

    pub(super) fn bury(&mut self, key: RecordKey, grave: Grave) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        let (id, at) = (Uuid::now_v7(), Utc::now());
        record.dead += 1;
        let step = Step::Dead {
            dead_letter: id,
            reason: grave.reason.clone(),
        };
        record.note(step, at);
        let letter = DeadLetter {
            id,
            at,
            event: record.event.clone(),
            accepted_at: record.accepted_at,
            work: grave.work,
            reason: grave.reason,
            errors: grave.errors,
        };
        self.graves.push(Buried {
            record: key,
            id_is_shared: record.id_is_shared,
            letter,
        });
    }

    fn leave_lane(&mut self, key: RecordKey, wake: &mut Wake) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        record.in_lane -= 1;
        if record.in_lane == 0
            && let Some(lane) = &record.lane
        {
            wake.workers += usize::from(self.schedule.release(lane));
        }
    }

    /// One unit of an event's work is over.
    pub(super) fn end_task(&mut self, key: RecordKey, wake: &mut Wake) -> Option<EventStatus> {
        let parked = self.records.parked();
        let status = self.records.end_work(key);
        self.finished += u64::from(status.is_some());
        wake.room |= status.is_some() || self.records.parked() > parked;
        status
    }
}
