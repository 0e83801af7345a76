//! What nobody sees who does not look: each is raised on a real hub, in time, and once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use nexus_host::alerts::{Config, Lookout, Moment, Reading};
use nexus_host::observe::Histogram;
use nexus_host::queue::{self, Queue, SqliteQueue};
use nexus_plugin_api::StateWrite;
use nexus_tests::artifacts;
use nexus_tests::disk::{Fault, Kind, Outcome, Watched};
use nexus_tests::hub::{HubBuilder, eventually};
use serde_json::{Value, json};

use super::{Desk, LIMIT, alert, alert_none, alerts, command, raised, receiver};

#[tokio::test]
async fn storage_that_fails_is_raised_and_told_when_it_works_again() {
    const TEST: &str = "alerts::finding::storage_that_fails_is_raised";
    let Some(disk) = Watched::for_test(TEST) else {
        return;
    };
    let desk = Desk::start().await;
    let config = format!(
        "{}[queue]\nbackend = \"sqlite\"\nsqlite.path = '{}'\n\
         [[alerts.rules]]\nname = \"storage_failing\"\nclear_for = \"1s\"\n",
        receiver(desk.address),
        disk.folder().join("nexus.db").display()
    );
    let builder = HubBuilder::new().config(&config).plugin("probe");
    let builder = builder.plugin("http_plugin");
    let hub = disk
        .env()
        .into_iter()
        .fold(builder, |hub, (name, value)| hub.env(name, &value))
        .start();
    alert_none(&hub).await;
    disk.fail(&[Fault {
        kind: Kind::Write,
        ending: "-wal",
        from: 1,
        times: 1_000_000,
        outcome: Outcome::Eio,
    }]);
    let begun = Instant::now();
    let ping = json!({ "type": "probe.ping", "source": "test", "payload": { "n": 1 } });
    assert_eq!(hub.publish(&ping).await.0, 503);
    let failing = raised(&hub, "storage_failing", begun).await;
    assert_eq!(failing["severity"], "critical", "{failing:#}");
    disk.fail(&[]);
    let told = desk.wait_for("nexus.alert.raised").await;
    assert_eq!(told["title"], "the queue's storage fails");
    alert(&hub, "storage_failing", "resolved").await;
    desk.wait_for("nexus.alert.resolved").await;
}

/// What a hub knows that has had fifty events a second for ten minutes, each done within ten milliseconds.
fn learnt() -> Vec<u8> {
    let mut lookout = Lookout::new(&Config::default(), Vec::new());
    let (mut reading, latency) = (Reading::default(), Histogram::new());
    for second in 0..600 {
        (0..50).for_each(|_| latency.add(Duration::from_millis(8)));
        reading.accepted += 50;
        reading.attempts += 50;
        reading.latency = latency.counted();
        let now = Moment {
            wall: Utc::now() - TimeDelta::seconds(600 - second),
            up: Duration::from_secs(second as u64),
        };
        lookout.look(now, &reading);
    }
    assert_eq!(lookout.alerts(), []);
    postcard::to_stdvec(&lookout.learnt()).unwrap()
}

/// Nothing is unusual in the first minute of a process, which this takes.
#[tokio::test]
async fn what_takes_longer_than_it_used_to_before_a_restart_is_raised() {
    let config = "[queue]\nbackend = \"sqlite\"\nsqlite.path = \"nexus.db\"\n";
    let home = HubBuilder::new().config(config).plugin("probe").lay_out();
    let mut settings = queue::Config::default();
    settings.sqlite.path = home.path().join("nexus.db");
    let queue = SqliteQueue::open(&settings, true).unwrap();
    let kept = StateWrite {
        key: "alerts.learnt".to_owned(),
        value: Some(learnt()),
    };
    queue.state_put("nexus", kept).await.unwrap();
    queue.close().await;
    drop(queue);
    let hub = home.start();
    tokio::time::sleep(Duration::from_secs(50)).await;
    alert_none(&hub).await;
    // Nothing comes, which is unusual as soon as anything may be.
    let few = alert(&hub, "throughput", "firing").await;
    assert_eq!(
        few["baseline"].as_f64().map(f64::round),
        Some(50.0),
        "{few:#}"
    );
    let slow = |lane: usize| {
        json!({ "type": "probe.command", "source": "test", "partition_key": lane.to_string(),
                "payload": { "action": "sleep_ms", "ms": 800 } })
    };
    let begun = Instant::now();
    hub.publish(&(0..30).map(slow).collect()).await;
    let slow = raised(&hub, "latency", begun).await;
    assert!(slow["baseline"].as_f64() < Some(0.1), "{slow:#}");
}

#[tokio::test]
async fn a_plugin_that_fails_while_nothing_happens_is_raised_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let health = folder.path().join("health");
    let config = format!("[plugins.probe.config]\nhealth = '{}'\n", health.display());
    let hub = HubBuilder::new().config(&config).plugin("probe").start();
    // Long enough for the hub to look more seldom, and to believe that the plugin stays as it is.
    tokio::time::sleep(Duration::from_secs(15)).await;
    std::fs::write(&health, "failed out of paper").unwrap();
    raised(&hub, "plugin_failed", Instant::now()).await;
}

#[tokio::test]
async fn a_plugin_file_that_is_refused_is_raised_and_over_when_it_is_gone() {
    let config = "[[alerts.rules]]\nname = \"plugin_refused\"\nclear_for = \"1s\"\n";
    let hub = HubBuilder::new().config(config).plugin("probe").start();
    alert_none(&hub).await;
    let file = hub.folder().join("plugins/libbroken.so");
    std::fs::write(&file, "no library").unwrap();
    // A file is looked at when nobody writes to it any more.
    eventually("it is refused", || async {
        let (_, told) = hub.get("/v1/admin/plugins").await;
        let all = told["plugins"].as_array()?.clone();
        all.iter().find(|one| one["state"] == "refused").map(drop)
    })
    .await;
    let refused = raised(&hub, "plugin_refused", Instant::now()).await;
    assert_eq!(refused["subject"], "libbroken.so", "{refused:#}");
    std::fs::remove_file(&file).unwrap();
    alert(&hub, "plugin_refused", "resolved").await;
}

#[tokio::test]
async fn a_second_file_of_a_plugin_is_no_restart_and_no_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let health = folder.path().join("health");
    let config = format!("[plugins.probe.config]\nhealth = '{}'\n", health.display());
    let hub = HubBuilder::new().config(&config).plugin("probe").start();
    std::fs::write(&health, "failed out of paper").unwrap();
    let restarts = alert(&hub, "plugin_restarts", "firing").await;
    std::fs::remove_file(&health).unwrap();
    let to = hub.folder().join("plugins/libprobe_again.so");
    nexus_tests::workshop::put(&artifacts::library("probe"), &to);
    let plugins = async || hub.get("/v1/admin/plugins").await.1["plugins"].clone();
    let counted = eventually("the second is there, and the first well", || async {
        let plugins = plugins().await;
        let all = plugins.as_array()?;
        let is = |state: &str| all.iter().find(|one| one["state"] == state);
        is("refused")?;
        is("ready")?["restarts"].as_f64()
    })
    .await;
    tokio::time::sleep(LIMIT).await;
    let all = alerts(&hub).await;
    let of = |rule: &str| -> Option<&Value> { all.iter().find(|one| one["rule"] == rule) };
    assert_eq!(of("plugin_refused"), None);
    let now = of("plugin_restarts").unwrap();
    assert_eq!(now["id"], restarts["id"]);
    assert!(now["value"].as_f64().unwrap() <= counted, "{now:#}");
}

#[tokio::test]
async fn a_plugin_that_nobody_has_configured_is_no_trouble_and_one_that_lacks_something_is() {
    // Port 1 is nobody's.
    let config = "[plugins.toasty.config]\nendpoint = \"http://127.0.0.1:1\"\n\
                  [plugins.outlook.config]\ntenant = \"contoso.com\"\n";
    let hub = ["probe", "outlook", "dropbox", "http_plugin", "toasty"]
        .into_iter()
        .fold(HubBuilder::new().config(config), HubBuilder::plugin)
        .start();
    eventually("all but the probe are degraded", || async {
        let (_, told) = hub.get("/v1/admin/plugins").await;
        let all = told["plugins"].as_array()?.iter();
        (all.filter(|one| one["state"] == "degraded").count() == 4).then_some(())
    })
    .await;
    // Who looks finds both.
    command(&hub, "error_permanent", 1).await;
    alert(&hub, "dead_letters", "firing").await;
    let all = alerts(&hub).await;
    let degraded = all.iter().filter(|one| one["rule"] == "plugin_degraded");
    let subjects: BTreeSet<_> = degraded.filter_map(|one| one["subject"].as_str()).collect();
    assert_eq!(subjects, BTreeSet::from(["outlook", "toasty"]), "{all:#?}");
}
