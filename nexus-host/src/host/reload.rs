//! Another configuration while the hub runs: receives one, tells what it would change, and applies all of it or
//! nothing. What runs is only replaced once everything new is there, and nobody waits for what is replaced.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::StartError;
use super::registry::Registry;
use crate::alerts::Alerts;
use crate::config::{Config, ConfigErrors, Loader};
use crate::current::Current;
use crate::ingress::webhooks::Webhooks;
use crate::intake::Intake;
use crate::observe::{Log, Trail};
use crate::plugins::{self, Supervisor};
use crate::routes::{Routes, Table};

mod plan;

pub use plan::{PluginChange, ReloadPlan};

/// How long a reload waits for plugins that stop.
const LEAVING: Duration = Duration::from_secs(1);

/// Why another configuration is not applied. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The host does not know where its configuration comes from.
    #[error(
        "the hub does not know where to read its configuration from: it was given one by the program it is in"
    )]
    NoSource,
    /// The configuration is not in order; every mistake is told.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// It changes what only a start can change.
    #[error("{} can only change with a restart; nothing was applied", .0.join(", "))]
    NeedsRestart(Vec<String>),
    /// It ended by a panic, or with the runtime.
    #[error("the reload did not come to its end: {0}")]
    Broken(tokio::task::JoinError),
    /// A part of it cannot be put to use.
    #[error("{0}; nothing was applied")]
    Unusable(#[from] StartError),
}

impl From<plugins::StartError> for ReloadError {
    fn from(error: plugins::StartError) -> Self {
        Self::Unusable(error.into())
    }
}

/// Everything that another configuration can change.
pub(super) struct Reloader {
    pub(super) source: Option<Loader>,
    /// Where plugins are, whatever a configuration says.
    pub(super) plugins_dir: Option<PathBuf>,
    pub(super) config: Arc<Current<Config>>,
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) registry: Arc<Registry>,
    pub(super) intake: Arc<Intake>,
    pub(super) webhooks: Arc<Webhooks>,
    pub(super) routes: Arc<Routes>,
    pub(super) alerts: Arc<Alerts>,
    pub(super) trail: Arc<Trail>,
    /// One at a time.
    pub(super) alone: Mutex<()>,
}

/// A configuration, where it is told apart from the one that the hub's own source has.
#[derive(Debug, Clone, Default)]
pub enum Candidate {
    /// What the hub's own source says now.
    #[default]
    Own,
    /// What it would say with this text in the place of its file.
    Text(String),
    /// This one.
    Given(Box<Config>),
}

impl Reloader {
    /// Tells what a configuration would change, and changes nothing.
    pub(super) async fn plan(
        self: &Arc<Self>,
        candidate: Candidate,
    ) -> Result<ReloadPlan, ReloadError> {
        let config = self.read(candidate).await?;
        Ok(ReloadPlan::between(
            &self.config.get(),
            &config,
            self.supervisor.catalog(),
        ))
    }

    /// Applies a configuration, and tells the log what came of it, also when nobody waits for that any more.
    pub(super) async fn reload(
        self: &Arc<Self>,
        candidate: Candidate,
    ) -> Result<ReloadPlan, ReloadError> {
        let this = self.clone();
        let reloading = tokio::spawn(async move { this.reload_alone(candidate).await });
        reloading.await.map_err(ReloadError::Broken)?
    }

    async fn reload_alone(
        self: &Arc<Self>,
        candidate: Candidate,
    ) -> Result<ReloadPlan, ReloadError> {
        let _alone = self.alone.lock().await;
        let applied = self.apply(candidate).await;
        match &applied {
            Ok(plan) => tracing::info!(
                changed = plan.changed.join(", "),
                "the configuration is applied anew"
            ),
            Err(error) => tracing::error!("the configuration stays as it was: {error}"),
        }
        applied
    }

    async fn apply(self: &Arc<Self>, candidate: Candidate) -> Result<ReloadPlan, ReloadError> {
        let config = Arc::new(self.read(candidate).await?);
        let before = self.config.get();
        let plan = ReloadPlan::between(&before, &config, self.supervisor.catalog());
        if !plan.needs_restart.is_empty() {
            return Err(ReloadError::NeedsRestart(plan.needs_restart));
        }
        // Everything that can fail.
        let (registry, of) = (self.registry.clone(), config.clone());
        let renewal = spawn_blocking(move || {
            let routes = Table::of(&of.routes, &of.alerts.routes()).map_err(StartError::Route)?;
            registry.renewal(&of).map(|renewal| (renewal, routes))
        });
        let ((draft, files), routes) = renewal.await.map_err(ReloadError::Broken)??;
        let change = self.supervisor.prepare(config.clone(), draft).await?;
        let expected = change
            .expect_required()
            .and_then(|()| change.expect_as_configured(&self.supervisor))
            .map_err(StartError::from)
            .and_then(|()| expect_apart(&config, |name| change.has_source(name)));
        if let Err(error) = expected {
            self.supervisor.abandon(change);
            return Err(error.into());
        }
        let admission = self.intake.admission();
        let admission = admission.succeeded_by(&config.limits, &config.clients, &config.issuers);
        // Nothing of this does.
        self.registry.take_files(files);
        self.supervisor.commit(change);
        self.intake.admit_by(admission);
        self.webhooks.become_those(&config.webhooks);
        self.routes.become_those(routes);
        self.alerts.become_those(&config.alerts);
        self.trail.allow(&config.observe.log_fields);
        if let Some(log) = Log::of_this_process()
            && config.observe.log_level != before.observe.log_level
        {
            log.configure(&config.observe.log_level);
        }
        self.config.set(config);
        if plan.stops_any() {
            // Events for what stops are taken until it has: whoever is told so finds it so, unless that takes long.
            let _ = timeout(LEAVING, self.supervisor.have_left()).await;
        }
        Ok(plan)
    }

    /// Reads a configuration, which may take a disk's time.
    async fn read(self: &Arc<Self>, candidate: Candidate) -> Result<Config, ReloadError> {
        let this = self.clone();
        let reading = spawn_blocking(move || {
            let source = || this.source.clone().ok_or(ReloadError::NoSource);
            let mut config = match candidate {
                Candidate::Own => source()?.load()?,
                Candidate::Text(text) => source()?.with_text(text).load()?,
                Candidate::Given(config) => *config,
            };
            if let Some(folder) = &this.plugins_dir {
                config.plugins.dir = folder.clone();
            }
            config.check()?;
            Ok(config)
        });
        reading.await.map_err(ReloadError::Broken)?
    }
}

/// Refuses a webhook and a plugin's source of the same name.
pub(super) fn expect_apart(
    config: &Config,
    has_source: impl Fn(&str) -> bool,
) -> Result<(), StartError> {
    let mut names = config.webhooks.iter().map(|webhook| &webhook.name);
    match names.find(|name| has_source(name)) {
        Some(name) => Err(StartError::Webhook(name.clone())),
        None => Ok(()),
    }
}
