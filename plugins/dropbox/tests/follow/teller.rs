//! A plugin that hands every event of a file to the integration `told`.

use nexus_plugin_api::prelude::*;

pub(crate) struct Teller;

impl Component for Teller {
    type Config = NoConfig;

    fn new(_: NoConfig, _: &Setup) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

impl Processor for Teller {
    const NAME: &'static str = "teller";
    const SUBSCRIPTIONS: &'static [Subscription] = &[Subscription::to("dropbox.file.*")];
    type Payload = RawJson;

    async fn process(&self, _: &Context, event: Event<RawJson>) -> Result<Outcome, PluginError> {
        let payload: serde_json::Value = event.payload.parse()?;
        let told = json!({"type": event.event_type, "payload": payload});
        Ok(Outcome::done().with(Effect::notify("told", &told)?))
    }
}

export_plugin! {
    id: "teller",
    description: "Tells of every event of a file",
    processors: [Teller],
}
