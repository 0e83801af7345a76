//! What the routes of the dead letters answer, over a real socket.

use chrono::Utc;
use nexus_plugin_api::{Effect, RawJson};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::config::ByteSize;
use crate::ingress::harness::{Answer, Hub, event, post};
use crate::queue::{Failure, Grave, Queue, Settlement, Work};

const PATH: &str = "/v1/admin/dead-letters";

/// A hub with so many dead letters of the source `s`, and one of `other`.
async fn hub_with(count: usize) -> Hub {
    let hub = Hub::start(|_| {}).await;
    for n in 0..=count {
        let source = if n == count { "other" } else { "s" };
        let sent = event(json!({ "source": source, "correlation_id": "thread" }));
        assert_eq!(hub.post("/v1/events", &sent.to_string()).await.status, 202);
        bury(&hub, "retries_exhausted").await;
    }
    hub
}

/// Gives the next delivery up, as dispatch does with an effect that failed twice.
async fn bury(hub: &Hub, reason: &str) {
    let delivery = hub.queue.lease().await.unwrap();
    let failure = |code: &str| Failure {
        at: Utc::now(),
        code: code.to_owned(),
        message: "for a test".to_owned(),
    };
    let work = Work::Perform {
        number: 3,
        processor: "p/decides".to_owned(),
        effect: Box::new(Effect::Notify {
            integration: "toasty/toasty".to_owned(),
            target: None,
            request: RawJson::new("{}").unwrap(),
        }),
        traceparent: None,
    };
    let grave = Grave {
        work,
        reason: reason.to_owned(),
        errors: vec![failure("first"), failure("last")],
    };
    let with = Settlement {
        dead: vec![grave],
        ..Settlement::default()
    };
    hub.queue.settle(delivery.lease, with).await.unwrap();
}

async fn list(hub: &Hub, query: &str) -> Value {
    let answer = hub.get("root", &format!("{PATH}{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn ids(listing: &Value) -> Vec<String> {
    let letters = listing["dead_letters"].as_array().unwrap().iter();
    let id = |letter: &Value| letter["id"].as_str().unwrap().to_owned();
    letters.map(id).collect()
}

async fn ask(hub: &Hub, what: &str, body: &Value) -> Answer {
    let path = format!("{PATH}/{what}");
    hub.send(&post("root", &path, &body.to_string())).await
}

async fn delete(hub: &Hub, key: &str, id: &str) -> Answer {
    let request =
        format!("DELETE {PATH}/{id} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n");
    hub.send(&request).await
}

#[tokio::test]
async fn a_letter_is_shown_whole_and_as_its_event_came() {
    let hub = Hub::start(|_| {}).await;
    let payload = r#"{ "z": 1.50,  "a": {"n": 1e2} }"#;
    let sent = format!(
        r#"{{"type":"test.happened","source":"s","correlation_id":"thread","payload":{payload}}}"#
    );
    hub.post("/v1/events", &sent).await;
    bury(&hub, "retries_exhausted").await;

    let answer = hub.get("root", PATH).await;
    assert!(answer.body.contains(payload), "byte for byte: {answer:?}");
    let listing = answer.json();
    assert_eq!(listing.get("next"), None);
    let letter = &listing["dead_letters"][0];
    assert_eq!(letter["reason"], "retries_exhausted");
    assert_eq!(letter["attempts"], 2);
    assert_eq!(letter["integration"], "toasty/toasty");
    assert_eq!(letter["processor"], "p/decides");
    assert_eq!(letter["work"]["perform"]["number"], 3);
    assert_eq!(letter["errors"][0]["code"], "first");
    assert_eq!(letter["errors"][1]["code"], "last");
    assert_eq!(letter["event"]["source"], "s");
    assert_eq!(letter["event"]["correlation_id"], "thread");
    assert!(letter["at"].is_string() && letter["accepted_at"].is_string());

    let id = letter["id"].as_str().unwrap();
    let shown = hub.get("root", &format!("{PATH}/{id}")).await;
    assert_eq!((shown.status, &shown.json()), (200, letter));
    let event = letter["event"]["event_id"].as_str().unwrap();
    for unknown in [event, "x", &Uuid::now_v7().to_string()] {
        let answer = hub.get("root", &format!("{PATH}/{unknown}")).await;
        assert_eq!(answer.problem(404), "not_found", "{unknown}");
    }
    assert_eq!(ids(&list(&hub, &format!("?id={event}")).await), [id]);
}

#[tokio::test]
async fn a_query_filters_and_pages() {
    let hub = hub_with(4).await;
    let all = list(&hub, "").await;
    let every = ids(&all);
    assert_eq!(every.len(), 5);
    let middle = all["dead_letters"][2]["at"].as_str().unwrap();
    for (query, expected) in [
        (format!("?id={}", every[1]), &every[1..2]),
        ("?type=test.*".to_owned(), &every[..]),
        ("?type=test".to_owned(), &[]),
        ("?source=s".to_owned(), &every[..4]),
        ("?integration=toasty&source=other".to_owned(), &every[4..]),
        ("?integration=mail".to_owned(), &[]),
        ("?reason=retries_exhausted".to_owned(), &every[..]),
        ("?reason=rejected".to_owned(), &[]),
        (format!("?since={middle}"), &every[2..]),
        (format!("?until={middle}"), &every[..2]),
        (format!("?after={}", every[3]), &every[4..]),
    ] {
        assert_eq!(ids(&list(&hub, &query).await), expected, "{query}");
    }
    let first = list(&hub, "?source=s&limit=2").await;
    assert_eq!(ids(&first), every[..2]);
    assert_eq!(first["next"], every[1]);
    let second = list(&hub, &format!("?source=s&limit=2&after={}", every[1])).await;
    assert_eq!(ids(&second), every[2..4]);
    assert_eq!(
        second.get("next"),
        None,
        "the next one is of another source"
    );

    for query in [
        "?sort=id",
        "?limit=0",
        "?limit=1001",
        "?limit=x",
        "?limit=-1",
        "?since=yesterday",
        "?until=2026-01-01",
        "?type=*.x",
        "?source=",
        "?id=7",
        "?after=7",
        "?id=7&id=7",
    ] {
        let answer = hub.get("root", &format!("{PATH}{query}")).await;
        assert_eq!(answer.problem(400), "malformed_event", "{query}");
    }
}

#[tokio::test]
async fn long_lists_come_in_portions_and_heavy_ones_end_sooner() {
    let hub = hub_with(120).await;
    let all = ids(&list(&hub, "?limit=1000").await);
    assert_eq!(all.len(), 121, "more than are read at a time");
    let usual = list(&hub, "").await;
    assert_eq!((ids(&usual).len(), &usual["next"]), (100, &json!(all[99])));

    let hub = Hub::start(|settings| {
        settings.limits.max_body = ByteSize::from_kib(2_048);
        settings.limits.max_string = ByteSize::from_kib(1_024);
    })
    .await;
    let large = event(json!({ "payload": { "text": "x".repeat(1_000_000) } })).to_string();
    for _ in 0..20 {
        assert_eq!(hub.post("/v1/events", &large).await.status, 202);
        bury(&hub, "x").await;
    }
    let part = list(&hub, "").await;
    assert_eq!(
        (ids(&part).len(), &part["next"]),
        (17, &json!(ids(&part)[16]))
    );
}

#[tokio::test]
async fn letters_are_replayed_once_and_keep_what_they_belong_to() {
    let hub = hub_with(3).await;
    let before = list(&hub, "").await;
    let mine = &ids(&before)[..3];
    let filter = json!({ "source": "s", "integration": "toasty" });
    let dry = json!({ "source": "s", "dry_run": true });
    let answer = ask(&hub, "replay", &dry).await;
    let told = |letters: &[String], dry_run| json!({ "replayed": letters, "dry_run": dry_run, "more": false });
    assert_eq!((answer.status, answer.json()), (200, told(mine, true)));
    assert_eq!(list(&hub, "").await, before, "nothing has changed");

    assert_eq!(ask(&hub, "replay", &filter).await.json(), told(mine, false));
    assert_eq!(ask(&hub, "replay", &filter).await.json(), told(&[], false));
    assert_eq!(list(&hub, "?source=s").await, json!({ "dead_letters": [] }));
    let delivery = hub.queue.lease().await.unwrap();
    assert!(matches!(delivery.work, Work::Perform { number: 3, .. }));
    assert_eq!(delivery.event.correlation_id.as_deref(), Some("thread"));
    let path = format!("/v1/events/{}", delivery.event.event_id);
    let journey = hub.get("root", &path).await.json();
    assert_eq!(journey["status"], "processing");
    let last = journey["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["step"], &last["dead_letter"]),
        (&json!("replayed"), &json!(mine[0]))
    );
}

#[tokio::test]
async fn letters_are_changed_by_id_and_as_many_as_wanted() {
    let hub = hub_with(4).await;
    let all = list(&hub, "").await;
    let letters = ids(&all);
    let event = &all["dead_letters"][1]["event"]["event_id"];
    // Its own id, its event's twice, and one that the condition excludes.
    let body = json!({ "ids": [letters[1], event, event, letters[4]], "source": "s" });
    let answer = ask(&hub, "purge", &body).await.json();
    assert_eq!(
        answer,
        json!({ "purged": [letters[1]], "dry_run": false, "more": false })
    );

    // A whole number, however it is written.
    let answer = ask(&hub, "purge", &json!({ "source": "s", "limit": 2.0 }))
        .await
        .json();
    let purged = [&letters[0], &letters[2]];
    assert_eq!(
        answer,
        json!({ "purged": purged, "dry_run": false, "more": true })
    );
    let answer = ask(&hub, "purge", &json!({ "all": true })).await.json();
    assert_eq!(answer["purged"], json!(letters[3..]));
    assert!(ids(&list(&hub, "").await).is_empty());
}

#[tokio::test]
async fn one_letter_is_replayed_or_purged_once() {
    let hub = hub_with(1).await;
    let letters = ids(&list(&hub, "").await);
    let replay = format!("{}/replay", letters[0]);
    let answer = ask(&hub, &replay, &json!({})).await;
    assert_eq!(answer.json()["replayed"], json!([letters[0]]));
    assert_eq!(
        ask(&hub, &replay, &json!({})).await.problem(404),
        "not_found"
    );
    assert_eq!(
        delete(&hub, "root", &letters[0]).await.problem(404),
        "not_found"
    );
    let answer = delete(&hub, "root", &letters[1]).await;
    assert_eq!(answer.json()["purged"], json!([letters[1]]));
    assert_eq!(
        delete(&hub, "root", &letters[1]).await.problem(404),
        "not_found"
    );
    assert_eq!(hub.queue.stats().dead_letters, 0);
    assert_eq!(hub.queue.stats().depth, 1);
}

#[tokio::test]
async fn nobody_changes_everything_by_accident() {
    let hub = hub_with(2).await;
    let before = list(&hub, "").await;
    let many = vec![Uuid::now_v7(); 1_001];
    let bodies = [
        json!({}),
        json!({ "dry_run": true }),
        json!({ "limit": 5 }),
        json!({ "all": false }),
        json!({ "type": null }),
        json!({ "ids": [] }),
        json!({ "ids": [], "all": true }),
        json!({ "ids": many }),
        json!({ "ids": ["x"] }),
        json!({ "all": true, "source": "s" }),
        json!({ "all": true, "limit": 0 }),
        json!({ "all": true, "limit": 10_001 }),
        json!({ "all": true, "limit": 1e300 }),
        json!({ "all": true, "limit": 1.5 }),
        json!({ "all": true, "limit": -1 }),
        json!({ "all": true, "dryrun": true }),
        json!({ "sources": "s", "all": true }),
        json!({ "since": "yesterday" }),
        json!([]),
    ];
    for what in ["replay", "purge"] {
        for body in &bodies {
            let answer = ask(&hub, what, body).await;
            assert_eq!(answer.problem(400), "malformed_event", "{body}");
        }
        let path = format!("{PATH}/{what}");
        for body in ["", "{", r#"{"all":true} x"#] {
            let answer = hub.send(&post("root", &path, body)).await;
            assert_eq!(answer.problem(400), "malformed_json", "{body}");
        }
        let twice = r#"{"source":"x","source":"s"}"#;
        let answer = hub.send(&post("root", &path, twice)).await;
        assert_eq!(answer.problem(400), "malformed_event");
        let query = format!("{path}?dry_run=true");
        let answer = hub.send(&post("root", &query, r#"{"all":true}"#)).await;
        assert_eq!(answer.problem(400), "malformed_event", "it is no dry run");
        let text = post("root", &path, r#"{"all":true}"#).replace("application/json", "text/plain");
        assert_eq!(hub.send(&text).await.problem(415), "unsupported_media_type");
    }
    assert_eq!(list(&hub, "").await, before);
}

#[tokio::test]
async fn dead_letters_are_for_administrators() {
    let hub = hub_with(1).await;
    let letter = &ids(&list(&hub, "").await)[0];
    for (key, status, code) in [
        ("any", 403, "forbidden"),
        ("nobody", 401, "unauthenticated"),
    ] {
        for path in [PATH.to_owned(), format!("{PATH}/{letter}")] {
            assert_eq!(hub.get(key, &path).await.problem(status), code, "{path}");
        }
        for path in ["replay", "purge", &format!("{letter}/replay")] {
            let request = post(key, &format!("{PATH}/{path}"), r#"{"all":true}"#);
            assert_eq!(hub.send(&request).await.problem(status), code, "{path}");
        }
        assert_eq!(delete(&hub, key, letter).await.problem(status), code);
    }
    assert_eq!(hub.queue.stats().dead_letters, 2);
}
