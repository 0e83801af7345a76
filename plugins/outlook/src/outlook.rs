//! The component: source and processor in one, so that both share one token, one connection to Graph and one view of
//! how it stands.

use std::time::Duration;

use futures_util::future::{join, join_all};
use nexus_plugin_api::{
    Component, Context, Contract, Event, Health, HookReply, HookRequest, NewEvent, Outcome,
    PluginError, Processor, Services, Setup, Source, Subscription,
};

use crate::client_state::ClientStates;
use crate::config::{Config, Watched};
use crate::graph::Graph;
use crate::keeper::Keeper;
use crate::mail::MailReceived;
use crate::notification::{Item, NotificationReceived};
use crate::publisher::Publisher;
use crate::sealing::Sealing;
use crate::signal::Signal;
use crate::standing::Standing;
use crate::watched::Folder;
use crate::{fetch, hook, leftovers};

/// Where webhooks to this plugin arrive.
const HOOK: &str = "/v1/hooks/outlook";

/// Follows the configured mailboxes.
#[derive(Debug)]
pub struct Outlook {
    config: Config,
    folders: Vec<Folder>,
    /// In the order of the folders.
    signals: Vec<Signal>,
    client_states: ClientStates,
    graph: Graph,
    sealing: Sealing,
    publisher: Publisher,
    standing: Standing,
}

impl Component for Outlook {
    type Config = Config;

    fn new(config: Config, setup: &Setup) -> Result<Self, PluginError> {
        config.check()?;
        let folders = Folder::all(&config);
        Ok(Self {
            signals: folders.iter().map(|_| Signal::default()).collect(),
            client_states: ClientStates::default(),
            graph: Graph::new(&config, setup.services()),
            sealing: Sealing::new(&config, setup.services()),
            publisher: Publisher::new(&config),
            standing: Standing::default(),
            folders,
            config,
        })
    }

    async fn health_check(&self) -> Health {
        match self.config.missing() {
            Some(what) if self.config.is_blank() => Health::not_configured(what),
            Some(reason) => Health::Degraded { reason },
            None => self.standing.health(),
        }
    }
}

impl Source for Outlook {
    const NAME: &'static str = "outlook";

    async fn hook(&self, ctx: &Context, request: HookRequest) -> Result<HookReply, PluginError> {
        hook::answer(self, ctx, &request).await
    }

    /// Follows every mailbox until shutdown, each by itself.
    async fn run(&self, ctx: &Context) -> Result<(), PluginError> {
        if self.config.missing().is_none() {
            let keepers = (0..self.folders.len()).map(|at| Keeper::new(self, ctx, at).run());
            join(join_all(keepers), leftovers::clear(self, ctx)).await;
        }
        Ok(())
    }
}

impl Processor for Outlook {
    const NAME: &'static str = "fetch";
    // Of this plugin's own alone: nobody else says what Graph has notified.
    const SUBSCRIPTIONS: &'static [Subscription] =
        &[Subscription::to(NotificationReceived::TYPE).from("outlook")];
    type Payload = NotificationReceived;

    async fn process(
        &self,
        ctx: &Context,
        event: Event<NotificationReceived>,
    ) -> Result<Outcome, PluginError> {
        fetch::decide(self, ctx, &event).await
    }
}

impl Outlook {
    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(crate) fn sealing(&self) -> &Sealing {
        &self.sealing
    }

    pub(crate) fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The event that a mail is.
    pub(crate) fn event(&self, mail: &MailReceived) -> Result<NewEvent, PluginError> {
        let tell_changes = self.config.changes.contains(&Watched::Updated);
        mail.event(&self.config.rules, tell_changes)
    }

    pub(crate) fn folders(&self) -> &[Folder] {
        &self.folders
    }

    pub(crate) fn folder(&self, at: usize) -> &Folder {
        &self.folders[at]
    }

    pub(crate) fn signal(&self, at: usize) -> &Signal {
        &self.signals[at]
    }

    /// Whether Graph can reach this hub.
    pub(crate) fn has_webhook(&self) -> bool {
        self.config.public_url.is_some() && self.config.missing().is_none()
    }

    /// Where Graph posts notifications.
    pub(crate) fn notification_url(&self) -> String {
        let base = self.config.public_url.as_deref().unwrap_or_default();
        format!("{}{HOOK}", base.trim_end_matches('/'))
    }

    /// How often changes are asked for.
    pub(crate) fn delta_interval(&self) -> Duration {
        match self.has_webhook() {
            true => self.config.reconcile_interval.0,
            false => self.config.poll_interval.0,
        }
    }

    /// Whether a notification is of a kind that is looked at.
    pub(crate) fn watches(&self, item: &Item) -> bool {
        let watched = |change| self.config.changes.iter().any(|watched| watched.is(change));
        // One without a kind is told to be unusable.
        item.change().is_none_or(watched)
    }

    /// What notifications must show, in the order of the folders.
    pub(crate) async fn client_states(
        &self,
        services: &Services,
    ) -> Result<&[String], PluginError> {
        self.client_states.of(&self.folders, services).await
    }
}
