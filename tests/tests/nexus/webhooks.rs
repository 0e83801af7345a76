//! Webhooks from configuration alone: what a sender signs with a library of its own becomes an event, once.

use std::path::Path;
use std::process::Command;

use nexus_plugin_api::Contract;
use nexus_tests::foreign::{python_with, run};
use nexus_tests::hub::{Hub, HubBuilder, client};
use nexus_tests::skip::or_skip;
use probe::Order;
use serde_json::{Value, json};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn config(more: &str) -> String {
    format!(
        "[[webhooks]]\nname = \"shop\"\nscheme = \"standard\"\nsecrets = [{{ env = \"SHOP_SECRET\" }}]\n\
         type = \"{}\"\npayload = \"/data\"\n{more}",
        Order::TYPE
    )
}

fn hub() -> HubBuilder {
    HubBuilder::new()
        .config(&config(""))
        .env("SHOP_SECRET", SECRET)
        .plugin("probe")
}

/// The signature of Python's `standardwebhooks`.
fn sign(python: &Path, id: &str, time: i64, body: &str) -> String {
    let program = "import sys, datetime\n\
        from standardwebhooks import Webhook\n\
        secret, id, time, body = sys.argv[1:]\n\
        at = datetime.datetime.fromtimestamp(int(time), datetime.timezone.utc)\n\
        print(Webhook(secret).sign(id, at, body))\n";
    let mut signing = Command::new(python);
    signing.args(["-c", program, SECRET, id, &time.to_string(), body]);
    run(&mut signing).unwrap().trim().to_owned()
}

async fn deliver(hub: &Hub, id: &str, time: i64, signature: &str, body: &str) -> (u16, Value) {
    let request = client()
        .post(format!("{}/v1/hooks/shop", hub.url()))
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", time)
        .header("webhook-signature", signature)
        .body(body.to_owned());
    hub.send(request).await
}

#[tokio::test]
async fn a_delivery_signed_by_a_foreign_library_is_taken_once() {
    const TEST: &str = "a_delivery_signed_by_a_foreign_library_is_taken_once";
    let body = json!({ "type": "order.placed", "data": { "parcels": [] } }).to_string();
    let now = chrono::Utc::now().timestamp();
    let Some(python) = or_skip(TEST, python_with("standardwebhooks==1.1.0")) else {
        return;
    };
    let signature = sign(&python, "msg_1", now, &body);
    let hub = hub().start();
    let (status, answer) = deliver(&hub, "msg_1", now, &signature, &body).await;
    assert_eq!(
        (status, &answer["status"]),
        (202, &json!("accepted")),
        "{answer}"
    );
    let id = answer["event_id"].as_str().unwrap().to_owned();
    let (status, again) = deliver(&hub, "msg_1", now, &signature, &body).await;
    assert_eq!(
        (status, &again["status"]),
        (202, &json!("duplicate")),
        "{again}"
    );
    assert_eq!(again["event_id"], id);

    let other = body.replace("placed", "pushed");
    for (id, time, body) in [
        ("msg_2", now, &body),
        ("msg_1", now + 1, &body),
        ("msg_1", now, &other),
    ] {
        let (status, answer) = deliver(&hub, id, time, &signature, body).await;
        assert_eq!((status, &answer["code"]), (401, &json!("unauthenticated")));
    }
    let long_ago = now - 400;
    let signature = sign(&python, "msg_3", long_ago, &body);
    let (status, _) = deliver(&hub, "msg_3", long_ago, &signature, &body).await;
    assert_eq!(status, 401, "signed too long ago");

    let (_, journey) = hub.get(&format!("/v1/events/{id}")).await;
    assert_eq!(
        (&journey["source"], &journey["type"]),
        (&json!("shop"), &json!(Order::TYPE))
    );
    let log = hub.log();
    assert!(!log.contains(SECRET) && !log.contains(&signature), "{log}");
}

#[test]
fn a_name_that_a_plugin_has_is_refused_at_start() {
    let (status, log) = HubBuilder::new()
        .config("[[webhooks]]\nname = \"probe\"\nscheme = \"none\"\ntype = \"a.b\"")
        .plugin("probe")
        .run_to_end();
    assert!(!status.success());
    assert!(log.contains("the webhook `probe`"), "{log}");
}

#[tokio::test]
async fn a_type_without_a_contract_is_told_in_the_log_and_not_without_end() {
    let section = "[[webhooks]]\nname = \"door\"\nscheme = \"none\"\ntype = \"door.rung\"";
    let hub = HubBuilder::new().config(section).start();
    for _ in 0..40 {
        let request = client()
            .post(format!("{}/v1/hooks/door", hub.url()))
            .header("content-type", "application/json")
            .body("{}");
        let (status, answer) = hub.send(request).await;
        assert_eq!((status, &answer["code"]), (422, &json!("unknown_type")));
    }
    let log = hub.log();
    let told = log
        .lines()
        .filter(|line| line.contains("there is no contract"));
    let told: Vec<_> = told.collect();
    assert!((20..25).contains(&told.len()), "{log}");
    assert!(told[0].contains("door.rung") && told[0].contains("plugins.contracts_dir"));
}
