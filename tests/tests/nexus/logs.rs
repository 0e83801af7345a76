//! The hub's log: which event each line is about, what is never in it, and which lines there are while it runs.

use nexus_proto::nexus::v1::PublishRequest;
use nexus_proto::nexus::v1::hub_client::HubClient;
use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder, PATIENCE, eventually};
use nexus_tests::scrape::Scrape;
use serde_json::{Value, json};
use tonic::transport::Endpoint;

const ID: &str = "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a";

const CANARY: &str = "canary-5f1c";

fn hub(observe: &str, isolation: &str) -> Hub {
    HubBuilder::new()
        .config(&format!(
            "[observe]\n{observe}\n[plugins.probe]\nisolation = \"{isolation}\"\n\
             [plugins.probe.secrets]\ntoken = {{ env = \"PROBE_TOKEN\" }}\n\
             [[webhooks]]\nname = \"shop\"\nscheme = \"github\"\ntype = \"probe.ping\"\n\
             secrets = [{{ env = \"SHOP_SECRET\" }}]\n"
        ))
        .env("PROBE_TOKEN", &token())
        .env("SHOP_SECRET", &format!("shop-{CANARY}"))
        .plugin("probe")
        .start()
}

/// The plugin's secret, which looks otherwise within JSON.
fn token() -> String {
    format!("to\"ken-{CANARY}")
}

fn command(payload: Value) -> Value {
    json!({
        "event_id": ID, "correlation_id": "order-7", "type": "probe.command", "source": "test",
        "payload": payload,
    })
}

/// The log's lines; what the hub prints beside it is none.
fn lines(hub: &Hub) -> Vec<Value> {
    let log = hub.log();
    let lines = log.lines().filter(|line| line.starts_with('{'));
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn text<'l>(line: &'l Value, key: &str) -> &'l str {
    line[key].as_str().unwrap_or_default()
}

async fn every_line_names_its_event(isolation: &str) {
    let hub = hub("log_level = \"trace\"\nlog_format = \"json\"", isolation);
    // A worker hears of the level with its first ping.
    let log = json!({ "action": "log", "n": 1, "text": "here" });
    hub.process(&command(log)).await;
    eventually("every line is there", || async {
        let told = lines(&hub);
        let has = |wanted: &str| told.iter().any(|line| text(line, "message") == wanted);
        let wanted = [
            "accepted",
            "probe logs everything",
            "a processor has answered",
            "finished",
        ];
        wanted.into_iter().all(has).then_some(())
    })
    .await;
    let about = |line: &&Value| {
        [
            "nexus::plugin",
            "nexus_host::dispatch",
            "nexus_host::intake",
        ]
        .iter()
        .any(|target| text(line, "target").starts_with(target))
    };
    let told = lines(&hub);
    for line in told.iter().filter(about) {
        assert_eq!(text(line, "event_id"), ID, "{line}");
        assert_eq!(text(line, "correlation_id"), "order-7", "{line}");
    }
    let said = |line: &&Value| text(line, "message").starts_with("probe logs");
    assert_eq!(told.iter().filter(said).count(), 5);
}

#[tokio::test]
async fn every_line_names_its_event_inline() {
    every_line_names_its_event("inline").await;
}

#[tokio::test]
async fn every_line_names_its_event_on_threads() {
    every_line_names_its_event("thread").await;
}

#[tokio::test]
async fn every_line_names_its_event_in_a_process() {
    every_line_names_its_event("process").await;
}

#[tokio::test]
async fn errors_name_their_event_at_the_quietest_level_too() {
    let hub = hub("log_level = \"error\"\nlog_format = \"json\"", "inline");
    hub.process(&command(json!({ "action": "panic_sync" })))
        .await;
    eventually("the panic is told", || async {
        let told = lines(&hub);
        let panic = told
            .iter()
            .find(|line| text(line, "message").contains("a plugin panicked"))?;
        assert_eq!(
            (text(panic, "event_id"), text(panic, "correlation_id")),
            (ID, "order-7")
        );
        Some(())
    })
    .await;
}

/// The standard library would tell of them in several lines of its own, with whatever they say.
#[tokio::test]
async fn a_plugin_that_panics_is_told_of_in_lines_like_others() {
    for isolation in ["inline", "thread", "process"] {
        let hub = hub("log_format = \"json\"", isolation);
        hub.process(&command(json!({ "action": "panic_async" })))
            .await;
        let said = |line: &&Value| text(line, "message") == "a panic: panic_async, as told";
        eventually("the panic is told", || async {
            lines(&hub).iter().find(said).map(drop)
        })
        .await;
        let told = lines(&hub);
        let panic = told.iter().find(said).unwrap();
        assert_eq!(
            (text(panic, "event_id"), text(panic, "plugin")),
            (ID, "probe"),
            "{isolation}"
        );
        assert_eq!(text(panic, "correlation_id"), "order-7", "{isolation}");
        assert!(
            text(&panic["fields"], "at").contains("misbehave.rs"),
            "{panic}"
        );
        let log = hub.log();
        for raw in ["panicked at", "stack backtrace", "RUST_BACKTRACE"] {
            assert!(!log.contains(raw), "{isolation}: {log}");
        }
    }
}

/// What is kept of a line does not depend on what else is.
#[tokio::test]
async fn lines_name_their_event_whatever_the_filter_leaves_out() {
    for filter in ["nexus::plugin=info", "off,nexus::plugin=info"] {
        let hub = hub(
            &format!("log_format = \"json\"\nlog_level = \"{filter}\"\nlog_fields = [\"type\"]"),
            "inline",
        );
        let log = json!({ "action": "log", "n": 1, "text": "here" });
        hub.process(&command(log)).await;
        hub.wait_for_log("probe logs progress").await;
        for line in lines(&hub) {
            let ids = (text(&line, "event_id"), text(&line, "correlation_id"));
            assert_eq!(ids, (ID, "order-7"), "{line}");
            assert_eq!(line["event"], json!({ "type": "probe.command" }));
        }
    }
}

#[tokio::test]
async fn what_goes_to_the_dead_letters_is_told_once_and_by_its_ids() {
    for backend in ["memory", "sqlite"] {
        let hub = HubBuilder::new()
            .config(&format!(
                "[observe]\nlog_format = \"json\"\n[queue]\nbackend = \"{backend}\"\ndead_letter_capacity = 1\n"
            ))
            .plugin("probe")
            .start();
        for number in 0..2 {
            let mut dies = command(json!({ "action": "error_permanent" }));
            dies["event_id"] = json!(format!("0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b{number:02}"));
            dies["correlation_id"] = json!(format!("order-{number}"));
            hub.process(&dies).await;
        }
        hub.wait_for_log("the oldest dead letter is discarded")
            .await;
        let told = lines(&hub);
        let about = |what: &str| -> Vec<(&str, &str)> {
            let lines = told
                .iter()
                .filter(|line| text(line, "message").contains(what));
            let ids = lines.map(|line| (text(line, "event_id"), text(line, "correlation_id")));
            ids.collect()
        };
        let first = ("0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b00", "order-0");
        let second = ("0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b01", "order-1");
        assert_eq!(about("dead letters"), [first, second], "{backend}");
        assert_eq!(about("is discarded"), [first], "{backend}");
    }
}

#[tokio::test]
async fn refusals_name_the_event_that_is_refused() {
    let hub = hub("log_level = \"debug\"\nlog_format = \"json\"", "inline");
    // Its payload is none, or what is round it.
    let mut odd = command(json!({ "action": "log", "n": 1, "text": "here" }));
    odd["priority"] = json!("sometime");
    for event in [command(json!({ "action": "no such" })), odd] {
        let before = lines(&hub).len();
        let (status, _) = hub.publish(&event).await;
        assert_eq!(status, 422);
        eventually("the refusal is told", || async {
            let told = lines(&hub).split_off(before);
            let refused = |line: &&Value| text(line, "code") == "contract_violation";
            let mut refusals = told.iter().filter(refused).peekable();
            refusals
                .find(|line| text(line, "target").contains("ingress"))
                .map(drop)
        })
        .await;
        let told = lines(&hub).split_off(before);
        for line in told
            .iter()
            .filter(|line| text(line, "message") == "refused")
        {
            let ids = (text(line, "event_id"), text(line, "correlation_id"));
            assert_eq!(ids, (ID, "order-7"), "{line}");
        }
    }
}

#[tokio::test]
async fn one_event_or_what_belongs_together_is_told_in_full() {
    for field in [&format!("event_id={ID}"), "correlation_id=order-7"] {
        let filter = format!("warn,[event{{{field}}}]=trace");
        let hub = hub(
            &format!("log_level = \"{filter}\"\nlog_format = \"json\""),
            "inline",
        );
        let ping = json!({ "type": "probe.ping", "source": "test", "payload": { "n": 1 } });
        hub.process(&ping).await;
        let log = json!({ "action": "log", "n": 1, "text": "here" });
        hub.process(&command(log)).await;
        hub.wait_for_log("a processor has answered").await;
        for line in lines(&hub).iter().filter(|line| line["level"] != "WARN") {
            assert_eq!(text(line, "event_id"), ID, "{field}: {line}");
        }
    }
}

async fn nothing_secret_is_told(format: &str, isolation: &str) {
    let hub = hub(
        &format!("log_level = \"trace\"\nlog_format = \"{format}\""),
        isolation,
    );
    let url = format!("http://{}/{CANARY}?key={CANARY}", hub.address());
    for payload in [
        json!({ "action": "secret", "text": "token" }),
        json!({ "action": "log", "n": 1, "text": token() }),
        json!({ "action": "reject", "text": "no" }),
        json!({ "action": "http_get", "text": url }),
        json!({ "action": "notify", "record": { "n": 1, "note": CANARY } }),
        json!({ "action": "no such", "text": CANARY }),
    ] {
        let event = json!({ "type": "probe.command", "source": "test", "payload": payload });
        let path = format!("/v1/events?x={CANARY}");
        for path in ["/v1/events", &path] {
            let request = hub.request("POST", path).json(&event);
            let request = request.header("idempotency-key", format!("\"{CANARY}{payload}\""));
            hub.send(request.header("x-note", CANARY)).await;
        }
    }
    let wrong = hub.request("GET", "/v1/admin/queue").bearer_auth(CANARY);
    hub.send(wrong).await;
    let hook = hub
        .request("POST", "/v1/hooks/shop")
        .body(format!("{{\"n\": \"{CANARY}\"}}"));
    hub.send(hook.header("x-hub-signature-256", format!("sha256={CANARY}")))
        .await;
    hub.send(hub.request("POST", "/v1/events").body(CANARY))
        .await;
    hub.process(
        &json!({ "type": "probe.ping", "source": "test", "payload": { "n": 1, "note": CANARY } }),
    )
    .await;
    // The library for HTTP/2 tells of frames, if it is let.
    let address = hub.grpc_address().await;
    let to = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut grpc = HubClient::new(to.connect_lazy());
    let mut request = tonic::Request::new(PublishRequest::default());
    let key = format!("Bearer {CANARY}").parse().unwrap();
    request.metadata_mut().insert("authorization", key);
    assert!(grpc.publish(request).await.is_err());
    let log = hub.log();
    assert!(log.contains("a processor has answered"), "{log}");
    for secret in [CANARY, ADMIN_KEY] {
        let told = log.lines().find(|line| line.contains(secret));
        assert_eq!(told, None);
    }
    let is_beyond = |line: &&str| line.contains("TRACE") || line.contains("DEBUG");
    let of_library = |line: &&str| line.contains("h2::");
    assert_eq!(log.lines().filter(is_beyond).find(of_library), None);
}

#[tokio::test]
async fn no_payload_and_no_secret_is_told_at_any_level() {
    nothing_secret_is_told("pretty", "inline").await;
    nothing_secret_is_told("json", "process").await;
}

#[tokio::test]
async fn what_the_operator_allows_is_told_and_nothing_beside() {
    let allowed = "log_level = \"debug\"\nlog_format = \"json\"\nlog_fields = [\"type\", \"/n\"]";
    let hub = hub(allowed, "inline");
    let ping =
        json!({ "type": "probe.ping", "source": "test", "payload": { "n": 17, "note": CANARY } });
    hub.process(&ping).await;
    let told = lines(&hub);
    let line = told
        .iter()
        .find(|line| text(line, "message") == "accepted")
        .unwrap();
    assert_eq!(line["event"], json!({ "type": "probe.ping", "/n": 17 }));
    assert!(!hub.log().contains(CANARY));
}

#[tokio::test]
async fn no_control_character_reaches_whoever_reads() {
    for format in ["pretty", "json"] {
        for isolation in ["inline", "process"] {
            let hub = hub(&format!("log_format = \"{format}\""), isolation);
            let text =
                "\u{1b}[2Jgone\r\n2027-01-01 ERROR forged\u{9b}31m\u{7f}\u{202e}\u{2066}\u{2028}";
            let mut log = command(json!({ "action": "log", "n": 1, "text": text }));
            log["correlation_id"] = json!("turned\u{202e}round");
            hub.process(&log).await;
            hub.process(&command(json!({ "action": "reject", "text": text })))
                .await;
            hub.wait_for_log("probe logs progress").await;
            let log = hub.log();
            assert!(log.contains("forged"), "{log}");
            let forged = log.lines().find(|line| line.starts_with("2027"));
            assert_eq!(forged, None);
            let is_strange = |c: &char| {
                let turns =
                    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}');
                turns || (c.is_control() && *c != '\n')
            };
            let strange: String = log.chars().filter(is_strange).collect();
            assert_eq!(strange, "", "{format} {isolation}");
            assert!(log.contains("turned") && log.contains("round"), "{log}");
        }
    }
}

#[tokio::test]
async fn the_level_changes_while_the_hub_runs() {
    let hub = hub("log_level = \"info\"\nlog_format = \"json\"", "process");
    let ping = json!({ "type": "probe.ping", "source": "test", "payload": { "n": 1 } });
    let count = || {
        lines(&hub)
            .iter()
            .filter(|line| text(line, "level") == "DEBUG")
            .count()
    };
    hub.process(&ping).await;
    assert_eq!(count(), 0);
    let filter = |by: &str, filter: &str| json!({ "filter": filter, "set_by": by });
    assert_eq!(
        hub.get("/v1/admin/log").await,
        (200, filter("configuration", "info"))
    );

    let change = |wanted: &str| {
        hub.request("PUT", "/v1/admin/log")
            .json(&json!({ "filter": wanted }))
    };
    let debug = filter("administrator", "debug");
    assert_eq!(hub.send(change("debug")).await, (200, debug.clone()));
    hub.process(&ping).await;
    eventually("details are told", || async { (count() > 0).then_some(()) }).await;

    let (status, problem) = hub.send(change("loud")).await;
    assert_eq!(
        (status, &problem["code"]),
        (422, &json!("invalid_config")),
        "{problem}"
    );
    assert_eq!(hub.get("/v1/admin/log").await, (200, debug));

    let told = hub.nexus(&["log", "warn"]).await;
    assert!(told.status.success(), "{told:?}");
    assert_eq!(
        hub.get("/v1/admin/log").await.1,
        filter("administrator", "warn")
    );

    // What the configuration says anew counts again.
    let file = hub.folder().join("nexus.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let config = config.replace("log_level = \"info\"", "log_level = \"trace\"");
    std::fs::write(&file, config).unwrap();
    hub.signal("HUP");
    eventually("the configuration is applied", || async {
        let (_, now) = hub.get("/v1/admin/log").await;
        (now == filter("configuration", "trace")).then_some(())
    })
    .await;
    // Its worker hears of it as well.
    eventually("the worker tells everything", || async {
        let log = json!({ "type": "probe.command", "source": "test", "payload": { "action": "log", "n": 1 } });
        hub.process(&log).await;
        hub.log().contains("probe logs everything").then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_environment_goes_before_the_configuration() {
    let mut hub = HubBuilder::new().env("NEXUS_LOG", "warn").start();
    let (_, now) = hub.get("/v1/admin/log").await;
    assert_eq!(now, json!({ "filter": "warn", "set_by": "environment" }));
    let file = hub.folder().join("nexus.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("observe.log_level = \"debug\"\n{config}")).unwrap();
    hub.signal("HUP");
    hub.wait_for_log("NEXUS_LOG goes before it").await;
    let (_, now) = hub.get("/v1/admin/log").await;
    assert_eq!(now["filter"], "warn");
    hub.stop(PATIENCE);
}

#[test]
fn a_filter_of_the_environment_that_is_none_is_refused() {
    for wrong in ["inof", "warning", ""] {
        let (status, told) = HubBuilder::new().env("NEXUS_LOG", wrong).run_to_end();
        assert_eq!(status.code(), Some(2), "{told}");
        assert!(told.contains("is not a log filter"), "{told}");
    }
}

#[tokio::test]
async fn a_hub_goes_on_while_nobody_reads_its_log_and_tells_what_was_lost() {
    let mut hub = HubBuilder::new()
        .config("[observe]\nlog_level = \"trace\"\nlog_format = \"json\"\n")
        .plugin("probe")
        .start();
    hub.read_errors(false);
    let log = |text: &str| {
        json!({
            "type": "probe.command", "source": "test",
            "payload": { "action": "log", "n": 1, "text": text },
        })
    };
    let much = log(&"x".repeat(10_000));
    let lost = || async {
        let metrics = Scrape::of(&hub).await;
        metrics.sum("nexus_log_lines_lost_total", &[]).unwrap()
    };
    // A pipe has room for some, the hub for some more.
    for _ in 0..100 {
        hub.process(&much).await;
        if lost().await > 0.0 {
            break;
        }
    }
    assert!(lost().await > 0.0);
    hub.process(&much).await;

    hub.read_errors(true);
    hub.wait_for_log("lines of the log were lost").await;
    let told = lines(&hub);
    let line = told
        .iter()
        .find(|line| text(line, "message").contains("were lost"))
        .unwrap();
    assert!(line["lines"].as_u64() > Some(0), "{line}");
    let before = hub.log().len();
    hub.process(&log("again")).await;
    hub.wait_for_log_after(before, "finished").await;

    // Its end does not wait for whoever does not read either.
    hub.read_errors(false);
    for _ in 0..40 {
        hub.process(&much).await;
    }
    assert!(hub.stop(PATIENCE).success());
}
