//! What no notification brought: found by asking for changes, without doubling what was brought.

use graph_double::{Fault, GraphDouble, Lifecycle};
use serde_json::json;

use crate::hub::{ADA, MAIL, Site};

fn subjects(mails: &[outlook::MailReceived]) -> Vec<&str> {
    let mut subjects: Vec<&str> = mails.iter().map(|mail| mail.subject.as_str()).collect();
    subjects.sort_unstable();
    subjects
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missed_mail_is_found_and_nothing_is_doubled() {
    let site = Site::new("").await;
    site.graph.arrives(
        ADA,
        json!({ "subject": "0: of before", "receivedDateTime": "2020-01-01T00:00:00Z" }),
    );
    site.graph.behave(|behaviour| behaviour.page_size = 2);
    let hub = site.started().await;
    site.graph.arrives(ADA, json!({ "subject": "1: told" }));
    hub.mails(1).await;
    for n in 2..7 {
        site.graph
            .arrives_unnoticed(ADA, json!({ "subject": format!("{n}: not told") }));
    }
    let id = site.graph.subscriptions()[0].id.clone();
    site.graph.tells(&id, Lifecycle::Missed);
    let mails = hub.mails(6).await;
    assert_eq!(subjects(&mails)[0], "1: told");
    // Several times more; the last round is over when a mail of after it is there.
    site.graph.tells(&id, Lifecycle::Missed);
    site.graph
        .arrives_unnoticed(ADA, json!({ "subject": "7: not told" }));
    site.graph.tells(&id, Lifecycle::Missed);
    hub.mails(7).await;
    assert_eq!(hub.so_far(MAIL).len(), 7);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_graph_has_forgotten_begins_anew_without_doubling() {
    let site = Site::new("").await;
    let before = chrono::Utc::now() - chrono::TimeDelta::minutes(1);
    site.graph.arrives(
        ADA,
        json!({ "subject": "0: of before", "receivedDateTime": before.to_rfc3339() }),
    );
    let hub = site.started().await;
    let id = site.graph.subscriptions()[0].id.clone();
    let mut first = None;
    // As the mail service says it, and as other parts of Graph do.
    for (round, status) in (1..).zip([410, 400, 404]) {
        site.graph
            .behave(|behaviour| behaviour.forgotten_delta = status);
        site.graph.forgets_delta();
        let id_of_mail = site
            .graph
            .arrives_unnoticed(ADA, json!({ "subject": round.to_string() }));
        first.get_or_insert(id_of_mail);
        site.graph.tells(&id, Lifecycle::Missed);
        hub.mails(round).await;
        assert_eq!(
            site.graph.count("message.delta.refused"),
            round as u64,
            "{status}"
        );
    }
    // Nor when somebody on the way has written into one meanwhile.
    let warned = json!({ "subject": "1 [external]" });
    site.graph.changes(ADA, &first.unwrap(), warned);
    site.graph.forgets_delta();
    site.graph.arrives_unnoticed(ADA, json!({ "subject": "4" }));
    site.graph.tells(&id, Lifecycle::Missed);
    assert_eq!(subjects(&hub.mails(4).await), ["1", "2", "3", "4"]);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_lead_to_the_configured_server_whichever_they_name() {
    let mut site = Site::without_webhook("poll_interval = \"1s\"").await;
    let elsewhere = GraphDouble::start().await;
    // Behind a gateway, a server knows itself by another name.
    site.graph.behave(|behaviour| {
        behaviour.page_size = 2;
        behaviour.links = Some(elsewhere.url());
    });
    let hub = site.started().await;
    for n in 1..6 {
        site.graph.arrives(ADA, json!({ "subject": n.to_string() }));
    }
    assert_eq!(subjects(&hub.mails(5).await), ["1", "2", "3", "4", "5"]);
    assert_eq!(elsewhere.count("message.delta"), 0);
    hub.stop().await;
    // As is the place that was kept when another server was configured.
    site.graph.behave(|behaviour| behaviour.links = None);
    let before = std::mem::replace(&mut site.graph, elsewhere);
    let rounds = before.count("message.delta");
    site.graph.forgets_delta();
    let hub = site.started().await;
    site.graph.arrives(ADA, json!({ "subject": "6" }));
    assert_eq!(hub.mails(1).await[0].subject, "6");
    assert_eq!(before.count("message.delta"), rounds);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_while_the_hub_was_away_is_there_when_it_is_back() {
    let site = Site::new("").await;
    let hub = site.started().await;
    site.graph.arrives(ADA, json!({ "subject": "1" }));
    hub.mails(1).await;
    site.front.leads_to(None);
    hub.stop().await;
    for n in 2..5 {
        site.graph
            .arrives_unnoticed(ADA, json!({ "subject": n.to_string() }));
    }
    let hub = site.start().await;
    assert_eq!(subjects(&hub.mails(3).await), ["2", "3", "4"]);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_ends_in_the_middle_loses_nothing() {
    let site = Site::new("").await;
    let hub = site.started().await;
    // Kept, and not yet fetched: Graph has no time for it.
    site.graph.fail(Fault {
        what: "message.get".to_owned(),
        status: 429,
        retry_after: Some(1),
        times: 1,
    });
    let id = site.graph.arrives(ADA, json!({ "subject": "Kept" }));
    site.graph
        .until("it was kept and asked for", |graph| {
            let taken = graph.deliveries();
            graph.count("message.get.refused") == 1
                && taken.iter().any(|one| one.status == Some(202))
        })
        .await;
    hub.dies(&site).await;
    // It is not to be found in another way.
    site.graph.fail(Fault {
        what: "message.delta".to_owned(),
        status: 503,
        retry_after: None,
        times: u32::MAX,
    });
    let hub = site.start().await;
    let mail = hub.mails(1).await.remove(0);
    assert_eq!(mail.message_id, id);
    assert_eq!(hub.so_far(MAIL).len(), 1);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_public_address_mail_is_polled() {
    let site = Site::without_webhook("poll_interval = \"1s\"").await;
    let hub = site.started().await;
    site.graph.arrives(ADA, json!({ "subject": "1" }));
    hub.mails(1).await;
    let id = site.graph.arrives(ADA, json!({ "subject": "2" }));
    hub.mails(2).await;
    // Read, which is no news; and one more that is.
    site.graph.changes(ADA, &id, json!({ "isRead": true }));
    site.graph.fail(Fault {
        what: "message.delta".to_owned(),
        status: 429,
        retry_after: Some(1),
        times: 1,
    });
    site.graph.arrives(ADA, json!({ "subject": "3" }));
    assert_eq!(subjects(&hub.mails(3).await), ["1", "2", "3"]);
    assert_eq!(hub.so_far(MAIL).len(), 3);
    assert!(site.graph.subscriptions().is_empty());
    assert_eq!(
        site.posts("?validationToken=x", "").await.0,
        404,
        "nobody posts here"
    );
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_link_changes_are_asked_for_by_time() {
    let site = Site::without_webhook("poll_interval = \"1s\"").await;
    site.graph.behave(|behaviour| {
        behaviour.page_size = 1;
        behaviour.delta_link = false;
    });
    let hub = site.started().await;
    for n in 1..4 {
        site.graph.arrives(ADA, json!({ "subject": n.to_string() }));
        hub.mails(n).await;
    }
    assert_eq!(subjects(&hub.mails(3).await), ["1", "2", "3"]);
    hub.stop().await;
}
