//! Plugins and routes together, as dispatch sees them: whoever decides about an event is called by one name,
//! `plugin/name` or `routes/name`.

use std::sync::Arc;

use nexus_plugin_api::{Event, Outcome, PluginError, RawJson, Reply};

use crate::dispatch::port::{Call, Components};
use crate::plugins::Catalog;
use crate::queue::BoxFuture;
use crate::routes::Routes;

pub(super) struct Crew {
    pub(super) catalog: Arc<Catalog>,
    pub(super) routes: Arc<Routes>,
}

impl Components for Crew {
    fn subscribers(&self, event: &Event) -> Vec<Arc<str>> {
        let mut all = self.catalog.subscribers(event);
        let routes = self.routes.subscribers(event);
        if !routes.is_empty() {
            all.extend(routes);
            all.sort_unstable();
        }
        all
    }

    fn integration(&self, name: &str) -> Result<Arc<str>, PluginError> {
        self.catalog.integration(name)
    }

    fn process<'a>(
        &'a self,
        processor: &'a str,
        call: Call<'a>,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<Outcome, PluginError>> {
        match Routes::is_route(processor) {
            true => Box::pin(async move { self.routes.process(processor, event) }),
            false => self.catalog.process(processor, call, event),
        }
    }

    fn deliver<'a>(
        &'a self,
        integration: &'a str,
        target: Option<&'a str>,
        call: Call<'a>,
        request: &'a RawJson,
    ) -> BoxFuture<'a, Result<Reply, PluginError>> {
        self.catalog.deliver(integration, target, call, request)
    }
}
