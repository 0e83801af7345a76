//! All producers of a run: starts them, tells them of each hub, and collects their ledgers.

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::producer::{Producer, Stage};
use crate::hub::{Hub, PATIENCE};
use crate::ledger::Ledger;

/// How many connections send at once.
const PRODUCERS: u32 = 6;

#[derive(Debug)]
pub(super) struct Producers {
    stage: watch::Sender<Stage>,
    acknowledged: watch::Sender<u64>,
    tasks: JoinSet<Ledger>,
}

impl Producers {
    pub(super) fn start(rng: &mut SmallRng) -> Self {
        let stage = watch::Sender::new(Stage::Down);
        let acknowledged = watch::Sender::new(0);
        let mut tasks = JoinSet::new();
        for number in 0..PRODUCERS {
            let producer = Producer::new(number, SmallRng::from_rng(rng), acknowledged.clone());
            tasks.spawn(producer.run(stage.subscribe()));
        }
        Self {
            stage,
            acknowledged,
            tasks,
        }
    }

    /// How many acknowledgements there were so far.
    pub(super) fn acknowledged(&self) -> u64 {
        *self.acknowledged.borrow()
    }

    /// Sets them on a hub, and waits until it has given so many acknowledgements.
    ///
    /// # Panics
    /// When it stops giving them.
    pub(super) async fn work(&self, hub: &Hub, cycle: u32, acknowledgements: u64) {
        let goal = self.acknowledged() + acknowledgements;
        let mut acknowledged = self.acknowledged.subscribe();
        self.stage.send_replace(Stage::Up(hub.address(), cycle));
        let reached = timeout(PATIENCE, acknowledged.wait_for(|count| *count >= goal)).await;
        assert!(
            reached.is_ok(),
            "the hub acknowledges no more:\n{}",
            hub.log()
        );
    }

    /// Tells them that the hub is gone.
    pub(super) fn rest(&self) {
        self.stage.send_replace(Stage::Down);
    }

    /// Has them settle with the last hub what is unknown; hands back their ledgers.
    ///
    /// # Panics
    /// When they cannot.
    pub(super) async fn settle(self, hub: &Hub, cycle: u32) -> Vec<Ledger> {
        self.stage.send_replace(Stage::Last(hub.address(), cycle));
        timeout(PATIENCE, self.tasks.join_all())
            .await
            .unwrap_or_else(|_| panic!("the hub does not take what is owed:\n{}", hub.log()))
    }
}
