//! Plugins that were replaced or removed: they finish what they are at, their successors' sources begin when
//! theirs have ended, and then they rest.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::super::lineup::Lineup;
use super::super::member::Running;
use super::gathering::register;
use super::{Supervisor, Work};

impl Supervisor {
    /// Sees off whatever ran before and does no more, and starts the sources of what is new.
    pub(super) fn hand_over(self: &Arc<Self>, before: &Lineup, work: &mut Work) {
        let now = self.catalog.lineup();
        let same = |one: &Arc<Running>, other: &Arc<Running>| Arc::ptr_eq(one, other);
        let is_in = |lineup: &Lineup, one: &Arc<Running>| {
            lineup.running().any(|(_, other)| same(one, other))
        };
        let mut tasks = self.leaving.lock();
        while tasks.try_join_next().is_some() {}
        for (_, old) in before.running().filter(|(_, old)| !is_in(&now, old)) {
            let successor = now.of_id(&old.instance.manifest.id);
            let successor = successor.map(|(_, running)| running.clone());
            work.leaving.push(old.clone());
            tasks.spawn(self.clone().see_off(old.clone(), successor));
        }
        // Before it is connected, nobody's sources run.
        if self.connection.get().is_none() {
            return;
        }
        for (_, new) in now.running().filter(|(_, new)| !is_in(before, new)) {
            if before.of_id(&new.instance.manifest.id).is_none() {
                let new = new.clone();
                tasks.spawn(async move { new.start_sources().await });
            }
        }
    }

    async fn see_off(self: Arc<Self>, old: Arc<Running>, successor: Option<Arc<Running>>) {
        old.stop_sources().await;
        if let Some(successor) = &successor {
            successor.start_sources().await;
        }
        old.instance.idle().await;
        let mut work = self.work.lock().await;
        work.leaving.retain(|one| !Arc::ptr_eq(one, &old));
        // Its contracts go with it, and nothing asks it for migrations any more.
        let mut draft = self.contracts.draft();
        let lineup = self.catalog.lineup();
        let running = lineup.running().map(|(_, running)| running);
        register(work.leaving.iter().chain(running), &mut draft);
        self.put(draft);
        drop(work);
        self.left.notify_waiters();
        let plugin = old.instance.manifest.id.clone();
        rest(old);
        tracing::info!(plugin, "what ran before has finished, and rests");
    }
}

/// Lets go of what runs for a plugin: the author's code may block in that.
pub(super) fn rest(running: Arc<Running>) {
    spawn_blocking(move || drop(running));
}
