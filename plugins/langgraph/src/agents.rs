//! The component: receives requests to the agents, runs what follows their runs, answers webhooks.
//!
//! One type is integration and source at once, so that a delivery can tell the follower at once that
//! there is a run to follow.

use std::time::Duration;

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

/// By how much longer each time a request is put off.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

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
        let answer = match request {
            Request::Run(run) => start.run(*run).await,
            Request::Resume(resume) => start.resume(*resume).await,
            Request::Cancel(cancel) => start.cancel(cancel).await,
        };
        self.hints.new_run.notify_one();
        answer.map_err(|error| later(error, ctx.attempt()))
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

/// A request that may work later is put off, each time for longer, up to a minute. What it says may be what a person
/// has decided, which is asked once: a server that is being restarted, or a thread that is at work, must not be the end
/// of it.
fn later(error: PluginError, attempt: u32) -> PluginError {
    let pause = (PAUSE * attempt).min(LONGEST_PAUSE);
    match error.retryable {
        true => {
            let asked_for = error.retry_after.unwrap_or_default();
            error.after(pause.max(asked_for))
        }
        false => error,
    }
}

fn degraded(reason: String) -> Health {
    Health::Degraded { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_work_later_is_put_off_for_as_long_as_a_run_may_take_by_default() {
        let passes = || PluginError::retryable("unreachable", "no");
        let waits = (1..=100).filter_map(|attempt| later(passes(), attempt).retry_after);
        let together: Duration = waits.sum();
        assert!(together > Config::default().run_timeout.0, "{together:?}");
        let named = later(passes().after(Duration::from_secs(90)), 1);
        assert_eq!(named.retry_after, Some(Duration::from_secs(90)));
        let for_good = later(PluginError::permanent("nothing_asked", "no"), 1);
        assert_eq!((for_good.retryable, for_good.retry_after), (false, None));
    }
}
