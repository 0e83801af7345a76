//! Who is to know is told, whatever it is that fails, and what that leads to raises no other alert.

use std::time::{Duration, Instant};

use nexus_tests::followed::Followed;
use nexus_tests::hub::{HubBuilder, eventually};
use nexus_tests::toasty::{ToastyServer, journal};
use serde_json::{Value, json};

use super::{Desk, LIMIT, alert, alerts, command, raised, receiver, told_by_http};

/// A target of the plugin `http` at which nobody is, and a route that goes there, naming it in this way.
async fn unreachable(named: &str) -> String {
    let nowhere = Desk::nowhere().await;
    format!(
        "[plugins.http.config.targets.erp]\nurl = \"http://{nowhere}/\"\n\
         [[routes]]\nname = \"erp\"\ntypes = [\"mail.received\"]\n\
         [[routes.actions]]\nnotify = \"http\"\n{named}\n"
    )
}

fn mails(count: usize) -> Value {
    let mail = json!({ "type": "mail.received", "source": "outlook", "payload": {} });
    json!(vec![mail; count])
}

#[tokio::test]
async fn a_receiver_is_told_that_another_system_behind_its_integration_fails() {
    for named in [
        "target = \"erp\"\nrequest = {}",
        "request = { target = \"erp\" }",
    ] {
        let desk = Desk::start().await;
        let config = format!("{}{}", unreachable(named).await, receiver(desk.address));
        let hub = told_by_http(&config).contract("mail.received").start();
        let begun = Instant::now();
        hub.publish(&mails(6)).await;
        raised(&hub, "breaker_open", begun).await;
        let told = desk.wait_for("nexus.alert.raised").await;
        assert!(told["title"].to_string().contains("http/http"), "{told:#}");
        assert!(
            begun.elapsed() <= LIMIT,
            "{named}: told after {:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn a_receiver_that_is_down_is_not_told_so_and_the_others_are() {
    let desk = Desk::start().await;
    let nowhere = Desk::nowhere().await;
    let config = format!(
        "{}[plugins.http.config.targets.pager]\nurl = \"http://{nowhere}/\"\n\
         [[alerts.receivers]]\nname = \"pager\"\nnotify = \"http\"\nrequest = {{ target = \"pager\" }}\n\
         [breaker]\nfailures = 1\n[retry]\ndelays = [\"100ms\"]\n",
        receiver(desk.address)
    );
    let hub = told_by_http(&config).start();
    let followed = Followed::of(&hub).await;
    command(&hub, "error_permanent", 1).await;
    let of_pager = followed
        .wait_for("the pager is down", |event| {
            event["type"] == "nexus.alert.raised" && event["payload"]["rule"] == "breaker_open"
        })
        .await;
    let subject = &of_pager["payload"]["alerts"][0]["subject"];
    assert_eq!(subject, "http/http@alerts/pager", "{of_pager:#}");
    assert_eq!(
        of_pager["payload"]["receivers"],
        json!(["desk"]),
        "{of_pager:#}"
    );
    eventually("the desk is told", || async {
        let told = desk.told();
        told.iter()
            .any(|one| one["title"].to_string().contains("alerts/pager"))
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn that_the_queue_is_full_is_told_while_it_is() {
    for when_full in ["reject", "wait", "drop_lowest"] {
        let desk = Desk::start().await;
        let config = format!(
            "{}[queue]\ncapacity = 5\nwhen_full = \"{when_full}\"\nwait_timeout = \"1m\"\n",
            receiver(desk.address)
        );
        let hub = told_by_http(&config).start();
        let slow = json!({ "type": "probe.command", "source": "test", "priority": "critical",
                           "payload": { "action": "sleep_ms", "ms": 10_000 } });
        let events = json!(vec![slow; 8]);
        let begun = Instant::now();
        let told = eventually("it is told", || async {
            let mut told = desk.told().into_iter();
            told.find(|one| one["title"] == "the queue fills up")
        });
        // Whoever waits for room goes on waiting.
        let full = async {
            hub.publish(&events).await;
            std::future::pending().await
        };
        tokio::select! {
            _ = told => {}
            () = full => {}
        }
        assert!(
            begun.elapsed() <= LIMIT,
            "{when_full}: told after {:?}",
            begun.elapsed()
        );
        let (_, queue) = hub.get("/v1/admin/queue").await;
        assert!(
            queue["depth"].as_u64() >= Some(5),
            "{when_full}: it is full still: {queue:#}"
        );
    }
}

#[tokio::test]
async fn whoever_chooses_a_target_s_name_does_not_choose_that_nobody_is_told() {
    let desk = Desk::start().await;
    let nowhere = Desk::nowhere().await;
    let config = format!(
        "{}[limits]\nsuspicious = \"refuse\"\n\
         [plugins.http.config.targets.\"../../etc/passwd<script>alert(1)</script>\"]\nurl = \"http://{nowhere}/\"\n\
         [[routes]]\nname = \"erp\"\ntypes = [\"mail.received\"]\n[[routes.actions]]\nnotify = \"http\"\n\
         target = \"../../etc/passwd<script>alert(1)</script>\"\nrequest = {{}}\n",
        receiver(desk.address)
    );
    let hub = told_by_http(&config).contract("mail.received").start();
    hub.publish(&mails(6)).await;
    let told = desk.wait_for("nexus.alert.raised").await;
    assert!(told["title"].to_string().contains("<script>"), "{told:#}");
}

#[tokio::test]
async fn what_a_route_makes_of_an_alert_and_fails_raises_no_other() {
    let config = r#"
[[alerts.rules]]
name = "dead_letters"
clear_for = "1s"
[[routes]]
name = "remember"
types = ["nexus.alert.*"]
[[routes.actions]]
emit = { type = "probe.command", payload = { action = "error_permanent" } }
"#;
    let hub = HubBuilder::new().config(config).plugin("probe").start();
    let followed = Followed::of(&hub).await;
    command(&hub, "error_permanent", 1).await;
    followed.first("nexus.alert.raised").await;
    eventually("what follows is a dead letter, too", || async {
        let (_, letters) = hub.get("/v1/admin/dead-letters").await;
        (letters["dead_letters"].as_array()?.len() >= 2).then_some(())
    })
    .await;
    // Looks at which it would be found.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let of_letters = alerts(&hub).await;
    let of_letters = of_letters.iter().find(|one| one["rule"] == "dead_letters");
    assert_eq!(of_letters.unwrap()["value"], 1.0, "{of_letters:#?}");
}

#[tokio::test]
async fn a_toast_is_shown_as_the_documentation_has_it() {
    let documented =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/alerts.md")).unwrap();
    let (_, from) = documented
        .split_once("[[alerts.receivers]]\nname = \"desk\"")
        .unwrap();
    let (written, _) = from.split_once("\n\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("toasty.jsonl");
    let toasty = ToastyServer::start(&file);
    let config = format!(
        "[plugins.toasty.config]\nendpoint = \"{}\"\n[[alerts.receivers]]\nname = \"desk\"{written}\n\
         [[alerts.rules]]\nname = \"plugin_failed\"\nclear_for = \"1s\"\n",
        toasty.endpoint()
    );
    let hub = HubBuilder::new()
        .config(&config)
        .plugin("toasty")
        .plugin("probe")
        .start();
    let begun = Instant::now();
    command(&hub, "error_permanent", 1).await;
    let shown = eventually("the toast is shown", || async {
        let calls = journal(&file).into_iter();
        let mut shows = calls.filter(|line| line["call"] == "Show");
        shows.next().map(|show| show["request"].clone())
    })
    .await;
    assert!(
        begun.elapsed() <= LIMIT,
        "shown after {:?}",
        begun.elapsed()
    );
    assert_eq!(
        shown["title"], "work was given up as dead letters",
        "{shown:#}"
    );
    assert_eq!(
        shown["body"], "work was given up as dead letters: 1",
        "{shown:#}"
    );
    let raised = alert(&hub, "dead_letters", "firing").await;
    assert_eq!(shown["tag"], raised["group_id"], "{shown:#}");
}
