//! The plugin against a real Toasty server: deliveries, answers, and what may die in between.

mod desk;
mod hub;

use std::time::Duration;

use desk::Desk;
use hub::{Behind, Hub};
use nexus_plugin_api::Health;
use nexus_plugin_api::abi::ErrorV1;
use serde_json::{Value, json};
use toasty_server::display::Happened;
use uuid::Uuid;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn config(desk: &Desk) -> Value {
    json!({"endpoint": desk.server.endpoint(), "app_id": "Nexus"})
}

fn question(title: &str) -> Value {
    json!({"show": {
        "title": title,
        "actions": [{"id": "yes", "label": "Yes", "uri": "https://example.org/yes"}],
        "inputs": [{"id": "why"}],
        "urgency": "high",
    }})
}

fn behind(key: &str) -> Behind<'_> {
    Behind {
        key,
        ..Behind::default()
    }
}

#[tokio::test]
async fn a_delivery_that_is_repeated_shows_one_toast() {
    let desk = Desk::open(None).await;
    let plugin = Hub::new().start(config(&desk)).unwrap();
    let event_id = Uuid::now_v7();
    let behind = Behind {
        event_id,
        key: "effect-1",
        traceparent: TRACE,
        ..Behind::default()
    };

    let first = plugin.deliver(&behind, question("Refund?")).await.unwrap();
    assert!(first.summary.unwrap().ends_with(" shown"));
    let again = plugin.deliver(&behind, question("Refund?")).await.unwrap();
    assert!(again.summary.unwrap().ends_with(" was there already"));

    let shown = desk.shown();
    assert_eq!(shown.len(), 1);
    let request = shown[0].request();
    assert_eq!(request.request_id, "effect-1");
    assert_eq!(request.app_id, "Nexus");
    let correlation = request.correlation.as_ref().unwrap();
    assert_eq!(correlation.event_id, event_id.to_string());
    assert_eq!(correlation.traceparent, TRACE);
    assert_eq!(plugin.health().await, Health::Ready);
}

#[tokio::test]
async fn an_approval_that_has_ended_is_not_shown_any_more() {
    let desk = Desk::open(None).await;
    let plugin = Hub::new().start(config(&desk)).unwrap();
    let of = |group: &str, title: &str| {
        let mut show = question(title);
        show["show"]["tag"] = json!("t");
        show["show"]["group"] = json!(group);
        let dismiss = json!({"dismiss": {"tag": "t", "group": group}});
        (show, dismiss)
    };
    let (show, dismiss) = of("nexus.approvals", "Pay?");
    plugin.deliver(&behind("end"), dismiss).await.unwrap();
    let late = plugin.deliver(&behind("late"), show).await.unwrap();
    assert!(late.summary.unwrap().starts_with("not shown"));
    let (show, dismiss) = of("others", "Again");
    plugin.deliver(&behind("other end"), dismiss).await.unwrap();
    plugin.deliver(&behind("again"), show).await.unwrap();
    let titles: Vec<_> = desk
        .shown()
        .iter()
        .map(|toast| toast.request().title.clone())
        .collect();
    assert_eq!(titles, ["Again"]);
}

#[tokio::test]
async fn a_pressed_button_comes_back_correlated_with_its_cause() {
    let desk = Desk::open(None).await;
    let hub = Hub::new();
    let plugin = hub.start(config(&desk)).unwrap();
    let running = plugin.run();
    let event_id = Uuid::now_v7();
    let own = event_id.to_string();
    let root = Behind {
        event_id,
        key: "root",
        correlation_id: &own,
        traceparent: TRACE,
    };
    let later = Behind {
        event_id,
        key: "later",
        correlation_id: "case-9",
        traceparent: "",
    };
    plugin.deliver(&root, question("Root")).await.unwrap();
    plugin.deliver(&later, question("Later")).await.unwrap();
    assert!(hub.state.lock().contains_key("origin/later"));
    assert!(
        !hub.state.lock().contains_key("origin/root"),
        "the server keeps that one"
    );

    desk.press("Root", "yes").await;
    desk.press("Later", "yes").await;
    let answers = hub.published("toasty.action.invoked", 2).await;
    let payload: Value = answers[0].payload.parse().unwrap();
    assert_eq!(payload["action_id"], "yes");
    assert_eq!(payload["inputs"], json!({"why": "it fits"}));
    assert_eq!(payload["uri"], "https://example.org/yes");
    assert_eq!(answers[0].correlation_id.as_deref(), Some(own.as_str()));
    assert_eq!(answers[0].causation_id, Some(event_id));
    assert_eq!(answers[0].traceparent.as_deref(), Some(TRACE));
    assert_eq!(answers[1].correlation_id.as_deref(), Some("case-9"));
    assert_eq!(answers[1].causation_id, Some(event_id));

    // Once a further answer has come, what was kept for the earlier ones is gone.
    plugin
        .deliver(&behind("end"), question("End"))
        .await
        .unwrap();
    desk.happens("End", Happened::Failed("the screen broke".to_owned()))
        .await;
    let failed = hub.published("toasty.failed", 1).await;
    assert_eq!(
        failed[0].payload.parse::<Value>().unwrap()["message"],
        "the screen broke"
    );
    assert!(!hub.state.lock().contains_key("origin/later"));
    running.abort();
}

#[tokio::test]
async fn an_answer_waits_for_the_queue_and_survives_a_restart() {
    let desk = Desk::open(None).await;
    let hub = Hub::new();
    let plugin = hub.start(config(&desk)).unwrap();
    let running = plugin.run();
    for title in ["First", "Second", "Third"] {
        plugin
            .deliver(&behind(title), question(title))
            .await
            .unwrap();
    }
    // A queue that is full is waited for; a refusal for good does not hold up what follows.
    hub.refusals.lock().extend([
        ErrorV1 {
            retryable: true,
            retry_after_ms: 5,
            ..ErrorV1::permanent("queue_full", "full")
        },
        ErrorV1 {
            retryable: true,
            retry_after_ms: 5,
            ..ErrorV1::permanent("queue_full", "full")
        },
    ]);
    desk.press("First", "yes").await;
    let first = hub.published("toasty.action.invoked", 1).await;
    hub.stored(4).await;

    // The hub dies; the answer given meanwhile is there when it is back.
    running.abort();
    let _ = running.await;
    drop(plugin);
    desk.press("Second", "yes").await;
    let plugin = hub.start(config(&desk)).unwrap();
    let running = plugin.run();
    let answers = hub.published("toasty.action.invoked", 2).await;
    assert_ne!(answers[1].event_id, first[0].event_id);
    hub.stored(5).await;

    // The storage fails between publishing and storing the place: the same event comes again.
    *hub.failing_writes.lock() = 1;
    desk.press("Third", "yes").await;
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.code, "storage");
    let running = plugin.run();
    let answers = hub.published("toasty.action.invoked", 4).await;
    assert_eq!(answers[3].event_id, answers[2].event_id);
    running.abort();
}

#[tokio::test]
async fn an_answer_that_is_refused_for_good_holds_up_nothing() {
    let desk = Desk::open(None).await;
    let hub = Hub::new();
    let plugin = hub.start(config(&desk)).unwrap();
    let running = plugin.run();
    plugin
        .deliver(&behind("1"), question("Refused"))
        .await
        .unwrap();
    plugin
        .deliver(&behind("2"), question("Taken"))
        .await
        .unwrap();
    hub.refusals
        .lock()
        .push_back(ErrorV1::permanent("unknown_type", "no such contract"));
    desk.happens("Refused", Happened::Failed("gone".to_owned()))
        .await;
    desk.press("Taken", "yes").await;
    hub.published("toasty.action.invoked", 1).await;
    assert_eq!(hub.published_so_far(), 1);
    running.abort();
}

#[tokio::test]
async fn what_happened_before_the_plugin_first_ran_is_not_its_business() {
    let desk = Desk::open(None).await;
    let other = Hub::new().start(config(&desk)).unwrap();
    other
        .deliver(&behind("old"), question("Old"))
        .await
        .unwrap();
    desk.press("Old", "yes").await;
    tokio::time::sleep(Duration::from_millis(50)).await;

    let hub = Hub::new();
    let plugin = hub.start(config(&desk)).unwrap();
    let running = plugin.run();
    plugin
        .deliver(&behind("new"), question("New"))
        .await
        .unwrap();
    desk.press("New", "yes").await;
    let answers = hub.published("toasty.action.invoked", 1).await;
    assert_eq!(
        answers[0].payload.parse::<Value>().unwrap()["request_id"],
        "new"
    );
    assert_eq!(hub.published_so_far(), 1);
    running.abort();
}

#[tokio::test]
async fn a_server_that_goes_away_and_comes_back_is_followed() {
    let desk = Desk::open(None).await;
    let address = desk.server.local_addr();
    let hub = Hub::new();
    let plugin = hub.start(config(&desk)).unwrap();
    let running = plugin.run();
    for title in ["One", "Two"] {
        plugin
            .deliver(&behind(title), question(title))
            .await
            .unwrap();
    }
    desk.press("One", "yes").await;
    hub.published("toasty.action.invoked", 1).await;

    desk.server.stop().await.unwrap();
    let ended = hub.published("toasty.dismissed", 1).await;
    let payload: Value = ended[0].payload.parse().unwrap();
    assert_eq!(payload["reason"], "application_hidden");
    plugin.until_ready(false).await;
    let error = plugin
        .deliver(&behind("3"), question("Three"))
        .await
        .unwrap_err();
    // Whichever the connection's end reaches first: the request, or the attempt to send it.
    let code = error.code.as_ref();
    assert!(matches!(code, "unavailable" | "cancelled"), "{error}");
    assert!(error.retryable, "{error}");
    assert!(error.message.contains(&address.to_string()), "{error}");
    let Health::Degraded { reason } = plugin.health().await else {
        panic!("it must say that the server is away");
    };
    assert!(reason.contains("unavailable"), "{reason}");

    // Started again, it numbers its events from 1 anew: they are not taken for old ones.
    let desk = Desk::open(Some(address)).await;
    plugin.until_ready(true).await;
    plugin
        .deliver(&behind("3"), question("Three"))
        .await
        .unwrap();
    desk.press("Three", "yes").await;
    let answers = hub.published("toasty.action.invoked", 2).await;
    assert_ne!(answers[0].event_id, answers[1].event_id);
    assert_eq!(
        answers[1].payload.parse::<Value>().unwrap()["request_id"],
        "3"
    );
    running.abort();
}

#[tokio::test]
async fn toasts_are_changed_and_taken_away_by_name() {
    let desk = Desk::open(None).await;
    let hub = Hub::new();
    let plugin = hub.start(config(&desk)).unwrap();
    let running = plugin.run();
    let show = json!({"show": {"title": "Upload", "tag": "upload", "group": "files",
                               "progress": {"value": 0.1}, "ttl": "1h", "duration": "long"}});
    plugin.deliver(&behind("1"), show).await.unwrap();
    let update = json!({"update": {"tag": "upload", "group": "files", "title": "Uploaded",
                                   "progress": {"value": 1.0}}});
    let reply = plugin.deliver(&behind("2"), update.clone()).await.unwrap();
    assert!(reply.summary.unwrap().ends_with(" updated"));
    assert_eq!(desk.shown()[1].request().title, "Uploaded");

    let dismiss = json!({"dismiss": {"tag": "upload", "group": "files"}});
    plugin.deliver(&behind("3"), dismiss.clone()).await.unwrap();
    hub.published("toasty.dismissed", 1).await;
    let reply = plugin.deliver(&behind("3"), dismiss).await.unwrap();
    assert_eq!(reply.summary.as_deref(), Some("no such toast is on show"));
    let error = plugin.deliver(&behind("4"), update).await.unwrap_err();
    assert_eq!((error.code.as_ref(), error.retryable), ("not_found", false));
    running.abort();
}

#[tokio::test]
async fn a_request_that_cannot_work_is_refused_for_good() {
    let desk = Desk::open(None).await;
    let plugin = Hub::new().start(config(&desk)).unwrap();
    for request in [
        json!({"show": {"title": ""}}),
        json!({"show": {"title": "t", "colour": "red"}}),
        json!({"show": {"title": "t", "replace": true}}),
        json!({"dismiss": {}}),
    ] {
        let error = plugin
            .deliver(&behind("1"), request.clone())
            .await
            .unwrap_err();
        let found = (error.code.as_ref(), error.retryable);
        assert_eq!(found, ("invalid_request", false), "{request}: {error}");
    }
    assert!(desk.shown().is_empty());
}

#[tokio::test]
async fn without_the_watch_nothing_runs_and_health_asks() {
    let desk = Desk::open(None).await;
    let mut config = config(&desk);
    config["watch"] = json!(false);
    let hub = Hub::new();
    let plugin = hub.start(config).unwrap();
    plugin.run().await.unwrap().unwrap();
    assert_eq!(plugin.health().await, Health::Ready);
    let case = Behind {
        key: "1",
        correlation_id: "case-9",
        ..Behind::default()
    };
    plugin.deliver(&case, question("Asked")).await.unwrap();
    assert!(
        hub.state.lock().is_empty(),
        "nothing is kept for answers that nobody hears"
    );
    desk.server.stop().await.unwrap();
    assert!(matches!(plugin.health().await, Health::Degraded { .. }));
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused() {
    for (config, said) in [
        (
            json!({"endpoint": "https://127.0.0.1:7072"}),
            "must be http://HOST:PORT",
        ),
        (
            json!({"endpoint": "http://not a host"}),
            "`endpoint` is `http://not a host`",
        ),
        (json!({"timeout": "0s"}), "`timeout` is 0s"),
        (json!({"timeout": "later"}), "`later` is not a duration"),
        (
            json!({"end_point": "http://127.0.0.1:7072"}),
            "unknown field `end_point`",
        ),
    ] {
        let error = Hub::new().start(config.clone()).map(drop).unwrap_err();
        assert_eq!(error.code, "invalid_config", "{config}");
        assert!(error.message.contains(said), "{config}: {error}");
    }
}
