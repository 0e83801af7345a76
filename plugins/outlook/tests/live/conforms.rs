//! What no author thinks of: the conformance kit on the built library, with no configuration and with a whole one.

use nexus_plugin_testkit::{TestHub, build_library, conformance::Kit};

use crate::hub::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_library_bears_whatever_a_hub_might_show_it() {
    let library = build_library(env!("CARGO_MANIFEST_DIR")).unwrap();
    let report = Kit::of(&library).in_this_process().run().await;
    assert!(report.passes(), "{report}");
    let site = Site::new("").await;
    let kit = Kit::of(&library).in_this_process();
    let report = kit.config_toml(&site.toml()).unwrap().run().await;
    assert!(report.passes(), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_configuration_it_loads_answers_404_and_says_what_to_write() {
    let hub = TestHub::with(outlook::plugin()).await.unwrap();
    let request = nexus_plugin_api::HookRequest {
        method: "POST".to_owned(),
        path: String::new(),
        query: "validationToken=x".to_owned(),
        headers: Vec::new(),
        body: Vec::new().into(),
    };
    assert_eq!(hub.hook("outlook", request).await.unwrap().status, 404);
    let wait = async {
        loop {
            let state = hub.host().plugins().remove(0).state;
            if let nexus_host::plugins::PluginState::Degraded(reason) = state {
                return reason;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let told = tokio::time::timeout(std::time::Duration::from_secs(20), wait)
        .await
        .unwrap();
    assert!(
        told.contains("write tenant, client_id, mailboxes under [plugins.outlook.config]"),
        "{told}"
    );
    hub.stop().await.unwrap();
}
