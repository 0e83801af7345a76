//! The program against real hubs: whatever dies in between, each notification is processed, and once.
// A test's helper may unwrap as the test itself does: its panic is the failure.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nexus_tests::hub::{ADMIN_KEY, Home, Hub, HubBuilder, PATIENCE, eventually, key_hash};
use nexus_tests::proxy::Proxy;
use nexus_tests::tls::certificates;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;
use uuid::{Uuid, uuid};

const TRANSPORTS: [&str; 2] = ["websocket", "http"];

/// Of which ids are made, as docs/parrot.md says.
const NAMESPACE: Uuid = uuid!("5b3a4c52-7a0d-4a5e-9a53-0c1f6a1d0b77");

/// A running producer. Killed when dropped.
struct Producer {
    child: Child,
    input: Option<ChildStdin>,
    log: Arc<Mutex<String>>,
    following: tokio::task::JoinHandle<()>,
}

impl Producer {
    fn start(url: &str, more: &[&str]) -> Self {
        Self::start_as(ADMIN_KEY, url, more)
    }

    fn start_as(key: &str, url: &str, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_parrot-producer"))
            .args(["--url", url])
            .args(more)
            .env("NEXUS_KEY", key)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let written = log.clone();
        let following = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                written.lock().push_str(&(line + "\n"));
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            log,
            following,
        }
    }

    async fn write(&mut self, lines: impl IntoIterator<Item = String>) {
        let text: String = lines.into_iter().map(|line| line + "\n").collect();
        let input = self.input.as_mut().unwrap();
        input.write_all(text.as_bytes()).await.unwrap();
    }

    fn log(&self) -> String {
        self.log.lock().clone()
    }

    async fn wait_for_log(&self, text: &str) {
        eventually(&format!("the producer says {text:?}"), || async {
            self.log().contains(text).then_some(())
        })
        .await;
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let kill = std::process::Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(kill.unwrap().success());
    }

    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Ends its input and waits for its end.
    async fn finish(mut self) -> (ExitStatus, String) {
        drop(self.input.take());
        self.ended().await
    }

    async fn ended(mut self) -> (ExitStatus, String) {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        let status = ended
            .unwrap_or_else(|_| panic!("it goes on:\n{}", self.log()))
            .unwrap();
        (&mut self.following).await.unwrap();
        (status, self.log())
    }
}

/// Checks how a producer has ended and what it says last.
#[track_caller]
fn expect((status, log): (ExitStatus, String), code: i32, summary: &str) -> String {
    assert_eq!(status.code(), Some(code), "{log}");
    let last = log.lines().last().unwrap_or_default();
    assert_eq!(last, format!("parrot-producer: {summary}"), "{log}");
    log
}

fn notification(n: usize) -> Value {
    json!({"notification_id": n.to_string(), "app": "Mail", "title": format!("Mail {n}")})
}

fn lines(numbers: impl IntoIterator<Item = usize>) -> impl Iterator<Item = String> {
    numbers.into_iter().map(|n| notification(n).to_string())
}

fn id(n: usize) -> String {
    Uuid::new_v5(&NAMESPACE, format!(r#"["Mail","{n}"]"#).as_bytes()).to_string()
}

fn builder() -> HubBuilder {
    HubBuilder::new()
        .config(
            "alerts.enabled = false\n[queue]\nbackend = \"sqlite\"\n[plugins.parrot.config]\nmin_priority = \"critical\"",
        )
        .plugin("parrot")
}

/// Checks that these were accepted and processed, each once; hands on why the last was only recorded.
async fn each_once(hub: &Hub, numbers: impl IntoIterator<Item = usize>) -> Value {
    let mut reason = Value::Null;
    for n in numbers {
        let journey = hub.finished(&id(n)).await;
        assert_eq!(journey["status"], "processed", "{journey:#}");
        let steps = journey["steps"].as_array().unwrap();
        let count = |name: &str| steps.iter().filter(|step| step["step"] == name).count();
        assert_eq!(
            (count("accepted"), count("processed")),
            (1, 1),
            "{journey:#}"
        );
        let decided = steps.iter().find(|step| step["step"] == "processed");
        reason = decided.unwrap()["reason"].clone();
    }
    reason
}

/// Checks that a hub has accepted so many events since it was started, and no more.
async fn accepted(hub: &Hub, count: u64) {
    let (_, queue) = hub.get("/v1/admin/queue").await;
    assert_eq!(queue["accepted"], count, "{queue}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_become_events_and_a_repeat_is_known() {
    for transport in TRANSPORTS {
        let hub = builder().start();
        let mut producer = Producer::start(&hub.url(), &["--transport", transport]);
        let mut again = notification(1);
        again["captured_at"] = json!("2026-01-05T09:30:00Z");
        let untitled = json!({"notification_id": "4", "app": "Mail"});
        let mut urgent = notification(3);
        urgent["priority"] = json!("high");
        let more = [again, untitled.clone(), urgent].map(|line| line.to_string());
        producer.write(lines([1, 2]).chain(more)).await;
        let summary = "3 accepted, 1 duplicate, 1 refused, 0 undelivered";
        let log = expect(producer.finish().await, 1, summary);
        let refused: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("is refused"))
            .collect();
        assert_eq!(refused.len(), 1, "{log}");
        assert!(
            refused[0].contains("line 4 is refused: contract_violation"),
            "{log}"
        );
        assert!(refused[0].ends_with(&untitled.to_string()), "{log}");
        let reason = each_once(&hub, [1, 2, 3]).await;
        assert_eq!(reason, "priority high is below critical");
        accepted(&hub, 3).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_hub_cannot_even_read_takes_nothing_else_with_it() {
    for transport in TRANSPORTS {
        let hub = builder().start();
        let mut producer = Producer::start(&hub.url(), &["--transport", transport]);
        let mut deep = notification(9);
        deep["body"] = (0..60).fold(json!(""), |inner, _| json!([inner]));
        let bad = [deep.to_string(), "nonsense".to_owned()];
        producer
            .write(lines([1]).chain(bad).chain(lines([2])))
            .await;
        let summary = "2 accepted, 0 duplicate, 2 refused, 0 undelivered";
        let log = expect(producer.finish().await, 1, summary);
        assert!(log.contains("line 2 is refused: malformed_json"), "{log}");
        assert!(
            log.contains("line 3 is refused: it is no JSON object"),
            "{log}"
        );
        each_once(&hub, [1, 2]).await;
        accepted(&hub, 2).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_with_nothing_to_say_is_kept() {
    let config = "[server]\nhttp = \"127.0.0.1:0\"\nwebsocket.idle_timeout = \"1s\"";
    let hub = builder().config(config).start();
    let mut producer = Producer::start(&hub.url(), &[]);
    producer.write(lines([1])).await;
    hub.wait_for_events(1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    producer.write(lines([2])).await;
    let log = expect(
        producer.finish().await,
        0,
        "2 accepted, 0 duplicate, 0 refused, 0 undelivered",
    );
    assert!(!log.contains("trying again"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_killed_under_way_costs_nothing() {
    for transport in TRANSPORTS {
        let proxy = Proxy::start().await;
        let hub = builder().start();
        proxy.lead_to(hub.address());
        let mut producer = Producer::start(&proxy.url(), &["--transport", transport]);
        producer.write(lines(0..200)).await;
        hub.wait_for_events(50).await;
        let home: Home = hub.kill();
        producer.write(lines(200..300)).await;
        producer.wait_for_log("trying again").await;
        let hub = home.start();
        proxy.lead_to(hub.address());
        producer.write(lines(300..400)).await;
        let (status, log) = producer.finish().await;
        assert!(status.success(), "{log}");
        assert!(log.ends_with("0 refused, 0 undelivered\n"), "{log}");
        each_once(&hub, 0..400).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_while_the_connection_broke_is_sent_again_and_known() {
    for transport in TRANSPORTS {
        let proxy = Proxy::start().await;
        let hub = builder().start();
        proxy.lead_to(hub.address());
        let mut producer = Producer::start(&proxy.url(), &["--transport", transport]);
        producer.write(lines([0])).await;
        proxy.wait_for_answer(&id(0)).await;
        proxy.hold_answers();
        producer.write(lines([1])).await;
        hub.wait_for_events(2).await;
        producer.write(lines(2..10)).await;
        proxy.cut();
        expect(
            producer.finish().await,
            0,
            "9 accepted, 1 duplicate, 0 refused, 0 undelivered",
        );
        each_once(&hub, 0..10).await;
        accepted(&hub, 10).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_producer_loses_nothing_that_it_had_read() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox");
    let options = ["--outbox", outbox.to_str().unwrap()];
    let proxy = Proxy::start().await;
    let hub = builder().start();
    proxy.lead_to(hub.address());
    let mut producer = Producer::start(&proxy.url(), &options);
    producer.write(lines([0])).await;
    hub.wait_for_events(1).await;
    kept(&outbox, 0).await;
    proxy.hold_answers();
    producer.write(lines([1])).await;
    hub.wait_for_events(2).await;
    producer.write(lines(2..10)).await;
    kept(&outbox, 9).await;
    producer.kill().await;
    proxy.cut();
    let next = Producer::start(&proxy.url(), &options);
    expect(
        next.finish().await,
        0,
        "8 accepted, 1 duplicate, 0 refused, 0 undelivered",
    );
    each_once(&hub, 0..10).await;
    accepted(&hub, 10).await;
    let last = Producer::start(&proxy.url(), &options);
    expect(
        last.finish().await,
        0,
        "0 accepted, 0 duplicate, 0 refused, 0 undelivered",
    );
}

/// Waits until an outbox holds so many lines.
async fn kept(outbox: &Path, lines: u64) {
    eventually(&format!("the outbox holds {lines}"), || async {
        let connection = rusqlite::Connection::open(outbox).ok()?;
        let count = connection.query_row("SELECT count(*) FROM lines", [], |row| row.get(0));
        (count.ok() == Some(lines)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_followed_and_the_next_run_goes_on_where_the_last_one_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (file, outbox) = (
        folder.path().join("captured.jsonl"),
        folder.path().join("outbox"),
    );
    let append = |numbers: std::ops::Range<usize>| {
        let options = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&file);
        let text: String = lines(numbers).map(|line| line + "\n").collect();
        std::io::Write::write_all(&mut options.unwrap(), text.as_bytes()).unwrap();
    };
    append(0..3);
    let hub = builder().start();
    let options = [
        "--file",
        file.to_str().unwrap(),
        "--outbox",
        outbox.to_str().unwrap(),
    ];
    let producer = Producer::start(&hub.url(), &[&options[..], &["--follow"]].concat());
    hub.wait_for_events(3).await;
    append(3..5);
    hub.wait_for_events(5).await;
    kept(&outbox, 0).await;
    producer.signal("TERM");
    expect(
        producer.ended().await,
        0,
        "5 accepted, 0 duplicate, 0 refused, 0 undelivered",
    );
    append(5..6);
    let next = Producer::start(&hub.url(), &options);
    expect(
        next.ended().await,
        0,
        "1 accepted, 0 duplicate, 0 refused, 0 undelivered",
    );
    each_once(&hub, 0..6).await;
    accepted(&hub, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_hub_is_waited_for() {
    // A desktop that takes calls and answers none holds up whatever shall be done after the first toast.
    let desktop = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = desktop.local_addr().unwrap();
    let hub = HubBuilder::new()
        .config("[queue]\ncapacity = 5\n[dispatch]\nconcurrency = 1\n[retry]\nmax_retries = 0")
        .config(&format!(
            "[plugins.toasty.config]\nendpoint = \"http://{endpoint}\""
        ))
        .plugin("parrot")
        .plugin("toasty")
        .start();
    let mut producer = Producer::start(&hub.url(), &[]);
    let mut urgent = notification(0);
    urgent["priority"] = json!("critical");
    producer.write([urgent.to_string()]).await;
    let _call = timeout(PATIENCE, desktop.accept()).await.unwrap().unwrap();
    producer.write(lines(1..20)).await;
    producer.wait_for_log("queue_full").await;
    drop((desktop, _call));
    expect(
        producer.finish().await,
        0,
        "20 accepted, 0 duplicate, 0 refused, 0 undelivered",
    );
    for n in 1..20 {
        assert_eq!(hub.finished(&id(n)).await["status"], "processed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_too_often_comes_again_when_told_and_not_before() {
    const KEY: &str = "nxk_test_slow";
    for transport in TRANSPORTS {
        let client = format!(
            "[[clients]]\nid = \"slow\"\nkey_sha256 = \"{}\"\nsources = [\"parrot\"]\ntypes = [\"parrot.*\"]\n\
             rate = 1\nburst = 1",
            key_hash(KEY)
        );
        let hub = builder().config(&client).start();
        let mut producer = Producer::start_as(KEY, &hub.url(), &["--transport", transport]);
        let begun = Instant::now();
        producer.write(lines(0..3)).await;
        expect(
            producer.finish().await,
            0,
            "3 accepted, 0 duplicate, 0 refused, 0 undelivered",
        );
        assert!(
            begun.elapsed() >= Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
        each_once(&hub, 0..3).await;
        accepted(&hub, 3).await;
        let refused = rate_limited(&hub).await;
        assert!((1..=4).contains(&refused), "{refused} came too early");
    }
}

/// How many events the hub has refused for coming too often.
async fn rate_limited(hub: &Hub) -> u64 {
    let metrics = hub
        .request("GET", "/metrics")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let counts = metrics
        .lines()
        .filter(|line| line.contains("\"rate_limited\""));
    counts
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_delivered_is_given_up_and_told() {
    let nobody = Proxy::start().await;
    for transport in TRANSPORTS {
        let options = ["--transport", transport, "--give-up-after", "500ms"];
        let mut producer = Producer::start(&nobody.url(), &options);
        producer.write(lines(0..3)).await;
        let log = expect(
            producer.ended().await,
            1,
            "0 accepted, 0 duplicate, 0 refused, 3 undelivered",
        );
        assert!(
            log.contains("given up: nothing could be delivered for 500ms"),
            "{log}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_delivers_what_it_has_read_or_says_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox");
    let options = ["--outbox", outbox.to_str().unwrap()];
    let proxy = Proxy::start().await;
    let hub = builder().start();
    let mut producer = Producer::start(&proxy.url(), &options);
    producer.write(lines(0..3)).await;
    kept(&outbox, 3).await;
    producer.signal("INT");
    let summary = "0 accepted, 0 duplicate, 0 refused, 3 undelivered (kept in the outbox)";
    expect(producer.ended().await, 1, summary);
    let mut producer = Producer::start(&proxy.url(), &options);
    producer.wait_for_log("trying again").await;
    producer.write(lines(3..4)).await;
    kept(&outbox, 4).await;
    producer.signal("TERM");
    proxy.lead_to(hub.address());
    expect(
        producer.ended().await,
        0,
        "4 accepted, 0 duplicate, 0 refused, 0 undelivered",
    );
    each_once(&hub, 0..4).await;
    accepted(&hub, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_stops_and_drops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox");
    let hub = builder().start();
    for transport in TRANSPORTS {
        let options = [
            "--transport",
            transport,
            "--outbox",
            outbox.to_str().unwrap(),
        ];
        let mut producer = Producer::start_as("nxk_unknown", &hub.url(), &options);
        if transport == TRANSPORTS[0] {
            producer.write(lines(0..2)).await;
        }
        let summary = "0 accepted, 0 duplicate, 0 refused, 2 undelivered (kept in the outbox)";
        let log = expect(producer.ended().await, 1, summary);
        assert!(
            log.contains("the hub does not take anything as it is: unauthenticated"),
            "{log}"
        );
    }
    let producer = Producer::start(&hub.url(), &["--outbox", outbox.to_str().unwrap()]);
    expect(
        producer.finish().await,
        0,
        "2 accepted, 0 duplicate, 0 refused, 0 undelivered",
    );
    each_once(&hub, 0..2).await;
    accepted(&hub, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_with_tls_is_reached_by_who_knows_its_authority() {
    let file = |name: &str| certificates().join(name).display().to_string();
    let tls = format!(
        "[server]\nhttp = \"127.0.0.1:0\"\ntls.certificate = '{}'\ntls.key = '{}'",
        file("server.pem"),
        file("server-key.pem")
    );
    let hub = builder().config(&tls).start();
    let url = format!("https://localhost:{}", hub.address().port());
    let authority = file("ca.pem");
    for (n, transport) in TRANSPORTS.into_iter().enumerate() {
        let options = ["--transport", transport, "--ca", &authority];
        let mut producer = Producer::start(&url.replace("https", "wss"), &options);
        producer.write(lines([n])).await;
        expect(
            producer.finish().await,
            0,
            "1 accepted, 0 duplicate, 0 refused, 0 undelivered",
        );
        let options = ["--transport", transport, "--give-up-after", "1s"];
        let mut stranger = Producer::start(&url, &options);
        stranger.write(lines([7])).await;
        let log = expect(
            stranger.finish().await,
            1,
            "0 accepted, 0 duplicate, 0 refused, 1 undelivered",
        );
        assert!(log.to_lowercase().contains("certificate"), "{log}");
    }
}
