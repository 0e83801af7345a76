//! Another configuration while the hub runs: receives one, tells what it would change, and applies all of it or
//! nothing. What runs is only replaced once everything new is there, and nobody waits for what is replaced.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::StartError;
use super::registry::Registry;
use crate::config::{Config, ConfigErrors, Loader};
use crate::current::Current;
use crate::ingress::webhooks::Webhooks;
use crate::intake::Intake;
use crate::plugins::{self, Manager};

mod plan;

pub use plan::{PluginChange, ReloadPlan};

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
    pub(super) config: Arc<Current<Config>>,
    pub(super) manager: Arc<Manager>,
    pub(super) registry: Arc<Registry>,
    pub(super) intake: Arc<Intake>,
    pub(super) webhooks: Arc<Webhooks>,
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
    pub(super) fn plan(&self, candidate: Candidate) -> Result<ReloadPlan, ReloadError> {
        let config = self.read(candidate)?;
        Ok(ReloadPlan::between(
            &self.config.get(),
            &config,
            self.manager.catalog(),
        ))
    }

    /// Applies a configuration, and tells the log what came of it.
    pub(super) async fn reload(&self, candidate: Candidate) -> Result<ReloadPlan, ReloadError> {
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

    async fn apply(&self, candidate: Candidate) -> Result<ReloadPlan, ReloadError> {
        let config = Arc::new(self.read(candidate)?);
        let before = self.config.get();
        let plan = ReloadPlan::between(&before, &config, self.manager.catalog());
        if !plan.needs_restart.is_empty() {
            return Err(ReloadError::NeedsRestart(plan.needs_restart));
        }
        // Everything that can fail.
        let (draft, files) = self.registry.renewal(&config)?.into_parts();
        self.manager.try_failures_again().await;
        let change = self.manager.prepare(config.clone(), draft).await?;
        let expected = change
            .expect_required()
            .and_then(|()| change.expect_as_configured(&self.manager))
            .map_err(StartError::from)
            .and_then(|()| expect_apart(&config, |name| change.has_source(name)));
        if let Err(error) = expected {
            self.manager.abandon(change);
            return Err(error.into());
        }
        let admission = self.intake.admission();
        let admission = admission.succeeded_by(&config.limits, &config.clients, &config.issuers);
        // Nothing of this does.
        self.registry.take_files(files);
        self.manager.commit(change);
        self.intake.admit_by(admission);
        self.webhooks.become_those(&config.webhooks);
        self.config.set(config);
        Ok(plan)
    }

    fn read(&self, candidate: Candidate) -> Result<Config, ReloadError> {
        let source = || self.source.clone().ok_or(ReloadError::NoSource);
        let config = match candidate {
            Candidate::Own => source()?.load()?,
            Candidate::Text(text) => source()?.with_text(text).load()?,
            Candidate::Given(config) => *config,
        };
        config.check()?;
        Ok(config)
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
