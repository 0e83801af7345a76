//! How the hub is: what plugins, breakers and the queue show, put together for whoever asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use uuid::Uuid;

use super::registry::Registry;
use super::reload::{Candidate, ReloadError, Reloader};
use crate::approvals::{AnswerError, Approval, Approvals};
use crate::config::Config;
use crate::current::Current;
use crate::dispatch::Breakers;
use crate::ingress::{Admin, Check, CheckStatus, NotReloaded, Readiness, ReadyReport, ReadyStatus};
use crate::plugins::{self, Catalog, PluginReport, PluginState};
use crate::queue::{BoxFuture, Queue};

/// What is known of the hub's state.
pub(super) struct Vitals {
    config: Arc<Current<Config>>,
    catalog: Arc<Catalog>,
    breakers: Arc<Breakers>,
    queue: Arc<dyn Queue>,
    registry: Arc<Registry>,
    reloader: Arc<Reloader>,
    approvals: Arc<Approvals>,
    stopping: AtomicBool,
}

impl Vitals {
    pub(super) fn new(
        config: Arc<Current<Config>>,
        catalog: Arc<Catalog>,
        breakers: Arc<Breakers>,
        queue: Arc<dyn Queue>,
        registry: Arc<Registry>,
        reloader: Arc<Reloader>,
        approvals: Arc<Approvals>,
    ) -> Self {
        Self {
            config,
            catalog,
            breakers,
            queue,
            registry,
            reloader,
            approvals,
            stopping: AtomicBool::new(false),
        }
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// The plugins that are required and are not well.
    fn required(&self) -> impl Iterator<Item = Check> {
        let states = plugins::required(&self.config.get(), &self.catalog);
        states.into_iter().filter_map(|(section, state)| {
            let status = match &state {
                PluginState::Ready => return None,
                state if state.serves() => CheckStatus::Degraded,
                _ => CheckStatus::Failed,
            };
            let reason = match state.reason() {
                Some(reason) => format!("{}: {reason}", state.as_str()),
                None => state.as_str().to_owned(),
            };
            Some(Check {
                name: format!("plugin {section}"),
                status,
                reason: Some(reason),
            })
        })
    }
}

fn plugin(report: &PluginReport) -> Value {
    let manifest = report.manifest.as_ref();
    let refusal = report.state.refusal();
    json!({
        "id": manifest.map(|manifest| &manifest.id),
        "version": manifest.map(|manifest| &manifest.version),
        "description": manifest.map(|manifest| &manifest.description),
        "state": report.state,
        "reason": report.state.reason().filter(|_| refusal.is_none()),
        "refusal": refusal,
        "since": report.since,
        "isolation": report.isolation,
        "origin": report.origin,
        "components": manifest.map(|manifest| &manifest.components),
        "contracts": report.contracts,
        "restarts": report.restarts,
        "panics": report.panics,
        "last_panic": report.last_panic,
        "libraries": report.libraries,
    })
}

impl Readiness for Vitals {
    fn report(&self) -> ReadyReport {
        let breakers = self.breakers.snapshot().into_iter();
        let trouble = self.queue.trouble();
        let storage = trouble.as_ref().map(|trouble| Check {
            name: "queue".to_owned(),
            status: CheckStatus::Failed,
            reason: Some(trouble.to_string()),
        });
        let open = breakers.filter(|breaker| breaker.state != "closed");
        let open = open.map(|breaker| {
            let held = if breaker.held { "held " } else { "" };
            let state = breaker.state.replace('_', " ");
            Check {
                name: format!("integration {}", breaker.name),
                status: CheckStatus::Degraded,
                reason: Some(format!("its breaker is {held}{state}")),
            }
        });
        let checks: Vec<Check> = storage
            .into_iter()
            .chain(self.required())
            .chain(open)
            .collect();
        let has_failed = checks
            .iter()
            .any(|check| check.status == CheckStatus::Failed);
        let status = if self.stopping.load(Ordering::Acquire) {
            ReadyStatus::ShuttingDown
        } else if has_failed {
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
        let plugins: Vec<_> = self.catalog.reports().iter().map(plugin).collect();
        json!({ "plugins": plugins, "contract_files": *self.registry.reports() })
    }

    fn plan(&self, text: Option<String>) -> BoxFuture<'_, Result<Value, NotReloaded>> {
        Box::pin(async move {
            let candidate = text.map_or(Candidate::Own, Candidate::Text);
            let planned = self.reloader.plan(candidate).await;
            planned.map(|plan| json!(plan)).map_err(not_reloaded)
        })
    }

    fn reload(&self) -> BoxFuture<'_, Result<Value, NotReloaded>> {
        Box::pin(async move {
            let reloaded = self.reloader.reload(Candidate::Own).await;
            reloaded.map(|plan| json!(plan)).map_err(not_reloaded)
        })
    }

    fn approvals(&self) -> Vec<Arc<Approval>> {
        self.approvals.list()
    }

    fn approval(&self, id: Uuid) -> Option<Arc<Approval>> {
        self.approvals.get(id)
    }

    fn answer<'a>(
        &'a self,
        id: Uuid,
        choice: &'a str,
        by: &'a str,
        note: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Arc<Approval>, AnswerError>> {
        Box::pin(self.approvals.answer(id, choice, by, note))
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

fn not_reloaded(error: ReloadError) -> NotReloaded {
    let problems = match &error {
        ReloadError::Config(errors) => {
            let each = errors.problems().iter();
            each.map(|problem| (problem.key.clone(), problem.to_string()))
                .collect()
        }
        _ => Vec::new(),
    };
    NotReloaded {
        detail: match problems.is_empty() {
            true => error.to_string(),
            false => "the configuration is not in order; see `errors`".to_owned(),
        },
        problems,
    }
}
