//! The test kit, used as a plugin's author uses it.

use std::path::{Path, PathBuf};

use nexus_plugin_api::prelude::*;
use nexus_plugin_testkit::{EventStatus, Failure, Step, TestHub, build_library};

/// Something to do.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct Asked {
    what: String,
}

impl Contract for Asked {
    const TYPE: &'static str = "kit.asked";
    const VERSION: &'static str = "1.0.0";
}

/// It was done.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Done {
    prefix: String,
}

impl Contract for Done {
    const TYPE: &'static str = "kit.done";
    const VERSION: &'static str = "1.0.0";
}

#[derive(Clone, Default, Deserialize, ConfigSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Goes into every `kit.done`.
    prefix: String,
}

struct Ask(Config);

impl Component for Ask {
    type Config = Config;

    fn new(config: Config, _: &Setup) -> Result<Self, PluginError> {
        Ok(Self(config))
    }
}

impl Processor for Ask {
    const NAME: &'static str = "ask";
    const SUBSCRIPTIONS: &'static [Subscription] = &[Subscription::to(Asked::TYPE)];
    type Payload = Asked;

    async fn process(&self, _: &Context, event: Event<Asked>) -> Result<Outcome, PluginError> {
        let done = Done {
            prefix: self.0.prefix.clone(),
        };
        Ok(Outcome::done()
            .with(Effect::notify("toasty", &event.payload)?)
            .with(Effect::notify("agent", &json!({}))?)
            .with(Effect::emit(NewEvent::of(&done)?)))
    }
}

export_plugin! {
    id: "kit",
    description: "For the test kit's own tests",
    config: Config,
    contracts: [Asked, Done],
    processors: [Ask],
}

fn asked(what: &str) -> Event<Asked> {
    let payload = Asked {
        what: what.to_owned(),
    };
    Event::of("test", payload)
}

fn workspace() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("it lies in the workspace").to_owned()
}

#[tokio::test]
async fn effects_are_seen_by_recorders_and_emitted_events_by_the_hub() {
    let hub = TestHub::builder()
        .plugin(plugin())
        .plugin_config("kit", json!({ "prefix": "P" }))
        .record_integration("toasty")
        .record_integration("agent")
        .start()
        .await
        .unwrap();
    let event = asked("tea");
    let id = event.event_id;

    let journey = hub.process(event).await.unwrap();

    assert_eq!(journey.status, EventStatus::Processed);
    let [toast] = hub.requests("toasty").try_into().unwrap();
    assert_eq!(toast.request, json!({ "what": "tea" }));
    assert_eq!(toast.event_id, Some(id));
    assert_eq!(toast.attempt, 1);
    assert!(!toast.idempotency_key.is_empty());
    assert_eq!(hub.requests("agent").len(), 1);
    assert!(hub.requests("nobody").is_empty());
    let [emitted] = hub.emitted(id).await.unwrap().try_into().unwrap();
    assert_eq!(emitted.payload.parse::<Done>().unwrap().prefix, "P");
    assert_eq!(
        hub.first_of(Done::TYPE).await.unwrap().event_id,
        emitted.event_id
    );
    assert!(hub.dead_letters().await.is_empty());
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn an_integration_that_fails_once_is_tried_again_at_once() {
    let hub = TestHub::builder()
        .plugin(plugin())
        .record_integration("agent")
        .answer_integration("toasty", |request| match request.attempt {
            1 => Err(PluginError::retryable("unavailable", "not yet")),
            _ => Ok(Reply::noted("shown").with_event(NewEvent::of(&Done {
                prefix: "clicked".to_owned(),
            })?)),
        })
        .start()
        .await
        .unwrap();

    let journey = hub.process(asked("tea")).await.unwrap();

    let attempts: Vec<u32> = hub.requests("toasty").iter().map(|r| r.attempt).collect();
    assert_eq!(attempts, [1, 2]);
    let keys: Vec<String> = hub
        .requests("toasty")
        .into_iter()
        .map(|r| r.idempotency_key)
        .collect();
    assert_eq!(keys[0], keys[1]);
    let shown =
        |step: &Step| matches!(step, Step::Delivered { summary: Some(s), .. } if s == "shown");
    assert!(
        journey.steps.iter().any(|line| shown(&line.step)),
        "{journey:?}"
    );
    assert_eq!(hub.emitted(journey.event_id).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_nobody_can_do_becomes_a_dead_letter() {
    let hub = TestHub::builder()
        .plugin(plugin())
        .record_integration("toasty")
        .start()
        .await
        .unwrap();
    let journey = hub.process(asked("tea")).await.unwrap();
    assert_eq!(journey.status, EventStatus::Dead);
    let [letter] = hub.dead_letters().await.try_into().unwrap();
    assert_eq!(letter.errors[0].code, "unknown_integration");
}

#[tokio::test]
async fn hubs_do_not_see_each_other() {
    let start = || {
        let builder = TestHub::builder().plugin(plugin());
        builder
            .record_integration("toasty")
            .record_integration("agent")
            .start()
    };
    let (one, other) = (start().await.unwrap(), start().await.unwrap());
    let event = asked("tea");
    one.process(event.clone()).await.unwrap();
    assert_eq!(one.requests("toasty").len(), 1);
    assert!(other.requests("toasty").is_empty());
    // Known to one of them, new to the other.
    assert!(matches!(
        one.process(event.clone()).await,
        Err(Failure::Duplicate(_))
    ));
    other.process(event).await.unwrap();
}

#[tokio::test]
async fn mistakes_are_told_at_once() {
    let start = |config| {
        TestHub::builder()
            .plugin(plugin())
            .plugin_config("kit", config)
            .start()
    };
    let error = start(json!({ "prefix": 1 })).await.unwrap_err();
    assert!(
        matches!(&error, Failure::Refused { plugin, .. } if plugin == "kit"),
        "{error}"
    );
    assert!(error.to_string().contains("bad_config"), "{error}");
    let error = start(json!([])).await.unwrap_err();
    assert!(matches!(error, Failure::PluginConfig(_)), "{error}");
    let error = TestHub::builder()
        .config_toml("[queue]\ncapcity = 1\n")
        .start()
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("did you mean `capacity`"),
        "{error}"
    );

    let hub = TestHub::with(plugin()).await.unwrap();
    let wrong = Event::new(Asked::TYPE, "test", json!({ "why": 1 }));
    assert!(matches!(hub.process(wrong).await, Err(Failure::Publish(_))));
    let unknown = asked("tea").event_id;
    assert!(matches!(
        hub.processed(unknown).await,
        Err(Failure::UnknownEvent(_))
    ));
}

#[tokio::test]
async fn a_real_library_is_built_and_loaded() {
    let library = build_library(workspace().join("tests/fixtures/second")).unwrap();
    let hub = TestHub::load(&library).await.unwrap();
    assert_eq!(hub.host().plugins().len(), 1);
    hub.stop().await.unwrap();

    let error = TestHub::load(workspace().join("Cargo.toml"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not_a_library"), "{error}");
    let error = TestHub::load("no/such/file.so").await.unwrap_err();
    assert!(matches!(error, Failure::File { .. }), "{error}");
}

#[test]
fn a_crate_without_a_library_to_load_is_told() {
    let error = build_library(workspace().join("nexus-plugin-api/abi")).unwrap_err();
    assert!(error.to_string().contains("cdylib"), "{error}");
    let error = build_library(workspace().join("no-such-folder")).unwrap_err();
    assert!(matches!(error, Failure::Library { .. }), "{error}");
}
