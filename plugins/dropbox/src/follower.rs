//! The component: a source that is told of changes, and the processor that lists what has changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use nexus_plugin_api::{
    Component, Context, Contract, Event, Health, HookReply, HookRequest, Outcome, PluginError,
    Processor, Services, Setup, Source, Subscription,
};
use parking_lot::Mutex;

use crate::api::Api;
use crate::config::{Config, Mode};
use crate::contracts::AccountChanged;
use crate::patience::Patience;
use crate::record::Record;
use crate::standing::Standing;
use crate::watch::{ALL, Watch};
use crate::{hook, listing};

/// The secret that Dropbox signs webhooks with.
const APP_SECRET: &str = "app_secret";

/// Follows accounts of Dropbox.
pub struct Follower {
    config: Config,
    api: Api,
    standing: Standing,
    services: Services,
    /// When it began to look.
    began: DateTime<Utc>,
    /// One for each account that is listed: what is tried again has left its lane.
    alone: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Option<Handed>>>>>,
}

/// What a listing has handed to the hub to keep, and when.
struct Handed {
    record: Record,
    at: Instant,
}

/// How long the hub is expected to take for that; then it is taken for lost.
const KEPT_WITHIN: Duration = Duration::from_secs(3);

/// How soon it is looked again whether it is kept.
const LOOK: Duration = Duration::from_millis(50);

/// How soon a call is tried again that there was no time for.
const AGAIN: Duration = Duration::from_secs(1);

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Component for Follower {
    type Config = Config;

    fn new(config: Config, setup: &Setup) -> Result<Self, PluginError> {
        config.check()?;
        Ok(Self {
            api: Api::new(&config, setup.services()),
            standing: Standing::default(),
            services: setup.services().clone(),
            began: Utc::now(),
            alone: Mutex::default(),
            config,
        })
    }

    async fn health_check(&self) -> Health {
        match self.missing().await {
            Some(error) if self.is_blank().await => Health::not_configured(error.message),
            Some(error) => Health::Degraded {
                reason: format!("nothing is followed: {}", error.message),
            },
            None => self.standing.health(),
        }
    }
}

impl Source for Follower {
    const NAME: &'static str = "dropbox";

    async fn hook(&self, ctx: &Context, request: HookRequest) -> Result<HookReply, PluginError> {
        let Ok(secret) = ctx.secret(APP_SECRET).await else {
            return Ok(HookReply::status(404));
        };
        if self.config.mode != Mode::Webhook {
            return Ok(HookReply::status(404));
        }
        match request.method.as_str() {
            "GET" => return Ok(hook::handshake(&request)),
            "POST" => {}
            _ => return Ok(HookReply::status(405).with_header("allow", "GET, POST")),
        }
        let accounts = match hook::changed(&request, &secret) {
            Ok(accounts) => accounts,
            Err(reply) => return Ok(reply),
        };
        // Where none is configured, the one whose token it is has to be asked for; listing does that.
        let configured = &self.config.accounts;
        let is_known = |account: &String| configured.is_empty() || configured.contains_key(account);
        hook::keep(ctx, accounts.into_iter().filter(is_known)).await?;
        Ok(HookReply::status(200))
    }

    /// Lists every account from time to time, or waits for changes at Dropbox.
    async fn run(&self, ctx: &Context) -> Result<(), PluginError> {
        if self.missing().await.is_some() {
            return Ok(());
        }
        Watch::new(&self.config, &self.api, &self.standing, ctx)
            .run()
            .await
    }
}

impl Processor for Follower {
    const NAME: &'static str = "listing";
    const SUBSCRIPTIONS: &'static [Subscription] = &[Subscription::to(AccountChanged::TYPE)];
    type Payload = AccountChanged;

    async fn process(
        &self,
        ctx: &Context,
        event: Event<AccountChanged>,
    ) -> Result<Outcome, PluginError> {
        let patience = Patience::of(ctx);
        let decided = patience.for_all(self.decide(ctx, &event, patience)).await;
        decided.unwrap_or_else(|| Ok(Outcome::retry_later(AGAIN, "there was no time left")))
    }
}

impl Follower {
    /// What becomes of an account in which something may have changed.
    async fn decide(
        &self,
        ctx: &Context,
        event: &Event<AccountChanged>,
        patience: Patience,
    ) -> Result<Outcome, PluginError> {
        if let Some(pause) = self.standing.pause(ALL) {
            return Ok(left_alone(pause));
        }
        let listed_as = self.api.listed_as(&event.payload.account);
        let account = match listed_as.await {
            Ok(Some(account)) => account,
            Ok(None) => return Ok(Outcome::skip("no token for this account is configured")),
            Err(error) => return self.put_off(ALL, error),
        };
        let account = account.as_str();
        let alone = Arc::clone(self.alone.lock().entry(account.to_owned()).or_default());
        let mut handed = alone.lock().await;
        if let Some(pause) = self.standing.pause(account) {
            return Ok(left_alone(pause));
        }
        let mut record = Record::load(ctx, account, self.config.folder_of(account)).await?;
        // An outcome takes effect a moment after it is returned, and the next listing begins where that one ended.
        let is_kept =
            |handed: &Handed| handed.record == record || handed.at.elapsed() > KEPT_WITHIN;
        if !handed.as_ref().is_none_or(is_kept) {
            return Ok(Outcome::retry_later(
                LOOK,
                "the listing before is being kept",
            ));
        }
        if record.is_listed_since(event.timestamp) {
            return Ok(Outcome::skip("the account has been listed since"));
        }
        record.first_look.get_or_insert(self.began);
        match listing::list(&self.api, &self.config, ctx, account, record, patience).await {
            Ok(listed) => {
                match &listed.hindered {
                    None => self.standing.works(account),
                    // The rest is asked for at once, and put off until then.
                    Some(error) => drop(self.standing.failed(account, error)),
                }
                *handed = Some(Handed {
                    record: listed.record,
                    at: Instant::now(),
                });
                Ok(listed.outcome)
            }
            Err(error) => self.put_off(account, error),
        }
    }

    /// What becomes of an account that cannot be listed: what may pass is waited out.
    fn put_off(&self, account: &str, error: PluginError) -> Result<Outcome, PluginError> {
        let pause = self.standing.failed(account, &error);
        match error.retryable {
            true => Ok(Outcome::retry_later(pause, error.to_string())),
            false => Err(error),
        }
    }

    /// Whether nothing has been written yet.
    async fn is_blank(&self) -> bool {
        self.config == Config::default() && self.services.secret(APP_SECRET).await.is_err()
    }

    /// What is to be written so that anything is followed, if something is.
    async fn missing(&self) -> Option<PluginError> {
        if self.config.mode == Mode::Webhook
            && let Err(error) = self.services.secret(APP_SECRET).await
        {
            return Some(error);
        }
        self.api.missing().await
    }
}

fn left_alone(pause: Duration) -> Outcome {
    Outcome::retry_later(pause, "Dropbox is left alone for a while")
}
