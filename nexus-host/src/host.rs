//! A running host, as who embeds it sees it.

mod counted;
mod crew;
mod glance;
mod ports;
mod pulse;
mod registry;
mod reload;
mod report;
mod secret;
mod serving;
mod start;
mod subscription;
mod vitals;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nexus_plugin_api::{Event, HookReply, HookRequest, PluginError, Published};
use serde::Serialize;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use crate::admission::{Code, FileReport, Origin, Rejection};
use crate::alerts::Alerts;
use crate::approvals::{AnswerError, Approval, Approvals};
use crate::builder::HostBuilder;
use crate::config::Config;
use crate::current::Current;
use crate::dispatch::{BreakerStatus, Breakers};
use crate::ingress::Readiness;
use crate::intake::{Completions, Door, Intake};
use crate::observe::{Tap, Tracer};
use crate::plugins::{PluginReport, Supervisor};
use crate::queue::{DeadLetter, Journey, LetterFilter, Page, Queue, QueueStats, Unavailable};
use registry::Registry;
use reload::Reloader;
use serving::Serving;
use vitals::Vitals;

pub use reload::{Candidate, PluginChange, ReloadError, ReloadPlan};
pub use report::{HealthReport, ShutdownReport};
pub use start::StartError;
pub use subscription::Subscription;

/// How long the last spans may take to the collector.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// A running hub.
///
/// Dropping it without [`Host::shutdown`] ends it at once; what is queued in memory is lost.
pub struct Host {
    config: Arc<Current<Config>>,
    supervisor: Arc<Supervisor>,
    registry: Arc<Registry>,
    reloader: Arc<Reloader>,
    approvals: Arc<Approvals>,
    alerts: Arc<Alerts>,
    intake: Arc<Intake>,
    queue: Arc<dyn Queue>,
    breakers: Arc<Breakers>,
    tap: Tap,
    completions: Arc<Completions>,
    vitals: Arc<Vitals>,
    tracer: Tracer,
    server: Option<Serving>,
    workers: JoinHandle<()>,
    /// What runs in the background and may be cut at any time.
    background: JoinSet<()>,
}

/// Why an event was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The payload does not serialise.
    #[error("the payload does not serialise: {0}")]
    Payload(#[from] serde_json::Error),
    /// The hub does not take it.
    #[error("{}", .0.message())]
    Refused(Rejection),
}

/// Why a host did not stop as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShutdownError {
    /// The dispatcher ended by a panic.
    #[error("the dispatcher had ended before: {0}")]
    Dispatcher(tokio::task::JoinError),
}

impl Host {
    /// Begins to put a host together.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// Publishes an event. Ready when it is queued.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish<T: Serialize>(&self, event: Event<T>) -> Result<Published, PublishError> {
        let event = event.into_raw()?;
        let published = self.intake.publish(Door::Host, event, Origin::Host).await;
        published.map_err(PublishError::Refused)
    }

    /// Publishes an event, but never waits for room, whatever `queue.when_full` says.
    ///
    /// # Errors
    /// See [`PublishError`]; `queue_full` when there is no room at the moment.
    pub async fn try_publish<T: Serialize>(
        &self,
        event: Event<T>,
    ) -> Result<Published, PublishError> {
        // What waits for room has taken nothing on itself yet, so it may be given up.
        timeout(Duration::ZERO, self.publish(event))
            .await
            .unwrap_or_else(|_| {
                let message = "the queue is full; try again later";
                Err(PublishError::Refused(Rejection::new(
                    Code::QueueFull,
                    message,
                )))
            })
    }

    /// Listens to accepted events: of a type and from a source, each exact, `prefix.*` or `*`.
    pub fn subscribe(&self, event_type: &str, source: &str) -> Subscription {
        Subscription::of(self.tap.listen(), event_type, source)
    }

    /// Waits until nothing more is done for an event; `None` when it is unknown or forgotten. Of several
    /// sources' events with this id it waits for the one accepted last.
    ///
    /// # Errors
    /// When the queue's storage does not work.
    pub async fn wait_processed(&self, event_id: Uuid) -> Result<Option<Journey>, Unavailable> {
        let Some(newest) = self.journey(event_id).await? else {
            return Ok(None);
        };
        let source = newest.source;
        let finished = self.completions.watch(&source, event_id);
        // It may have ended before it was watched.
        let journey = self.journey_of(&source, event_id).await?;
        if journey.as_ref().is_none_or(|one| one.finished_at.is_some()) {
            return Ok(journey);
        }
        finished.await;
        self.journey_of(&source, event_id).await
    }

    /// The way of an event so far; `None` when it is unknown or forgotten. Of several sources' events
    /// with this id it is that of the one accepted last.
    ///
    /// # Errors
    /// When the queue's storage does not work.
    pub async fn journey(&self, event_id: Uuid) -> Result<Option<Journey>, Unavailable> {
        self.queue.journey(event_id, Box::new(|_, _| true)).await
    }

    /// The way of a source's event so far; `None` when it is unknown or forgotten.
    ///
    /// # Errors
    /// When the queue's storage does not work.
    pub async fn journey_of(
        &self,
        source: &str,
        event_id: Uuid,
    ) -> Result<Option<Journey>, Unavailable> {
        let source = source.to_owned();
        let is_of_source = move |of: &str, _: &str| of == source;
        self.queue.journey(event_id, Box::new(is_of_source)).await
    }

    /// The dead letters that are meant, oldest first, a page at a time.
    ///
    /// ```
    /// use nexus_host::{Host, LetterFilter, Page};
    ///
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let host = Host::builder().plugins_dir("plugins").without_server().build()?.start().await?;
    /// let toasts_of_mail = LetterFilter {
    ///     event_type: Some("mail.*".parse()?),
    ///     integration: Some("toasty".to_owned()),
    ///     ..LetterFilter::default()
    /// };
    /// let letters = host.dead_letters(toasts_of_mail, Page::first(100)).await?;
    /// let ids = letters.iter().map(|letter| letter.id).collect();
    /// let replayed = host.replay(ids).await?;
    /// assert_eq!(replayed.len(), letters.len(), "nobody else replayed one meanwhile");
    /// # host.shutdown().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the queue's storage does not work.
    pub async fn dead_letters(
        &self,
        filter: LetterFilter,
        page: Page,
    ) -> Result<Vec<DeadLetter>, Unavailable> {
        self.queue.dead_letters(filter, page).await
    }

    /// Takes the work of these dead letters up once more: the same effects of the same events, with
    /// the idempotency keys they had and every attempt before them. Answers which: a letter that is
    /// gone, or was taken up before, is left out.
    ///
    /// # Errors
    /// When the queue's storage does not work; nothing is taken up then.
    pub async fn replay(&self, letters: Vec<Uuid>) -> Result<Vec<Uuid>, Unavailable> {
        self.queue.replay(letters).await
    }

    /// Deletes these dead letters. Answers which there were.
    ///
    /// # Errors
    /// When the queue's storage does not work; nothing is deleted then.
    pub async fn purge(&self, letters: Vec<Uuid>) -> Result<Vec<Uuid>, Unavailable> {
        self.queue.purge(letters).await
    }

    /// The questions to people that are kept: what waits first, the oldest first, then what has ended, the last first.
    pub fn approvals(&self) -> Vec<Arc<Approval>> {
        self.approvals.list()
    }

    /// Answers a question for somebody, by the id of a choice. The first answer counts.
    ///
    /// # Errors
    /// Why it does not count.
    pub async fn answer(
        &self,
        approval_id: Uuid,
        choice: &str,
        by: &str,
        note: Option<&str>,
    ) -> Result<Arc<Approval>, AnswerError> {
        self.approvals.answer(approval_id, choice, by, note).await
    }

    /// What is wrong with the hub, and what was: its alerts, which can be acknowledged and silenced there.
    pub fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// How full the queue is.
    pub fn stats(&self) -> QueueStats {
        self.queue.stats()
    }

    /// How the hub is: as `/readyz` says it, with queue and breakers.
    pub fn health(&self) -> HealthReport {
        HealthReport {
            ready: self.vitals.report(),
            queue: self.queue.stats(),
            breakers: self.breakers.snapshot(),
        }
    }

    /// Opens a breaker, named as [`Host::health`] names it, until [`Host::close_breaker`]: what is
    /// meant for its target waits. How it stands then; `None` when there is none of that name.
    pub fn open_breaker(&self, name: &str) -> Option<BreakerStatus> {
        self.breakers.open(name)
    }

    /// Closes a breaker, named as [`Host::health`] names it. How it stands then; `None` when there
    /// is none of that name.
    pub fn close_breaker(&self, name: &str) -> Option<BreakerStatus> {
        self.breakers.close(name)
    }

    /// Where it listens for HTTP; `None` without a server.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(|server| server.http)
    }

    /// Where it listens for gRPC; `None` without that.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.server.as_ref().and_then(|server| server.grpc)
    }

    /// Whether what it serves is encrypted.
    pub fn has_tls(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.has_tls)
    }

    /// Shows a webhook to a source, as one that comes to `/v1/hooks/SOURCE`. `None` when no plugin has a source of
    /// that name.
    pub async fn hook(
        &self,
        source: &str,
        request: HookRequest,
    ) -> Option<Result<HookReply, PluginError>> {
        let limit = self.config.get().dispatch.processor_timeout.get();
        self.supervisor.catalog().hook(source, request, limit).await
    }

    /// Every plugin and plugin file that was looked at.
    pub fn plugins(&self) -> Vec<PluginReport> {
        self.supervisor.catalog().reports()
    }

    /// Waits until every plugin was asked how it is, once since the start: before, [`Host::plugins`] takes those that
    /// have started for ready.
    pub async fn plugins_examined(&self) {
        self.supervisor.examined().await;
    }

    /// Every contract file that was looked at.
    pub fn contract_files(&self) -> Arc<Vec<FileReport>> {
        self.registry.reports()
    }

    /// The configuration it runs with.
    pub fn config(&self) -> Arc<Config> {
        self.config.get()
    }

    /// Tells what another configuration would change, and changes nothing. Plugins are not started for it.
    ///
    /// # Errors
    /// When there is no such configuration, or it is not in order.
    pub async fn plan(&self, candidate: Candidate) -> Result<ReloadPlan, ReloadError> {
        self.reloader.plan(candidate).await
    }

    /// Applies another configuration, all of it or nothing: clients, issuers, limits, rules, routes, alerts, webhooks
    /// and plugins.
    /// Plugins whose sections differ are started beside themselves first; those before finish what they are at.
    /// Answers what has changed.
    ///
    /// ```
    /// use nexus_host::{Config, Host};
    /// use nexus_host::host::Candidate;
    ///
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let host = Host::builder().without_server().build()?.start().await?;
    /// let other = Config::from_toml_str("[limits]\nmax_depth = 8\n")?;
    /// let changed = host.reload(Candidate::Given(other.into())).await?.changed;
    /// assert_eq!(changed, ["limits.max_depth"]);
    /// # host.shutdown().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn reload(&self, candidate: Candidate) -> Result<ReloadPlan, ReloadError> {
        self.reloader.reload(candidate).await
    }

    /// Stops: takes no more events, lets those in work finish for `shutdown.drain_timeout`, and
    /// ends within `shutdown.timeout`.
    ///
    /// # Errors
    /// When a part had ended before by a panic; the rest is stopped all the same.
    pub async fn shutdown(mut self) -> Result<ShutdownReport, ShutdownError> {
        let begun = Instant::now();
        let limits = self.config.get().shutdown.clone();
        let end = begun + limits.timeout.get();
        let drained_by = begun + limits.drain_timeout.get();
        // Nothing new comes in.
        self.vitals.stop();
        let served = self
            .server
            .take()
            .map(|server| server.stop(drained_by - begun));
        self.queue.close_intake();
        let background = async {
            self.background.shutdown().await;
            self.alerts.rest().await;
            self.supervisor.stop_sources().await;
        };
        let _ = timeout_at(drained_by, background).await;
        // What is in, gets done.
        let drained = timeout_at(drained_by, self.queue.drained(drained_by)).await;
        self.queue.close_leasing();
        // Half of what is left is for what does not end by itself.
        let reserve = end.saturating_duration_since(drained_by) / 2;
        let ended = timeout_at(end - reserve, &mut self.workers).await;
        // What hangs is cancelled.
        self.workers.abort();
        let cut_connections = match served {
            Some(served) => timeout_at(end, served)
                .await
                .map_or(0, |served| served.map_or(0, |s| s.cut)),
            None => 0,
        };
        // A collector that hangs has no more than this of what is left.
        let _ = timeout_at(end, self.tracer.flush(Instant::now() + LAST_SPANS)).await;
        if let Ok(Err(error)) = ended {
            return Err(ShutdownError::Dispatcher(error));
        }
        let stats = self.queue.stats();
        // What is settled gets written down; a disk that hangs does not keep the process.
        let _ = timeout_at(end, self.queue.close()).await;
        Ok(ShutdownReport {
            drained: drained.is_ok() && stats.depth == 0,
            unfinished: stats.depth,
            kept: self.queue.is_durable(),
            finished: stats.finished,
            dead_letters: stats.dead_letters,
            cut_connections,
            took: begun.elapsed(),
        })
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("plugins", &self.supervisor)
            .field("queue", &self.queue.stats())
            .finish_non_exhaustive()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.workers.abort();
        self.supervisor.let_go();
    }
}
