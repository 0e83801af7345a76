//! A transaction under way: what it changes, and who waits for it.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::queue::Unavailable;
use crate::queue::sqlite::mailbox::{Push, Settle};
use crate::queue::sqlite::ready::{Held, Ready, Row, Task, Wanted};
use crate::queue::sqlite::rows::{Damage, Key};
use crate::queue::sqlite::store::{Read, SettledRows};
use crate::queue::sqlite::totals::Sum;
use crate::queue::work::size;

/// What a transaction adds to the log, by a rough estimate: so many bytes, and so many more for each
/// change in it beside its payload.
const LOGGED: (u64, u64) = (16 * 1024, 1024);

/// What a transaction changed of the work at hand, in order; shown once it is on disk.
pub(super) enum News {
    Accepted(Row),
    Read(Wanted, Read),
    Due(Task),
    Replayed(Task),
    Settled(Settle, SettledRows),
    PutAside(Arc<Held>, Damage),
}

/// A transaction under way.
#[derive(Default)]
pub(super) struct Group {
    pub(super) news: Vec<News>,
    /// Pushes, and what becomes of each once it is on disk.
    pub(super) pushed: Vec<(Push, Then)>,
    /// Set when what follows has to see this on disk first.
    pub(super) is_full: bool,
    /// A settlement that does not fit what is stored.
    pub(super) unfit: Option<(Settle, Damage)>,
    /// Events that gave way, to be put back if it comes to nothing.
    pub(super) victims: Vec<Row>,
    /// Events on disk only that gave way.
    pub(super) gone: Vec<Row>,
    /// Other requests, with their answers.
    pub(super) answers: Vec<Answer>,
}

impl Group {
    /// Changes in it.
    pub(super) fn size(&self) -> usize {
        self.news.len() + self.answers.len()
    }

    /// The first event of a class that it accepts.
    pub(super) fn first_accepted(&self, class: usize) -> Option<Key> {
        let keys = self.news.iter().flat_map(|news| match news {
            News::Accepted(row) => vec![row.key],
            News::Settled(_, rows) => rows.accepted.iter().map(|(_, row)| row.key).collect(),
            _ => Vec::new(),
        });
        keys.filter(|key| key.class() == class).min()
    }

    /// Events that are being routed and not settled by it, by class.
    pub(super) fn routing(&self, ready: &Ready) -> [Sum; 4] {
        let settled = self.news.iter().filter_map(|news| match news {
            News::Settled(settle, _) => Some(settle.held.task.row.key),
            _ => None,
        });
        let settled: HashSet<Key> = settled.collect();
        let mut routing = [Sum::default(); 4];
        for row in ready.routing().filter(|row| !settled.contains(&row.key)) {
            routing[row.key.class()].add(size(&row.event));
        }
        routing
    }

    /// An event on disk only gives way.
    pub(super) fn give_way(&mut self, row: &Row) {
        for news in &mut self.news {
            if let News::Read(_, read) = news {
                read.rows.retain(|one| one.key != row.key);
            }
        }
        self.gone.push(row.clone());
    }

    /// Bytes it adds to the log, by a rough estimate.
    pub(super) fn logged(&self) -> u64 {
        if self.size() == 0 {
            return 0;
        }
        let (base, each) = LOGGED;
        let payloads = self.news.iter().map(|news| match news {
            News::Accepted(row) => size(&row.event),
            _ => 0,
        });
        let changes = u64::try_from(self.size()).unwrap_or(u64::MAX);
        base + each * changes + payloads.sum::<u64>()
    }
}

/// What becomes of a push.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Answered,
    /// It waits for room.
    InLine,
    /// Its next event is put in with the next transaction.
    Resumed,
}

/// A request that is answered once it is on disk, and the answer.
pub(super) enum Answer {
    Written(oneshot::Sender<Result<(), Unavailable>>),
    Letters(oneshot::Sender<Result<Vec<Uuid>, Unavailable>>, Vec<Uuid>),
}
