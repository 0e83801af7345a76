//! Notifications: what becomes of the mail behind them, and of those that are not what they should be.

use std::time::{Duration, Instant};

use graph_double::{Fault, GraphDouble, Lifecycle};
use nexus_plugin_api::Priority;
use nexus_plugin_api::outgoing::{Access, Client};
use serde_json::{Value, json};

use crate::hub::{ADA, MAIL, NOTIFICATION, Site, reason};

const RULES: &str = "changes = [\"created\", \"updated\"]\n\
    [[plugins.outlook.config.rules]]\npriority = \"critical\"\nsenders = [\"@customer.example\"]\n\
    subject_contains = [\"outage\"]\n";

/// A notification such as Graph sends it.
fn notification(client_state: &str, over: Value) -> Value {
    let mut one = json!({
        "id": "n-1", "subscriptionId": "s-1", "clientState": client_state, "changeType": "created",
        "resource": format!("Users/{ADA}/Messages/nothing"), "resourceData": { "id": "nothing" },
    });
    for (key, value) in over.as_object().into_iter().flatten() {
        one[key] = value.clone();
    }
    one
}

fn body(notifications: &[Value]) -> String {
    json!({ "value": notifications }).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_becomes_an_event_with_a_priority() {
    let site = Site::new(RULES).await;
    let hub = site.started().await;
    let from = json!({ "emailAddress": { "name": "Grace", "address": "grace@customer.example" } });
    let id = site.graph.arrives(
        ADA,
        json!({ "subject": "An Outage", "from": from, "importance": "low", "hasAttachments": true }),
    );
    let [mail] = hub.mails(1).await.try_into().unwrap();
    assert_eq!((mail.message_id, mail.mailbox.as_str()), (id.clone(), ADA));
    assert_eq!(
        (mail.sender.as_str(), mail.sender_name.as_deref()),
        ("grace@customer.example", Some("Grace"))
    );
    assert_eq!(
        (mail.subject.as_str(), mail.preview.as_str()),
        ("An Outage", "How it begins")
    );
    assert!(mail.has_attachments && mail.web_link.is_some() && mail.internet_message_id.is_some());
    let event = &hub.so_far(MAIL)[0];
    assert_eq!(
        (event.priority, event.timestamp),
        (Priority::Critical, mail.received_at)
    );
    // In one trace with the notification behind it.
    assert_eq!(
        event.causation_id,
        Some(hub.notified_of(&id).await.event_id)
    );

    let subscription = &site.graph.subscriptions()[0];
    assert_eq!(
        subscription.resource,
        format!("users/{ADA}/mailFolders('inbox')/messages")
    );
    assert_eq!(subscription.change_type, "created,updated");
    assert_eq!(site.graph.count("handshake"), 2, "both URLs are asked");
    assert_eq!(
        (
            site.graph.count("handshake.refused"),
            site.graph.count("token")
        ),
        (0, 1)
    );
    let deliveries = site.graph.deliveries();
    assert_eq!((deliveries.len(), deliveries[0].status), (1, Some(202)));
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bursts_and_duplicates_are_one_event_and_a_change_that_shows_another() {
    let site = Site::new(RULES).await;
    let hub = site.started().await;
    site.graph.holds();
    let id = site.graph.arrives(ADA, json!({}));
    site.graph.changes(ADA, &id, json!({ "isRead": true }));
    site.graph
        .changes(ADA, &id, json!({ "flag": { "flagStatus": "flagged" } }));
    // Out of order, and each three times.
    site.graph.releases(false, |held| {
        held.reverse();
        let once = held.clone();
        held.extend(once.iter().chain(&once).cloned());
    });
    site.graph
        .until("all are delivered", |graph| graph.deliveries().len() == 9)
        .await;
    let notifications = hub.events(NOTIFICATION, 3).await;
    for event in &notifications {
        hub.host.wait_processed(event.event_id).await.unwrap();
    }
    assert_eq!(
        hub.so_far(NOTIFICATION).len(),
        3,
        "a version of a message is one notification"
    );
    assert_eq!(hub.so_far(MAIL).len(), 1, "and none of them shows");
    site.graph
        .changes(ADA, &id, json!({ "subject": "Corrected" }));
    let mails = hub.mails(2).await;
    assert_eq!(mails[1].subject, "Corrected");
    assert_eq!(mails[1].message_id, mails[0].message_id);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_is_answered_with_the_decoded_token_as_text() {
    let site = Site::new("").await;
    let hub = site.started().await;
    let client = Client::new(Access::default());
    for path in ["", "/lifecycle"] {
        let url = format!(
            "{}/v1/hooks/outlook{path}?validationToken=Validation%3a+a%2Bb+%3Cb%3E%C3%A9",
            site.front.url()
        );
        let answer = client.ask(client.post(&url).await.unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.body(), "Validation: a+b <b>é".as_bytes());
    }
    let long = format!("?validationToken={}", "x".repeat(4097));
    assert_eq!(site.posts(&long, "").await.0, 400);
    assert_eq!(site.posts("/elsewhere", "{}").await.0, 404);
    let url = format!("{}/v1/hooks/outlook?validationToken=x", site.front.url());
    let get = client.ask(client.get(&url).await.unwrap()).await.unwrap();
    assert_eq!(get.status(), 405);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_know_the_client_state_is_answered_and_not_heard() {
    let site = Site::new("").await;
    let hub = site.started().await;
    let right = site.client_state();
    let mut nearly = right.clone();
    nearly.replace_range(0..1, if right.starts_with('0') { "1" } else { "0" });
    let missed = json!({ "changeType": null, "lifecycleEvent": "missed" });
    let rounds = site.graph.count("message.delta");
    let wrong = [
        notification(&nearly, json!({})),
        notification("", json!({})),
        notification(&right, json!({ "clientState": null })),
        notification(&nearly, missed.clone()),
    ];
    assert_eq!(site.posts("", body(&wrong)).await, (202, String::new()));
    assert_eq!(
        site.posts("/lifecycle", body(&wrong)).await,
        (202, String::new())
    );
    let told = hub.says("wrong clientState").await;
    assert!(told.contains("8 notifications not processed"), "{told}");
    // What is right beside it is heard, whichever subscription it names.
    let mixed = [
        notification(&nearly, json!({ "id": "n-2" })),
        notification(&right, json!({ "id": "n-3", "subscriptionId": "s-9" })),
    ];
    assert_eq!(site.posts("", body(&mixed)).await.0, 202);
    let journey = hub.notified_of("nothing").await;
    assert_eq!(reason(&journey), "the message was moved or deleted");
    assert_eq!(hub.so_far(NOTIFICATION).len(), 1);
    assert_eq!(
        site.graph.count("message.delta"),
        rounds,
        "nobody has missed anything"
    );
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_none_are_refused_and_odd_notifications_do_not_spoil_others() {
    let site = Site::new("").await;
    let hub = site.started().await;
    let right = site.client_state();
    for wrong in [
        "",
        "null",
        "{}",
        "[]",
        "{\"value\":{}}",
        "{\"value\":[1]}",
        "{\"value\":[{]",
        "\u{0}",
    ] {
        assert_eq!(site.posts("", wrong).await.0, 400, "{wrong}");
    }
    assert_eq!(site.posts("", "{\"value\":[]}").await.0, 202);
    let many: Vec<Value> = (0..1_001).map(|_| json!({})).collect();
    assert_eq!(site.posts("", body(&many)).await.0, 413);
    assert_eq!(
        site.posts("", "x".repeat(2 << 20)).await.0,
        413,
        "the hub's own bound"
    );
    // What is of no use is not sent again for hours.
    for none in [
        json!({}),
        json!({ "changeType": "exploded", "subscriptionId": null, "clientState": 7 }),
    ] {
        let posted = json!({ "value": [none], "validationTokens": null });
        assert_eq!(site.posts("", posted.to_string()).await.0, 202);
    }
    let odd = [
        json!({ "changeType": "exploded" }),
        notification(&right, json!({ "changeType": "exploded" })),
        notification(&right, json!({ "changeType": null })),
        notification(&right, json!({ "resource": "https://evil.example/\\" })),
        notification(
            &right,
            json!({ "changeType": null, "lifecycleEvent": "unheardOf" }),
        ),
        notification(&right, json!({ "resource": "Users/x/../../../admin" })),
        notification(&right, json!({ "changeType": "deleted", "id": "n-8" })),
        notification(&right, json!({})),
    ];
    assert_eq!(site.posts("", body(&odd)).await.0, 202);
    hub.notified_of("nothing").await;
    assert_eq!(hub.so_far(NOTIFICATION).len(), 1);
    hub.says("its resource is no path").await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_graph_cannot_give_now_is_asked_for_later() {
    let site = Site::new("").await;
    let hub = site.started().await;
    let tokens = site.graph.count("token");
    // A token that is not taken is had anew, once.
    site.graph.expires_tokens();
    site.graph.arrives(ADA, json!({ "subject": "1" }));
    hub.mails(1).await;
    assert_eq!(site.graph.count("token"), tokens + 1);
    assert_eq!(site.graph.count("message.get.refused"), 1);
    let fault = |status, retry_after| Fault {
        what: "message.get".to_owned(),
        status,
        retry_after,
        times: 1,
    };
    site.graph.fail(fault(503, None));
    site.graph.fail(fault(429, Some(1)));
    let began = std::time::Instant::now();
    let id = site.graph.arrives(ADA, json!({ "subject": "2" }));
    let mails = hub.mails(2).await;
    assert_eq!(mails[1].subject, "2");
    assert!(
        began.elapsed().as_millis() >= 2_000,
        "as long as Graph wants, twice"
    );
    assert_eq!(
        hub.notified_of(&id).await.status,
        nexus_host::EventStatus::Processed
    );
    assert_eq!(hub.dead().await, Vec::<String>::new());
    // A token that is refused for good is a failure: neither tried for ever nor passed over.
    site.graph.fail(Fault {
        times: 2,
        ..fault(401, None)
    });
    let id = site.graph.arrives(ADA, json!({ "subject": "3" }));
    hub.notified_of(&id).await;
    assert_eq!(hub.dead().await.len(), 1);
    // Moved before it was looked at.
    site.graph.holds();
    let id = site.graph.arrives(ADA, json!({ "subject": "4" }));
    site.graph.vanishes(ADA, &id);
    site.graph.releases(true, |_| ());
    let journey = hub.notified_of(&id).await;
    assert_eq!(reason(&journey), "the message was moved or deleted");
    assert_eq!(hub.so_far(MAIL).len(), 2);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_kept_is_sent_again_until_it_is() {
    let site = Site::new("").await;
    let hub = site.started().await;
    site.graph
        .behave(|behaviour| behaviour.retry_ms = vec![100]);
    site.front.leads_to(None);
    site.graph.arrives(ADA, json!({ "subject": "Later" }));
    site.graph
        .until("it was tried", |graph| graph.count("notification") >= 2)
        .await;
    site.front.leads_to(hub.host.http_addr());
    assert_eq!(hub.mails(1).await[0].subject, "Later");
    // Lifecycle notifications come on either URL.
    let id = site.graph.subscriptions()[0].id.clone();
    site.graph.tells(&id, Lifecycle::ReauthorizationRequired);
    site.graph
        .until("it shows that it may", |graph| {
            graph.count("subscription.reauthorize") == 1
        })
        .await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_without_room_says_so_and_gets_it_again() {
    let mut site = Site::new("").await;
    site.queue = "capacity = 1".to_owned();
    let hub = site.started().await;
    site.graph.behave(|behaviour| behaviour.retry_ms = vec![50]);
    site.graph.holds();
    for n in 0..20 {
        site.graph.arrives(ADA, json!({ "subject": n.to_string() }));
    }
    site.graph.releases(true, |_| ());
    hub.mails(20).await;
    let is_taken = |graph: &GraphDouble| graph.deliveries().last().unwrap().status == Some(202);
    site.graph.until("all of it is taken", is_taken).await;
    let refused = |one: &graph_double::Delivery| one.status == Some(503);
    assert!(
        site.graph.deliveries().iter().any(refused),
        "there was no room at first"
    );
    assert_eq!(
        (hub.so_far(NOTIFICATION).len(), hub.so_far(MAIL).len()),
        (20, 20)
    );
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_graph_wants_to_be_left_alone_nothing_is_asked() {
    let site = Site::new("").await;
    let hub = site.started().await;
    let rounds = site.graph.count("message.delta");
    site.graph.fail(Fault {
        what: "message.get".to_owned(),
        status: 429,
        retry_after: Some(2),
        times: 1,
    });
    let began = Instant::now();
    site.graph.arrives(ADA, json!({ "subject": "0" }));
    let is_refused = |graph: &GraphDouble| graph.count("message.get.refused") == 1;
    site.graph.until("one is refused", is_refused).await;
    for n in 1..20 {
        site.graph.arrives(ADA, json!({ "subject": n.to_string() }));
    }
    let id = site.graph.subscriptions()[0].id.clone();
    site.graph.tells(&id, Lifecycle::Missed);
    let is_asked = move |graph: &GraphDouble| graph.count("message.delta") > rounds;
    site.graph.until("changes are asked for", is_asked).await;
    assert!(began.elapsed() >= Duration::from_secs(2));
    hub.mails(20).await;
    assert_eq!(site.graph.count("message.get.refused"), 1);
    // Once each, and the one that was refused again.
    for event in hub.so_far(NOTIFICATION) {
        hub.host.wait_processed(event.event_id).await.unwrap();
    }
    assert_eq!(site.graph.count("message.get"), 21);
    assert_eq!(hub.so_far(MAIL).len(), 20);
    hub.stop().await;
}
