//! What ends a plugin's process costs its event and a moment, and nobody else anything.

use std::time::Duration;

use nexus_tests::artifacts;
use nexus_tests::crasher::{id, ping, told, under_load};
use nexus_tests::hub::{Hub, HubBuilder, eventually};
use serde_json::{Value, json};

/// A hub with the crasher in a process, and the probe on threads beside it.
fn builder(crasher: &str) -> HubBuilder {
    HubBuilder::new()
        .config(&format!(
            "[plugins.crasher]\nisolation = \"process\"\nlimits.memory = \"128MiB\"\n{crasher}\n\
             [dispatch]\nprocessor_timeout = \"2s\"\n\
             [retry]\nmax_retries = 10\ndelays = [\"50ms\"]\n"
        ))
        .plugin("crasher")
        .plugin("probe")
}

/// How many workers have died so far.
fn deaths(hub: &Hub) -> usize {
    hub.log().matches("a plugin's worker has died").count()
}

#[tokio::test]
async fn whatever_ends_a_worker_costs_its_event_and_nobody_else_anything() {
    let hub = builder("").start();
    for (how, end) in [
        ("abort", "SIGABRT"),
        ("exit", "exit code 0"),
        ("segfault", "SIGSEGV"),
        ("overflow", "SIGABRT"),
        ("eat", "SIGABRT"),
        ("close", "exit code 0"),
        ("spin", "it went on with a call"),
        ("block", "it went on with a call"),
        ("silence", "it was silent"),
    ] {
        let killer = told(how, 0);
        let others: Vec<_> = (1..10).map(|n| told("not_at_all", n)).collect();
        let work = async {
            assert_eq!(hub.publish(&killer).await.0, 202);
            let (_, answer) = hub.publish(&json!(others)).await;
            assert_eq!(answer.as_array().unwrap().len(), others.len(), "{answer}");
            hub.finished(id(&killer)).await
        };
        let (journey, load) = under_load(&hub, work).await;
        assert_eq!(journey["status"], "dead", "{how}: {journey}");
        let text = journey.to_string();
        let sha256 = "(sha256 ";
        for told in ["killed_the_worker", end, sha256] {
            assert!(text.contains(told), "{how}: {journey}");
        }
        for one in &others {
            let journey = hub.finished(id(one)).await;
            assert_eq!(journey["status"], "processed", "{how}: {journey}");
        }
        assert!(load > 0, "{how}");
    }
}

#[tokio::test]
async fn what_leaks_costs_a_worker_now_and_then_and_no_event() {
    let hub = builder("").start();
    let work = async {
        for _ in 0..20 {
            let journey = hub.process(&told("leak", 0)).await;
            assert_eq!(journey["status"], "processed", "{journey}");
        }
    };
    under_load(&hub, work).await;
    assert!(deaths(&hub) >= 2, "{}", hub.log());
}

#[tokio::test]
async fn who_takes_more_of_the_processors_than_it_may_is_killed() {
    let hub = HubBuilder::new()
        .config(
            "[plugins.crasher]\nisolation = \"process\"\nlimits.cpu = 0.2\n\
             [dispatch]\nprocessor_timeout = \"10m\"\n",
        )
        .plugin("crasher")
        .plugin("probe")
        .start();
    assert_eq!(hub.publish(&told("spin", 0)).await.0, 202);
    hub.wait_for_log("processors all the time").await;
    let journey = hub.process(&ping(1)).await;
    assert_eq!(journey["status"], "processed", "{journey}");
}

/// What has the crasher do it where a configuration or an event says, and what is to be seen of it.
async fn provoked(hub: &Hub, at: &str, how: &str) -> String {
    let mut event = told(how, 0);
    match at {
        "process" => {}
        "deliver" => event["payload"]["at"] = json!("deliver"),
        "migrate" => {
            event["payload"] = json!({ "upwards": how });
            event["contract_version"] = json!("1.0.0");
        }
        "hook" => {
            let (status, answer) = hub.get("/v1/hooks/crash").await;
            return format!("{status} {answer}");
        }
        "run" | "health" => {
            let seen = match how {
                "panic" => "a plugin panicked",
                _ => "a plugin's worker has died",
            };
            hub.wait_for_log(seen).await;
            return seen.to_owned();
        }
        // They panic when a component is built anew, as it is after a panic.
        "rebuild" | "drop" => event["payload"]["how"] = json!("panic"),
        _ => {
            let (_, plugins) = hub.get("/v1/admin/plugins").await;
            return plugins.to_string();
        }
    }
    match hub.publish(&event).await {
        (202, receipt) => hub
            .finished(receipt["event_id"].as_str().unwrap())
            .await
            .to_string(),
        (status, answer) => format!("{status} {answer}"),
    }
}

/// Something that goes wrong in each place where the hub calls the author's code, in turn.
async fn everywhere(isolation: &str, how: &str, told_of: &[(&str, &str)]) {
    for (at, expected) in told_of {
        // A process sees of the environment what it is given.
        let env = match isolation {
            "process" => "env = [\"CRASHER_DESCRIBE\"]\n",
            _ => "",
        };
        let config = match *at {
            "new" | "rebuild" | "drop" | "hook" | "run" | "health" => {
                format!("[plugins.crasher.config]\nat = \"{at}\"\nhow = \"{how}\"\n")
            }
            _ => String::new(),
        };
        let mut builder = HubBuilder::new()
            .config(&format!(
                "[plugins.crasher]\nisolation = \"{isolation}\"\n{env}{config}\
                 [retry]\nmax_retries = 3\ndelays = [\"20ms\"]\n"
            ))
            .plugin("crasher")
            .plugin("probe");
        if *at == "describe" {
            builder = builder.env("CRASHER_DESCRIBE", how);
        }
        let mut hub = builder.start();
        let found = provoked(&hub, at, how).await;
        assert!(
            found.contains(expected),
            "{isolation}, {how} at {at}: {found}"
        );
        let journey = hub.process(&ping(1)).await;
        assert_eq!(journey["status"], "processed", "{at}: {journey}");
        assert_eq!(hub.get("/healthz").await.0, 200);
        let ended = hub.stop(Duration::from_secs(30));
        assert!(ended.success(), "{isolation}, {how} at {at}: {}", hub.log());
    }
}

#[tokio::test]
async fn a_panic_in_every_entry_point_is_told_and_contained() {
    for isolation in ["thread", "process"] {
        let told_of = [
            ("describe", "init_failed"),
            ("new", "init_panicked"),
            ("process", "panicked"),
            ("deliver", "panicked"),
            ("hook", "50"),
            ("run", "panicked"),
            ("health", "panicked"),
            ("migrate", "panicked"),
            ("rebuild", "panicked"),
            ("drop", "panicked"),
        ];
        everywhere(isolation, "panic", &told_of).await;
    }
}

#[tokio::test]
async fn a_crash_in_every_entry_point_costs_a_worker() {
    let told_of = [
        ("describe", "worker_died"),
        ("new", "worker_died"),
        ("deliver", "killed_the_worker"),
        ("hook", "50"),
        ("run", "died"),
        ("health", "died"),
        ("migrate", "worker"),
        ("rebuild", "panicked"),
        ("drop", "panicked"),
    ];
    everywhere("process", "abort", &told_of).await;
}

#[tokio::test]
async fn a_library_whose_panics_end_the_process_is_never_loaded() {
    let library = artifacts::aborting_library();
    for isolation in ["inline", "thread", "process"] {
        let hub = HubBuilder::new()
            .config(&format!("[plugins.aborting]\nisolation = \"{isolation}\""))
            .file(&library, "libaborting.so")
            .plugin("probe")
            .start();
        let (_, plugins) = hub.get("/v1/admin/plugins").await;
        let plugins = plugins["plugins"].as_array().unwrap();
        let refused = plugins.iter().find(|one| one["state"] == "refused");
        assert_eq!(refused.unwrap()["refusal"]["code"], "panic_abort");
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", hub.pid())).unwrap();
        assert!(
            !maps.contains("aborting") && maps.contains("probe"),
            "{maps}"
        );
        assert_eq!(hub.process(&ping(1)).await["status"], "processed");
    }
}

/// The journey of a source's event: others may have its id.
async fn of_source(hub: &Hub, event: &Value) -> Value {
    let path = format!(
        "/v1/events/{}?source={}",
        id(event),
        event["source"].as_str().unwrap()
    );
    eventually("it is finished", || async {
        let (_, journey) = hub.get(&path).await;
        matches!(journey["status"].as_str(), Some("processed" | "dead")).then_some(journey)
    })
    .await
}

#[tokio::test]
async fn an_event_is_not_blamed_for_another_source_s_of_its_id() {
    let hub = HubBuilder::new()
        .config(
            "[plugins.crasher]\nisolation = \"process\"\n\
             [retry]\nmax_retries = 5\ndelays = [\"1s\"]\njitter = 0.0\n",
        )
        .plugin("crasher")
        .start();
    let one = told("abort", 1);
    let mut other = one.clone();
    other["source"] = json!("s2");
    assert_eq!(hub.publish(&one).await.0, 202);
    hub.wait_for_log("a plugin's worker has died").await;
    assert_eq!(hub.publish(&other).await.0, 202);
    for event in [&one, &other] {
        let journey = of_source(&hub, event).await;
        assert_eq!(journey["status"], "dead", "{journey}");
        let failed = |step: &&Value| step["step"] == "processor_failed";
        let attempts = journey["steps"].as_array().unwrap().iter().filter(failed);
        assert_eq!(attempts.count(), 2, "{journey}");
    }
    assert_eq!(deaths(&hub), 4, "{}", hub.log());
}

#[tokio::test]
async fn what_a_worker_died_over_is_remembered_over_a_restart_of_the_hub() {
    let hub = HubBuilder::new()
        .config(
            "[queue]\nbackend = \"sqlite\"\nsqlite.path = \"queue.db\"\n\
             [plugins.crasher]\nisolation = \"process\"\n\
             [retry]\nmax_retries = 5\ndelays = [\"2s\"]\njitter = 0.0\n",
        )
        .plugin("crasher")
        .start();
    let killer = told("abort", 1);
    assert_eq!(hub.publish(&killer).await.0, 202);
    let path = format!("/v1/events/{}", id(&killer));
    eventually("the death is on disk", || async {
        let (_, journey) = hub.get(&path).await;
        journey.to_string().contains("worker_died").then_some(())
    })
    .await;
    let hub = hub.kill().start();
    let journey = hub.finished(id(&killer)).await;
    assert_eq!(journey["status"], "dead", "{journey}");
    assert!(
        journey.to_string().contains("killed_the_worker"),
        "{journey}"
    );
    assert_eq!(deaths(&hub), 1, "one of this hub's, and one of the last's");
}

/// Two workers, one dead letter, and everything else is done.
async fn one_killer_among(events: u32) {
    let hub = HubBuilder::new()
        .config(
            "[plugins.crasher]\nisolation = \"process\"\nworkers = 2\n\
             [retry]\nmax_retries = 5\ndelays = [\"50ms\"]\n[queue]\ncapacity = 20_000\n\
             [alerts]\nenabled = false\n",
        )
        .plugin("crasher")
        .start();
    let killer = told("abort", 0);
    let all: Vec<_> = (0..events)
        .map(|n| match n == events / 2 {
            true => killer.clone(),
            false => told("not_at_all", n % 100),
        })
        .collect();
    for many in all.chunks(100) {
        let (status, answer) = hub.publish(&json!(many)).await;
        assert!(status < 300, "{answer}");
    }
    let journey = hub.finished(id(&killer)).await;
    assert!(
        journey.to_string().contains("killed_the_worker"),
        "{journey}"
    );
    eventually("everything is done", || async {
        let (_, queue) = hub.get("/v1/admin/queue").await;
        (queue["finished"].as_u64()? == u64::from(events)).then_some(())
    })
    .await;
    let (_, letters) = hub.get("/v1/admin/dead-letters?limit=10").await;
    let letters = letters["dead_letters"].as_array().unwrap();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0]["event"]["event_id"], killer["event_id"]);
    assert_eq!(deaths(&hub), 2, "{}", hub.log());
}

#[tokio::test]
async fn one_killer_among_two_thousand_is_found_and_the_rest_flow() {
    one_killer_among(2_000).await;
}

#[tokio::test]
#[ignore = "the same at length"]
async fn one_killer_among_ten_thousand_is_found_and_the_rest_flow() {
    one_killer_among(10_000).await;
}
