//! What a plugin may do inside a real hub, and what it may do wrong.

use std::time::Instant;

use nexus_tests::crasher::told;
use nexus_tests::hub::{Hub, HubBuilder, eventually};
use serde_json::{Value, json};

fn command(action: &str, mut with: Value) -> Value {
    with["action"] = json!(action);
    json!({"type": "probe.command", "source": "test", "payload": with})
}

fn hub(isolation: &str) -> Hub {
    HubBuilder::new()
        .config(&format!(
            "[retry]\nmax_retries = 1\ndelays = [\"20ms\"]\n[dispatch]\nprocessor_timeout = \"1s\"\n\
             [observe]\nlog_level = \"trace,hyper=info,mio=info\"\n\
             [plugins.probe]\nisolation = \"{isolation}\"\n\
             [plugins.probe.secrets]\ntoken = {{ env = \"PROBE_TOKEN\" }}"
        ))
        .env("PROBE_TOKEN", "s3cret-canary-41")
        .plugin("probe")
        .start()
}

fn step<'a>(journey: &'a Value, name: &str) -> &'a Value {
    let steps = journey["steps"].as_array().expect("steps");
    let found = steps.iter().find(|step| step["step"] == name);
    found.unwrap_or_else(|| panic!("no step {name} in {journey:#}"))
}

/// What the recorder was last handed for an event.
async fn recorded(hub: &Hub, journey: &Value) -> Value {
    let id = journey["event_id"].as_str().unwrap();
    eventually("something is recorded", || async {
        let (_, all) = hub.get("/v1/hooks/probe/recorded").await;
        let all = all.as_array().expect("a list").clone();
        all.into_iter().find(|one| {
            one["idempotency_key"]
                .as_str()
                .is_some_and(|key| key.starts_with(id))
        })
    })
    .await
}

async fn every_isolation(check: impl AsyncFn(Hub)) {
    for isolation in ["inline", "thread", "process"] {
        check(hub(isolation)).await;
    }
}

#[tokio::test]
async fn panics_become_errors_and_the_component_works_again() {
    every_isolation(async |hub| {
        for action in ["panic_sync", "panic_async", "panic_drop"] {
            let journey = hub.process(&command(action, json!({}))).await;
            assert_eq!(journey["status"], "dead", "{action}: {journey:#}");
            let failed = step(&journey, "processor_failed");
            assert_eq!(failed["code"], "panicked", "{action}: {journey:#}");
            let after = hub.process(&command("skip", json!({"text": "fine"}))).await;
            assert_eq!(after["status"], "processed", "after {action}: {after:#}");
        }
        // Cancelled by the time limit, with a local whose drop panics.
        let journey = hub.process(&command("panic_future_drop", json!({}))).await;
        assert_eq!(step(&journey, "processor_failed")["code"], "timeout");
        let after = hub.process(&command("skip", json!({"text": "fine"}))).await;
        assert_eq!(after["status"], "processed", "{after:#}");
        let (_, plugins) = hub.get("/v1/admin/plugins").await;
        assert!(
            plugins["plugins"][0]["panics"].as_u64().unwrap() >= 6,
            "{plugins:#}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_panicking_integration_is_an_error_and_works_again() {
    let hub = hub("thread");
    let journey = hub
        .process(&command(
            "notify",
            json!({"record": {"n": 1, "panic": true}}),
        ))
        .await;
    assert_eq!(journey["status"], "dead");
    assert_eq!(step(&journey, "delivery_failed")["code"], "panicked");
    let after = hub
        .process(&command("notify", json!({"record": {"n": 2}})))
        .await;
    assert_eq!(after["status"], "processed", "{after:#}");
}

#[tokio::test]
async fn timers_tasks_and_http_work_inside_a_plugin() {
    every_isolation(async |hub| {
        let slept = hub.process(&command("sleep_ms", json!({"ms": 20}))).await;
        assert_eq!(slept["status"], "processed", "{slept:#}");
        let spawned = hub
            .process(&command("spawn", json!({"ms": 5, "n": 41})))
            .await;
        assert_eq!(recorded(&hub, &spawned).await["n"], 42);
        let url = format!("{}/healthz", hub.url());
        let fetched = hub
            .process(&command("http_get", json!({"text": url})))
            .await;
        let answer = recorded(&hub, &fetched).await;
        assert_eq!(answer["n"], 200, "{answer:#}");
        assert!(
            answer["note"].as_str().unwrap().contains("ok"),
            "{answer:#}"
        );
    })
    .await;
}

#[tokio::test]
async fn log_lines_carry_the_plugin_and_the_event() {
    every_isolation(async |hub| {
        let journey = hub
            .process(&command(
                "log",
                json!({"n": 7, "text": "hello from inside"}),
            ))
            .await;
        let id = journey["event_id"].as_str().unwrap();
        // The last of them.
        hub.wait_for_log("probe logs everything").await;
        let log = hub.log();
        for level in ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"] {
            let found = log.lines().any(|line| {
                line.contains(level)
                    && line.contains("hello from inside")
                    && line.contains(id)
                    && line.contains("probe")
            });
            assert!(found, "no {level} line with the note, {id} and the plugin");
        }
    })
    .await;
}

#[tokio::test]
async fn a_secret_reaches_the_plugin_and_nothing_else() {
    let hub = hub("thread");
    let journey = hub
        .process(&command("secret", json!({"text": "token"})))
        .await;
    assert_eq!(
        recorded(&hub, &journey).await["n"],
        "s3cret-canary-41".len()
    );
    let missing = hub
        .process(&command("secret", json!({"text": "nothing"})))
        .await;
    assert_eq!(missing["status"], "dead");
    let (_, plugins) = hub.get("/v1/admin/plugins").await;
    let (_, letters) = hub.get("/v1/admin/dead-letters").await;
    for text in [
        hub.log(),
        plugins.to_string(),
        letters.to_string(),
        journey.to_string(),
    ] {
        assert!(!text.contains("s3cret-canary"), "{text}");
    }
}

#[tokio::test]
async fn state_is_kept_with_the_outcome_or_not_at_all() {
    let hub = hub("thread");
    hub.process(&command(
        "state_put",
        json!({"text": "colour", "value": "blue"}),
    ))
    .await;
    let failed = hub
        .process(&command(
            "state_fail",
            json!({"text": "colour", "value": "red"}),
        ))
        .await;
    assert_eq!(failed["status"], "dead");
    let read = hub
        .process(&command("state_get", json!({"text": "colour"})))
        .await;
    let value = recorded(&hub, &read).await;
    assert_eq!((&value["n"], &value["note"]), (&json!(1), &json!("blue")));
}

#[tokio::test]
async fn outcomes_do_what_they_say() {
    let hub = hub("inline");
    let skipped = hub
        .process(&command("skip", json!({"text": "not mine"})))
        .await;
    assert_eq!(step(&skipped, "processed")["reason"], "not mine");
    let rejected = hub
        .process(&command("reject", json!({"text": "never"})))
        .await;
    assert_eq!(rejected["status"], "dead");
    assert_eq!(step(&rejected, "dead")["reason"], "rejected");
    let retried = hub.process(&command("error_retryable", json!({}))).await;
    let attempts = retried["steps"].as_array().unwrap();
    let attempts = attempts
        .iter()
        .filter(|step| step["step"] == "processor_failed")
        .count();
    assert_eq!(
        (attempts, &step(&retried, "dead")["reason"]),
        (2, &json!("retries_exhausted"))
    );
    let permanent = hub.process(&command("error_permanent", json!({}))).await;
    assert_eq!(permanent["status"], "dead");
    let hung = hub.process(&command("hang", json!({}))).await;
    assert_eq!(step(&hung, "processor_failed")["code"], "timeout");
    let nobody = hub.process(&command("notify_nobody", json!({}))).await;
    assert_eq!(step(&nobody, "dead")["reason"], "unknown_integration");
    let emitted = hub.process(&command("emit", json!({"n": 5}))).await;
    let child = step(&emitted, "emitted")["event_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let child = hub.finished(&child).await;
    assert_eq!(child["causation_id"], emitted["event_id"]);
    assert_eq!(child["correlation_id"], emitted["event_id"]);
    assert_eq!(recorded(&hub, &child).await["n"], 5);
    let invalid = hub.process(&command("emit_invalid", json!({}))).await;
    assert_eq!(step(&invalid, "dead")["reason"], "contract_violation");
    let scheduled = hub
        .process(&command("schedule", json!({"n": 9, "ms": 50})))
        .await;
    assert_eq!(step(&scheduled, "scheduled")["after_ms"], 50);
    assert_eq!(recorded(&hub, &scheduled).await["n"], 9);
    let published = hub.process(&command("publish", json!({"n": 11}))).await;
    assert_eq!(published["status"], "processed");
}

#[tokio::test]
async fn a_failed_delivery_is_repeated_with_the_same_key_and_only_that_one() {
    let hub = hub("thread");
    let journey = hub
        .process(&command(
            "notify",
            json!({"record": {"n": 3, "fail_times": 1}}),
        ))
        .await;
    assert_eq!(journey["status"], "processed", "{journey:#}");
    let record = recorded(&hub, &journey).await;
    assert_eq!(
        record["attempts"], 2,
        "the same key on both attempts: {record:#}"
    );
    let decided = journey["steps"].as_array().unwrap();
    let decided = decided
        .iter()
        .filter(|step| step["step"] == "processed")
        .count();
    assert_eq!(decided, 1, "the processor is not asked again");
}

#[tokio::test]
async fn a_blocking_plugin_on_its_own_threads_starves_nobody() {
    let hub = HubBuilder::new()
        .config(
            "[dispatch]\nprocessor_timeout = \"3s\"\n[plugins.probe]\nisolation = \"thread\"\n\
             [plugins.crasher]\nisolation = \"thread\"",
        )
        .plugin("probe")
        .plugin("crasher")
        .start();
    let block = async |lanes: std::ops::Range<u32>| {
        let blocking = lanes.map(|lane| {
            let mut event = command("block_ms", json!({"ms": 20_000}));
            event["partition_key"] = json!(format!("lane-{lane}"));
            event
        });
        let blocking: Vec<_> = blocking.collect();
        let (_, answer) = hub.publish(&json!(blocking)).await;
        assert_eq!(answer.as_array().unwrap().len(), blocking.len(), "{answer}");
    };
    // Many more than the plugin has threads, and than the hub does at once, each in a lane of its own.
    block(0..600).await;
    for n in 0..10 {
        let begun = Instant::now();
        let journey = hub.process(&told("not_at_all", n)).await;
        assert_eq!(journey["status"], "processed", "{journey:#}");
        let took = begun.elapsed();
        assert!(took.as_millis() < 700, "{took:?}: another plugin waited");
    }
    // Still more.
    block(600..700).await;
    for _ in 0..10 {
        let begun = Instant::now();
        assert_eq!(hub.get("/healthz").await.0, 200);
        let took = begun.elapsed();
        assert!(took.as_millis() < 700, "{took:?}: the hub itself waited");
    }
}

#[tokio::test]
async fn plugins_of_the_same_kind_stand_side_by_side() {
    let hub = HubBuilder::new().plugin("probe").plugin("second").start();
    let one = hub
        .process(&json!({"type": "probe.ping", "source": "probe-b", "payload": {"n": 1}}))
        .await;
    let mut by: Vec<_> = one["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["step"] == "processed")
        .map(|step| step["processor"].as_str().unwrap().to_owned())
        .collect();
    // Side by side: neither waits for the other.
    by.sort();
    assert_eq!(by, ["probe/echo", "second/echo"], "{one:#}");
}

#[tokio::test]
async fn a_source_answers_raw_webhooks_and_runs_in_the_background() {
    let hub = HubBuilder::new()
        .config("[plugins.probe.config]\nrun = \"ping\"\nevery_ms = 20")
        .plugin("probe")
        .start();
    let challenge = hub
        .request("GET", "/v1/hooks/probe?challenge=a%20b")
        .send()
        .await
        .unwrap();
    assert_eq!(challenge.status(), 200);
    assert_eq!(challenge.headers()["content-type"], "text/plain");
    assert_eq!(challenge.text().await.unwrap(), "a b");
    let body = r#"{"n":  77, "note":"raw \u0041"}"#;
    let forged = hub
        .request("POST", "/v1/hooks/probe")
        .header("x-probe-signature", "00")
        .body(body);
    assert_eq!(hub.send(forged).await.0, 401);
    let signature = nexus_tests::hub::key_hash(body);
    let signed = hub
        .request("POST", "/v1/hooks/probe")
        .header("x-probe-signature", signature)
        .body(body);
    let (status, receipt) = hub.send(signed).await;
    assert_eq!(status, 202, "{receipt:#}");
    let journey = hub.finished(receipt["event_id"].as_str().unwrap()).await;
    assert_eq!(journey["status"], "processed", "{journey:#}");
    assert_eq!(recorded(&hub, &journey).await["n"], 77);
    assert_eq!(hub.get("/v1/hooks/nobody").await.0, 404);
    eventually("the background task publishes", || async {
        let (_, queue) = hub.get("/v1/admin/queue").await;
        (queue["accepted"].as_u64()? > 5).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_source_that_fails_is_started_again() {
    let hub = HubBuilder::new()
        .config("[plugins.probe.config]\nrun = \"fail\"")
        .plugin("probe")
        .start();
    eventually("it was started twice", || async {
        let answer = hub
            .request("GET", "/v1/hooks/probe/state/runs")
            .send()
            .await
            .ok()?;
        (answer.text().await.ok()?.parse::<u64>().ok()? >= 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn whoever_waits_for_an_event_that_gives_way_is_told() {
    let hub = HubBuilder::new()
        .config("[queue]\ncapacity = 2\nwhen_full = \"drop_oldest\"")
        .plugin("probe")
        .start();
    let (status, _) = hub
        .publish(&command("sleep_ms", json!({"ms": 3_000})))
        .await;
    assert_eq!(status, 202);
    hub.wait_for_events(1).await;
    let waits = hub.request("POST", "/v1/events?ack=processed");
    let waits = waits.json(&command("skip", json!({"text": "never seen"})));
    let waiting = tokio::spawn(waits.send());
    hub.wait_for_events(2).await;
    let (status, _) = hub
        .publish(&command("skip", json!({"text": "the newcomer"})))
        .await;
    assert_eq!(status, 202);
    let answer = tokio::time::timeout(std::time::Duration::from_secs(2), waiting).await;
    let answer = answer.expect("told at once").unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    let journey: Value = answer.json().await.unwrap();
    assert_eq!(journey["status"], "dead", "{journey:#}");
    assert_eq!(step(&journey, "dead")["reason"], "queue_full");
}
