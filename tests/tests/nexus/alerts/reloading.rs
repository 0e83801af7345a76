//! `[alerts]` changes while the hub runs, and what is known stays.

use nexus_tests::followed::Followed;
use nexus_tests::hub::{Hub, eventually};
use serde_json::json;

use super::{Desk, PATH, alert, alerts, command, receiver, told_by_http};

/// Applies another configuration.
async fn become_that(hub: &Hub, from: &str, to: &str) {
    let file = hub.folder().join("nexus.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    assert!(before.contains(from), "{before}");
    std::fs::write(&file, before.replace(from, to)).unwrap();
    let (status, plan) = hub.send(hub.request("POST", "/v1/admin/reload")).await;
    assert_eq!(status, 200, "{plan:#}");
    assert_eq!(plan["needs_restart"], json!([]), "{plan:#}");
}

#[tokio::test]
async fn rules_and_receivers_come_and_go_while_alerts_stay() {
    let desk = Desk::start().await;
    let hub = told_by_http("# here").start();
    command(&hub, "error_permanent", 1).await;
    let before = alert(&hub, "dead_letters", "firing").await;
    // Of the same failure, by a rule that comes; told to somebody who comes as well.
    let rule = "[[alerts.rules]]\nname = \"mine\"\nsignal = \"dead_letters\"\nabove = 0.0\n";
    become_that(&hub, "# here", &format!("{}{rule}", receiver(desk.address))).await;
    alert(&hub, "mine", "firing").await;
    let told = desk.wait_for("nexus.alert.raised").await;
    assert_eq!(told["title"], "work was given up as dead letters");
    let after = alert(&hub, "dead_letters", "firing").await;
    assert_eq!(before["id"], after["id"], "it is the same");
    // Without its rule it is over.
    become_that(&hub, rule, "").await;
    alert(&hub, "mine", "resolved").await;
    // One that watches something else now is another.
    let other = "[[alerts.rules]]\nname = \"dead_letters\"\nsignal = \"queue_fill\"\nabove = 0.9\n";
    become_that(
        &hub,
        "[[alerts.receivers]]",
        &format!("{other}[[alerts.receivers]]"),
    )
    .await;
    alert(&hub, "dead_letters", "resolved").await;
}

#[tokio::test]
async fn the_hub_stops_watching_itself_and_begins_again() {
    let hub = told_by_http("[alerts]\nenabled = true\n").start();
    let followed = Followed::of(&hub).await;
    command(&hub, "error_permanent", 1).await;
    followed.first("nexus.alert.raised").await;
    become_that(&hub, "enabled = true", "enabled = false").await;
    alert(&hub, "dead_letters", "resolved").await;
    let (_, rules) = hub.get(&format!("{PATH}/rules")).await;
    assert_eq!(rules, json!({ "enabled": false, "rules": [] }));
    followed.first("nexus.alert.resolved").await;
    become_that(&hub, "enabled = false", "enabled = true").await;
    command(&hub, "error_permanent", 1).await;
    eventually("it is raised once more", || async {
        let all = alerts(&hub).await;
        let is_letters = |one: &&serde_json::Value| one["rule"] == "dead_letters";
        (all.iter().filter(is_letters).count() == 2).then_some(())
    })
    .await;
}
