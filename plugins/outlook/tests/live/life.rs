//! Subscriptions: made, prolonged, made again, over restarts of the hub and whatever Graph answers.

use graph_double::{Fault, Lifecycle};
use serde_json::{Value, json};

use crate::hub::{ADA, Site};

fn fault(what: &str, status: u16, times: u32) -> Fault {
    Fault {
        what: what.to_owned(),
        status,
        retry_after: None,
        times,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_is_prolonged_well_before_its_end_and_lives_on() {
    let site = Site::new("").await;
    site.graph
        .behave(|behaviour| behaviour.subscription_life_ms = Some(1_200));
    let hub = site.started().await;
    let first = site.graph.subscriptions().remove(0);
    site.graph
        .until("it is prolonged", |graph| {
            graph.count("subscription.renew") >= 3
        })
        .await;
    let now = site.graph.subscriptions().remove(0);
    assert_eq!(
        (now.id, now.client_state),
        (first.id, first.client_state),
        "it is the same"
    );
    assert!(now.expires_at > first.expires_at);
    assert_eq!(site.graph.count("subscription.create"), 1);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_hub_goes_on_with_its_subscription() {
    let site = Site::new("").await;
    let hub = site.started().await;
    let before = site.graph.subscriptions().remove(0);
    hub.stop().await;
    let hub = site.started().await;
    let after = site.graph.subscriptions().remove(0);
    assert_eq!(
        (&after.id, &after.client_state),
        (&before.id, &before.client_state)
    );
    assert_eq!(site.graph.count("subscription.create"), 1);
    assert_eq!(
        site.graph.count("subscription.renew"),
        1,
        "whether it is there is asked at once"
    );
    hub.stop().await;
    // Forgotten meanwhile, without a word.
    site.graph.removes(&after.id, false);
    let hub = site.started().await;
    assert_ne!(site.graph.subscriptions()[0].id, after.id);
    site.graph.arrives(ADA, json!({}));
    hub.mails(1).await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_its_hub_does_not_know_any_more_is_replaced() {
    let site = Site::new("").await;
    let hub = site.started().await;
    let before = site.graph.subscriptions().remove(0);
    hub.stop().await;
    for file in std::fs::read_dir(site.folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("queue.db")
        {
            let removed = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            removed.unwrap();
        }
    }
    let created = site.graph.count("subscription.create");
    let hub = site.start().await;
    let replaced =
        move |graph: &graph_double::GraphDouble| graph.count("subscription.create") == created + 2;
    site.graph.until("it is replaced", replaced).await;
    let after = site.graph.subscriptions().remove(0);
    assert_ne!(
        (&after.id, &after.client_state),
        (&before.id, &before.client_state)
    );
    assert_eq!(
        site.graph.count("subscription.create.refused"),
        1,
        "409, as it was there"
    );
    site.graph.arrives(ADA, json!({}));
    hub.mails(1).await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_hubs_subscription_is_left_alone_and_told_of() {
    let site = Site::new("").await;
    let hub = site.started().await;
    let other = Site {
        graph: site.graph,
        ..Site::new("").await
    };
    let second = other.start().await;
    let told = second.says("leads elsewhere").await;
    assert!(told.contains("one app serves one hub"), "{told}");
    assert_eq!(other.graph.count("subscription.delete"), 0);
    second.stop().await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_graph_says_of_a_subscription_is_done() {
    let site = Site::new("").await;
    let hub = site.started().await;
    let first = site.graph.subscriptions().remove(0);
    site.graph
        .tells(&first.id, Lifecycle::ReauthorizationRequired);
    site.graph
        .until("it shows that it may", |graph| {
            graph.count("subscription.reauthorize") == 1
        })
        .await;
    site.graph.arrives(ADA, json!({ "subject": "1" }));
    hub.mails(1).await;
    // Removed, and a mail that nobody was told of meanwhile.
    site.graph.arrives_unnoticed(ADA, json!({ "subject": "2" }));
    site.graph.removes(&first.id, true);
    assert_eq!(hub.mails(2).await[1].subject, "2");
    let second = site.graph.subscriptions().remove(0);
    assert_ne!(second.id, first.id);
    assert_eq!(second.client_state, first.client_state);
    // Said again, as the answer was lost: of one that is not there any more. Mail of meanwhile is looked for.
    for event in ["subscriptionRemoved", "reauthorizationRequired"] {
        let told = json!({ "value": [{ "subscriptionId": first.id, "clientState": first.client_state,
                                       "lifecycleEvent": event }] });
        assert_eq!(site.posts("/lifecycle", told.to_string()).await.0, 202);
        site.graph
            .arrives_unnoticed(ADA, json!({ "subject": event }));
        site.graph.tells(&second.id, Lifecycle::Missed);
        hub.mails(if event == "subscriptionRemoved" { 3 } else { 4 })
            .await;
    }
    assert_eq!(site.graph.subscriptions()[0].id, second.id);
    assert_eq!(site.graph.count("subscription.create"), 2);
    assert_eq!(site.graph.count("subscription.reauthorize"), 1);
    // Where there is no such call, prolonging shows it as well, whatever it is answered with.
    let renewed = site.graph.count("subscription.renew");
    site.graph.fail(fault("subscription.reauthorize", 404, 1));
    site.graph.fail(fault("subscription.renew", 200, 1));
    site.graph
        .tells(&second.id, Lifecycle::ReauthorizationRequired);
    let is_renewed =
        move |graph: &graph_double::GraphDouble| graph.count("subscription.renew") > renewed;
    site.graph.until("it is prolonged", is_renewed).await;
    site.graph.arrives_unnoticed(ADA, json!({ "subject": "5" }));
    site.graph.tells(&second.id, Lifecycle::Missed);
    hub.mails(5).await;
    assert_eq!(site.graph.count("subscription.renew"), renewed + 1);
    assert_eq!(site.graph.count("subscription.reauthorize"), 2);
    assert_eq!(site.graph.subscriptions()[0].id, second.id);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_cannot_subscribe_says_so_and_goes_on_trying() {
    let site = Site::new("").await;
    site.graph.behave(|behaviour| behaviour.handshake_ms = 0);
    site.graph.fail(fault("token", 500, 1));
    let hub = site.start().await;
    let told = hub.says("validation request failed").await;
    assert!(told.contains(ADA), "{told}");
    // Mail comes all the same.
    site.graph.arrives(ADA, json!({ "subject": "1" }));
    hub.mails(1).await;
    assert!(site.graph.subscriptions().is_empty());
    site.graph
        .behave(|behaviour| behaviour.handshake_ms = 10_000);
    site.graph
        .until("it is subscribed", |graph| graph.subscriptions().len() == 1)
        .await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_certificate_a_hub_does_not_subscribe_and_asks_for_mail() {
    let site = Site::new("encryption_certificate = \"nowhere.pem\"").await;
    let hub = site.start().await;
    hub.says("`encryption_certificate`, nowhere.pem:").await;
    site.graph
        .until("mail is asked for", |graph| {
            graph.count("message.delta") >= 2
        })
        .await;
    site.graph.arrives(ADA, json!({ "subject": "1" }));
    hub.mails(1).await;
    assert!(site.graph.subscriptions().is_empty());
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_settings_want_another_subscription() {
    let mut site = Site::new("").await;
    let hub = site.started().await;
    let before = site.graph.subscriptions().remove(0);
    assert!(
        before
            .lifecycle_url
            .as_deref()
            .unwrap()
            .ends_with("/v1/hooks/outlook/lifecycle")
    );
    hub.stop().await;
    let certificate = crate::hub::key_file("mail.pem");
    site.configured(&format!("encryption_certificate = {certificate:?}"));
    let hub = site.start().await;
    let old = before.id.clone();
    let is_replaced = move |graph: &graph_double::GraphDouble| {
        let all = graph.subscriptions();
        all.len() == 1 && all[0].id != old
    };
    site.graph.until("it is replaced", is_replaced).await;
    let after: Value = json!(site.graph.subscriptions()[0].resource);
    assert!(after.as_str().unwrap().contains("?$select=id,"), "{after}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_that_nothing_wants_any_more_are_deleted() {
    let mut site = Site::new("").await;
    let hub = site.started().await;
    let before = site.graph.subscriptions().remove(0);
    hub.stop().await;
    site.configured("folder = \"archive\"");
    site.graph.fail(fault("subscription.delete", 503, 1));
    let hub = site.start().await;
    let old = before.id.clone();
    let is_gone = move |graph: &graph_double::GraphDouble| {
        let all = graph.subscriptions();
        all.len() == 1 && all[0].id != old
    };
    site.graph.until("the one of before is gone", is_gone).await;
    assert!(site.graph.subscriptions()[0].resource.contains("archive"));
    hub.stop().await;
    // That is done once, and the one that is wanted is left alone.
    let deleted = site.graph.count("subscription.delete");
    let hub = site.started().await;
    site.graph.arrives(ADA, json!({}));
    hub.mails(1).await;
    assert_eq!(site.graph.count("subscription.delete"), deleted);
    hub.stop().await;
    // Where mail is polled none is wanted.
    site.has_webhook = false;
    let hub = site.start().await;
    let is_gone = |graph: &graph_double::GraphDouble| graph.subscriptions().is_empty();
    site.graph.until("none is left", is_gone).await;
    hub.stop().await;
}
