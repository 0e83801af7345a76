//! Plugins that do not work: asked from time to time how they are, and started again when they do not say so.
//! One that does not work again and again is left alone for longer and longer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::super::config::Isolation;
use super::super::member::{Member, Origin};
use super::super::refusal::RefusalCode;
use super::super::standing::{PluginState, Trials};
use super::super::start::Starter;
use super::super::watch;
use super::gathering::register;
use super::leaving::rest;
use super::{Change, Supervisor, Work};

/// How often plugins are looked after. Those that are well are only [asked](Member::examine) now and then.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A plugin that works for so long has recovered.
const RECOVERED: Duration = Duration::from_secs(60);

/// What is tried to have a plugin work again.
#[derive(Default)]
struct Recovery {
    trials: Trials,
    /// Not before.
    due: Option<Instant>,
    well_since: Option<Instant>,
}

/// Goes on until it is dropped.
pub(super) async fn supervise(supervisor: Arc<Supervisor>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut recoveries: HashMap<(String, Origin), Recovery> = HashMap::new();
    let mut restarts = JoinSet::new();
    loop {
        ticks.tick().await;
        while restarts.try_join_next().is_some() {}
        let lineup = supervisor.catalog.lineup();
        let members: Vec<Arc<Member>> = lineup.running().map(|(one, _)| one.clone()).collect();
        let is_wanted = supervisor.catalog.was_asked();
        let asked = members.iter().map(|member| member.examine(is_wanted));
        let failed = futures_util::future::join_all(asked).await;
        supervisor.were_examined.send_replace(true);
        let now = Instant::now();
        if supervisor.again.swap(false, Ordering::Relaxed) {
            recoveries.clear();
        }
        let key = |member: &Member| Some((member.id()?.to_owned(), member.origin.clone()));
        let known: Vec<_> = members.iter().filter_map(|member| key(member)).collect();
        recoveries.retain(|of, _| known.contains(of));
        for (member, has_failed) in members.iter().zip(failed) {
            let Some(key) = key(member) else { continue };
            if !has_failed {
                if recoveries.get_mut(&key).is_some_and(|one| one.is_over(now)) {
                    recoveries.remove(&key);
                }
                continue;
            }
            let recovery = recoveries.entry(key).or_default();
            recovery.well_since = None;
            if recovery.is_due(now) && !member.has_hung() {
                recovery.begin(now);
                restarts.spawn(supervisor.clone().restart(member.clone()));
            } else if recovery.trials.is_hopeless() || member.has_hung() {
                let reason = member.standing().state.reason().map(str::to_owned);
                member.stands(PluginState::Quarantined(reason.unwrap_or_default()));
            }
        }
        restarts.spawn(supervisor.clone().try_failures());
    }
}

impl Recovery {
    fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    fn begin(&mut self, now: Instant) {
        self.due = Some(now + self.trials.failed());
    }

    /// It is well; whether it has been for long enough.
    fn is_over(&mut self, now: Instant) -> bool {
        let since = *self.well_since.get_or_insert(now);
        now - since >= RECOVERED
    }
}

impl Supervisor {
    /// Tries again what did not start, when it is time for that. Not while anything changes, in the folder or
    /// here: whoever takes that up tries it as well.
    async fn try_failures(self: Arc<Self>) {
        let Ok(work) = self.work.clone().try_lock_owned() else {
            return;
        };
        if !work.failures.are_due() {
            return;
        }
        let folder = work.config.plugins.dir.clone();
        let looked = spawn_blocking(move || watch::look(&folder)).await;
        if looked.is_ok_and(|now| now == work.seen) {
            self.refresh_with(work).await;
        }
    }

    /// Starts a plugin again that has failed, beside itself.
    async fn restart(self: Arc<Self>, member: Arc<Member>) {
        let mut work = self.work.clone().lock_owned().await;
        let lineup = self.catalog.lineup();
        let Some(running) = member.running() else {
            return;
        };
        // Meanwhile something else may have taken its place.
        if !lineup.members().iter().any(|one| Arc::ptr_eq(one, &member)) {
            return;
        }
        let manifest = &running.instance.manifest;
        let reason = member.standing().state.reason().map(str::to_owned);
        tracing::warn!(
            plugin = manifest.id,
            reason,
            "a plugin does not work and is started again"
        );
        let _restarting = member.restarts();
        member.stands(PluginState::Starting(reason));
        let config = work.config.clone();
        let Work {
            keeper, leaving, ..
        } = &mut *work;
        let mut starter = Starter {
            config: &config,
            connection: &self.connection,
            keeper,
        };
        let linked = member.origin == Origin::Linked;
        let library = running.library.clone();
        let started = match starter.start(manifest, library, linked).await {
            Ok(started) => started,
            Err(refusal) => {
                tracing::error!(plugin = manifest.id, %refusal, "a plugin does not start again");
                let is_here = running.settings.isolation != Isolation::Process;
                if refusal.code == RefusalCode::InitTimeout && is_here {
                    member.hangs();
                }
                member.stands(PluginState::Failed(refusal.to_string()));
                return;
            }
        };
        if let Some(reason) = started.says_it_has_failed().await {
            rest(started);
            member.counts_restart();
            member.stands(PluginState::Failed(reason));
            return;
        }
        let mut past = member.becomes_past();
        past.restarts += 1;
        let successor = Arc::new(Member::served_by(member.origin.clone(), started, past));
        let members = lineup
            .members()
            .iter()
            .map(|one| match Arc::ptr_eq(one, &member) {
                true => successor.clone(),
                false => one.clone(),
            });
        let members: Vec<Arc<Member>> = members.collect();
        let mut draft = self.contracts.draft();
        let running = members.iter().filter_map(Member::running);
        register(leaving.iter().chain(running), &mut draft);
        self.commit(Change {
            config,
            members,
            draft,
            seen: work.seen.clone(),
            work,
        });
    }
}
