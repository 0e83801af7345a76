//! Every family that is documented is served, with what has happened; and nothing else is.

use std::collections::BTreeMap;

use nexus_host::observe::metrics::families;
use nexus_host::observe::metrics::{About, Kind};
use nexus_tests::followed::Followed;
use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder, client, eventually};
use nexus_tests::scrape::{Family, Scrape};
use serde_json::{Value, json};

const CONFIG: &str = r#"
[queue]
backend = "sqlite"
sqlite.path = "nexus.db"
[retry]
max_retries = 1
delays = ["50ms"]
[breaker]
open_for = "1h"
[plugins.crasher]
isolation = "process"
[[routes]]
name = "pay"
types = ["mail.received"]
[[routes.actions]]
[routes.actions.ask]
title = "Pay?"
choices = [{ id = "pay", label = "Pay" }, { id = "refuse", label = "Refuse" }]
unanswered = "refuse"
[[clients]]
id = "slow"
key_sha256 = "SLOW"
sources = ["test"]
types = ["probe.*"]
rate = 1
burst = 1
"#;

const SLOW_KEY: &str = "nxk_test_slow";

/// A hub in which everything is there that is measured.
pub(super) fn builder() -> HubBuilder {
    let config = CONFIG.replace("SLOW", &nexus_tests::hub::key_hash(SLOW_KEY));
    let builder = HubBuilder::new().config(&config).contract("mail.received");
    builder.plugin("probe").plugin("crasher")
}

fn all() -> impl Iterator<Item = &'static About> {
    families::ALL.iter().flat_map(|(_, families)| *families)
}

fn command(action: &str, more: Value) -> Value {
    let mut payload = json!({ "action": action });
    for (key, value) in more.as_object().unwrap() {
        payload[key] = value.clone();
    }
    json!({ "type": "probe.command", "source": "test", "payload": payload })
}

fn notify(record: Value) -> Value {
    command("notify", json!({ "record": record }))
}

/// Has one of everything happen.
pub(super) async fn live(hub: &Hub) {
    let ping = json!({ "type": "probe.ping", "source": "test", "payload": { "n": 1 } });
    for status in [202, 429] {
        let request = client().post(hub.url() + "/v1/events").json(&ping);
        let (told, _) = hub.send(request.bearer_auth(SLOW_KEY)).await;
        assert_eq!(told, status);
    }
    for key in ["nxk_unknown", ADMIN_KEY] {
        let unknown = json!({ "type": "no.such", "source": "test", "payload": {} });
        let request = client().post(hub.url() + "/v1/events").json(&unknown);
        hub.send(request.bearer_auth(key)).await;
    }
    for (event, status) in [
        (command("error_permanent", json!({})), "dead"),
        (command("error_retryable", json!({})), "dead"),
        (command("reject", json!({ "text": "never" })), "dead"),
        (command("skip", json!({ "text": "not now" })), "processed"),
        (command("panic_sync", json!({})), "dead"),
        (notify(json!({ "n": 1, "fail_times": 1 })), "processed"),
        (notify(json!({ "n": 2, "permanent": true })), "dead"),
        (
            json!({ "type": "mail.received", "source": "outlook", "payload": {} }),
            "processed",
        ),
    ] {
        let journey = hub.process(&event).await;
        assert_eq!(journey["status"], status, "{event} {journey:#}");
    }
    let crash = json!({ "type": "crasher.told", "source": "test", "payload": { "how": "abort" } });
    hub.process(&crash).await;
    let open = hub.request("POST", "/v1/admin/breakers/probe%2Frecorder/open");
    assert_eq!(hub.send(open).await.0, 200);
    hub.publish(&notify(json!({ "n": 3 }))).await;
}

#[tokio::test]
#[cfg_attr(
    not(target_os = "linux"),
    ignore = "other systems tell less of processes"
)]
async fn every_documented_family_tells_what_has_happened_and_nothing_else_is_served() {
    let hub = builder().start();
    let _followed = Followed::of(&hub).await;
    live(&hub).await;
    let scrape = eventually("the effect is held back and the worker is back", || async {
        let scrape = Scrape::of(&hub).await;
        let is = |name: &str| scrape.sum(name, &[]).is_some_and(|sum| sum > 0.0);
        let are = [
            "nexus_effects_held_back_total",
            "nexus_plugin_workers",
            "nexus_plugin_worker_resident_memory_bytes",
        ];
        let ready = [("plugin", "crasher"), ("state", "ready")];
        let is_well = scrape.sum("nexus_plugin_state", &ready) == Some(1.0);
        // The queue learns of it a moment after it is counted.
        let is_parked = is("nexus_queue_parked");
        let is_there = is_well && is_parked && are.iter().all(|name| is(name));
        is_there.then_some(scrape)
    })
    .await;

    let documented = all().map(|about| {
        let (kind, help) = (about.kind.as_str().to_owned(), about.help.to_owned());
        (about.name.to_owned(), Family { kind, help })
    });
    let documented: BTreeMap<_, _> = documented.collect();
    assert_eq!(scrape.families, documented);
    for about in all() {
        let mut samples = scrape.of_family(about.name).peekable();
        assert!(samples.peek().is_some(), "{} is empty", about.name);
        let labels: Vec<_> = about.labels.iter().map(|label| label.name).collect();
        for sample in samples {
            let own: Vec<_> = sample.labels.iter().map(|(name, _)| name).collect();
            assert_eq!(own, labels, "{}", about.name);
        }
    }
    assert_values(&scrape);
}

/// What [`live`] has done, in figures.
fn assert_values(scrape: &Scrape) {
    let recorder = ("integration", "probe/recorder");
    let misbehave = ("processor", "probe/misbehave");
    let crasher = ("plugin", "crasher");
    for (name, labels, value) in [
        ("nexus_events_total", vec![("result", "rate_limited")], 1.0),
        (
            "nexus_auth_failures_total",
            vec![("reason", "unknown_key")],
            1.0,
        ),
        ("nexus_rate_limited_total", vec![("scope", "client")], 1.0),
        ("nexus_subscribers", vec![], 1.0),
        ("nexus_queue_depth", vec![], 1.0),
        ("nexus_queue_parked", vec![], 1.0),
        ("nexus_queue_delayed", vec![], 1.0),
        ("nexus_queue_leased", vec![], 0.0),
        ("nexus_queue_busy_lanes", vec![], 0.0),
        ("nexus_queue_capacity", vec![], 1_000.0),
        ("nexus_queue_storage_failing", vec![], 0.0),
        // A failure and a panic that were tried again; two failures for good, whose codes are the plugin's own.
        (
            "nexus_dead_letters_total",
            vec![("reason", "retries_exhausted")],
            2.0,
        ),
        (
            "nexus_dead_letters_total",
            vec![("reason", "rejected")],
            1.0,
        ),
        ("nexus_dead_letters_total", vec![("reason", "other")], 2.0),
        (
            "nexus_dead_letters_total",
            vec![("reason", "killed_the_worker")],
            1.0,
        ),
        (
            "nexus_processor_results_total",
            vec![misbehave, ("result", "reject")],
            1.0,
        ),
        (
            "nexus_processor_results_total",
            vec![misbehave, ("result", "skip")],
            1.0,
        ),
        (
            "nexus_processor_results_total",
            vec![misbehave, ("result", "retry_later")],
            0.0,
        ),
        (
            "nexus_processor_results_total",
            vec![("processor", "routes/pay"), ("result", "done")],
            1.0,
        ),
        (
            "nexus_effect_results_total",
            vec![recorder, ("result", "done")],
            2.0,
        ),
        (
            "nexus_effect_results_total",
            vec![recorder, ("result", "failed")],
            2.0,
        ),
        (
            "nexus_effect_results_total",
            vec![("integration", "approvals"), ("result", "done")],
            1.0,
        ),
        ("nexus_effect_retries_total", vec![recorder], 1.0),
        ("nexus_effect_seconds_count", vec![recorder], 4.0),
        (
            "nexus_breaker_targets",
            vec![recorder, ("state", "open")],
            1.0,
        ),
        (
            "nexus_breaker_targets",
            vec![recorder, ("state", "closed")],
            0.0,
        ),
        ("nexus_breaker_opened_total", vec![recorder], 1.0),
        ("nexus_plugin_state", vec![crasher, ("state", "ready")], 1.0),
        (
            "nexus_plugin_state",
            vec![crasher, ("state", "failed")],
            0.0,
        ),
        (
            "nexus_plugin_info",
            vec![crasher, ("isolation", "process")],
            1.0,
        ),
        ("nexus_plugin_panics_total", vec![("plugin", "probe")], 2.0),
        ("nexus_plugin_files_refused", vec![], 0.0),
        ("nexus_plugin_workers", vec![crasher], 1.0),
        ("nexus_approvals_pending", vec![], 1.0),
        ("nexus_readiness", vec![("status", "degraded")], 1.0),
        ("nexus_readiness", vec![("status", "ready")], 0.0),
    ] {
        assert_eq!(
            scrape.sum(name, &labels),
            Some(value),
            "{name} {labels:?}\n{}",
            scrape.text
        );
    }
    let total = |name: &str| scrape.sum(name, &[]).unwrap_or_default();
    assert_eq!(total("nexus_plugin_worker_deaths_total"), 2.0);
    assert_eq!(
        total("nexus_queue_wait_seconds_count"),
        total("nexus_queue_accepted_events_total")
    );
    assert_eq!(
        total("nexus_event_seconds_count"),
        total("nexus_queue_finished_events_total")
    );
    assert_eq!(
        total("nexus_queue_accepted_events_total") - total("nexus_queue_finished_events_total"),
        total("nexus_queue_depth")
    );
    for (name, least) in [
        ("nexus_queue_file_bytes", 1e4),
        ("nexus_queue_disk_available_bytes", 1e6),
        ("nexus_connections", 1.0),
        ("process_resident_memory_bytes", 1e6),
        ("process_open_fds", 5.0),
        ("process_max_fds", 64.0),
        ("process_start_time_seconds", 1.6e9),
    ] {
        assert!(total(name) >= least, "{name} is {}", total(name));
    }
    for about in all().filter(|about| about.kind == Kind::Histogram) {
        let last = format!("{}_bucket", about.name);
        let all = scrape.sum(&last, &[("le", "+Inf")]);
        let count = scrape.sum(&format!("{}_count", about.name), &[]);
        assert_eq!(all, count, "{}", about.name);
    }
}
