//! The main job, end to end: an event comes in over HTTP, a plugin decides, a toast appears; its
//! button comes back as an event.

use std::path::Path;
use std::time::Duration;

use nexus_tests::hub::{Hub, HubBuilder, client, eventually};
use nexus_tests::skip::desktop_for;
use nexus_tests::toasty::{ToastyServer, journal};
use serde_json::{Value, json};

fn captured(id: &str, priority: &str) -> Value {
    json!({
        "type": "parrot.notification.captured",
        "source": "parrot",
        "priority": priority,
        "payload": {
            "notification_id": id,
            "app": "Teams",
            "title": "Ana: the build is red",
            "body": "Can you look?",
            "url": "https://teams.example/l/1",
        },
    })
}

fn hub(toasty: &str) -> Hub {
    HubBuilder::new()
        .config(&format!(
            "[retry]\ndelays = [\"100ms\", \"200ms\", \"400ms\"]\n[breaker]\nopen_for = \"500ms\"\n\
             [plugins.toasty]\nrequired = true\n[plugins.toasty.config]\nendpoint = \"{toasty}\""
        ))
        .plugin("parrot")
        .plugin("toasty")
        .start()
}

fn shows(file: &Path) -> Vec<Value> {
    let calls = journal(file).into_iter();
    calls.filter(|line| line["call"] == "Show").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_toast_on_a_real_desktop_and_its_button_comes_back() {
    let Some(desktop) = desktop_for("toast_story::a_toast_on_a_real_desktop") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("toasty.jsonl");
    let toasty = ToastyServer::start_on(&desktop, &file);
    assert_eq!(toasty.display(), "desktop");
    let hub = hub(&toasty.endpoint());
    let request = hub.request("GET", "/v1/events/stream?type=toasty.action.invoked");
    let mut live = request.send().await.unwrap();
    assert_eq!(live.status(), 200);

    let journey = hub.process(&captured("n-1", "high")).await;
    assert_eq!(journey["status"], "processed", "{journey:#}");
    desktop.wait_for_toasts(1).unwrap();
    let shown = shows(&file);
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["request"]["title"], "Ana: the build is red");

    desktop.press_button(&["Open"], "Open").unwrap();
    let invoked = tokio::time::timeout(Duration::from_secs(20), async {
        let mut text = String::new();
        loop {
            let chunk = live.chunk().await.unwrap().expect("the stream goes on");
            text.push_str(&String::from_utf8_lossy(&chunk));
            let event = text
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .filter_map(|data| serde_json::from_str::<Value>(data.trim()).ok())
                .find(|event| event["type"] == "toasty.action.invoked");
            if let Some(event) = event {
                return event;
            }
        }
    })
    .await
    .expect("the click comes back");
    assert_eq!(invoked["payload"]["action_id"], "open", "{invoked:#}");
    assert_eq!(invoked["causation_id"], journey["event_id"]);
    assert_eq!(invoked["correlation_id"], journey["event_id"]);
    let path = format!("/v1/events/{}", invoked["event_id"].as_str().unwrap());
    assert_eq!(hub.get(&path).await.0, 200);
}

#[tokio::test]
async fn only_what_matters_becomes_a_toast_and_a_duplicate_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("toasty.jsonl");
    let toasty = ToastyServer::start(&file);
    let hub = hub(&toasty.endpoint());
    for (id, priority) in [
        ("a", "low"),
        ("b", "normal"),
        ("c", "high"),
        ("d", "critical"),
    ] {
        let journey = hub.process(&captured(id, priority)).await;
        assert_eq!(journey["status"], "processed", "{journey:#}");
    }
    let tags: Vec<_> = shows(&file)
        .iter()
        .map(|show| show["request"]["tag"].clone())
        .collect();
    assert_eq!(tags, [json!("c"), json!("d")]);

    let mut again = captured("e", "high");
    again["event_id"] = json!("0192f0c1-2345-7abc-8def-0123456789ab");
    hub.process(&again).await;
    let (status, receipt) = hub.publish(&again).await;
    assert_eq!((status, &receipt["status"]), (202, &json!("duplicate")));
    hub.process(&captured("f", "high")).await;
    assert_eq!(shows(&file).len(), 4, "the duplicate was not shown again");
}

#[tokio::test]
async fn an_unreachable_toasty_makes_the_hub_degraded_and_the_toast_comes_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("toasty.jsonl");
    // A port that is free now, for the server that comes later.
    let address = {
        let toasty = ToastyServer::start(&file);
        toasty.address().to_owned()
    };
    let hub = hub(&format!("http://{address}"));
    let (status, ready) = hub.get("/readyz").await;
    assert_eq!(status, 200, "{ready:#}");
    eventually("the hub says that it is degraded", || async {
        let (status, ready) = hub.get("/readyz").await;
        assert_eq!(status, 200);
        (ready["status"] == "degraded").then_some(())
    })
    .await;
    let (_, told) = hub.get("/readyz").await;
    assert!(
        told["checks"][0]["reason"].is_string(),
        "an administrator is told why: {told:#}"
    );
    let anybody = client()
        .get(format!("{}/readyz", hub.url()))
        .send()
        .await
        .unwrap();
    let anybody: Value = anybody.json().await.unwrap();
    assert_eq!(anybody["status"], "degraded");
    assert!(anybody["checks"][0].get("reason").is_none(), "{anybody:#}");

    let (_, receipt) = hub.publish(&captured("late", "high")).await;
    let id = receipt["event_id"].as_str().unwrap().to_owned();
    eventually("a first attempt has failed", || async {
        let (_, journey) = hub.get(&format!("/v1/events/{id}")).await;
        let steps = journey["steps"].as_array()?.clone();
        steps
            .iter()
            .any(|step| step["step"] == "delivery_failed")
            .then_some(())
    })
    .await;
    let _toasty = ToastyServer::start_at(&address, &file);
    let journey = hub.finished(&id).await;
    assert_eq!(journey["status"], "processed", "{journey:#}");
    assert_eq!(shows(&file).len(), 1);
    eventually("the hub is well again", || async {
        (hub.get("/readyz").await.1["status"] == "ready").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_toast_that_never_gets_through_ends_among_the_dead_letters() {
    let hub = hub("http://127.0.0.1:9");
    let journey = hub.process(&captured("lost", "critical")).await;
    assert_eq!(journey["status"], "dead", "{journey:#}");
    let failed: Vec<_> = journey["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["step"] == "delivery_failed")
        .collect();
    assert_eq!(
        failed.len(),
        4,
        "three retries are four attempts: {journey:#}"
    );
    let (_, letters) = hub.get("/v1/admin/dead-letters").await;
    let text = letters.to_string();
    assert!(
        text.contains(journey["event_id"].as_str().unwrap()),
        "{text}"
    );
    assert!(
        text.contains("Ana: the build is red"),
        "the event as it came: {text}"
    );
}
