//! How the hub is: what plugins say of themselves, asked from time to time, and what breakers show.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use crate::admission::FileReport;
use crate::dispatch::Breakers;
use crate::ingress::{Admin, Check, CheckStatus, Readiness, ReadyReport, ReadyStatus};
use crate::plugins::{Catalog, PluginReport, PluginState};
use crate::queue::Queue;

/// How often plugins are asked how they are.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// What is known of the hub's state.
pub(super) struct Vitals {
    catalog: Arc<Catalog>,
    breakers: Arc<Breakers>,
    queue: Arc<dyn Queue>,
    contract_files: Vec<FileReport>,
    stopping: AtomicBool,
    /// Plugins that are not well, with the reason.
    unwell: RwLock<Vec<(String, String)>>,
}

impl Vitals {
    pub(super) fn new(
        catalog: Arc<Catalog>,
        breakers: Arc<Breakers>,
        queue: Arc<dyn Queue>,
        contract_files: Vec<FileReport>,
    ) -> Self {
        Self {
            catalog,
            breakers,
            queue,
            contract_files,
            stopping: AtomicBool::new(false),
            unwell: RwLock::default(),
        }
    }

    pub(super) fn contract_files(&self) -> &[FileReport] {
        &self.contract_files
    }

    /// Asks the plugins again and again; ends when it is dropped.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let health = self.catalog.health().await;
            let unwell: Vec<_> = health
                .into_iter()
                .filter_map(|(plugin, reason)| Some((plugin, reason?)))
                .collect();
            let before = std::mem::replace(&mut *self.unwell.write(), unwell.clone());
            tell_changes(&before, &unwell);
        }
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    fn plugin(&self, report: &PluginReport) -> Value {
        let manifest = report.manifest.as_ref();
        let id = manifest.map(|manifest| manifest.id.as_str());
        let unwell = self.unwell.read();
        let reason = unwell
            .iter()
            .find(|(plugin, _)| Some(plugin.as_str()) == id);
        let (state, refusal) = match (&report.state, reason) {
            (PluginState::Ready, None) => ("ready", None),
            (PluginState::Ready, Some(_)) => ("degraded", None),
            (PluginState::Refused(refusal), _) => ("refused", Some(refusal)),
        };
        let (panics, last_panic) = id.map_or((0, None), |id| self.catalog.panics(id));
        json!({
            "id": id,
            "version": manifest.map(|manifest| &manifest.version),
            "description": manifest.map(|manifest| &manifest.description),
            "state": state,
            "reason": reason.map(|(_, reason)| reason),
            "refusal": refusal,
            "since": report.since,
            "isolation": report.isolation,
            "origin": report.origin,
            "components": manifest.map(|manifest| &manifest.components),
            "contracts": report.contracts,
            "panics": panics,
            "last_panic": last_panic,
        })
    }
}

fn tell_changes(before: &[(String, String)], now: &[(String, String)]) {
    for (plugin, reason) in now.iter().filter(|entry| !before.contains(entry)) {
        tracing::warn!(plugin, reason, "a plugin is not well");
    }
    for (plugin, _) in before {
        if !now.iter().any(|(other, _)| other == plugin) {
            tracing::info!(plugin, "a plugin is well again");
        }
    }
}

impl Readiness for Vitals {
    fn report(&self) -> ReadyReport {
        let plugins = self.unwell.read().clone().into_iter();
        let breakers = self.breakers.snapshot().into_iter();
        let trouble = self.queue.trouble();
        let storage = trouble.as_ref().map(|trouble| Check {
            name: "queue".to_owned(),
            status: CheckStatus::Failed,
            reason: Some(trouble.to_string()),
        });
        let parts = plugins
            .map(|(plugin, reason)| (format!("plugin {plugin}"), reason))
            .chain(
                breakers
                    .filter(|breaker| breaker.state != "closed")
                    .map(|breaker| {
                        let held = if breaker.held { "held " } else { "" };
                        let state = breaker.state.replace('_', " ");
                        let reason = format!("its breaker is {held}{state}");
                        (format!("integration {}", breaker.name), reason)
                    }),
            )
            .map(|(name, reason)| Check {
                name,
                status: CheckStatus::Degraded,
                reason: Some(reason),
            });
        let checks: Vec<Check> = storage.into_iter().chain(parts).collect();
        let status = if self.stopping.load(Ordering::Acquire) {
            ReadyStatus::ShuttingDown
        } else if trouble.is_some() {
            ReadyStatus::NotReady
        } else if checks.is_empty() {
            ReadyStatus::Ready
        } else {
            ReadyStatus::Degraded
        };
        ReadyReport { status, checks }
    }
}

impl Admin for Vitals {
    fn plugins(&self) -> Value {
        let plugins: Vec<_> = self
            .catalog
            .reports()
            .iter()
            .map(|one| self.plugin(one))
            .collect();
        json!({ "plugins": plugins, "contract_files": self.contract_files })
    }

    fn breakers(&self) -> Value {
        json!({ "breakers": self.breakers.snapshot() })
    }

    fn open_breaker(&self, name: &str) -> Option<Value> {
        self.breakers.open(name).map(|breaker| json!(breaker))
    }

    fn close_breaker(&self, name: &str) -> Option<Value> {
        self.breakers.close(name).map(|breaker| json!(breaker))
    }
}
