//! The plugin in a real hub: linked in, and loaded from the library that goes into the plugins
//! folder; and that library under whatever a hub might show it.

use greeter::{Arrived, Greeted};
use nexus_plugin_api::prelude::*;
use nexus_plugin_testkit::conformance::Kit;
use nexus_plugin_testkit::{EventStatus, TestHub, build_library};

fn arrived(name: &str) -> Event<Arrived> {
    let payload = Arrived {
        name: name.to_owned(),
    };
    Event::of("door", payload)
}

#[tokio::test]
async fn linked_into_a_hub_it_greets_and_shows_a_toast() {
    let hub = TestHub::builder()
        .plugin(greeter::plugin())
        .plugin_config(
            "greeter",
            json!({ "greeting": "Welcome", "show_with": "toasty" }),
        )
        .record_integration("toasty")
        .start()
        .await
        .unwrap();

    let journey = hub.process(arrived("Ada")).await.unwrap();
    assert_eq!(journey.status, EventStatus::Processed);

    let greeted: Greeted = hub.emitted(journey.event_id).await.unwrap()[0]
        .payload
        .parse()
        .unwrap();
    assert_eq!(greeted.text, "Welcome, Ada!");
    let toasts = hub.requests("toasty");
    assert_eq!(
        toasts[0].request,
        json!({ "show": { "title": "Welcome, Ada!" } })
    );
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn an_event_that_breaks_the_contract_does_not_come_in() {
    let hub = TestHub::with(greeter::plugin()).await.unwrap();
    let nameless = Event::new(Arrived::TYPE, "door", json!({ "nome": "Ada" }));
    assert!(hub.process(nameless).await.is_err());
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn loaded_from_its_library_it_greets() {
    let library = build_library(env!("CARGO_MANIFEST_DIR")).unwrap();
    let hub = TestHub::load(library).await.unwrap();

    let journey = hub.process(arrived("Ada")).await.unwrap();
    assert_eq!(journey.status, EventStatus::Processed);
    assert_eq!(hub.emitted(journey.event_id).await.unwrap().len(), 1);
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn its_library_keeps_what_plugins_promise() {
    let library = build_library(env!("CARGO_MANIFEST_DIR")).unwrap();
    let report = Kit::of(library).in_this_process().run().await;
    assert!(report.passes(), "{report}");
}
