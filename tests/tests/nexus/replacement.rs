//! Plugin files that come, change and go while the hub runs: the new one takes over, the old one finishes what it
//! is at, and nothing that is bad takes the place of what works.

use std::path::PathBuf;
use std::time::Duration;

use nexus_tests::artifacts;
use nexus_tests::hub::{Hub, HubBuilder, eventually};
use nexus_tests::receiver::Receiver;
use nexus_tests::workshop::{Workshop, put};
use serde_json::{Value, json};

fn builder(more: &str) -> HubBuilder {
    HubBuilder::new()
        .config("[retry]\nmax_retries = 1\ndelays = [\"20ms\"]\n[dispatch]\nintegration_timeout = \"1m\"")
        .config(more)
        .file(artifacts::library("probe"), "libprobe.so")
}

fn hub(more: &str) -> Hub {
    builder(more).start()
}

fn file(hub: &Hub) -> PathBuf {
    hub.folder().join("plugins/libprobe.so")
}

fn ping(n: u32) -> Value {
    json!({ "type": "probe.ping", "source": "test", "payload": { "n": n } })
}

/// What is told of every plugin and file.
async fn plugins(hub: &Hub) -> Vec<Value> {
    let (_, told) = hub.get("/v1/admin/plugins").await;
    told["plugins"].as_array().unwrap().clone()
}

/// Waits for a plugin or file of which something holds.
async fn told(hub: &Hub, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let found = eventually(what, || async {
        plugins(hub).await.into_iter().find(&is_it)
    });
    found.await
}

async fn ready(hub: &Hub, version: &str) -> Value {
    told(hub, &format!("version {version} is ready"), |one| {
        one["version"] == version && one["state"] == "ready"
    })
    .await
}

#[tokio::test]
async fn a_new_version_takes_new_events_while_the_old_one_finishes() {
    let shop = Workshop::new();
    let second = shop.probe("0.2.0");
    for isolation in ["inline", "thread", "process"] {
        let sink = Receiver::start().await;
        sink.hold();
        let place = format!("[plugins.probe]\nisolation = \"{isolation}\"\n");
        let hub = hub(&(place + sink.config().as_str()));
        let order =
            json!({ "type": "probe.order", "source": "apart", "payload": { "parcels": [{}] } });
        let (_, slow) = hub.publish(&order).await;
        eventually("the old one is at work", || async {
            (sink.arrivals().len() == 1).then_some(())
        })
        .await;
        put(&second, &file(&hub));
        let now = ready(&hub, "0.2.0").await;
        let loaded = if isolation == "process" { 0 } else { 2 };
        assert_eq!(now["libraries"]["loaded"], loaded, "{isolation}: {now:#}");
        let journey = hub.process(&ping(1)).await;
        assert_eq!(journey["status"], "processed", "{isolation}: {journey:#}");
        let id = slow["event_id"].as_str().unwrap();
        let (_, still) = hub.get(&format!("/v1/events/{id}")).await;
        assert_ne!(still["status"], "processed", "{isolation}: nobody waited");
        sink.release();
        let slow = hub.finished(id).await;
        assert_eq!(slow["status"], "processed", "{isolation}: {slow:#}");
        assert_eq!(sink.arrivals().len(), 1, "{isolation}: it was done once");
        hub.wait_for_log("what ran before has finished, and rests")
            .await;
        if isolation == "process" {
            eventually("one worker is left", || async {
                (hub.children().len() == 1).then_some(())
            })
            .await;
        } else {
            let now = ready(&hub, "0.2.0").await;
            assert!(
                now["libraries"]["resting_bytes"].as_u64() > Some(0),
                "{now:#}"
            );
        }
    }
}

#[tokio::test]
async fn nothing_is_lost_by_replacements_under_load() {
    let shop = Workshop::new();
    let versions = ["0.2.0", "0.3.0", "0.4.0"].map(|version| (version, shop.probe(version)));
    let hub = hub("");
    let mut ids = Vec::new();
    for (version, library) in &versions {
        put(library, &file(&hub));
        loop {
            for n in 0..20 {
                let (status, receipt) = hub.publish(&ping(n)).await;
                assert_eq!(status, 202, "{receipt}");
                ids.push(receipt["event_id"].as_str().unwrap().to_owned());
            }
            let is_new = |one: &Value| one["version"] == *version && one["state"] == "ready";
            if plugins(&hub).await.iter().any(is_new) {
                break;
            }
        }
    }
    assert!(ids.len() >= 60);
    for id in ids {
        let journey = hub.finished(&id).await;
        assert_eq!(journey["status"], "processed", "{journey:#}");
    }
}

#[tokio::test]
async fn what_is_bad_leaves_the_old_one_serving() {
    let shop = Workshop::new();
    let hub = hub("");
    let good = ready(&hub, "0.1.0").await;
    let newer = (
        "abi_mismatch",
        shop.with("probe", "abi", r#""abi":"1.0.0""#, r#""abi":"1.9.0""#),
    );
    let text = ("not_a_library", shop.file("text", b"nothing to load"));
    for (code, bad) in [newer, text] {
        put(&bad, &file(&hub));
        let refused = told(&hub, code, |one| one["refusal"]["code"] == code).await;
        assert_eq!(refused["state"], "refused");
        let old = ready(&hub, "0.1.0").await;
        assert_eq!(old["since"], good["since"], "it was not even started again");
        assert_eq!(hub.process(&ping(1)).await["status"], "processed");
    }
    put(&shop.probe("0.2.0"), &file(&hub));
    ready(&hub, "0.2.0").await;
    let all = plugins(&hub).await;
    assert_eq!(all.len(), 1, "nothing bad is left: {all:#?}");
}

#[tokio::test]
async fn a_new_version_that_does_not_start_leaves_the_old_one_serving_and_is_tried_again() {
    let home = builder("[plugins.probe.config]\nfail_init_unless = \"allowed\"").lay_out();
    let allowed = home.path().join("allowed");
    std::fs::write(&allowed, "").unwrap();
    let hub = home.start();
    ready(&hub, "0.1.0").await;
    std::fs::remove_file(&allowed).unwrap();
    put(&Workshop::new().probe("0.2.0"), &file(&hub));
    let code = "init_failed";
    let refused = told(&hub, code, |one| one["refusal"]["code"] == code).await;
    assert_eq!(refused["version"], "0.2.0");
    ready(&hub, "0.1.0").await;
    assert_eq!(hub.process(&ping(1)).await["status"], "processed");
    std::fs::write(&allowed, "").unwrap();
    ready(&hub, "0.2.0").await;
}

#[tokio::test]
async fn a_removed_file_stops_its_plugin_and_its_types_are_unknown_again() {
    let hub = hub("[plugins.probe]\nrequired = true");
    let kept = hub.folder().join("kept.so");
    std::fs::rename(file(&hub), &kept).unwrap();
    let stopped = told(&hub, "it is stopped", |one| one["state"] == "stopped").await;
    assert_eq!(stopped["reason"], "its file was removed");
    eventually("its types are unknown", || async {
        let (status, refused) = hub.publish(&ping(1)).await;
        (status == 422 && refused["code"] == "unknown_type").then_some(())
    })
    .await;
    let (status, ready_now) = hub.get("/readyz").await;
    assert_eq!((status, &ready_now["status"]), (503, &json!("not_ready")));
    assert_eq!(
        ready_now["checks"][0]["name"], "plugin probe",
        "{ready_now:#}"
    );
    std::fs::rename(&kept, file(&hub)).unwrap();
    ready(&hub, "0.1.0").await;
    assert_eq!(hub.process(&ping(2)).await["status"], "processed");
    assert_eq!(hub.get("/readyz").await.0, 200);
}

#[tokio::test]
async fn what_waits_for_a_plugin_that_is_away_for_a_moment_waits_for_it() {
    let sink = Receiver::start().await;
    sink.hold();
    let hub = hub(&sink.config());
    let order = json!({ "type": "probe.order", "source": "test", "payload": { "parcels": [{}] } });
    hub.publish(&order).await;
    let mut waiting = Vec::new();
    for n in 0..5 {
        let (_, receipt) = hub.publish(&ping(n)).await;
        waiting.push(receipt["event_id"].as_str().unwrap().to_owned());
    }
    let kept = hub.folder().join("kept.so");
    std::fs::rename(file(&hub), &kept).unwrap();
    told(&hub, "it is stopped", |one| one["state"] == "stopped").await;
    // Its lane goes on, and there is nobody.
    sink.release();
    eventually("the first of them was looked at", || async {
        let (_, journey) = hub.get(&format!("/v1/events/{}", waiting[0])).await;
        journey.to_string().contains("plugin_absent").then_some(())
    })
    .await;
    std::fs::rename(&kept, file(&hub)).unwrap();
    for id in waiting {
        let journey = hub.finished(&id).await;
        let steps = journey["steps"].to_string();
        assert!(
            steps.contains("probe/echo") && steps.contains("\"done\""),
            "{journey:#}"
        );
    }
}

#[tokio::test]
async fn the_highest_version_of_several_files_serves() {
    let shop = Workshop::new();
    let hub = hub("");
    let beside = hub.folder().join("plugins/a-newer.so");
    put(&shop.probe("0.2.0"), &beside);
    ready(&hub, "0.2.0").await;
    let older = told(&hub, "the older is not used", |one| {
        one["version"] == "0.1.0"
    })
    .await;
    assert_eq!(older["refusal"]["code"], "duplicate_id", "{older:#}");
    std::fs::remove_file(&beside).unwrap();
    ready(&hub, "0.1.0").await;
    assert_eq!(hub.process(&ping(1)).await["status"], "processed");
}

#[tokio::test]
async fn no_more_libraries_are_loaded_than_may_be() {
    let shop = Workshop::new();
    let hub = hub("[plugins]\nmax_generations = 2");
    put(&shop.probe("0.2.0"), &file(&hub));
    ready(&hub, "0.2.0").await;
    put(&shop.probe("0.3.0"), &file(&hub));
    let code = "too_many_generations";
    let refused = told(&hub, code, |one| one["refusal"]["code"] == code).await;
    assert_eq!(refused["version"], "0.3.0");
    ready(&hub, "0.2.0").await;
    // One that is there already costs nothing.
    put(&artifacts::library("probe"), &file(&hub));
    let back = ready(&hub, "0.1.0").await;
    assert_eq!(back["libraries"]["loaded"], 2, "{back:#}");
    assert_eq!(hub.process(&ping(1)).await["status"], "processed");
}

#[tokio::test]
async fn a_file_that_is_still_being_written_disturbs_nobody() {
    let shop = Workshop::new();
    let hub = hub("");
    let second = std::fs::read(shop.probe("0.2.0")).unwrap();
    let (first, rest) = second.split_at(second.len() / 2);
    let mut slow = std::fs::File::create(file(&hub)).unwrap();
    std::io::Write::write_all(&mut slow, first).unwrap();
    told(&hub, "half a file is refused", |one| {
        one["state"] == "refused"
    })
    .await;
    assert_eq!(hub.process(&ping(1)).await["status"], "processed");
    std::io::Write::write_all(&mut slow, rest).unwrap();
    drop(slow);
    ready(&hub, "0.2.0").await;
    assert_eq!(hub.process(&ping(2)).await["status"], "processed");
}

#[tokio::test]
async fn sources_of_the_old_one_end_before_those_of_the_new_one_begin() {
    let shop = Workshop::new();
    let config = "[plugins.probe.config]\nrun = \"ping\"\nevery_ms = 20";
    let hub = hub(config);
    let runs = || async {
        let (_, runs) = hub.get("/v1/hooks/probe/state/runs").await;
        runs.as_u64().unwrap_or_default()
    };
    eventually("the source runs", || async {
        (runs().await == 1).then_some(())
    })
    .await;
    put(&shop.probe("0.2.0"), &file(&hub));
    eventually("the new one's runs", || async {
        (runs().await == 2).then_some(())
    })
    .await;
    // Two at once would be told of each other's numbers.
    hub.wait_for_log("what ran before has finished, and rests")
        .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(runs().await, 2);
}

#[tokio::test]
async fn with_watching_off_files_are_taken_up_when_the_configuration_is_read_again() {
    let shop = Workshop::new();
    let hub = hub("[plugins]\nwatch = false");
    put(&shop.probe("0.2.0"), &file(&hub));
    ready(&hub, "0.1.0").await;
    let (status, changed) = hub.send(hub.request("POST", "/v1/admin/reload")).await;
    assert_eq!(status, 200, "{changed:#}");
    ready(&hub, "0.2.0").await;
}
