//! The plugin in a real hub, and its library under whatever a hub might show it.

use nexus_plugin_api::prelude::*;
use nexus_plugin_testkit::conformance::Kit;
use nexus_plugin_testkit::{EventStatus, TestHub, build_library};

/// A processor that asks for lines, as another plugin would.
mod author {
    use nexus_plugin_api::prelude::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    pub struct Said {
        pub text: String,
    }

    impl Contract for Said {
        const TYPE: &'static str = "author.said";
        const VERSION: &'static str = "1.0.0";
    }

    pub struct Author;

    impl Component for Author {
        type Config = NoConfig;

        fn new(_: NoConfig, _: &Setup) -> Result<Self, PluginError> {
            Ok(Self)
        }
    }

    impl Processor for Author {
        const NAME: &'static str = "author";
        const SUBSCRIPTIONS: &'static [Subscription] = &[Subscription::to(Said::TYPE)];
        type Payload = Said;

        async fn process(&self, _: &Context, event: Event<Said>) -> Result<Outcome, PluginError> {
            let line = json!({ "line": event.payload.text });
            Ok(Outcome::done().with(Effect::notify("logbook", &line)?))
        }
    }

    export_plugin! { id: "author", contracts: [Said], processors: [Author] }
}

fn said(text: &str) -> Event<author::Said> {
    let text = text.to_owned();
    Event::of("desk", author::Said { text })
}

#[tokio::test]
async fn what_a_processor_asks_for_is_written_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.txt");
    let hub = TestHub::builder()
        .plugin(logbook::plugin())
        .plugin(author::plugin())
        .plugin_config("logbook", json!({ "file": file }))
        .start()
        .await
        .unwrap();
    for text in ["Ada", "Grace"] {
        let journey = hub.process(said(text)).await.unwrap();
        assert_eq!(journey.status, EventStatus::Processed);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "Ada\nGrace\n");

    // Nothing that trying again would mend: a dead letter, and nothing written.
    hub.process(said("two\nlines")).await.unwrap();
    assert_eq!(hub.dead_letters().await.len(), 1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "Ada\nGrace\n");
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn its_library_keeps_what_plugins_promise() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.txt");
    let config = format!("[plugins.logbook.config]\nfile = '{}'", file.display());
    let library = build_library(env!("CARGO_MANIFEST_DIR")).unwrap();
    let kit = Kit::of(library).config_toml(&config).unwrap();
    let kit = kit.request("logbook", json!({ "line": "Ada" }));
    let report = kit.in_this_process().run().await;
    assert!(report.passes(), "{report}");
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("Ada\n"));
}
