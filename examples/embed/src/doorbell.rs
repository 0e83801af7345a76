//! A plugin, as it would also stand in a library of its own: it answers `doorbell.rung` with
//! `doorbell.answered`.

use nexus_plugin_api::prelude::*;

/// Somebody is at the door.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Rung {
    by: String,
}

impl Rung {
    /// Who rang.
    pub(crate) fn by(name: &str) -> Self {
        Self {
            by: name.to_owned(),
        }
    }
}

impl Contract for Rung {
    const TYPE: &'static str = "doorbell.rung";
    const VERSION: &'static str = "1.0.0";
}

/// Somebody opened.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Answered {
    words: String,
}

impl Contract for Answered {
    const TYPE: &'static str = "doorbell.answered";
    const VERSION: &'static str = "1.0.0";
}

struct Answer;

impl Component for Answer {
    type Config = NoConfig;

    fn new(_: NoConfig, _: &Setup) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

impl Processor for Answer {
    const NAME: &'static str = "answer";
    const SUBSCRIPTIONS: &'static [Subscription] = &[Subscription::to(Rung::TYPE)];
    type Payload = Rung;

    async fn process(&self, _: &Context, event: Event<Rung>) -> Result<Outcome, PluginError> {
        let answered = Answered {
            words: format!("Come in, {}!", event.payload.by),
        };
        Ok(Outcome::done().with(Effect::emit(NewEvent::of(&answered)?)))
    }
}

export_plugin! {
    id: "doorbell",
    contracts: [Rung, Answered],
    processors: [Answer],
}
