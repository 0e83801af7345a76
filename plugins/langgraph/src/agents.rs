//! The component: receives requests to the agents, runs what follows their runs, answers webhooks.
//!
//! One type is integration and source at once, so that a delivery can tell the follower at once that
//! there is a run to follow.

use nexus_plugin_api::{
    Component, Context, Health, HookReply, HookRequest, Integration, PluginError, Reply, Services,
    Setup, Source,
};

use crate::config::Config;
use crate::follow::Follow;
use crate::hints::Hints;
use crate::hook;
use crate::request::Request;
use crate::server::{self, Server};
use crate::start::Start;

/// Asks agents, and turns what becomes of it into events.
#[derive(Debug)]
pub struct Agents {
    server: Server,
    config: Config,
    hints: Hints,
    services: Services,
}

impl Component for Agents {
    type Config = Config;

    fn new(config: Config, setup: &Setup) -> Result<Self, PluginError> {
        config.check()?;
        Ok(Self {
            server: Server::new(&config, setup.services()),
            hints: Hints::default(),
            services: setup.services().clone(),
            config,
        })
    }

    async fn health_check(&self) -> Health {
        if let Err(error) = self.server.ok().await {
            let told = "start it, or say where it is in [plugins.langgraph.config] url";
            return degraded(format!("{}; {told}", error.message));
        }
        if self.config.webhook_url.is_none() {
            return Health::Ready;
        }
        match server::secret(&self.services, hook::SECRET).await {
            Ok(Some(_)) => Health::Ready,
            Ok(None) => degraded(
                "there is a `webhook_url`, but no `webhook_secret` in [plugins.langgraph.secrets] \
                 that proves webhooks: endings are waited for"
                    .to_owned(),
            ),
            Err(error) => degraded(error.message),
        }
    }
}

impl Integration for Agents {
    const NAME: &'static str = "langgraph";
    type Request = Request;

    async fn deliver(&self, ctx: &Context, request: Request) -> Result<Reply, PluginError> {
        request
            .check()
            .map_err(|violation| PluginError::permanent("invalid_request", violation))?;
        let start = Start {
            server: &self.server,
            config: &self.config,
            ctx,
        };
        let reply = match request {
            Request::Run(run) => start.run(*run).await?,
            Request::Resume(resume) => start.resume(*resume).await?,
            Request::Cancel(cancel) => return start.cancel(cancel).await,
        };
        self.hints.new_run.notify_one();
        Ok(reply)
    }
}

impl Source for Agents {
    const NAME: &'static str = "langgraph";

    async fn hook(&self, ctx: &Context, request: HookRequest) -> Result<HookReply, PluginError> {
        hook::answer(ctx, &self.hints, request).await
    }

    /// Follows runs until shutdown. A server that is away is waited for in here, as that is not a failure
    /// of the plugin.
    async fn run(&self, ctx: &Context) -> Result<(), PluginError> {
        Follow::new(&self.server, &self.config, &self.hints, ctx)
            .all()
            .await
    }
}

fn degraded(reason: String) -> Health {
    Health::Degraded { reason }
}
