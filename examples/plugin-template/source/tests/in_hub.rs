//! The plugin in a real hub: a webhook becomes an event; and its library under whatever a hub might show it.

use doorbell::Rung;
use nexus_plugin_api::prelude::*;
use nexus_plugin_testkit::conformance::Kit;
use nexus_plugin_testkit::{TestHub, build_library};
use ring::hmac;

const SECRET: &str = "ding-dong";

#[tokio::test]
async fn a_signed_webhook_becomes_an_event() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signature");
    std::fs::write(&file, SECRET).unwrap();
    let hub = TestHub::builder()
        .config_toml(&format!(
            "[plugins.doorbell.secrets]\nsignature = {{ file = '{}' }}",
            file.display()
        ))
        .plugin(doorbell::plugin())
        .start()
        .await
        .unwrap();

    let body = r#"{"button": {"label": "front"}}"#;
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = format!("sha256={}", hex::encode(hmac::sign(&key, body.as_bytes())));
    let request = HookRequest {
        method: "POST".to_owned(),
        path: String::new(),
        query: String::new(),
        headers: vec![("x-signature".to_owned(), signature)],
        body: body.into(),
    };
    let reply = hub.hook("doorbell", request).await.unwrap();
    assert_eq!(reply.status, 202);
    let event = hub.first_of(Rung::TYPE).await.unwrap();
    assert_eq!(event.source, "doorbell");
    assert_eq!(event.payload.parse::<Rung>().unwrap().door, "front");
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn its_library_keeps_what_plugins_promise() {
    let library = build_library(env!("CARGO_MANIFEST_DIR")).unwrap();
    let report = Kit::of(library).in_this_process().run().await;
    assert!(report.passes(), "{report}");
}
