//! Plugins in processes of their own do what they do elsewhere, and come and go with their hub.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nexus_tests::artifacts::executable;
use nexus_tests::crasher::ping;
use nexus_tests::hub::{Hub, HubBuilder, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

fn hub(more: &str) -> Hub {
    builder(more).start()
}

fn builder(more: &str) -> HubBuilder {
    HubBuilder::new()
        .config(&format!(
            "[plugins.probe]\nisolation = \"process\"\n{more}\n\
             [dispatch]\nprocessor_timeout = \"10s\"\n\
             [retry]\nmax_retries = 10\ndelays = [\"50ms\"]\n"
        ))
        .plugin("probe")
}

fn command(action: &str) -> Value {
    let id = Uuid::new_v4();
    json!({ "event_id": id, "type": "probe.command", "source": "test", "payload": { "action": action } })
}

/// The one that was started last.
fn worker(hub: &Hub) -> Option<u32> {
    hub.children().into_iter().max()
}

#[tokio::test]
async fn a_plugin_in_a_process_does_what_it_does_elsewhere() {
    let hub = hub("");
    for action in ["spawn", "publish", "log", "emit"] {
        let event = command(action);
        let journey = hub.process(&event).await;
        assert_eq!(journey["status"], "processed", "{action}: {journey}");
    }
    hub.wait_for_log("probe logs a warning").await;
    let child = worker(&hub).expect("there is a worker");
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", hub.pid())).unwrap();
    assert!(
        !maps.contains("probe-"),
        "the hub itself has loaded the library"
    );
    let of_worker = std::fs::read_to_string(format!("/proc/{child}/maps")).unwrap();
    assert!(of_worker.contains("probe-"), "{of_worker}");
    for (action, code) in [
        ("panic_sync", "panicked"),
        ("error_permanent", "probe_permanent"),
    ] {
        let journey = hub.process(&command(action)).await;
        assert!(journey.to_string().contains(code), "{journey}");
    }
    assert_eq!(worker(&hub), Some(child), "a panic ends no worker");
}

/// The program that a worker runs.
fn program(hub: &Hub) -> PathBuf {
    let worker = worker(hub).expect("there is a worker");
    std::fs::read_link(format!("/proc/{worker}/exe")).unwrap()
}

#[tokio::test]
async fn workers_run_the_program_that_is_named_or_beside_the_hub_or_the_hub_s_own() {
    let beside = hub("");
    assert_eq!(program(&beside), executable("nexus-plugin-worker"));
    let own = builder("").lay_out().with_own_program();
    let path = own.path().join("nexus").canonicalize().unwrap();
    assert_eq!(program(&own.start()), path);
    let named = json!(executable("nexus"));
    let named = HubBuilder::new().config(&format!("[plugins]\nworker = {named}"));
    let named = named.config("[plugins.probe]\nisolation = \"process\"");
    assert_eq!(program(&named.plugin("probe").start()), executable("nexus"));
}

/// Whoever starts it by hand is told what it is for.
#[test]
fn a_worker_that_no_hub_started_says_what_it_is() {
    let told = Command::new(executable("nexus-plugin-worker"))
        .output()
        .unwrap();
    assert_eq!(told.status.code(), Some(2));
    let said = String::from_utf8_lossy(&told.stderr);
    assert!(said.contains("isolation = \"process\""), "{said}");
}

#[tokio::test]
async fn a_worker_that_is_killed_or_silent_is_replaced() {
    let hub = hub("");
    let first = eventually("there is a worker", || async { worker(&hub) }).await;
    for signal in ["-KILL", "-STOP"] {
        let before = worker(&hub).unwrap();
        let killed = std::process::Command::new("kill")
            .args([signal, &before.to_string()])
            .status();
        assert!(killed.unwrap().success());
        let journey = hub.process(&ping(1)).await;
        assert_eq!(journey["status"], "processed", "{signal}: {journey}");
        let after = worker(&hub).unwrap();
        assert!(after != before && after != first, "{signal}");
    }
}

#[tokio::test]
async fn a_plugin_that_does_not_start_keeps_no_worker() {
    let hub = HubBuilder::new()
        .config(
            "[plugins.crasher]\nisolation = \"process\"\n\
             [plugins.probe]\nisolation = \"process\"\nconfig = { fail_init = true }\n",
        )
        .plugin("crasher")
        .plugin("probe")
        .start();
    hub.wait_for_log("fail_init is set").await;
    eventually("the one that runs is alone", || async {
        (hub.children().len() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn no_worker_outlives_its_hub() {
    let hub = hub("");
    let child = eventually("there is a worker", || async { worker(&hub) }).await;
    let home = hub.kill();
    eventually("the worker is gone", || async {
        (!std::path::Path::new(&format!("/proc/{child}")).exists()).then_some(())
    })
    .await;
    let mut hub = home.start();
    let child = eventually("there is a worker", || async { worker(&hub) }).await;
    assert!(hub.stop(Duration::from_secs(30)).success());
    assert!(!hub.log().contains("panicked"), "{}", hub.log());
    eventually("the worker is gone", || async {
        (!std::path::Path::new(&format!("/proc/{child}")).exists()).then_some(())
    })
    .await;
}
