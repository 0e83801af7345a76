//! Mail that comes along with notifications: opened when Graph sent it, and not believed otherwise.

use graph_double::{PUBLISHER, Tampered};
use serde_json::{Value, json};

use crate::hub::{ADA, Hub, MAIL, Site, key_file};

async fn site() -> (Site, Hub) {
    let certificate = key_file("mail.pem");
    let site = Site::new(&format!("encryption_certificate = {certificate:?}")).await;
    let hub = site.started().await;
    (site, hub)
}

/// A mail arrives: why nothing became of it.
async fn refusal(site: &Site, hub: &Hub) -> String {
    let before = hub.dead().await.len();
    let id = site.graph.arrives(ADA, json!({}));
    hub.notified_of(&id).await;
    let dead = hub.dead().await;
    assert_eq!(dead.len(), before + 1);
    dead.last().expect("a dead letter").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_mail_is_opened_and_not_fetched() {
    let (site, hub) = site().await;
    let long = "p".repeat(200);
    site.graph.arrives(
        ADA,
        json!({ "subject": "Sealed é", "bodyPreview": long, "importance": "high" }),
    );
    let mail = hub.mails(1).await.remove(0);
    assert_eq!((mail.subject.as_str(), mail.preview), ("Sealed é", long));
    site.graph.arrives(ADA, json!({ "subject": "Again" }));
    hub.mails(2).await;
    assert_eq!(site.graph.count("message.get"), 0);
    assert_eq!(site.graph.count("keys"), 1, "keys are kept");
    let kept = serde_json::to_string(&site.graph.deliveries()[0].body).unwrap();
    assert!(!kept.contains("Sealed"), "nobody on the way reads it");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_on_the_way_is_not_believed() {
    let (site, hub) = site().await;
    for (tampered, told) in [
        (
            Tampered::Data,
            "the dataSignature of a sealed mail is wrong",
        ),
        (
            Tampered::Signature,
            "the dataSignature of a sealed mail is wrong",
        ),
        (Tampered::Key, "the dataKey of a sealed mail does not open"),
    ] {
        site.graph
            .behave(|behaviour| behaviour.tampered = Some(tampered));
        assert_eq!(refusal(&site, &hub).await, told, "{tampered:?}");
    }
    assert_eq!(hub.so_far(MAIL).len(), 0);
    assert_eq!(site.graph.count("message.get"), 0);
    hub.says("the dataKey of a sealed mail does not open").await;
    // Sealed for a certificate of before: not opened, and not lost.
    site.graph
        .behave(|behaviour| behaviour.tampered = Some(Tampered::Certificate));
    site.graph.arrives(ADA, json!({ "subject": "Of before" }));
    assert_eq!(hub.mails(1).await[0].subject, "Of before");
    assert_eq!(site.graph.count("message.get"), 1);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_graphs_own_tokens_for_this_app_are_believed() {
    let (site, hub) = site().await;
    let now = chrono::Utc::now().timestamp();
    for (claims, told) in [
        (
            json!({ "exp": now - 600 }),
            "a validation token has expired",
        ),
        (
            json!({ "nbf": now + 600 }),
            "a validation token holds only later",
        ),
        (
            json!({ "aud": "another-app" }),
            "a validation token is meant for another app",
        ),
        (
            json!({ "aud": ["a", "b"] }),
            "a validation token is meant for another app",
        ),
        (
            json!({ "iss": "https://evil.example/v2.0" }),
            "a validation token is of another issuer",
        ),
        (
            json!({ "azp": "another-sender" }),
            "a validation token is not of Microsoft Graph",
        ),
        (
            json!({ "azp": null, "appid": "other" }),
            "a validation token is not of Microsoft Graph",
        ),
        (
            json!({ "exp": "soon" }),
            "a validation token does not read as one",
        ),
    ] {
        site.graph
            .behave(|behaviour| behaviour.claims = claims.clone());
        assert_eq!(refusal(&site, &hub).await, told, "{claims}");
    }
    assert_eq!(hub.so_far(MAIL).len(), 0);
    // As version 1 of the tokens has it.
    site.graph
        .behave(|behaviour| behaviour.claims = json!({ "azp": null, "appid": PUBLISHER }));
    site.graph.arrives(ADA, json!({}));
    hub.mails(1).await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_tokens_are_not_believed() {
    let (site, hub) = site().await;
    site.graph.holds();
    let id = site.graph.arrives(ADA, json!({}));
    let mut taken = Value::Null;
    site.graph
        .releases(true, |held| taken = held.remove(0)["notification"].take());
    let good = site.graph.validation_token(&Value::Null);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let other = site
        .graph
        .validation_token(&json!({ "aud": "another-app" }));
    // {"alg":"none"}, and a key that does not exist.
    let none = "eyJhbGciOiJub25lIn0";
    let unknown = "eyJhbGciOiJSUzI1NiIsImtpZCI6InVua25vd24ifQ";
    let unsigned = "a validation token is not signed by Microsoft";
    let otherwise = "a validation token is signed in another way than RS256";
    let flipped = format!(
        "{}{}",
        if signature.starts_with('A') { 'B' } else { 'A' },
        &signature[1..]
    );
    for (n, (tokens, told)) in [
        (vec![format!("{signed}.{flipped}")], unsigned),
        (
            vec![format!(
                "{header}.{}.{signature}",
                other.split('.').nth(1).unwrap()
            )],
            unsigned,
        ),
        (vec![format!("{unknown}.{claims}.{signature}")], unsigned),
        (vec![format!("{none}.{claims}.")], otherwise),
        (
            vec!["no.token".to_owned()],
            "a validation token does not read as one",
        ),
        (vec![good.clone(), format!("{signed}.{flipped}")], unsigned),
        (vec![], "a sealed mail came without a validation token"),
    ]
    .into_iter()
    .enumerate()
    {
        // Each a version of its own, or it would be known already.
        taken["resourceData"]["@odata.etag"] = json!(format!("W/\"forged-{n}\""));
        let body = json!({ "value": [taken], "validationTokens": tokens });
        assert_eq!(site.posts("", body.to_string()).await.0, 202);
        hub.events(crate::hub::NOTIFICATION, n + 1).await;
        let last = hub.so_far(crate::hub::NOTIFICATION).pop().unwrap();
        hub.host.wait_processed(last.event_id).await.unwrap();
        assert_eq!(hub.dead().await.last().unwrap(), told);
    }
    assert_eq!(hub.so_far(MAIL).len(), 0);
    // The same with the right token.
    taken["resourceData"]["@odata.etag"] = json!("W/\"right\"");
    let body = json!({ "value": [taken], "validationTokens": [good] });
    assert_eq!(site.posts("", body.to_string()).await.0, 202);
    assert_eq!(hub.mails(1).await[0].message_id, id);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_cannot_be_had_now_are_asked_for_later() {
    let (site, hub) = site().await;
    site.graph.fail(graph_double::Fault {
        what: "keys".to_owned(),
        status: 503,
        retry_after: None,
        times: 1,
    });
    site.graph.arrives(ADA, json!({ "subject": "Waits" }));
    assert_eq!(hub.mails(1).await[0].subject, "Waits");
    assert_eq!(hub.dead().await, Vec::<String>::new());
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn genuine_mail_that_does_not_read_is_fetched() {
    let (site, hub) = site().await;
    // What is sealed need not name the message: the notification does.
    site.graph
        .behave(|behaviour| behaviour.sealed = json!({ "id": null }));
    let id = site.graph.arrives(ADA, json!({}));
    assert_eq!(hub.mails(1).await[0].message_id, id);
    assert_eq!(site.graph.count("message.get"), 0);
    site.graph
        .behave(|behaviour| behaviour.sealed = json!({ "hasAttachments": "perhaps" }));
    let id = site.graph.arrives(ADA, json!({}));
    assert_eq!(hub.mails(2).await[1].message_id, id);
    assert_eq!(site.graph.count("message.get"), 1);
    assert_eq!(hub.dead().await, Vec::<String>::new());
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_may_be_written_in_either_way_and_one_that_is_none_is_told_of_at_once() {
    let certificate = key_file("mail.pem");
    let mut site = Site::new(&format!("encryption_certificate = {certificate:?}")).await;
    // A certificate, and no key.
    site.key = "mail.pem";
    let hub = site.start().await;
    hub.says("`encryption_key` under [plugins.outlook.secrets]")
        .await;
    assert_eq!(site.graph.count("subscription.create"), 0);
    hub.stop().await;
    site.key = "mail-key-pkcs1.pem";
    let hub = site.started().await;
    site.graph.arrives(ADA, json!({ "subject": "Sealed" }));
    assert_eq!(hub.mails(1).await[0].subject, "Sealed");
    assert_eq!(site.graph.count("message.get"), 0);
    hub.stop().await;
}
