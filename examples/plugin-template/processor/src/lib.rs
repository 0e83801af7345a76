//! Greets visitors.
//!
//! Receives `greeter.visitor.arrived`, emits `greeter.visitor.greeted`, and shows the greeting as a
//! toast when the configuration names an integration for it.

use nexus_plugin_api::prelude::*;

/// Somebody is at the door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({ "name": "Ada" }))]
pub struct Arrived {
    /// The visitor's name.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
}

impl Contract for Arrived {
    const TYPE: &'static str = "greeter.visitor.arrived";
    const VERSION: &'static str = "1.0.0";
}

/// Somebody was greeted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Greeted {
    /// What was said.
    pub text: String,
}

impl Contract for Greeted {
    const TYPE: &'static str = "greeter.visitor.greeted";
    const VERSION: &'static str = "1.0.0";
}

/// What `[plugins.greeter.config]` may hold. The comments become the help of the settings.
#[derive(Debug, Clone, Deserialize, ConfigSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What visitors are greeted with.
    greeting: String,
    /// The integration that shows the greeting, such as `toasty`; left out, none does.
    show_with: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            greeting: "Hello".to_owned(),
            show_with: None,
        }
    }
}

/// Greets whoever arrives.
#[derive(Debug)]
pub struct Greet(Config);

impl Component for Greet {
    type Config = Config;

    fn new(config: Config, _: &Setup) -> Result<Self, PluginError> {
        Ok(Self(config))
    }
}

impl Processor for Greet {
    const NAME: &'static str = "greet";
    const SUBSCRIPTIONS: &'static [Subscription] = &[Subscription::to(Arrived::TYPE)];
    type Payload = Arrived;

    async fn process(&self, _: &Context, event: Event<Arrived>) -> Result<Outcome, PluginError> {
        greet(&self.0, &event.payload)
    }
}

/// The decision alone: data in, data out. What it returns is done by the hub.
fn greet(config: &Config, visitor: &Arrived) -> Result<Outcome, PluginError> {
    if visitor.name.trim().is_empty() {
        return Ok(Outcome::skip("the visitor has no name"));
    }
    let text = format!("{}, {}!", config.greeting, visitor.name);
    let greeted = Greeted { text: text.clone() };
    let mut outcome = Outcome::done().with(Effect::emit(NewEvent::of(&greeted)?));
    if let Some(integration) = &config.show_with {
        let toast = json!({ "show": { "title": text } });
        outcome = outcome.with(Effect::notify(integration, &toast)?);
    }
    Ok(outcome)
}

export_plugin! {
    id: "greeter",
    config: Config,
    contracts: [Arrived, Greeted],
    processors: [Greet],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(name: &str) -> Arrived {
        Arrived {
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_visitor_is_greeted() {
        let outcome = greet(&Config::default(), &visitor("Ada")).unwrap();
        let greeted = Greeted {
            text: "Hello, Ada!".to_owned(),
        };
        let expected = Effect::emit(NewEvent::of(&greeted).unwrap());
        assert_eq!(outcome, Outcome::done().with(expected));
    }

    #[test]
    fn nobody_is_not() {
        let outcome = greet(&Config::default(), &visitor(" ")).unwrap();
        assert_eq!(outcome, Outcome::skip("the visitor has no name"));
    }
}
