//! Alerts from outside: each failure happens for real, and is raised, told and over as it should.

mod finding;
mod reloading;
mod telling;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use nexus_tests::followed::Followed;
use nexus_tests::hub::{Hub, HubBuilder, eventually};
use nexus_tests::scrape::Scrape;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const PATH: &str = "/v1/admin/alerts";

/// A hub that can fail on request, and tell others of it by HTTP.
fn told_by_http(config: &str) -> HubBuilder {
    let builder = HubBuilder::new().config(config);
    builder.plugin("probe").plugin("http_plugin")
}

/// What a failure may take from its beginning until it is raised.
const LIMIT: Duration = Duration::from_secs(5);

/// Alerts are over soon, so that tests are.
const SOON: &str = r#"
[[alerts.rules]]
name = "breaker_open"
clear_for = "1s"
[[alerts.rules]]
name = "plugin_failed"
clear_for = "1s"
[[alerts.rules]]
name = "queue_full"
clear_for = "1s"
"#;

/// A system that is told of alerts, or fails at it.
struct Desk {
    address: SocketAddr,
    told: Arc<Mutex<Vec<Value>>>,
    server: JoinHandle<()>,
}

impl Desk {
    async fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap()).await
    }

    async fn at(address: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let told: Arc<Mutex<Vec<Value>>> = Arc::default();
        let hear = |State(told): State<Arc<Mutex<Vec<Value>>>>, Json(body): Json<Value>| async move {
            told.lock().push(body);
            StatusCode::NO_CONTENT
        };
        let router = Router::new()
            .route("/", post(hear))
            .with_state(told.clone());
        Self {
            address: listener.local_addr().unwrap(),
            told,
            server: tokio::spawn(async move {
                let _ = axum::serve(listener, router).await;
            }),
        }
    }

    /// Where nobody is.
    async fn nowhere() -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }

    fn told(&self) -> Vec<Value> {
        self.told.lock().clone()
    }

    async fn wait_for(&self, event_type: &str) -> Value {
        eventually(&format!("the desk is told {event_type}"), || async {
            self.told()
                .into_iter()
                .find(|one| one["type"] == event_type)
        })
        .await
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The configuration of a receiver at an address, by the plugin `http`.
fn receiver(address: SocketAddr) -> String {
    format!(
        r#"
[plugins.http.config.targets.desk]
url = "http://{address}/"
[[alerts.receivers]]
name = "desk"
notify = "http"
request = {{ target = "desk", body = {{ type = "{{{{ event.type }}}}", title = "{{{{ payload.title }}}}", count = "{{{{ payload.count }}}}", severity = "{{{{ payload.severity }}}}" }} }}
"#
    )
}

async fn alerts(hub: &Hub) -> Vec<Value> {
    let (status, answer) = hub.get(PATH).await;
    assert_eq!(status, 200, "{answer:#}");
    answer["alerts"].as_array().unwrap().clone()
}

/// Waits until an alert of a rule stands so.
async fn alert(hub: &Hub, rule: &str, status: &str) -> Value {
    eventually(&format!("{rule} is {status}"), || async {
        let mut alerts = alerts(hub).await.into_iter();
        alerts.find(|one| one["rule"] == rule && one["status"] == status)
    })
    .await
}

/// The same, within what a failure may take from `begun` on.
async fn raised(hub: &Hub, rule: &str, begun: Instant) -> Value {
    let alert = alert(hub, rule, "firing").await;
    let took = begun.elapsed();
    eprintln!("{rule}: raised after {took:?}");
    assert!(took <= LIMIT, "{rule}: {took:?}");
    alert
}

async fn command(hub: &Hub, action: &str, times: usize) {
    let event =
        json!({ "type": "probe.command", "source": "test", "payload": { "action": action } });
    let events = vec![event; times];
    let (status, answer) = hub.publish(&json!(events)).await;
    assert!(status == 202 || status == 207, "{answer:#}");
}

#[tokio::test]
async fn breakers_that_open_are_told_once_and_so_is_that_they_are_closed() {
    let nowhere = Desk::nowhere().await;
    let desk = Desk::start().await;
    let mut config = format!(
        "{}{SOON}[breaker]\nopen_for = \"1s\"\nramp = \"0s\"\n[plugins.probe.config]\ncourier = \"http://{nowhere}/\"\n",
        receiver(desk.address)
    );
    for number in 0..20 {
        config.push_str(&format!(
            "[[routes]]\nname = \"route-{number}\"\ntypes = [\"mail.received\"]\n\
             [[routes.actions]]\nnotify = \"courier\"\ntarget = \"target-{number}\"\nrequest = {{}}\n"
        ));
    }
    let hub = told_by_http(&config).contract("mail.received").start();
    let followed = Followed::of(&hub).await;
    let mail = json!({ "type": "mail.received", "source": "outlook", "payload": {} });
    let begun = Instant::now();
    hub.publish(&json!(vec![mail; 6])).await;
    raised(&hub, "breaker_open", begun).await;
    let told = desk.wait_for("nexus.alert.raised").await;
    let took = begun.elapsed();
    assert!(took <= LIMIT, "told after {took:?}");
    assert_eq!(told["severity"], "warning");
    let event = followed.first("nexus.alert.raised").await;
    assert_eq!(event["source"], "nexus", "{event:#}");
    eventually("all are open", || async {
        let open = alerts(&hub).await;
        (open
            .iter()
            .filter(|one| one["rule"] == "breaker_open")
            .count()
            >= 20)
            .then_some(())
    })
    .await;
    // The cause is gone, and the breakers close by themselves.
    let server = Desk::at(nowhere).await;
    let over = desk.wait_for("nexus.alert.resolved").await;
    assert_eq!(over["count"], told["count"], "{over:#}");
    alert(&hub, "breaker_open", "resolved").await;
    let of_breakers = |one: &&Value| {
        one["title"]
            .as_str()
            .is_some_and(|title| title.contains("breaker"))
    };
    let all = desk.told();
    assert_eq!(all.iter().filter(of_breakers).count(), 2, "{all:#?}");
    drop(server);
}

#[tokio::test]
async fn dead_letters_and_failing_attempts_are_raised() {
    let hub = HubBuilder::new().plugin("probe").start();
    let counted = async |severity| {
        let scrape = Scrape::of(&hub).await;
        scrape.sum("nexus_alerts_active", &[("severity", severity)])
    };
    assert_eq!(counted("warning").await, Some(0.0));
    let begun = Instant::now();
    command(&hub, "error_permanent", 40).await;
    let alert = raised(&hub, "dead_letters", begun).await;
    assert_eq!(alert["severity"], "warning", "{alert:#}");
    let alert = raised(&hub, "most_fail", begun).await;
    assert_eq!(alert["severity"], "critical", "{alert:#}");
    assert!(alert["value"].as_f64() > Some(0.5), "{alert:#}");
    assert_eq!(counted("critical").await, Some(1.0));
    assert!(counted("warning").await >= Some(1.0));
    let (_, rules) = hub.get(&format!("{PATH}/rules")).await;
    let rules = rules["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["name"] == "dead_letters"));
}

#[tokio::test]
async fn a_plugin_that_does_not_work_is_raised_and_over_when_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let health = folder.path().join("health");
    let config = format!(
        "{SOON}[plugins.probe.config]\nhealth = '{}'\n",
        health.display()
    );
    let hub = HubBuilder::new().config(&config).plugin("probe").start();
    alert_none(&hub).await;
    std::fs::write(&health, "failed out of paper").unwrap();
    // Somebody looks at the plugins, so that they are asked.
    let failed_at = eventually("the plugin has failed", || async {
        let (_, plugins) = hub.get("/v1/admin/plugins").await;
        let plugin = plugins["plugins"].as_array()?.first()?.clone();
        let state = plugin["state"].as_str()?;
        let since: DateTime<Utc> = plugin["since"].as_str()?.parse().ok()?;
        (state != "ready").then_some(since)
    })
    .await;
    let alert_of = alert(&hub, "plugin_failed", "firing").await;
    assert_eq!(alert_of["subject"], "probe");
    let since: DateTime<Utc> = alert_of["since"].as_str().unwrap().parse().unwrap();
    let took = (since - failed_at).to_std().unwrap_or_default();
    assert!(took <= LIMIT, "{took:?}");
    std::fs::remove_file(&health).unwrap();
    eventually("it is over", || async {
        hub.get("/v1/admin/plugins").await;
        let all = alerts(&hub).await;
        all.iter()
            .all(|one| one["rule"] != "plugin_failed" || one["status"] == "resolved")
            .then_some(())
    })
    .await;
}

async fn alert_none(hub: &Hub) {
    let all = alerts(hub).await;
    assert!(all.is_empty(), "{all:#?}");
}

#[tokio::test]
async fn a_queue_that_fills_up_and_events_that_take_long_are_raised() {
    let config = format!(
        "{SOON}[queue]\ncapacity = 25\n\
         [[alerts.rules]]\nname = \"latency\"\nabove = 0.3\n\
         [[alerts.rules]]\nname = \"queue_wait\"\nabove = 1.0\n"
    );
    let hub = HubBuilder::new().config(&config).plugin("probe").start();
    // All in one lane, so that each waits for the one before.
    let slow = json!({ "type": "probe.command", "source": "test", "payload": { "action": "sleep_ms", "ms": 400 } });
    let begun = Instant::now();
    hub.publish(&json!(vec![slow; 24])).await;
    raised(&hub, "queue_full", begun).await;
    raised(&hub, "queue_wait", begun).await;
    alert(&hub, "latency", "firing").await;
    alert(&hub, "queue_full", "resolved").await;
}

#[tokio::test]
async fn traffic_that_stops_is_raised() {
    let config = "[[alerts.rules]]\nname = \"throughput\"\nbelow = 5.0\n";
    let hub = HubBuilder::new().config(config).plugin("probe").start();
    let event = json!({ "type": "probe.ping", "source": "test", "payload": { "n": 1 } });
    let events = json!(vec![event; 100]);
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        hub.publish(&events).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    alert_none(&hub).await;
    raised(&hub, "throughput", Instant::now()).await;
}

#[tokio::test]
async fn who_takes_notice_and_what_is_silent_stops_what_is_told() {
    let desk = Desk::start().await;
    let config = format!(
        "{}[[alerts.escalation]]\nafter = \"3s\"\n[[alerts.escalation]]\nafter = \"6s\"\n",
        receiver(desk.address)
    );
    let hub = told_by_http(&config).start();
    // Of what is silent nobody is told.
    let silence = json!({ "rule": "most_*", "lasting": "1h", "note": "known" });
    let request = hub.request("POST", &format!("{PATH}/silences"));
    let (status, silence) = hub.send(request.json(&silence)).await;
    assert_eq!(status, 201, "{silence:#}");
    command(&hub, "error_permanent", 40).await;
    let told = desk.wait_for("nexus.alert.raised").await;
    assert_eq!(told["title"], "work was given up as dead letters");
    let silent = alert(&hub, "most_fail", "firing").await;
    assert_eq!(silent["silenced_by"], silence["id"], "{silent:#}");
    // Nobody takes notice, so it gets worse.
    let told = desk.wait_for("nexus.alert.escalated").await;
    assert_eq!(told["severity"], "critical");
    // Somebody does, so it gets no worse.
    let alert = alert(&hub, "dead_letters", "firing").await;
    let id = alert["id"].as_str().unwrap();
    let done = hub.nexus(&["alerts", "ack", id, "--note", "On it"]).await;
    assert!(done.status.success(), "{done:?}");
    let (_, alert) = hub.get(&format!("{PATH}/{id}")).await;
    assert_eq!(alert["status"], "acknowledged", "{alert:#}");
    assert_eq!(alert["acknowledged"]["by"], "test-admin");
    desk.wait_for("nexus.alert.acknowledged").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let escalated = |one: &&Value| one["type"] == "nexus.alert.escalated";
    let all = desk.told();
    assert_eq!(all.iter().filter(escalated).count(), 1, "{all:#?}");
    let of_silent = |one: &&Value| {
        one["title"]
            .as_str()
            .is_some_and(|title| title.contains("attempts fail"))
    };
    assert_eq!(all.iter().filter(of_silent).count(), 0, "{all:#?}");
}

#[tokio::test]
async fn a_receiver_that_is_down_raises_nothing_by_itself() {
    let config = format!(
        "{}[retry]\ndelays = [\"100ms\"]\n",
        receiver(Desk::nowhere().await)
    );
    let hub = told_by_http(&config).start();
    let followed = Followed::of(&hub).await;
    command(&hub, "error_permanent", 1).await;
    followed.first("nexus.alert.raised").await;
    // All its attempts fail, and it is given up.
    let letter = eventually("the alert is a dead letter", || async {
        let (_, letters) = hub.get("/v1/admin/dead-letters").await;
        let letters = letters["dead_letters"].as_array()?.clone();
        letters
            .into_iter()
            .find(|one| one.to_string().contains("nexus.alert.raised"))
    })
    .await;
    assert!(letter.to_string().contains("alerts/desk"), "{letter:#}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let of_letters = alerts(&hub).await;
    let of_letters = of_letters.iter().find(|one| one["rule"] == "dead_letters");
    assert_eq!(
        of_letters.unwrap()["value"],
        1.0,
        "its own letter does not count"
    );
    let all = followed.all();
    let told = all
        .iter()
        .filter(|event| event["type"] == "nexus.alert.raised");
    assert_eq!(told.count(), 1, "{all:#?}");
}

#[tokio::test]
async fn alerts_and_silences_outlast_a_killed_hub_and_are_not_told_anew() {
    let desk = Desk::start().await;
    let config = format!(
        "{}[queue]\nbackend = \"sqlite\"\n[[alerts.rules]]\nname = \"dead_letters\"\nclear_for = \"1h\"\n",
        receiver(desk.address)
    );
    let hub = told_by_http(&config).start();
    let done = hub
        .nexus(&["alerts", "silence", "1h", "--rule", "latency"])
        .await;
    assert!(done.status.success(), "{done:?}");
    let followed = Followed::of(&hub).await;
    command(&hub, "error_permanent", 1).await;
    // What a kill interrupts is done again.
    let told = followed.first("nexus.alert.raised").await;
    hub.finished(told["event_id"].as_str().unwrap()).await;
    let before = alert(&hub, "dead_letters", "firing").await;
    let hub = hub.kill().start();
    let after = alert(&hub, "dead_letters", "firing").await;
    assert_eq!(
        (&before["id"], &before["since"]),
        (&after["id"], &after["since"])
    );
    let (_, silences) = hub.get(&format!("{PATH}/silences")).await;
    assert_eq!(silences["silences"][0]["rule"], "latency", "{silences:#}");
    let id = silences["silences"][0]["id"].as_str().unwrap();
    let listed = hub.nexus(&["alerts", "list"]).await;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("work was given up"), "{listed}");
    let done = hub.nexus(&["alerts", "unsilence", id]).await;
    assert!(done.status.success(), "{done:?}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(desk.told().len(), 1, "{:#?}", desk.told());
}

#[cfg(unix)]
#[tokio::test]
async fn a_disk_that_fills_up_is_raised_and_over_when_there_is_room() {
    const GIB: u64 = 1 << 30;
    // What is built takes room as well.
    nexus_tests::artifacts::build_dir();
    let folder = tempfile::tempdir().unwrap();
    let found = rustix::fs::statvfs(folder.path()).unwrap();
    let free = found.f_bavail * found.f_frsize;
    if free < 8 * GIB {
        eprintln!("skipped: there is too little room to fill some of it");
        return;
    }
    // Others use the disk meanwhile.
    let config = format!(
        "[queue]\nbackend = \"sqlite\"\n[[alerts.rules]]\nname = \"disk_low\"\nbelow = {}.0\nclear = {}.0\nclear_for = \"1s\"\n",
        free - 3 * GIB,
        free - 2 * GIB
    );
    let hub = HubBuilder::new().config(&config).start();
    alert_none(&hub).await;
    let filler = folder.path().join("filler");
    let file = std::fs::File::create(&filler).unwrap();
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 6 * GIB).unwrap();
    raised(&hub, "disk_low", Instant::now()).await;
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    alert(&hub, "disk_low", "resolved").await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let producer = "a-producer-s-key-of-some-length";
    let clients = format!(
        "[[clients]]\nid = \"producer\"\nkey_sha256 = \"{}\"\nsources = [\"*\"]\ntypes = [\"*\"]\n",
        nexus_tests::hub::key_hash(producer)
    );
    let hub = HubBuilder::new().config(&clients).start();
    let client = nexus_tests::hub::client();
    let url = format!("{}{PATH}", hub.url());
    assert_eq!(client.get(&url).send().await.unwrap().status(), 401);
    let other = client.get(&url).bearer_auth(producer).send().await.unwrap();
    assert_eq!(other.status(), 403);
    let forged = json!({ "type": "nexus.alert.raised", "source": "nexus", "payload": {} });
    assert_eq!(hub.publish(&forged).await.0, 403);
    let unknown = "01a22657-66de-77a6-a794-c06c0f048534";
    for (method, path, body, status) in [
        ("GET", "?status=loud", Value::Null, 400),
        ("GET", "/no-id", Value::Null, 404),
        ("POST", &format!("/{unknown}/ack"), json!({}), 404),
        (
            "POST",
            &format!("/{unknown}/ack"),
            json!({ "note": "\u{7}" }),
            422,
        ),
        ("POST", "/silences", json!({}), 400),
        ("POST", "/silences", json!({ "lasting": "0s" }), 422),
        (
            "POST",
            "/silences",
            json!({ "lasting": "1h", "rule": "" }),
            422,
        ),
        (
            "POST",
            "/silences",
            json!({ "lasting": "1h", "subject": "ht*p/http" }),
            422,
        ),
        ("DELETE", &format!("/silences/{unknown}"), Value::Null, 404),
    ] {
        let mut request = hub.request(method, &format!("{PATH}{path}"));
        if !body.is_null() {
            request = request.json(&body);
        }
        let (found, problem) = hub.send(request).await;
        assert_eq!(found, status, "{method} {path} {body}: {problem:#}");
    }
}
