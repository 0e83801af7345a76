//! Plugins and hubs of different times: what was built against a published interface goes on working, what needs
//! more than there is is refused, and nothing runs that was made for another interface, system or layout.

mod later;
#[cfg(target_os = "linux")]
mod systems;

use std::env::consts::DLL_EXTENSION;
use std::path::Path;

use nexus_tests::compiler;
use nexus_tests::hub::{Hub, HubBuilder};
use nexus_tests::interface::{Interface, PUBLISHED, current_border};
use nexus_tests::skip::skipped_anywhere;
use nexus_tests::workshop::Workshop;
use serde_json::{Value, json};

use super::bad_plugins::report_of;

const ISOLATIONS: [&str; 3] = ["inline", "thread", "process"];

fn start(library: &Path, isolation: &str, more: &str) -> Hub {
    HubBuilder::new()
        .config(&format!(
            "[plugins.frozen]\nisolation = \"{isolation}\"\n[retry]\nmax_retries = 0\n{more}"
        ))
        .file(library, &file())
        .start()
}

/// The name of the only plugin file.
fn file() -> String {
    format!("frozen.{DLL_EXTENSION}")
}

async fn report(hub: &Hub) -> Value {
    let (_, plugins) = hub.get("/v1/admin/plugins").await;
    report_of(&plugins, &file()).clone()
}

fn told(version: &str, payload: Value) -> Value {
    json!({ "type": "frozen.told", "source": "test", "contract_version": version, "payload": payload })
}

/// Has the plugin do everything that a plugin can.
async fn expect_to_work(library: &Path, isolation: &str) {
    let hub = start(library, isolation, "");
    let shown = format!("{} {isolation}", library.display());
    let ready = report(&hub).await;
    assert_eq!(ready["state"], "ready", "{shown}: {ready:#}");
    hub.wait_for_log("frozen runs").await;
    hub.wait_for_log("frozen starts, isolation").await;

    expect_action(&hub, &told("2.0.0", json!({ "what": "see" })), "see").await;
    expect_action(&hub, &told("1.0.0", json!({ "how": "migrate" })), "migrate").await;

    let posted = hub.request("POST", "/v1/hooks/frozen");
    let (status, receipt) = hub.send(posted.json(&json!({ "what": "hook" }))).await;
    assert_eq!(status, 200, "{shown}: {receipt}");
    let id = receipt["event_id"].as_str().unwrap();
    assert_eq!(hub.finished(id).await["status"], "processed", "{shown}");
    let (_, kept) = hub.get("/v1/hooks/frozen").await;
    assert_eq!(kept, json!({ "what": "hook" }), "{shown}");

    for (what, message) in [
        ("panic", "frozen panics as it is called"),
        ("panic later", "frozen panics as it is polled"),
        ("act and panic", "frozen panics as it acts"),
    ] {
        let journey = hub.process(&told("2.0.0", json!({ "what": what }))).await;
        let text = journey.to_string();
        assert!(
            text.contains("panicked") && text.contains(message),
            "{shown}: {journey:#}"
        );
    }
    let (status, problem) = hub.publish(&told("1.0.0", json!({ "how": "panic" }))).await;
    assert_eq!(status, 422, "{shown}: {problem}");
    assert!(
        problem.to_string().contains("frozen panics as it migrates"),
        "{shown}: {problem}"
    );

    expect_action(&hub, &told("2.0.0", json!({ "what": "go on" })), "go on").await;
    assert_eq!(report(&hub).await["state"], "ready", "{shown}");
}

async fn expect_action(hub: &Hub, event: &Value, what: &str) {
    let journey = hub.process(event).await;
    assert_eq!(journey["status"], "processed", "{journey:#}");
    let acted = format!("acted on {}", json!({ "what": what }));
    let mut steps = journey["steps"].as_array().unwrap().iter();
    assert!(
        steps.any(|step| step.to_string().contains(&json!(acted).to_string())),
        "{journey:#}"
    );
}

#[tokio::test]
async fn a_plugin_of_every_published_interface_works_however_it_runs() {
    for version in PUBLISHED {
        let plugin = Interface::published(version).plugin();
        for isolation in ISOLATIONS {
            expect_to_work(&plugin, isolation).await;
        }
    }
}

/// Sooner told, and more clearly, than by a plugin that does not load any more.
#[test]
fn what_was_published_of_the_border_stands_word_for_word() {
    let current = current_border();
    for version in PUBLISHED {
        let published = Interface::published(version).border();
        let roots = published
            .iter()
            .filter(|item| item.contains("pub struct RootV"));
        assert!(roots.count() > 0, "{published:#?}");
        let lost: Vec<_> = published.difference(&current).collect();
        assert!(
            lost.is_empty(),
            "frozen since {version}, and changed or gone: {lost:#?}"
        );
    }
}

#[tokio::test]
async fn a_plugin_of_another_compiler_works() {
    const TEST: &str = "a_plugin_of_another_compiler_works";
    let rustc = match compiler::other() {
        Ok(rustc) => rustc,
        Err(missing) => return skipped_anywhere(TEST, missing),
    };
    for version in PUBLISHED {
        let plugin = Interface::published(version).plugin_by(&rustc);
        for isolation in ISOLATIONS {
            expect_to_work(&plugin, isolation).await;
        }
    }
}

#[tokio::test]
async fn a_version_that_is_none_is_a_bad_manifest_and_one_that_does_not_fit_a_mismatch() {
    let shop = Workshop::new();
    let cases = [
        ("version", "banana", Some("bad_manifest")),
        ("version", "1.0", Some("bad_manifest")),
        ("abi", "", Some("bad_manifest")),
        ("abi", "1", Some("bad_manifest")),
        ("abi", "1.0", Some("bad_manifest")),
        ("abi", "one", Some("bad_manifest")),
        ("abi", "0.2.0", Some("abi_mismatch")),
        ("abi", "1.0.0-rc.1", Some("abi_mismatch")),
        ("abi", "1.1.0", Some("abi_mismatch")),
        ("abi", "2.0.0", Some("abi_mismatch")),
        // Nothing comes with a patch that a plugin could need.
        ("abi", "1.0.7", None),
    ];
    let mut builder = HubBuilder::new();
    let name = |key: &str, value: &str| format!("{key}-{value}.{DLL_EXTENSION}");
    for (key, value, _) in &cases {
        let name = name(key, value);
        builder = builder.file(shop.saying("probe", &name, key, value), &name);
    }
    let (_, plugins) = builder.start().get("/v1/admin/plugins").await;
    for (key, value, code) in cases {
        let report = report_of(&plugins, &name(key, value));
        match code {
            None => assert_eq!(report["state"], "ready", "{report:#}"),
            Some(code) => {
                assert_eq!(report["refusal"]["code"], code, "{report:#}");
                let reason = report["refusal"]["reason"].as_str().unwrap();
                assert!(reason.contains(value), "{report:#}");
            }
        }
    }
}
