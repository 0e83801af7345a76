//! The processor `triage`: receives a captured notification, decides whether it becomes a toast.
//!
//! A pure function of the configuration and the event: it keeps nothing and calls nobody.

use nexus_plugin_api::{
    Component, Context, Contract, Effect, Event, Outcome, PluginError, Processor, Setup,
    Subscription,
};

use crate::captured::Captured;
use crate::config::Config;
use crate::toast;

/// Shows urgent notifications as toasts and leaves the rest.
#[derive(Debug)]
pub struct Triage(Config);

impl Component for Triage {
    type Config = Config;

    fn new(config: Config, _: &Setup) -> Result<Self, PluginError> {
        config.check()?;
        Ok(Self(config))
    }
}

impl Processor for Triage {
    const NAME: &'static str = "triage";
    const SUBSCRIPTIONS: &'static [Subscription] = &[Subscription::to(Captured::TYPE)];
    type Payload = Captured;

    async fn process(&self, _: &Context, event: Event<Captured>) -> Result<Outcome, PluginError> {
        decide(&self.0, &event)
    }
}

fn decide(config: &Config, event: &Event<Captured>) -> Result<Outcome, PluginError> {
    if let Some(reason) = config.hides(&event.payload.app, event.priority) {
        return Ok(Outcome::skip(reason));
    }
    let toast = toast::of(config, event);
    Ok(Outcome::done().with(Effect::notify(&config.toasty, &toast)?))
}

#[cfg(test)]
mod tests {
    use nexus_plugin_api::{Decision, Priority};
    use serde_json::{Value, json};

    use super::*;

    fn captured(priority: Priority) -> Event<Captured> {
        let payload = Captured {
            notification_id: "17".to_owned(),
            app: "Teams".to_owned(),
            title: "Ada".to_owned(),
            body: Some("Lunch?".to_owned()),
            url: Some("https://teams.example/l/17".to_owned()),
            captured_at: None,
        };
        Event::of("parrot", payload).with_priority(priority)
    }

    #[test]
    fn an_urgent_notification_becomes_a_toast_that_toasty_understands() {
        let outcome = decide(&Config::default(), &captured(Priority::Critical)).unwrap();
        assert_eq!(outcome.decision, Decision::Done);
        let [
            Effect::Notify {
                integration,
                request,
                ..
            },
        ] = outcome.effects.as_slice()
        else {
            panic!("one toast, not {:?}", outcome.effects);
        };
        assert_eq!(integration, "toasty");
        assert_eq!(
            request.parse::<Value>().unwrap(),
            json!({"show": {
                "title": "Ada",
                "body": "Lunch?",
                "attribution": "via Teams",
                "urgency": "critical",
                "tag": "17",
                "group": "Teams",
                "replace": true,
                "actions": [{"id": "open", "label": "Open", "uri": "https://teams.example/l/17"}],
            }})
        );
        let request = request.parse::<toasty::Request>().unwrap();
        request.check().unwrap();
    }

    #[test]
    fn the_rest_is_recorded_with_the_reason() {
        let outcome = decide(&Config::default(), &captured(Priority::Normal)).unwrap();
        assert_eq!(outcome, Outcome::skip("priority normal is below high"));
    }
}
