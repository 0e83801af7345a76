//! The host's side of every room's ports: who is told of what, and what plugins may ask for.

use std::sync::Arc;
use std::time::Duration;

use nexus_plugin_api::{
    Event, HookReply, HookRequest, NewEvent, PluginError, Published, StateWrite,
};
use serde_json::{Value, json};

use crate::admission::{Code, Origin, Rejection};
use crate::approvals::Announce;
use crate::dispatch::port::Observer;
use crate::ingress::{HookFailure, Hooks};
use crate::intake::{Completions, Door, Intake};
use crate::observe::stages::Named;
use crate::observe::{Stages, Tap};
use crate::plugins::Catalog;
use crate::plugins::port::Upstream;
use crate::queue::{BoxFuture, Unavailable};

/// Passes news of events on: to the live view, and to those who wait for an outcome.
#[derive(Debug)]
pub(super) struct News {
    pub(super) tap: Tap,
    pub(super) stages: Stages,
    pub(super) completions: Arc<Completions>,
}

impl Observer for News {
    fn accepted(&self, event: &Arc<Event>) {
        self.tap.show(event);
        if self.stages.are_watched() {
            let event = Named::from(&**event);
            self.stages.show(Some(event), json!({ "step": "accepted" }));
        }
    }

    fn finished(&self, event: &Event) {
        self.completions.finish(event);
    }

    fn is_watched(&self) -> bool {
        self.stages.are_watched()
    }

    fn step(&self, event: &Event, step: Value) {
        self.stages.show(Some(event.into()), step);
    }

    fn refused(&self, door: &'static str, code: &'static str, refused: Option<&Rejection>) {
        if self.stages.are_watched() {
            let message = refused.map(Rejection::message);
            let step = json!({ "step": "refused", "door": door, "code": code, "message": message });
            let about = refused.and_then(Rejection::about).cloned();
            self.stages.show(about, step);
        }
    }
}

/// What plugins reach of the hub.
#[derive(Debug)]
pub(super) struct Hub(pub(super) Arc<Intake>);

impl Upstream for Hub {
    fn publish(
        &self,
        plugin: &str,
        event: NewEvent,
    ) -> BoxFuture<'static, Result<Published, PluginError>> {
        let intake = self.0.clone();
        let plugin = plugin.to_owned();
        Box::pin(async move {
            let published = intake.publish_new(Door::Plugin, event, Origin::Plugin(&plugin));
            published.await.map_err(Rejection::into_plugin_error)
        })
    }

    fn state_get(
        &self,
        plugin: &str,
        key: &str,
    ) -> BoxFuture<'static, Result<Option<Vec<u8>>, PluginError>> {
        let (intake, plugin, key) = (self.0.clone(), plugin.to_owned(), key.to_owned());
        Box::pin(async move {
            let found = intake.queue().state_get(&plugin, &key).await;
            found.map_err(storage_failed)
        })
    }

    fn state_put(
        &self,
        plugin: &str,
        write: StateWrite,
    ) -> BoxFuture<'static, Result<(), PluginError>> {
        let (intake, plugin) = (self.0.clone(), plugin.to_owned());
        Box::pin(async move {
            let written = intake.queue().state_put(&plugin, write).await;
            written.map_err(storage_failed)
        })
    }

    fn state_keys(
        &self,
        plugin: &str,
        prefix: &str,
    ) -> BoxFuture<'static, Result<Vec<String>, PluginError>> {
        let (intake, plugin, prefix) = (self.0.clone(), plugin.to_owned(), prefix.to_owned());
        Box::pin(async move {
            let keys = intake.queue().state_keys(&plugin, &prefix).await;
            keys.map_err(storage_failed)
        })
    }
}

fn storage_failed(unavailable: Unavailable) -> PluginError {
    PluginError::retryable(Code::StorageUnavailable.as_str(), unavailable.to_string())
}

/// Lets the hub's own events in.
#[derive(Debug)]
pub(super) struct Own(pub(super) Arc<Intake>);

impl Announce for Own {
    fn check(&self, event: &Event) -> Result<(), PluginError> {
        let payload = self.0.admission().payload(&event.payload).map(drop);
        payload.map_err(Rejection::into_plugin_error)
    }

    fn announce(&self, event: Event) -> BoxFuture<'_, Result<(), PluginError>> {
        Box::pin(async move {
            let published = self.0.publish(Door::Host, event, Origin::Hub).await;
            published.map(drop).map_err(Rejection::into_plugin_error)
        })
    }
}

/// Shows webhooks to the source plugins.
#[derive(Debug)]
pub(super) struct Webhooks {
    pub(super) catalog: Arc<Catalog>,
    /// How long a source has to answer.
    pub(super) limit: Duration,
}

impl Hooks for Webhooks {
    fn knows(&self, source: &str) -> bool {
        self.catalog.has_source(source)
    }

    fn hook<'a>(
        &'a self,
        source: &'a str,
        request: HookRequest,
    ) -> BoxFuture<'a, Result<HookReply, HookFailure>> {
        Box::pin(async move {
            let answer = self.catalog.hook(source, request, self.limit).await;
            answer.ok_or(HookFailure::UnknownSource)?.map_err(|error| {
                tracing::warn!(source, %error, "a source failed to answer a webhook");
                if error.retryable {
                    HookFailure::Unavailable {
                        retry_after: error.retry_after,
                    }
                } else {
                    HookFailure::Failed
                }
            })
        })
    }
}
