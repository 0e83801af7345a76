//! The plugins that are there, by the names others call them by.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use nexus_plugin_api::abi::{ComponentKind, Manifest};
use nexus_plugin_api::{
    Event, Health, HookReply, HookRequest, Outcome, PluginError, RawJson, Reply,
};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::config::Isolation;
use super::instance::Instance;
use super::port::Upstream;
use super::refusal::Refusal;
use super::routes::Routes;
use super::service::Connection;
use super::sources;
use crate::dispatch::port::{Call, Components};
use crate::queue::BoxFuture;

/// How long a component has to say how it is.
const HEALTH_LIMIT: Duration = Duration::from_secs(2);

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Origin {
    /// Linked into the host.
    Linked,
    /// A file that was checked.
    File {
        /// The file.
        path: PathBuf,
        /// SHA-256 of its bytes, hex.
        sha256: String,
    },
    /// A file that could not even be read.
    Unread {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linked => f.write_str("linked"),
            Self::File { path, .. } | Self::Unread { path } => write!(f, "{}", path.display()),
        }
    }
}

/// Whether a plugin runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PluginState {
    /// It runs.
    Ready,
    /// It does not, and why.
    Refused(Refusal),
}

/// One plugin or file, and what became of it.
#[derive(Debug, Clone)]
pub struct PluginReport {
    /// Where it comes from.
    pub origin: Origin,
    /// What it says of itself, if it could be read.
    pub manifest: Option<Manifest>,
    /// How it runs.
    pub isolation: Isolation,
    /// The contracts it owns, `type version`.
    pub contracts: Vec<String>,
    /// Whether it runs.
    pub state: PluginState,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// The running plugins and the reports on all of them.
pub struct Catalog {
    reports: Vec<PluginReport>,
    running: Vec<Arc<Instance>>,
    connection: Connection,
    routes: Routes,
    processors: HashMap<Arc<str>, (Arc<Instance>, u32)>,
    integrations: HashMap<Arc<str>, (Arc<Instance>, u32)>,
    /// Full names by the integration's own name.
    integrations_by_name: HashMap<String, Vec<Arc<str>>>,
    sources: HashMap<String, (Arc<Instance>, u32)>,
}

impl Catalog {
    pub(super) fn new(
        reports: Vec<PluginReport>,
        running: Vec<Arc<Instance>>,
        connection: Connection,
    ) -> Self {
        let mut catalog = Self {
            reports,
            running: running.clone(),
            connection,
            routes: Routes::default(),
            processors: HashMap::new(),
            integrations: HashMap::new(),
            integrations_by_name: HashMap::new(),
            sources: HashMap::new(),
        };
        for instance in &running {
            catalog.add(instance);
        }
        catalog
    }

    fn add(&mut self, instance: &Arc<Instance>) {
        let id = &instance.manifest.id;
        for (number, component) in (0..).zip(&instance.manifest.components) {
            let full: Arc<str> = Arc::from(format!("{id}/{}", component.name));
            let target = (instance.clone(), number);
            match component.kind {
                ComponentKind::Processor => {
                    for subscription in &component.subscriptions {
                        self.routes.add(subscription, &full);
                    }
                    self.processors.insert(full, target);
                }
                ComponentKind::Integration => {
                    let same_name = self.integrations_by_name.entry(component.name.clone());
                    same_name.or_default().push(full.clone());
                    self.integrations.insert(full, target);
                }
                ComponentKind::Source => {
                    if self.sources.contains_key(&component.name) {
                        tracing::warn!(
                            plugin = id,
                            source = component.name,
                            "another plugin answers this source's webhooks already"
                        );
                    } else {
                        self.sources.insert(component.name.clone(), target);
                    }
                }
                _ => {}
            }
        }
    }

    /// Lets plugins reach the hub, and starts the background tasks of sources. They run until the
    /// returned set is dropped.
    pub fn connect(&self, upstream: Arc<dyn Upstream>) -> JoinSet<()> {
        if self.connection.set(upstream).is_err() {
            tracing::error!("the plugins are connected already");
        }
        let mut all = Vec::new();
        for instance in &self.running {
            for (number, component) in (0..).zip(&instance.manifest.components) {
                if component.kind == ComponentKind::Source {
                    let name = format!("{}/{}", instance.manifest.id, component.name);
                    all.push((instance.clone(), number, name));
                }
            }
        }
        sources::run(all)
    }

    /// Every plugin and file that was looked at, in order.
    pub fn reports(&self) -> &[PluginReport] {
        &self.reports
    }

    /// How the running plugins are, asked now: id, and the reason when it is not well.
    pub async fn health(&self) -> Vec<(String, Option<String>)> {
        let ask = self.running.iter().map(|instance| async {
            let id = instance.manifest.id.clone();
            (id, unwell(instance).await)
        });
        futures_util::future::join_all(ask).await
    }

    /// How often a plugin has panicked, and the last message.
    pub fn panics(&self, id: &str) -> (u64, Option<String>) {
        self.running
            .iter()
            .find(|instance| instance.manifest.id == id)
            .map_or((0, None), |instance| {
                (instance.panics(), instance.last_panic())
            })
    }

    /// Whether a plugin has a source of that name.
    pub fn has_source(&self, name: &str) -> bool {
        self.sources.contains_key(name)
    }

    /// Answers a webhook. `None` when no source has that name.
    pub async fn hook(
        &self,
        source: &str,
        request: HookRequest,
        limit: Duration,
    ) -> Option<Result<HookReply, PluginError>> {
        let (instance, component) = self.sources.get(source)?;
        let answer = timeout(limit, instance.hook(*component, request, limit)).await;
        Some(answer.unwrap_or_else(|_| {
            Err(PluginError::retryable(
                "timeout",
                format!("no answer within {limit:?}"),
            ))
        }))
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("reports", &self.reports)
            .finish_non_exhaustive()
    }
}

async fn unwell(instance: &Arc<Instance>) -> Option<String> {
    for (number, component) in (0..).zip(&instance.manifest.components) {
        let reason = match timeout(HEALTH_LIMIT, instance.health(number)).await {
            Ok(Ok(Health::Ready)) => continue,
            Ok(Ok(Health::Degraded { reason })) => reason,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {HEALTH_LIMIT:?}"),
        };
        return Some(format!("{} {}: {reason}", component.kind, component.name));
    }
    None
}

impl Components for Catalog {
    fn subscribers(&self, event: &Event) -> Vec<Arc<str>> {
        self.routes.of(&event.event_type, &event.source)
    }

    fn integration(&self, name: &str) -> Result<Arc<str>, PluginError> {
        if let Some((full, _)) = self.integrations.get_key_value(name) {
            return Ok(full.clone());
        }
        match self.integrations_by_name.get(name).map(Vec::as_slice) {
            Some([only]) => Ok(only.clone()),
            Some(several) => Err(PluginError::permanent(
                "ambiguous_integration",
                format!(
                    "`{name}` is any of {}; name one of them",
                    several.join(", ")
                ),
            )),
            None => Err(PluginError::permanent(
                "unknown_integration",
                format!("no plugin has an integration `{name}`"),
            )),
        }
    }

    fn process<'a>(
        &'a self,
        processor: &'a str,
        call: Call<'a>,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<Outcome, PluginError>> {
        Box::pin(async move {
            let (instance, component) = self.processors.get(processor).ok_or_else(|| {
                PluginError::permanent("unknown_processor", format!("no processor {processor}"))
            })?;
            instance.process(*component, call, event).await
        })
    }

    fn deliver<'a>(
        &'a self,
        integration: &'a str,
        target: Option<&'a str>,
        call: Call<'a>,
        request: &'a RawJson,
    ) -> BoxFuture<'a, Result<Reply, PluginError>> {
        Box::pin(async move {
            let (instance, component) = self.integrations.get(integration).ok_or_else(|| {
                PluginError::permanent(
                    "unknown_integration",
                    format!("no integration {integration}"),
                )
            })?;
            instance
                .deliver(*component, target, call, request.as_slice())
                .await
        })
    }
}
