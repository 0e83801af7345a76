//! A running hub in a test: receives events, hands on what became of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nexus_host::queue::Step;
use nexus_host::{DeadLetter, Host, Journey, LetterFilter, Page, Subscription};
use nexus_plugin_api::{Event, HookReply, HookRequest, Plugin, Published};
use serde::Serialize;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use crate::builder::Builder;
use crate::failure::Failure;
use crate::recorder::{Recorded, Shelved, Tape};

/// How long anything may take before a test gives up.
const LIMIT: Duration = Duration::from_secs(30);

/// A fresh hub with the plugins under test.
///
/// Dropping it ends it at once; [`TestHub::stop`] stops it as in service.
pub struct TestHub {
    host: Host,
    accepted: watch::Receiver<Vec<Arc<Event>>>,
    _collector: Collector,
    integrations: BTreeMap<String, Arc<Tape>>,
    _shelved: Vec<Shelved>,
    _folder: TempDir,
}

impl TestHub {
    /// Begins to put a hub together.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts a hub with one linked plugin.
    ///
    /// # Errors
    /// When the plugin is refused.
    pub async fn with(plugin: Plugin) -> Result<Self, Failure> {
        Self::builder().plugin(plugin).start().await
    }

    /// Starts a hub with one plugin from its library file, such as [`crate::build_library`] makes.
    ///
    /// # Errors
    /// When the file cannot be used or the plugin is refused.
    pub async fn load(library: impl Into<PathBuf>) -> Result<Self, Failure> {
        Self::builder().library(library).start().await
    }

    pub(crate) fn new(
        host: Host,
        integrations: BTreeMap<String, Arc<Tape>>,
        shelved: Vec<Shelved>,
        folder: TempDir,
    ) -> Self {
        let (seen, accepted) = watch::channel(Vec::new());
        let collector = tokio::spawn(collect(host.subscribe("*", "*"), seen));
        Self {
            host,
            accepted,
            _collector: Collector(collector),
            integrations,
            _shelved: shelved,
            _folder: folder,
        }
    }

    /// Publishes an event, as a program that embeds the hub does.
    ///
    /// # Errors
    /// When the hub does not take it, for instance because it does not fit its contract.
    pub async fn publish<T: Serialize>(&self, event: Event<T>) -> Result<Published, Failure> {
        Ok(self.host.publish(event).await?)
    }

    /// Publishes an event and waits until nothing more is done for it.
    ///
    /// # Errors
    /// When the hub does not take it, has seen it before, or is not done with it in 30 seconds.
    pub async fn process<T: Serialize>(&self, event: Event<T>) -> Result<Journey, Failure> {
        let published = self.publish(event).await?;
        if !published.is_accepted() {
            return Err(Failure::Duplicate(published.event_id));
        }
        self.processed(published.event_id).await
    }

    /// Waits until nothing more is done for an event, retries and delayed effects included.
    ///
    /// # Errors
    /// When the hub does not know it, or is not done with it in 30 seconds.
    pub async fn processed(&self, event_id: Uuid) -> Result<Journey, Failure> {
        match timeout(LIMIT, self.host.wait_processed(event_id)).await {
            Ok(journey) => journey
                .ok()
                .flatten()
                .ok_or(Failure::UnknownEvent(event_id)),
            Err(_) => Err(late(format!("the end of event {event_id}"))),
        }
    }

    /// The way of an event so far; `None` when the hub does not know it.
    pub async fn journey(&self, event_id: Uuid) -> Option<Journey> {
        // A test's queue is in memory, which does not fail.
        self.host.journey(event_id).await.ok().flatten()
    }

    /// The events that followed from an event so far, in order: those its processors emitted, and
    /// those integrations answered with.
    ///
    /// # Errors
    /// When the hub does not know the event.
    pub async fn emitted(&self, event_id: Uuid) -> Result<Vec<Arc<Event>>, Failure> {
        let journey = self.journey(event_id).await;
        let journey = journey.ok_or(Failure::UnknownEvent(event_id))?;
        let mut emitted = Vec::new();
        for line in &journey.steps {
            if let Step::Emitted { event_id, .. } = line.step {
                emitted.push(self.accepted(event_id).await?);
            }
        }
        Ok(emitted)
    }

    /// Waits for an event of that exact type, whoever publishes it: a source, an effect, the test
    /// itself. Events count from the moment the hub has started; each call with the same type gets
    /// the first.
    ///
    /// # Errors
    /// When none comes in 30 seconds.
    pub async fn first_of(&self, event_type: &str) -> Result<Arc<Event>, Failure> {
        let wanted = |event: &Event| event.event_type == event_type;
        let found = self.wait_for(wanted).await;
        found.ok_or_else(|| late(format!("an event of type {event_type}")))
    }

    /// Shows a webhook to a source, as one that comes to `/v1/hooks/SOURCE`.
    ///
    /// # Errors
    /// When there is no such source, or it answers an error, which the hub would answer with 503 or 500.
    pub async fn hook(&self, source: &str, request: HookRequest) -> Result<HookReply, Failure> {
        let answer = self.host.hook(source, request).await;
        let answer = answer.ok_or_else(|| Failure::UnknownSource(source.to_owned()))?;
        answer.map_err(Failure::Hook)
    }

    /// What an integration was asked so far, in order. Empty for one that does not record; see
    /// [`Builder::record_integration`].
    pub fn requests(&self, integration: &str) -> Vec<Recorded> {
        let tape = self.integrations.get(integration);
        tape.map(|tape| tape.requests()).unwrap_or_default()
    }

    /// What could not be finished, oldest first.
    pub async fn dead_letters(&self) -> Vec<DeadLetter> {
        let all = Page::first(usize::MAX);
        let letters = self.host.dead_letters(LetterFilter::default(), all).await;
        letters.unwrap_or_default()
    }

    /// The host itself, for everything else.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Stops the hub as in service.
    ///
    /// # Errors
    /// When a part of it had ended before by a panic.
    pub async fn stop(self) -> Result<(), Failure> {
        let Self {
            host, _collector, ..
        } = self;
        host.shutdown().await.map_err(Failure::Stop)?;
        Ok(())
    }

    async fn accepted(&self, event_id: Uuid) -> Result<Arc<Event>, Failure> {
        let found = self.wait_for(|event| event.event_id == event_id).await;
        found.ok_or_else(|| late(format!("the event {event_id}")))
    }

    async fn wait_for(&self, wanted: impl Fn(&Event) -> bool) -> Option<Arc<Event>> {
        let find = |seen: &[Arc<Event>]| seen.iter().find(|event| wanted(event)).cloned();
        let mut accepted = self.accepted.clone();
        let found = timeout(LIMIT, accepted.wait_for(|seen| find(seen).is_some())).await;
        find(&found.ok()?.ok()?)
    }
}

/// The task that collects events; it ends with this.
struct Collector(JoinHandle<()>);

impl Drop for Collector {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Keeps every accepted event: a test may ask for one long after it has passed.
async fn collect(mut coming: Subscription, seen: watch::Sender<Vec<Arc<Event>>>) {
    while let Some(event) = coming.next().await {
        seen.send_modify(|seen| seen.push(event));
    }
}

impl std::fmt::Debug for TestHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestHub")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

fn late(what: String) -> Failure {
    Failure::TooLate { what, limit: LIMIT }
}
