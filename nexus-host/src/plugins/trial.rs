//! One plugin file apart from any hub: receives a file that was checked, starts it as a hub does, and hands on a
//! plugin whose components are called one by one. Nothing is queued and no effect is performed: who calls sees
//! what the plugin answers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nexus_plugin_api::abi::Manifest;
use nexus_plugin_api::{Event, Health, HookReply, HookRequest, Outcome, PluginError, Reply};

use super::discover::Candidate;
use super::generations::Generations;
use super::instance::Instance;
use super::load::Copies;
use super::port::Upstream;
use super::refusal::{Refusal, RefusalCode as Code};
use super::start::Starter;
use super::supervisor::StartError;
use super::worker::Lives;
use crate::admission::Contracts;
use crate::config::Config;
use crate::dispatch::port::Call;

/// A plugin that was started by itself. Components are named by their place in the manifest.
///
/// It ends when this and the contracts that it has brought are dropped.
pub struct Trial(Arc<Instance>);

impl Trial {
    /// Starts a file as `[plugins.NAME]` says. What it asks for, `upstream` answers; its contracts go to
    /// `contracts`.
    ///
    /// # Errors
    /// Why a hub would not take it.
    pub async fn start(
        candidate: &Arc<Candidate>,
        config: &Config,
        contracts: &Contracts,
        upstream: Arc<dyn Upstream>,
    ) -> Result<Self, Refusal> {
        let copies = Copies::new().map_err(|error| {
            let reason = StartError::Copies(error);
            Refusal::new(Code::LoadFailed, reason, "check the temporary folder")
        })?;
        let mut starter = Starter {
            config,
            connection: &Arc::new(OnceLock::from(upstream)),
            keeper: &mut None,
        };
        let isolation = starter.settings(&candidate.manifest).isolation;
        let library = Generations::default()
            .take(candidate, isolation, &config.plugins, &Arc::new(copies))
            .await?;
        let running = starter.start(&candidate.manifest, library, false).await?;
        let mut draft = contracts.draft();
        running.bring_contracts(&mut draft)?;
        contracts.put(draft);
        Ok(Self(running.instance.clone()))
    }

    /// What the plugin says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// What becomes of its workers; `None` for one that runs in this process.
    pub fn lives(&self) -> Option<&Arc<Lives>> {
        self.0.lives()
    }

    /// Shows an event to a processor. Dropped, the call is given up, here and below.
    ///
    /// # Errors
    /// What the plugin answers, a panic included.
    pub async fn process(
        &self,
        component: u32,
        call: Call<'_>,
        event: &Event,
    ) -> Result<Outcome, PluginError> {
        self.0.process(component, call, event).await
    }

    /// Hands a request to an integration.
    ///
    /// # Errors
    /// As [`Trial::process`].
    pub async fn deliver(
        &self,
        component: u32,
        call: Call<'_>,
        request: &[u8],
    ) -> Result<Reply, PluginError> {
        self.0.deliver(component, None, call, request).await
    }

    /// Shows a webhook to a source.
    ///
    /// # Errors
    /// As [`Trial::process`].
    pub async fn hook(
        &self,
        component: u32,
        request: HookRequest,
        limit: Duration,
    ) -> Result<HookReply, PluginError> {
        self.0.hook(component, request, limit).await
    }

    /// Runs a source's background task until it ends.
    ///
    /// # Errors
    /// As [`Trial::process`].
    pub async fn run(&self, component: u32) -> Result<(), PluginError> {
        self.0.run(component).await
    }

    /// Asks a component how it is.
    ///
    /// # Errors
    /// As [`Trial::process`].
    pub async fn health(&self, component: u32) -> Result<Health, PluginError> {
        self.0.health(component).await
    }
}

impl std::fmt::Debug for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trial({})", self.0.manifest.id)
    }
}
