//! Keeps one folder followed: receives signals and the time, makes and prolongs its subscription, and asks for what
//! notifications may have missed. It never gives up; what fails is tried again, later each time or when Graph says.
//!
//! Whenever it starts it prolongs the subscription, which tells whether there is one, and asks for changes: so nothing
//! that happened while the hub was away has to be remembered.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nexus_plugin_api::{Context, PluginError};
use tokio::time::Instant;

use crate::delta::Delta;
use crate::outlook::Outlook;
use crate::signal::{Due, Signal};
use crate::subscription::Subscriptions;
use crate::watched::Folder;

pub(crate) const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// See the module.
pub(crate) struct Keeper<'a> {
    outlook: &'a Outlook,
    folder: &'a Folder,
    signal: &'a Signal,
    /// None where mail is polled.
    subscriptions: Option<Subscriptions<'a>>,
    delta: Delta<'a>,
    /// When changes are asked for, whatever is signalled.
    next_delta: Instant,
}

impl<'a> Keeper<'a> {
    pub(crate) fn new(outlook: &'a Outlook, ctx: &'a Context, at: usize) -> Self {
        let folder = outlook.folder(at);
        let has_webhook = outlook.has_webhook();
        Self {
            outlook,
            folder,
            signal: outlook.signal(at),
            subscriptions: has_webhook.then(|| Subscriptions::new(outlook, ctx, at)),
            delta: Delta::new(outlook, ctx, folder),
            next_delta: Instant::now(),
        }
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        let mut due = Due::at_start();
        let mut pause = FIRST_PAUSE;
        loop {
            let wait = match self.round(&mut due).await {
                Ok(wait) => {
                    self.outlook.standing().works(&self.folder.mailbox);
                    pause = FIRST_PAUSE;
                    wait
                }
                Err(error) => {
                    self.outlook
                        .standing()
                        .trouble(&self.folder.mailbox, &error);
                    let wait = error.retry_after.unwrap_or(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    wait
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                more = self.signal.taken() => due.add(more),
            }
        }
    }

    /// Does what is due, and lets go of it only then. How long nothing more is.
    async fn round(&mut self, due: &mut Due) -> Result<Duration, PluginError> {
        // Before the subscription: whatever comes from now on is to be found.
        self.delta.begin().await?;
        let subscribed = match &self.subscriptions {
            Some(subscriptions) => subscriptions.keep(due).await.map(Some),
            None => Ok(None),
        };
        // Who cannot subscribe asks instead, each time that it is tried.
        if due.reconcile || subscribed.is_err() || Instant::now() >= self.next_delta {
            self.delta.round().await?;
            due.reconcile = false;
            self.next_delta = Instant::now() + self.outlook.delta_interval();
        }
        let wait = self.next_delta.saturating_duration_since(Instant::now());
        Ok(subscribed?.map_or(wait, |renew_at| wait.min(until(renew_at))))
    }
}

fn until(at: DateTime<Utc>) -> Duration {
    (at - Utc::now())
        .max(TimeDelta::zero())
        .to_std()
        .unwrap_or_default()
}
