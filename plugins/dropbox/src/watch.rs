//! The background task: has every account listed from time to time, or as soon as Dropbox's long poll tells of a change.
//!
//! It lists nothing itself: it publishes what has an account listed, and with long polls waits until that is done, as
//! the next poll needs the new place.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use nexus_plugin_api::{Context, PluginError};

use crate::api::{Api, Refusal};
use crate::config::{Config, Mode};
use crate::contracts::Reason;
use crate::listing;
use crate::record::Record;
use crate::standing::Standing;

/// Under which name failures stand that belong to no account.
pub(crate) const ALL: &str = "all accounts";

/// How soon it is looked whether a listing is done; then twice as long each time.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// How long a folder is waited for that is not there.
const FOLDER: Duration = Duration::from_secs(60);

pub(crate) struct Watch<'a> {
    config: &'a Config,
    api: &'a Api,
    standing: &'a Standing,
    ctx: &'a Context,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(
        config: &'a Config,
        api: &'a Api,
        standing: &'a Standing,
        ctx: &'a Context,
    ) -> Self {
        Self {
            config,
            api,
            standing,
            ctx,
        }
    }

    /// Goes on until the hub stops, or its storage fails.
    pub(crate) async fn run(&self) -> Result<(), PluginError> {
        let accounts = self.accounts().await;
        match self.config.mode {
            Mode::Webhook => loop {
                for account in &accounts {
                    self.ask(account, Reason::CatchUp).await?;
                }
                tokio::time::sleep(self.config.catch_up.0).await;
            },
            Mode::Longpoll => {
                try_join_all(accounts.iter().map(|account| self.poll(account))).await?;
                Ok(())
            }
        }
    }

    /// The accounts, as soon as Dropbox says which.
    async fn accounts(&self) -> Vec<String> {
        loop {
            match self.api.accounts().await {
                Ok(accounts) => {
                    self.standing.works(ALL);
                    return accounts;
                }
                Err(error) => {
                    let pause = self.standing.failed(ALL, &error);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Publishes what has an account listed.
    async fn ask(&self, account: &str, reason: Reason) -> Result<(), PluginError> {
        loop {
            match self.ctx.publish(listing::asking(account, reason)?).await {
                Err(error) if error.retryable => {
                    tokio::time::sleep(error.retry_after.unwrap_or(LONGEST_LOOK)).await;
                }
                published => return published.map(drop),
            }
        }
    }

    /// Follows one account by long polls.
    async fn poll(&self, account: &str) -> Result<(), PluginError> {
        let mut cursor = self.listed(account, Reason::CatchUp).await?;
        let mut resets = 0;
        loop {
            let Some(place) = cursor else {
                tokio::time::sleep(FOLDER).await;
                cursor = self.listed(account, Reason::CatchUp).await?;
                continue;
            };
            cursor = match self.api.poll(&place).await {
                Ok(polled) => {
                    self.standing.works(account);
                    resets = 0;
                    let next = match polled.changes {
                        true => self.listed(account, Reason::Changed).await?,
                        false => Some(place),
                    };
                    if let Some(seconds) = polled.backoff {
                        tokio::time::sleep(Duration::from_secs(seconds)).await;
                    }
                    next
                }
                // Listing may take the place that polling does not: it is not to go round without a pause.
                Err(Refusal::Reset | Refusal::NotThere) => {
                    resets += 1;
                    tokio::time::sleep(after_reset(resets)).await;
                    self.listed(account, Reason::Changed).await?
                }
                Err(Refusal::Failed(error)) => {
                    let pause = self.standing.failed(account, &error);
                    tokio::time::sleep(pause).await;
                    Some(place)
                }
            };
        }
    }

    /// Has an account listed, and waits until it is: where to go on.
    async fn listed(&self, account: &str, reason: Reason) -> Result<Option<String>, PluginError> {
        loop {
            let asked = Utc::now();
            self.ask(account, reason).await?;
            let done = self.done_since(account, asked);
            // One that was given up is asked for again.
            if let Ok(cursor) = tokio::time::timeout(self.config.catch_up.0, done).await {
                return cursor;
            }
        }
    }

    async fn done_since(
        &self,
        account: &str,
        asked: DateTime<Utc>,
    ) -> Result<Option<String>, PluginError> {
        let mut pause = FIRST_LOOK;
        loop {
            let folder = self.config.folder_of(account);
            let record = Record::load(self.ctx, account, folder).await?;
            if record.is_listed_since(asked) {
                return Ok(record.cursor);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }
}

/// How long to wait after so many resets in a row.
fn after_reset(resets: u32) -> Duration {
    let doubled = FIRST_LOOK.saturating_mul(1 << resets.min(16));
    doubled.min(FOLDER)
}
