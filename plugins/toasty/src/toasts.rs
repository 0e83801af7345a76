//! The component: receives requests to show toasts, and runs the watch that brings the answers.
//!
//! One type is integration and source at once, so that both share one channel and know alike
//! whether the server can be reached.

use std::time::Duration;

use nexus_plugin_api::{
    Component, Context, Health, Integration, PluginError, Reply, Setup, Source,
};
use nexus_proto::toasty::v1::{
    Correlation, GetCapabilitiesRequest, ShowRequest, UpdateReply, show_reply, update_reply,
};
use tonic::Code;
use uuid::Uuid;

use crate::config::Config;
use crate::ended;
use crate::link::Link;
use crate::origin;
use crate::request::{Request, Show, Target, Update};
use crate::watch::Watch;

/// The contract's bound for a request's id.
const MAX_REQUEST_ID_CHARS: usize = 128;
/// How long a health check may wait for the server.
const HEALTH_WITHIN: Duration = Duration::from_secs(2);

/// Shows toasts, and turns the answers to them into events.
#[derive(Debug)]
pub struct Toasts {
    link: Link,
    config: Config,
}

impl Component for Toasts {
    type Config = Config;

    fn new(config: Config, _: &Setup) -> Result<Self, PluginError> {
        config.check()?;
        Ok(Self {
            link: Link::new(&config)?,
            config,
        })
    }

    async fn health_check(&self) -> Health {
        // The watch notices by itself when the server goes or comes back. Without it, ask.
        if !self.config.watch {
            let mut client = self.link.client();
            let answer = client.get_capabilities(GetCapabilitiesRequest {});
            // How it went is noted by the link.
            let _ = self.link.call(Some(HEALTH_WITHIN), answer).await;
        }
        self.link.health()
    }
}

impl Integration for Toasts {
    const NAME: &'static str = "toasty";
    type Request = Request;

    async fn deliver(&self, ctx: &Context, request: Request) -> Result<Reply, PluginError> {
        request
            .check()
            .map_err(|violation| PluginError::permanent("invalid_request", violation))?;
        match request {
            Request::Show(show) => self.show(ctx, *show).await,
            Request::Update(update) => self.update(ctx, update).await,
            Request::Dismiss(target) => self.dismiss(ctx, target).await,
        }
    }
}

impl Source for Toasts {
    const NAME: &'static str = "toasty";

    /// Follows the server until shutdown; nothing to do where `watch` is off. A server that is away
    /// is waited for in here, as that is not a failure of the plugin.
    async fn run(&self, ctx: &Context) -> Result<(), PluginError> {
        if !self.config.watch {
            return Ok(());
        }
        Watch::new(&self.link, ctx).run().await
    }
}

impl Toasts {
    /// Shows a toast, unless it is of an approval that has ended before or meanwhile.
    async fn show(&self, ctx: &Context, show: Show) -> Result<Reply, PluginError> {
        let (group, tag) = (show.group.clone(), show.tag.clone());
        if ended::is_known(ctx, &group, &tag).await? {
            return Ok(Reply::noted("not shown: the approval has ended"));
        }
        let reply = self.put_up(ctx, show).await?;
        if ended::is_known(ctx, &group, &tag).await? {
            let target = Target {
                toast_id: None,
                tag: Some(tag),
                group,
            };
            return self.dismiss(ctx, target).await;
        }
        Ok(reply)
    }

    async fn put_up(&self, ctx: &Context, show: Show) -> Result<Reply, PluginError> {
        let message = show.into_message();
        let app_id = if message.app_id.is_empty() {
            self.config.app_id.clone().unwrap_or_default()
        } else {
            message.app_id
        };
        let message = ShowRequest {
            request_id: request_id(ctx.idempotency_key()),
            app_id,
            correlation: Some(Correlation {
                event_id: ctx.event_id().map(|id| id.to_string()).unwrap_or_default(),
                traceparent: ctx.traceparent().unwrap_or_default().to_owned(),
            }),
            ..message
        };
        if self.config.watch {
            origin::remember(ctx, &message.request_id).await?;
        }
        let mut client = self.link.client();
        let reply = self
            .link
            .call(ctx.time_limit(), client.show(Link::request(message)))
            .await
            .map_err(|status| self.link.error(&status))?;
        let did = match reply.outcome() {
            show_reply::Outcome::Replaced => "replaced an earlier one",
            show_reply::Outcome::Duplicate => "was there already",
            show_reply::Outcome::Suppressed => "recorded without a popup",
            show_reply::Outcome::Shown | show_reply::Outcome::Unspecified => "shown",
        };
        Ok(Reply::noted(format!("toast {} {did}", reply.toast_id)))
    }

    async fn update(&self, ctx: &Context, update: Update) -> Result<Reply, PluginError> {
        let mut client = self.link.client();
        let reply: UpdateReply = self
            .link
            .call(
                ctx.time_limit(),
                client.update(Link::request(update.into_message())),
            )
            .await
            .map_err(|status| self.link.error(&status))?;
        let did = match reply.outcome() {
            update_reply::Outcome::Stale => "had a newer update",
            update_reply::Outcome::Updated | update_reply::Outcome::Unspecified => "updated",
        };
        Ok(Reply::noted(format!("toast {} {did}", reply.toast_id)))
    }

    async fn dismiss(&self, ctx: &Context, target: Target) -> Result<Reply, PluginError> {
        // Before, so that one which is being shown just now finds it.
        if let Some(tag) = &target.tag {
            ended::remember(ctx, &target.group, tag).await?;
        }
        let mut client = self.link.client();
        let answer = client.dismiss(Link::request(target.into_message()));
        match self.link.call(ctx.time_limit(), answer).await {
            Ok(reply) => Ok(Reply::noted(format!(
                "dismissed {}",
                reply.toast_ids.join(", ")
            ))),
            // What is to be gone is gone; also how a repeated delivery ends.
            Err(status) if status.code() == Code::NotFound => {
                Ok(Reply::noted("no such toast is on show"))
            }
            Err(status) => Err(self.link.error(&status)),
        }
    }
}

/// The idempotency key, or what stands for it where the server has no room for it.
fn request_id(key: &str) -> String {
    if key.chars().count() <= MAX_REQUEST_ID_CHARS {
        return key.to_owned();
    }
    Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes()).to_string()
}
