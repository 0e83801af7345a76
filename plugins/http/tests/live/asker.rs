//! A plugin that hands the payload of `ask.it` to the integration `http`, for the target that it names beside.

use nexus_plugin_api::prelude::*;
use serde_json::Value;

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Ask {
    pub(crate) request: Value,
    pub(crate) target: Option<String>,
}

impl Contract for Ask {
    const TYPE: &'static str = "ask.it";
    const VERSION: &'static str = "1.0.0";
}

pub(crate) struct Asker;

impl Component for Asker {
    type Config = NoConfig;

    fn new(_: NoConfig, _: &Setup) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

impl Processor for Asker {
    const NAME: &'static str = "asker";
    const SUBSCRIPTIONS: &'static [Subscription] = &[Subscription::to(Ask::TYPE)];
    type Payload = Ask;

    async fn process(&self, _: &Context, event: Event<Ask>) -> Result<Outcome, PluginError> {
        Ok(Outcome::done().with(Effect::Notify {
            integration: "http".to_owned(),
            target: event.payload.target,
            request: RawJson::of(&event.payload.request)?,
        }))
    }
}

export_plugin! {
    id: "asker",
    description: "Asks the integration http",
    contracts: [Ask],
    processors: [Asker],
}
