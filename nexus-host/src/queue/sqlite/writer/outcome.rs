//! What comes of a transaction: on disk, it is shown to the workers and answered; failed, what is new
//! is refused, and what has to be settled is kept.

use super::group::{Answer, Group, News, Then};
use super::{PAUSE, Writer};
use crate::observe::Ids;
use crate::queue::sqlite::clock;
use crate::queue::sqlite::mailbox::Request;
use crate::queue::sqlite::ready::{Ready, Row, Wanted};
use crate::queue::sqlite::store::{Read, Trouble};
use crate::queue::{Settled, Unavailable};

impl Writer {
    /// The transaction is on disk: shows it, and answers.
    pub(super) fn committed(&mut self, group: Group) {
        if self.pause.take().is_some() {
            tracing::info!("the queue's storage works again");
            self.shared.recovered();
        }
        self.untidy |= group.size() > 0;
        self.logged += group.logged();
        self.next_due = match self.store.next_due() {
            Ok(due) => due,
            // Tried again with the next transaction, which comes soon.
            Err(_) => Some(self.now() + 1_000_000),
        };
        self.publish(group.news, &group.gone);
        for (mut push, then) in group.pushed {
            push.keep();
            match then {
                Then::Answered => push.answer(),
                Then::InLine => self.line.push_back(push),
                Then::Resumed => {
                    self.line.push_front(push);
                    self.resumes = true;
                }
            }
        }
        for answer in group.answers {
            match answer {
                Answer::Written(reply) => drop(reply.send(Ok(()))),
                Answer::Letters(reply, letters) => drop(reply.send(Ok(letters))),
            }
        }
    }

    /// Shows what is on disk to the workers.
    pub(super) fn publish(&mut self, news: Vec<News>, gone: &[Row]) {
        let micros = self.now();
        let now = clock::at(micros);
        let mut answers = Vec::new();
        let mut ready = self.shared.ready.lock();
        if self.trial_until.is_some_and(|until| until <= micros) {
            self.trial_until = None;
            ready.end_trial();
        }
        // Before what was read: they are not among that any more.
        gone.iter().for_each(|row| ready.gone(row));
        for one in news {
            match one {
                News::Accepted(row) => ready.accepted(row),
                News::Read(wanted, read) => show_read(&mut ready, &wanted, read),
                News::Due(task) => ready.due(task),
                // It was given out, and is not any more.
                News::PutAside(..) => {}
                News::Replayed(task) => ready.replayed(task),
                News::Settled(settle, rows) => {
                    let accepted = rows.accepted.into_iter().map(|(event, row)| {
                        ready.accepted(row);
                        event
                    });
                    let accepted = accepted.collect();
                    let settled = Settled {
                        leased: ready.settled(settle.lease, rows.at_once, now),
                        accepted,
                        finished: rows.finished,
                    };
                    answers.push((settle.reply, settled));
                }
            }
        }
        ready.written(self.store.totals.transactions);
        let wants_more = !ready.wanted().is_empty();
        self.shared.show(&mut ready, &self.store.totals);
        drop(ready);
        if wants_more {
            self.shared.mailbox.nudge();
        }
        for (reply, settled) in answers {
            // A worker that was cancelled has taken its lease with it; the work comes again.
            let _ = reply.send(settled);
        }
    }

    /// The transaction came to nothing: refuses what is new, keeps what has to be settled.
    pub(super) fn failed(&mut self, mut group: Group, trouble: &Trouble) {
        let unavailable = Unavailable {
            reason: trouble.to_string(),
        };
        if let Some((settle, damage)) = group.unfit.take() {
            // Tried again, it would keep everything else from being written.
            Ids::of(&settle.held.task.row.event).span().in_scope(|| {
                tracing::error!(error = %trouble, "what became of an event cannot be written");
            });
            let held = settle.held.clone();
            self.todo.push_back(Request::PutAside { held, damage });
            self.shared
                .ready
                .lock()
                .settled(settle.lease, Vec::new(), clock::at(self.now()));
        } else if self.pause.is_none() {
            tracing::error!(
                error = %trouble,
                "the queue's storage fails: no event is taken, nothing is given out, and nothing \
                 is lost, until it works again"
            );
            if trouble.is_damage() {
                tracing::error!(
                    "the queue's file is damaged; stop the hub and see `nexus queue fsck`"
                );
            }
        }
        self.pause = Some(self.now() + clock::micros(PAUSE));
        let mut ready = self.shared.ready.lock();
        ready.paused = true;
        for row in group.victims.into_iter().rev() {
            ready.spared(row);
        }
        drop(ready);
        *self.shared.trouble.lock() = Some(unavailable.clone());
        let settling = group.news.into_iter().rev().filter_map(|news| match news {
            News::Settled(settle, _) => Some(Request::Settle(settle)),
            News::PutAside(held, damage) => Some(Request::PutAside { held, damage }),
            _ => None,
        });
        settling.for_each(|settle| self.todo.push_front(settle));
        for (push, _) in group.pushed {
            push.refuse(&unavailable);
        }
        for answer in group.answers {
            match answer {
                Answer::Written(reply) => drop(reply.send(Err(unavailable.clone()))),
                Answer::Letters(reply, _) => drop(reply.send(Err(unavailable.clone()))),
            }
        }
        self.refuse_pushes();
    }

    /// While the storage fails, everything but settlements is refused at once.
    pub(super) fn refuse_pushes(&mut self) {
        let trouble = self.shared.trouble.lock().clone();
        let Some(unavailable) = trouble else {
            return;
        };
        for request in std::mem::take(&mut self.todo) {
            match request {
                Request::Push(push) => push.refuse(&unavailable),
                Request::Settle(_) | Request::PutAside { .. } => self.todo.push_back(request),
                Request::Write { reply, .. } => drop(reply.send(Err(unavailable.clone()))),
                Request::Replay { reply, .. } | Request::Purge { reply, .. } => {
                    drop(reply.send(Err(unavailable.clone())));
                }
            }
        }
        for push in std::mem::take(&mut self.line) {
            push.refuse(&unavailable);
        }
    }
}

fn show_read(ready: &mut Ready, wanted: &Wanted, read: Read) {
    match wanted {
        Wanted::Next { class, .. } => {
            ready.read(*class, read.rows);
            if read.is_end {
                ready.read_all(*class);
            }
        }
        Wanted::Aside { class, lane, .. } => ready.read_aside(*class, lane, read.rows, read.last),
    }
}
