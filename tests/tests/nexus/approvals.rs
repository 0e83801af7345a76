//! Approvals from outside: over HTTP, from the command line, over the death of a hub, and when nobody answers.

use std::process::Output;
use std::time::Duration;

use nexus_tests::followed::Followed;
use nexus_tests::hub::{Hub, HubBuilder, eventually, key_hash};
use serde_json::{Value, json};

const PATH: &str = "/v1/admin/approvals";

const ASKS: &str = r#"
[[routes]]
name = "pay"
types = ["mail.received"]
[[routes.actions]]
[routes.actions.ask]
title = "Pay {{ payload.subject }}?"
choices = [{ id = "pay", label = "Pay", tone = "good" }, { id = "refuse", label = "Refuse" }]
unanswered = "refuse"
expires_after = "EXPIRY"
"#;

fn hub(expiry: &str, more: &str) -> HubBuilder {
    let config = format!("{more}{}", ASKS.replace("EXPIRY", expiry));
    HubBuilder::new().config(&config).contract("mail.received")
}

/// Has a question asked; its id.
async fn ask(hub: &Hub, subject: &str) -> String {
    let mail =
        json!({ "type": "mail.received", "source": "outlook", "payload": { "subject": subject } });
    let journey = hub.process(&mail).await;
    assert_eq!(journey["status"], "processed", "{journey:#}");
    let title = format!("Pay {subject}?");
    let (_, told) = hub.get(PATH).await;
    let all = told["approvals"].as_array().unwrap();
    let asked = all.iter().find(|one| one["title"] == title.as_str());
    asked.unwrap()["id"].as_str().unwrap().to_owned()
}

async fn answer(hub: &Hub, id: &str, body: Value) -> (u16, Value) {
    let request = hub.request("POST", &format!("{PATH}/{id}"));
    hub.send(request.json(&body)).await
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_changes_nothing() {
    let producer = "a-producer-s-key-of-some-length";
    let clients = format!(
        "[[clients]]\nid = \"producer\"\nkey_sha256 = \"{}\"\nsources = [\"*\"]\ntypes = [\"*\"]\n",
        key_hash(producer)
    );
    let hub = hub("1h", &clients).start();
    let id = ask(&hub, "Invoice 17").await;
    let own = format!("{PATH}/{id}");
    let body = json!({ "choice": "pay" });
    let client = nexus_tests::hub::client();
    let url = format!("{}{own}", hub.url());
    let nobody = client.post(&url).json(&body).send().await.unwrap();
    assert_eq!(nobody.status(), 401);
    for path in [url.clone(), format!("{}{PATH}", hub.url())] {
        let other = client.get(path).bearer_auth(producer).send().await.unwrap();
        assert_eq!(other.status(), 403);
    }
    let other = client.post(&url).bearer_auth(producer).json(&body);
    assert_eq!(other.send().await.unwrap().status(), 403);
    // Nor by an event that says so.
    let forged = json!({ "type": "nexus.approval.answered", "source": "nexus", "payload": {} });
    assert_eq!(hub.publish(&forged).await.0, 403);

    let unknown = "01a22657-66de-77a6-a794-c06c0f048534";
    for (id, body, status, at) in [
        (unknown, json!({ "choice": "pay" }), 404, ""),
        ("no-id", json!({ "choice": "pay" }), 404, ""),
        (&id, json!({ "choice": "else" }), 422, "/choice"),
        (
            &id,
            json!({ "choice": "pay", "note": "\u{7}" }),
            422,
            "/note",
        ),
        (
            &id,
            json!({ "choice": "pay", "note": "x".repeat(1_001) }),
            422,
            "/note",
        ),
        (&id, json!({ "choice": 1 }), 400, ""),
        (&id, json!({ "choice": "pay", "more": 1 }), 400, ""),
        (&id, json!({}), 400, ""),
    ] {
        let (found, problem) = answer(&hub, id, body.clone()).await;
        assert_eq!(found, status, "{body}: {problem:#}");
        if !at.is_empty() {
            assert_eq!(problem["errors"][0]["pointer"], at, "{problem:#}");
        }
    }
    let (_, asked) = hub.get(&own).await;
    assert_eq!(asked["status"], "pending", "{asked:#}");

    let (status, answered) = answer(&hub, &id, json!({ "choice": "pay", "note": "Fine" })).await;
    assert_eq!(status, 200, "{answered:#}");
    assert_eq!(answered["answer"]["by"], "test-admin");
    assert_eq!(answered["answer"]["note"], "Fine");
    let (again, _) = answer(&hub, &id, json!({ "choice": "pay" })).await;
    assert_eq!(again, 200, "the same answer once more is as good");
    let (late, problem) = answer(&hub, &id, json!({ "choice": "refuse" })).await;
    assert_eq!(
        (late, &problem["code"]),
        (409, &json!("conflict")),
        "{problem:#}"
    );
}

#[tokio::test]
async fn the_command_line_lists_shows_and_answers() {
    let hub = hub("1h", "").start();
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let listed = hub.nexus(&["approvals", "list"]).await;
    assert!(text(&listed).contains("no approval waits"), "{listed:?}");
    let id = ask(&hub, "Invoice 18").await;
    let listed = text(&hub.nexus(&["approvals", "list"]).await);
    for cell in [
        &id,
        "pending",
        "routes/pay",
        "Pay Invoice 18?",
        "pay, refuse",
    ] {
        assert!(listed.contains(cell), "{cell}: {listed}");
    }
    let shown = text(&hub.nexus(&["approvals", "show", &id]).await);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["unanswered"], "refuse", "{shown:#}");
    let wrong = hub.nexus(&["approvals", "answer", &id, "else"]).await;
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && told.contains("pay"), "{told}");
    let done = hub
        .nexus(&["approvals", "answer", &id, "pay", "--note", "Go on"])
        .await;
    assert_eq!(text(&done).trim(), "Pay Invoice 18?: pay", "{done:?}");
    let all = hub.nexus(&["--json", "approvals", "list", "--all"]).await;
    let all: Value = serde_json::from_str(&text(&all)).unwrap();
    assert_eq!(all[0]["answer"]["note"], "Go on", "{all:#}");
}

/// With a durable queue a question outlasts the hub's death, and its answer is told once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_and_answers_outlast_a_killed_hub() {
    let hub = hub("1h", "[queue]\nbackend = \"sqlite\"\n").start();
    let open = ask(&hub, "Invoice 19").await;
    let ended = ask(&hub, "Invoice 20").await;
    let (_, answered) = answer(&hub, &ended, json!({ "choice": "pay" })).await;
    let hub = hub.kill().start();
    let (_, kept) = hub.get(&format!("{PATH}/{ended}")).await;
    for what in ["choice", "by", "at"] {
        assert_eq!(kept["answer"][what], answered["answer"][what], "{kept:#}");
    }
    let events = Followed::of(&hub).await;
    let (status, _) = answer(&hub, &open, json!({ "choice": "refuse" })).await;
    assert_eq!(status, 200);
    // Of the other one it may only be told now, if the hub died before it could.
    let is_meant = |event: &Value| {
        event["type"] == "nexus.approval.answered"
            && event["payload"]["approval_id"] == open.as_str()
    };
    let told = events.wait_for("the answer's event", is_meant).await;
    assert_eq!(told["payload"]["choice"], "refuse", "{told:#}");
    let (late, _) = answer(&hub, &ended, json!({ "choice": "refuse" })).await;
    assert_eq!(late, 409, "what was answered before stays answered");
}

/// When nobody answers, the choice that does least holds; also when the hub was away at that time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_the_safe_answer_also_while_the_hub_is_away() {
    let hub = hub("2s", "[queue]\nbackend = \"sqlite\"\n").start();
    let first = ask(&hub, "Invoice 21").await;
    let path = format!("{PATH}/{first}");
    let ended = eventually("its time is up", || async {
        let (_, one) = hub.get(&path).await;
        (one["status"] == "expired").then_some(one)
    });
    assert_eq!(ended.await["answer"]["choice"], "refuse");
    let (late, _) = answer(&hub, &first, json!({ "choice": "pay" })).await;
    assert_eq!(late, 409, "too late is not an answer");

    let second = ask(&hub, "Invoice 22").await;
    let home = hub.kill();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let hub = home.start();
    let path = format!("{PATH}/{second}");
    let ended = eventually("its time is up", || async {
        let (_, one) = hub.get(&path).await;
        (one["status"] == "expired").then_some(one)
    });
    assert_eq!(ended.await["answer"]["choice"], "refuse");
}
