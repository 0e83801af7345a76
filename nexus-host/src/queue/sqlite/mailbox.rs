//! What the writer is asked for: receives requests from anywhere, hands all of them on at once.
//!
//! Bounded by those who ask: each waits for its answer.

use std::sync::Arc;
use std::time::Duration;

use nexus_plugin_api::StateWrite;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::ready::Held;
use super::rows::Damage;
use crate::admission::Admitted;
use crate::queue::{Lease, PushError, PushReport, Settled, Settlement, Unavailable};

/// One thing to write.
#[derive(Debug)]
pub(super) enum Request {
    Push(Push),
    Settle(Settle),
    /// To put an event aside whose settlement did not fit what is stored.
    PutAside {
        held: Arc<Held>,
        damage: Damage,
    },
    Write {
        plugin: String,
        write: StateWrite,
        reply: oneshot::Sender<Result<(), Unavailable>>,
    },
    Replay {
        letters: Vec<Uuid>,
        reply: oneshot::Sender<Result<Vec<Uuid>, Unavailable>>,
    },
    Purge {
        letters: Vec<Uuid>,
        reply: oneshot::Sender<Result<Vec<Uuid>, Unavailable>>,
    },
}

/// Events to put in.
#[derive(Debug)]
pub(super) struct Push {
    pub(super) events: Vec<Admitted>,
    /// Answers for the first of them so far.
    pub(super) report: PushReport,
    /// How much of the report is on disk: answers, and events that gave way.
    pub(super) kept: (usize, usize),
    /// Until when to wait for room, in microseconds.
    pub(super) patience: Option<i64>,
    pub(super) reply: oneshot::Sender<PushReport>,
}

impl Push {
    /// The report so far is on disk.
    pub(super) fn keep(&mut self) {
        self.kept = (self.report.answers.len(), self.report.given_way.len());
    }

    /// Answers what is on disk, and the rest with why it is not.
    pub(super) fn refuse(mut self, unavailable: &Unavailable) {
        let (answers, given_way) = self.kept;
        self.report.answers.truncate(answers);
        self.report.given_way.truncate(given_way);
        let refusal = Err(PushError::Unavailable(unavailable.clone()));
        self.report.answers.resize(self.events.len(), refusal);
        self.answer();
    }

    pub(super) fn answer(self) {
        // Whoever has gone in the meantime needs no answer.
        let _ = self.reply.send(self.report);
    }
}

/// A lease to end.
#[derive(Debug)]
pub(super) struct Settle {
    pub(super) lease: Lease,
    pub(super) held: Arc<Held>,
    pub(super) with: Settlement,
    pub(super) reply: oneshot::Sender<Settled>,
}

/// What the writer found.
#[derive(Debug, Default)]
pub(super) struct Mail {
    pub(super) requests: Vec<Request>,
    /// Set when nothing more will come.
    pub(super) closed: bool,
}

#[derive(Debug, Default)]
struct Inside {
    requests: Vec<Request>,
    /// Somebody wants the writer to look round.
    nudged: bool,
    closed: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    inside: Mutex<Inside>,
    arrived: Condvar,
}

impl Mailbox {
    /// Leaves a request. When nobody reads any more, it is dropped, and its reply with it.
    pub(super) fn put(&self, request: Request) {
        let mut inside = self.inside.lock();
        if inside.closed {
            return;
        }
        inside.requests.push(request);
        drop(inside);
        self.arrived.notify_one();
    }

    /// Makes the writer look round without a request.
    pub(super) fn nudge(&self) {
        self.inside.lock().nudged = true;
        self.arrived.notify_one();
    }

    /// Lets no further request in.
    pub(super) fn close(&self) {
        self.inside.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Nobody reads any more: what is left is dropped, with its replies.
    pub(super) fn abandon(&self) {
        let mut inside = self.inside.lock();
        inside.closed = true;
        let left = std::mem::take(&mut inside.requests);
        drop(inside);
        drop(left);
    }

    /// Takes everything there is; waits for something at most so long, for ever if `None`.
    pub(super) fn take(&self, patience: Option<Duration>) -> Mail {
        let mut inside = self.inside.lock();
        let is_empty =
            |inside: &mut Inside| inside.requests.is_empty() && !inside.nudged && !inside.closed;
        match patience {
            Some(patience) => {
                self.arrived.wait_while_for(&mut inside, is_empty, patience);
            }
            None => self.arrived.wait_while(&mut inside, is_empty),
        }
        inside.nudged = false;
        Mail {
            requests: std::mem::take(&mut inside.requests),
            closed: inside.closed,
        }
    }
}
