//! Traces, as a collector of another make takes them and as other systems are told of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use futures_util::{SinkExt, StreamExt};
use nexus_proto::nexus::v1 as wire;
use nexus_proto::nexus::v1::hub_client::HubClient;
use nexus_tests::collector::{Collector, Span};
use nexus_tests::foreign::python_with;
use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder, eventually};
use nexus_tests::langgraph::free_port;
use nexus_tests::scrape::Scrape;
use nexus_tests::skip::or_skip;
use nexus_tests::tls::{Front, certificates};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::channel;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tonic::transport::Endpoint;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

const PRODUCER: &str = "00f067aa0ba902b7";

const CANARY: &str = "canary-77ab";

/// Systems that refuse everything, and say to which trace it belongs. Killed when dropped.
struct OtherSystems {
    child: Child,
    folder: TempDir,
    grpc: u16,
    http: u16,
}

impl OtherSystems {
    async fn start() -> Result<Self, String> {
        let python = tokio::task::spawn_blocking(|| python_with("grpcio==1.85.3")).await;
        let python = python.unwrap()?;
        let folder = tempfile::tempdir().unwrap();
        let (grpc, http) = (free_port(), free_port());
        let child = Command::new(python)
            .args(["-c", include_str!("traces/other_systems.py")])
            .args([grpc.to_string(), http.to_string()])
            .stdin(Stdio::null())
            .stdout(File::create(folder.path().join("out")).unwrap())
            .spawn()
            .unwrap();
        eventually("both listen", || async {
            let both = [grpc, http].map(|port| TcpStream::connect(("127.0.0.1", port)));
            both.iter().all(Result::is_ok).then_some(())
        })
        .await;
        Ok(Self {
            child,
            folder,
            grpc,
            http,
        })
    }

    /// The trace contexts that came by one door.
    fn told(&self, door: &str) -> Vec<String> {
        let out = std::fs::read_to_string(self.folder.path().join("out")).unwrap();
        let asked = out
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let by_door = asked.filter(|asked| asked["door"] == door);
        by_door
            .filter_map(|asked| asked["traceparent"].as_str().map(str::to_owned))
            .collect()
    }
}

impl Drop for OtherSystems {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn to(collector: &Collector, protocol: &str) -> String {
    let endpoint = match protocol {
        "grpc" => format!("http://127.0.0.1:{}", collector.grpc),
        _ => format!("http://127.0.0.1:{}/v1/traces", collector.http),
    };
    format!(
        "[observe.traces]\nendpoint = \"{endpoint}\"\nprotocol = \"{protocol}\"\ndelay = \"50ms\"\n\
         headers = {{ authorization = {{ env = \"OTLP_TOKEN\" }} }}\n"
    )
}

fn hub(traces: &str, isolation: &str) -> HubBuilder {
    HubBuilder::new()
        .config(traces)
        .config(&format!(
            "[retry]\nmax_retries = 1\ndelays = [\"20ms\"]\n[plugins.probe]\nisolation = \"{isolation}\""
        ))
        .env("OTLP_TOKEN", "token-of-the-collector")
        .plugin("probe")
}

async fn send(hub: &Hub, parent: &str, event: &Value) -> Value {
    let request = hub.request("POST", "/v1/events").json(event);
    let (status, receipt) = hub.send(request.header("traceparent", parent)).await;
    assert_eq!(status, 202, "{receipt}");
    hub.finished(receipt["event_id"].as_str().unwrap()).await
}

fn command(payload: Value) -> Value {
    json!({ "type": "probe.command", "source": "test", "correlation_id": "order-7", "payload": payload })
}

fn sampled() -> String {
    format!("00-{TRACE}-{PRODUCER}-01")
}

fn context_of(span: &Span) -> String {
    format!("00-{}-{}-01", span.trace, span.id)
}

async fn one_trace_goes_through(protocol: &str) {
    let started = Collector::start().await;
    let Some(collector) = or_skip("one_trace_goes_through", started) else {
        return;
    };
    let started = OtherSystems::start().await;
    let Some(others) = or_skip("one_trace_goes_through", started) else {
        return;
    };
    let (grpc, http) = (others.grpc, others.http);
    let hub = hub(&to(&collector, protocol), "process")
        .config(&format!(
            "[plugins.toasty]\nisolation = \"process\"\n[plugins.toasty.config]\nendpoint = \"http://127.0.0.1:{grpc}\"\n\
             [plugins.langgraph]\nisolation = \"process\"\n[plugins.langgraph.config]\nurl = \"http://127.0.0.1:{http}\"\n\
             [[routes]]\nname = \"tell\"\ntypes = [\"probe.ping\"]\n\
             [[routes.actions]]\nnotify = \"toasty\"\nrequest = {{ show = {{ title = \"{CANARY}\" }} }}\n\
             [[routes.actions]]\nnotify = \"langgraph\"\nrequest = {{ run = {{ assistant = \"{CANARY}\" }} }}\n"
        ))
        .plugin("toasty")
        .plugin("langgraph")
        .start();

    // The event that is sent is decided about in a process, and leads to another, of which others are told.
    send(
        &hub,
        &sampled(),
        &command(json!({ "action": "emit", "n": 7, "text": CANARY })),
    )
    .await;

    let [received, sent, processed, emitted, toast, run] = collector
        .wait_for(
            TRACE,
            [
                "POST /v1/events",
                "send probe.command",
                "process probe.command",
                "send probe.ping",
                "perform toasty/toasty",
                "perform langgraph/langgraph",
            ],
        )
        .await;
    let spans = collector.spans();
    let is_route = |span: &&Span| {
        span.attributes
            .values()
            .any(|value| value.contains("routes/tell"))
    };
    let routed = spans.iter().find(is_route).expect("the route's span");
    let kinds = [&received, &sent, &processed, &emitted, routed, &toast, &run];
    let kinds = kinds.map(|span| span.kind.as_str());
    assert_eq!(
        kinds,
        [
            "SERVER", "PRODUCER", "CONSUMER", "PRODUCER", "CONSUMER", "CLIENT", "CLIENT"
        ]
    );
    assert_eq!(received.parent, PRODUCER);
    assert_eq!(sent.parent, received.id);
    assert_eq!(
        (&processed.parent, &processed.links),
        (&sent.id, &vec![sent.id.clone()])
    );
    assert_eq!(emitted.parent, processed.id);
    assert_eq!(
        (&routed.parent, &routed.links),
        (&emitted.id, &vec![emitted.id.clone()])
    );
    assert_eq!(toast.parent, routed.id);
    assert_eq!(run.parent, routed.id);
    for (span, events) in [(&toast, 1), (&run, 1), (&processed, 0)] {
        let dead = span
            .events
            .iter()
            .filter(|name| *name == "nexus.dead_letter");
        assert_eq!(dead.count(), events, "{span:?}");
    }
    for (door, span) in [("grpc", &toast), ("http", &run)] {
        let told = others.told(door);
        assert!(
            told.contains(&context_of(span)),
            "{door}: {told:?} of {span:?}"
        );
    }
    let attributes = [
        "messaging.message.conversation_id",
        "messaging.destination.name",
    ];
    let told = attributes.map(|name| sent.attributes[name].as_str());
    assert_eq!(told, ["Str(order-7)", "Str(probe.command)"]);
    assert!(!collector.printed().contains(CANARY));
}

#[tokio::test]
async fn one_trace_goes_through_and_to_a_collector_over_grpc() {
    one_trace_goes_through("grpc").await;
}

#[tokio::test]
async fn one_trace_goes_through_and_to_a_collector_over_http() {
    one_trace_goes_through("http").await;
}

/// Which trace a request belongs to is said as each door has it.
#[tokio::test]
async fn every_door_is_part_of_the_trace() {
    let started = Collector::start().await;
    let Some(collector) = or_skip("every_door_is_part_of_the_trace", started) else {
        return;
    };
    let hub = hub(&to(&collector, "grpc"), "inline")
        .config("[[webhooks]]\nname = \"shop\"\nscheme = \"none\"\ntype = \"door.rung\"")
        .contract("door.rung")
        .start();
    let parent = |trace: &str| format!("00-{trace}-{PRODUCER}-01");
    let [grpc_trace, socket_trace, hook_trace] = ["1", "2", "3"].map(|digit| digit.repeat(32));

    let address = hub.grpc_address().await;
    let to = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut grpc = HubClient::new(to.connect_lazy());
    let event = wire::Event {
        r#type: "door.rung".to_owned(),
        source: "test".to_owned(),
        payload: b"{}".to_vec().into(),
        ..wire::Event::default()
    };
    let kind = Some(wire::publish_request::Kind::Event(event));
    let mut request = tonic::Request::new(wire::PublishRequest { kind });
    let key = format!("Bearer {ADMIN_KEY}").parse().unwrap();
    request.metadata_mut().insert("authorization", key);
    let trace = parent(&grpc_trace).parse().unwrap();
    request.metadata_mut().insert("traceparent", trace);
    grpc.publish(request).await.unwrap();

    let url = format!("ws://{}/v1/ws", hub.address());
    let mut request = url.into_client_request().unwrap();
    let key = format!("Bearer {ADMIN_KEY}").parse().unwrap();
    request.headers_mut().insert("authorization", key);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let event = json!({
        "type": "door.rung", "source": "test", "payload": {}, "traceparent": parent(&socket_trace),
    });
    let frame = json!({ "op": "publish", "event": event }).to_string();
    socket.send(Message::text(frame)).await.unwrap();
    socket.next().await.unwrap().unwrap();

    let request = hub.request("POST", "/v1/hooks/shop").body("{}");
    let (status, answer) = hub
        .send(request.header("traceparent", parent(&hook_trace)))
        .await;
    assert_eq!(status, 202, "{answer}");

    let names = ["nexus.v1.Hub/Publish", "send door.rung"];
    let [received, sent] = collector.wait_for(&grpc_trace, names).await;
    assert_eq!((&*received.kind, &*received.parent), ("SERVER", PRODUCER));
    assert_eq!(received.attributes["rpc.grpc.status_code"], "Int(0)");
    assert_eq!(sent.parent, received.id);

    // The event says it, not the connection: what is received is beside the trace, and linked to.
    let [sent] = collector.wait_for(&socket_trace, ["send door.rung"]).await;
    assert_eq!(sent.parent, PRODUCER);
    let linked = |span: &Span| span.name == "GET /v1/ws" && sent.links.contains(&span.id);
    assert!(collector.spans().iter().any(linked), "{sent:?}");

    let names = ["POST /v1/hooks/{source}", "send door.rung"];
    let [received, sent] = collector.wait_for(&hook_trace, names).await;
    assert_eq!((&*received.kind, &*received.parent), ("SERVER", PRODUCER));
    assert_eq!(sent.parent, received.id);
}

async fn a_collector_is_reached_over_tls(protocol: &str, alpn: &str) {
    let started = Collector::start().await;
    let Some(collector) = or_skip("a_collector_is_reached_over_tls", started) else {
        return;
    };
    let (plain, path) = match protocol {
        "grpc" => (collector.grpc, ""),
        _ => (collector.http, "/v1/traces"),
    };
    let front = Front::of(plain, alpn).await;
    let traces = |authority: &str| {
        let authority = certificates().join(authority);
        format!(
            "[observe.traces]\nendpoint = \"https://localhost:{}{path}\"\nprotocol = \"{protocol}\"\n\
             delay = \"10ms\"\nca_file = {:?}\n",
            front.port,
            authority.to_string_lossy()
        )
    };
    let skip = command(json!({ "action": "skip", "text": "no" }));
    {
        let hub = hub(&traces("ca.pem"), "inline").start();
        send(&hub, &sampled(), &skip).await;
        collector.wait_for(TRACE, ["process probe.command"]).await;
    }
    // Another authority does not vouch for it.
    let hub = hub(&traces("stranger.pem"), "inline").start();
    send(&hub, &sampled(), &skip).await;
    hub.wait_for_log("the collector does not take traces").await;
}

#[tokio::test]
async fn a_collector_is_reached_over_tls_by_grpc() {
    a_collector_is_reached_over_tls("grpc", "h2").await;
}

#[tokio::test]
async fn a_collector_is_reached_over_tls_by_http() {
    a_collector_is_reached_over_tls("http", "http/1.1").await;
}

#[tokio::test]
async fn authorities_that_cannot_be_read_keep_a_hub_from_starting() {
    for protocol in ["grpc", "http"] {
        let traces = format!(
            "[observe.traces]\nendpoint = \"https://localhost:1\"\nprotocol = \"{protocol}\"\nca_file = \"nexus.toml\"\n"
        );
        let (status, told) = hub(&traces, "inline").run_to_end();
        assert_eq!(status.code(), Some(1), "{told}");
        assert!(told.contains("there is no certificate in it"), "{told}");
    }
}

/// What goes to the collector is what the configuration says, and no header of it gets into the log, even if the
/// collector says it.
#[tokio::test]
async fn the_configuration_alone_decides_and_its_headers_are_not_told() {
    let (heard, mut requests) = channel(1);
    let refuse = move |headers: HeaderMap| {
        let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)));
        let headers: BTreeMap<String, String> = headers.collect();
        let said = format!("{headers:?} will not do");
        // The first request is all that is looked at.
        let _ = heard.try_send(headers);
        async move { (StatusCode::UNAUTHORIZED, said) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(refuse);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let hub = hub(
        &format!(
            "[observe]\nlog_level = \"trace\"\n[observe.traces]\nendpoint = \"http://127.0.0.1:{port}/here\"\n\
             protocol = \"http\"\ndelay = \"10ms\"\nheaders = {{ authorization = {{ env = \"OTLP_TOKEN\" }} }}\n"
        ),
        "inline",
    )
    .env("OTEL_EXPORTER_OTLP_HEADERS", "x-leak=1")
    .env("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-leak=2")
    .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1/")
    .env("OTEL_RESOURCE_ATTRIBUTES", "leak=1")
    .env("OTEL_TRACES_SAMPLER", "always_off")
    .env("OTEL_SDK_DISABLED", "true")
    .start();
    hub.process(&command(json!({ "action": "skip", "text": "no" })))
        .await;
    let headers = requests.recv().await.unwrap();
    assert_eq!(headers["authorization"], "token-of-the-collector");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert!(!headers.contains_key("x-leak"), "{headers:?}");
    hub.wait_for_log("the collector does not take traces").await;
    let log = hub.log();
    assert!(log.contains("will not do"), "{log}");
    assert!(!log.contains("token-of-the-collector"), "{log}");
    server.abort();
}

/// One that is restarted takes what was sent meanwhile.
#[tokio::test]
async fn spans_are_sent_again_to_a_collector_that_is_away_for_a_moment() {
    let (heard, mut requests) = channel(1);
    let answer = move || {
        let _ = heard.try_send(());
        async { StatusCode::OK }
    };
    let port = free_port();
    let traces = format!(
        "[observe.traces]\nendpoint = \"http://127.0.0.1:{port}/\"\nprotocol = \"http\"\ndelay = \"10ms\"\n"
    );
    let hub = hub(&traces, "inline").start();
    hub.process(&command(json!({ "action": "skip", "text": "no" })))
        .await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
    let router = Router::new().fallback(answer);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    requests.recv().await.unwrap();
    assert!(!hub.log().contains("does not take traces"), "{}", hub.log());
    server.abort();
}

#[tokio::test]
async fn a_trace_goes_on_after_a_restart() {
    let started = Collector::start().await;
    let Some(collector) = or_skip("a_trace_goes_on_after_a_restart", started) else {
        return;
    };
    let traces = to(&collector, "grpc");
    let queue = "[queue]\nbackend = \"sqlite\"";
    let hub = hub(&traces, "inline").config(queue).start();
    let schedule = command(json!({ "action": "schedule", "n": 1, "ms": 4000 }));
    let request = hub.request("POST", "/v1/events").json(&schedule);
    hub.send(request.header("traceparent", sampled())).await;
    let [_, processed] = collector
        .wait_for(TRACE, ["POST /v1/events", "process probe.command"])
        .await;
    // What waits is found again by the next process, and with it the call that decided it.
    let _hub = hub.kill().start();
    let [performed] = collector.wait_for(TRACE, ["perform probe/recorder"]).await;
    assert_eq!(performed.parent, processed.id);
}

#[tokio::test]
async fn every_attempt_is_a_span_of_its_own() {
    let started = Collector::start().await;
    let Some(collector) = or_skip("every_attempt_is_a_span_of_its_own", started) else {
        return;
    };
    let hub = hub(&to(&collector, "grpc"), "thread").start();
    send(
        &hub,
        &sampled(),
        &command(json!({ "action": "error_retryable" })),
    )
    .await;
    let attempts = eventually("both attempts have come", || async {
        let mut spans = collector.spans();
        spans.retain(|span| span.name == "process probe.command");
        (spans.len() == 2).then_some(spans)
    })
    .await;
    let number = |span: &Span| span.attributes["nexus.attempt"].clone();
    let mut numbers: Vec<_> = attempts.iter().map(number).collect();
    numbers.sort();
    assert_eq!(numbers, ["Int(1)", "Int(2)"]);
    assert_eq!(attempts[0].parent, attempts[1].parent);
    let dead = attempts.iter().flat_map(|span| &span.events);
    assert_eq!(dead.collect::<Vec<_>>(), ["nexus.dead_letter"]);
}

#[tokio::test]
async fn who_began_a_trace_decides_whether_it_is_kept() {
    let started = Collector::start().await;
    let Some(collector) = or_skip("who_began_a_trace_decides_whether_it_is_kept", started) else {
        return;
    };
    let traces = format!("{}sample = 0.0\n", to(&collector, "grpc"));
    let hub = hub(&traces, "inline").start();
    let skip = command(json!({ "action": "skip", "text": "no" }));
    hub.process(&skip).await;
    let other = "11111111111111111111111111111111";
    send(&hub, &format!("00-{other}-{PRODUCER}-00"), &skip).await;
    send(&hub, &sampled(), &skip).await;
    // They go out in their order.
    collector.wait_for(TRACE, ["process probe.command"]).await;
    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:?}");
}

#[tokio::test]
async fn of_a_flood_some_traces_are_kept_whole() {
    const FLOOD: usize = 200;
    let started = Collector::start().await;
    let Some(collector) = or_skip("of_a_flood_some_traces_are_kept_whole", started) else {
        return;
    };
    let traces = format!(
        "alerts.enabled = false\n{}per_second = 3\n",
        to(&collector, "http")
    );
    let hub = hub(&traces, "inline").start();
    let skip = command(json!({ "action": "skip", "text": "no" }));
    let begun = Instant::now();
    for _ in 0..FLOOD {
        let (status, receipt) = hub.publish(&skip).await;
        assert_eq!(status, 202, "{receipt}");
    }
    // Three at once, and one in each third of a second since.
    let most = 3 + 3 * usize::try_from(begun.elapsed().as_secs()).unwrap() + 3;
    assert!(most < FLOOD, "no flood: {:?}", begun.elapsed());
    let metrics = Scrape::of(&hub).await;
    let left_out = metrics.sum("nexus_traces_left_out_total", &[]).unwrap();
    let kept = FLOOD - left_out as usize;
    assert!((3..=most).contains(&kept), "at most {most}: {kept}");

    let whole = [
        "POST /v1/events",
        "process probe.command",
        "send probe.command",
    ];
    eventually("all that are kept have come, whole", || async {
        let mut traces: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for span in collector.spans() {
            traces.entry(span.trace).or_default().push(span.name);
        }
        traces.values_mut().for_each(|names| names.sort());
        (traces.len() == kept && traces.values().all(|names| *names == whole)).then_some(())
    })
    .await;
    // Whoever began one elsewhere has decided for it.
    for _ in 0..=most {
        send(&hub, &sampled(), &skip).await;
    }
    eventually("each is kept", || async {
        let spans = collector.spans();
        let of_it = spans.iter().filter(|span| span.trace == TRACE);
        (of_it.count() == 3 * (most + 1)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nobody_up_and_is_told_of_once() {
    let traces = format!(
        "[observe.traces]\nendpoint = \"http://127.0.0.1:{}\"\ndelay = \"10ms\"\n",
        free_port()
    );
    let mut hub = hub(&traces, "inline").start();
    let skip = command(json!({ "action": "skip", "text": "no" }));
    let dropped = || async {
        let metrics = Scrape::of(&hub).await;
        let counted = metrics.sum("nexus_trace_spans_total", &[("result", "dropped")]);
        counted.unwrap()
    };
    for more in [1.0, 4.0] {
        hub.process(&skip).await;
        eventually("spans are dropped", || async {
            (dropped().await >= more).then_some(())
        })
        .await;
    }
    assert_eq!(hub.log().matches("does not take traces").count(), 1);
    assert!(hub.stop(std::time::Duration::from_secs(8)).success());
}

#[tokio::test]
async fn without_a_collector_a_trace_goes_through_as_it_came() {
    let started = OtherSystems::start().await;
    let Some(others) = or_skip(
        "without_a_collector_a_trace_goes_through_as_it_came",
        started,
    ) else {
        return;
    };
    let hub = hub("", "inline")
        .config(&format!(
            "[plugins.toasty.config]\nendpoint = \"http://127.0.0.1:{}\"\n[[routes]]\nname = \"tell\"\ntypes = [\"probe.ping\"]\n\
             [[routes.actions]]\nnotify = \"toasty\"\nrequest = {{ show = {{ title = \"a\" }} }}\n",
            others.grpc
        ))
        .plugin("toasty")
        .start();
    send(
        &hub,
        &sampled(),
        &json!({ "type": "probe.ping", "source": "test", "payload": { "n": 1 } }),
    )
    .await;
    assert!(
        others.told("grpc").contains(&sampled()),
        "{:?}",
        others.told("grpc")
    );
}
