//! Stopping with a thousand requests under way: in time, and with nothing acknowledged forgotten. The
//! queue is durable, so that the next start can be asked.

use std::io;
use std::time::{Duration, Instant};

use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder};
use nexus_tests::wire::{Answer, Wire, post};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// How many requests are under way when the hub is told to stop.
const REQUESTS: usize = 1_000;

/// Events that no hub can finish: one hangs in its processor, the others are to be tried again in
/// an hour.
const HUNG: usize = 1;
const FAILING: usize = 20;

/// Events that are being processed and will be finished.
const WORKING: usize = 40;

/// How much of a request is there when the hub is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// All of it; its answer waits for an outcome.
    Whole,
    /// All but half of its body, which comes when the hub is stopping.
    LateBody,
    /// All but half of its body, which never comes.
    HalfBody,
    /// Half of its head, and nothing ever again.
    HalfHead,
}

const KINDS: [Sent; 4] = [Sent::Whole, Sent::LateBody, Sent::HalfBody, Sent::HalfHead];

/// A request under way, and what of it is still to be sent.
struct Request {
    sent: Sent,
    wire: Wire,
    rest: Vec<u8>,
}

/// What became of the requests.
#[derive(Debug, Default)]
struct Ends {
    /// The events that were acknowledged.
    acknowledged: Vec<String>,
    turned_away: usize,
    /// Closed without an answer, though the hub may have read all of it.
    closed: usize,
    /// Closed without an answer, and never whole.
    closed_half: usize,
}

fn command(lane: &str, n: usize, action: &str, mut with: Value) -> Value {
    with["action"] = json!(action);
    json!({
        "type": "probe.command",
        "source": "test",
        "partition_key": format!("{lane}-{n}"),
        "payload": with,
    })
}

/// The ids of events that the hub has acknowledged.
fn ids(answers: &Value) -> Vec<String> {
    let answers = answers.as_array().expect("one for each event");
    let id = |answer: &Value| answer["event_id"].as_str().expect("an id").to_owned();
    answers.iter().map(id).collect()
}

/// A hub with events of all three kinds in it, and their ids: first of those that cannot be
/// finished, then of the others.
async fn busy_hub() -> (Hub, Vec<String>, Vec<String>) {
    let hub = HubBuilder::new()
        .config(
            "server.body_timeout = \"1m\"\n[dispatch]\nprocessor_timeout = \"10m\"\n[retry]\ndelays = [\"1h\"]\n\
             [breaker]\nfailures = 100\n[queue]\nbackend = \"sqlite\"\ncapacity = 5_000",
        )
        .plugin("probe")
        .start();
    let hung = (0..HUNG).map(|n| command("hung", n, "hang", json!({})));
    let failing = (0..FAILING).map(|n| {
        let record = json!({"n": n, "fail_times": 99});
        command("failing", n, "notify", json!({ "record": record }))
    });
    let working = (0..WORKING).map(|n| command("working", n, "sleep_ms", json!({"ms": 1_500})));
    let events: Vec<Value> = hung.chain(failing).chain(working).collect();
    let (status, answers) = hub.publish(&json!(events)).await;
    assert_eq!(status, 202, "{answers}");
    let mut stuck = ids(&answers);
    let working = stuck.split_off(HUNG + FAILING);
    (hub, stuck, working)
}

/// Sends as much of each request as is to be there when the hub stops.
async fn requests(hub: &Hub) -> Vec<Request> {
    let mut requests = Vec::with_capacity(REQUESTS);
    for (n, sent) in (0..REQUESTS).zip(KINDS.into_iter().cycle()) {
        let event = command("late", n, "sleep_ms", json!({"ms": 1_000}));
        let path = match sent {
            Sent::Whole => "/v1/events?ack=processed",
            _ => "/v1/events",
        };
        let mut bytes = post(path, ADMIN_KEY, &event);
        let rest = match sent {
            Sent::Whole => Vec::new(),
            Sent::LateBody | Sent::HalfBody => bytes.split_off(bytes.len() - 50),
            Sent::HalfHead => bytes.split_off(30),
        };
        let mut wire = Wire::open(hub.address()).await.expect("the hub listens");
        wire.write(&bytes).await.expect("the connection is open");
        requests.push(Request { sent, wire, rest });
    }
    let whole = REQUESTS / KINDS.len();
    hub.wait_for_events((HUNG + FAILING + WORKING + whole) as u64)
        .await;
    requests
}

/// Sends the late bodies, and waits for the end of every request.
async fn ends(requests: Vec<Request>) -> Ends {
    let mut tasks = JoinSet::new();
    for Request {
        sent,
        mut wire,
        rest,
    } in requests
    {
        tasks.spawn(async move {
            if sent == Sent::LateBody {
                // Whether that went well shows in the answer.
                let _ = wire.write(&rest).await;
            }
            (sent, wire.answer().await)
        });
    }
    let mut ends = Ends::default();
    for (sent, answer) in tasks.join_all().await {
        ends.note(sent, answer);
    }
    ends
}

impl Ends {
    fn note(&mut self, sent: Sent, answer: io::Result<Answer>) {
        let is_half = matches!(sent, Sent::HalfBody | Sent::HalfHead);
        match answer {
            Err(error) => {
                assert_ne!(error.kind(), io::ErrorKind::TimedOut, "{sent:?} hangs");
                self.closed += usize::from(!is_half);
                self.closed_half += usize::from(is_half);
            }
            Ok(answer) if matches!(answer.status, 200 | 202) => {
                assert!(!is_half, "{sent:?} was acknowledged: {answer:?}");
                self.acknowledged.extend(ids(&json!([answer.body])));
            }
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{sent:?}: {answer:?}");
                assert_eq!(answer.body["code"], "shutting_down", "{answer:?}");
                assert!(answer.retry_after.is_some(), "{answer:?}");
                self.turned_away += 1;
            }
        }
    }
}

/// The number before a word in the line by which a hub says how it stopped.
fn told(log: &str, word: &str) -> usize {
    let report = log.lines().find(|line| line.starts_with("stopped after"));
    let report = report.unwrap_or_else(|| panic!("no report:\n{log}"));
    let Some((before, _)) = report.split_once(word) else {
        return 0;
    };
    let number = before.split_whitespace().next_back();
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

/// Where an event stands.
async fn status(hub: &Hub, id: &str) -> String {
    let (_, journey) = hub.get(&format!("/v1/events/{id}")).await;
    let status = journey["status"].as_str();
    status
        .unwrap_or_else(|| panic!("{id} is forgotten: {journey}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_come_to_an_end_and_what_was_acknowledged_is_finished_or_kept() {
    let (mut hub, stuck, working) = busy_hub().await;
    let requests = requests(&hub).await;
    let begun = Instant::now();
    hub.signal("TERM");
    hub.wait_for_log("asked to stop").await;
    let ends = ends(requests).await;
    let left = Duration::from_secs(30).saturating_sub(begun.elapsed());
    let ended = hub.wait_for_end(left);

    let log = hub.log();
    assert_eq!(ended.code(), Some(0), "{log}");
    // Nobody was shut out who had sent all of a request.
    assert_eq!(ends.closed, 0, "{ends:?}");
    assert_eq!(told(&log, "unfinished"), stuck.len(), "{log}");
    let finished = working.len() + ends.acknowledged.len();
    assert_eq!(told(&log, "events finished"), finished, "{log}");

    let hub = hub.kill().start();
    for id in working.iter().chain(&ends.acknowledged) {
        assert_eq!(status(&hub, id).await, "processed", "{id}");
    }
    for id in &stuck {
        let status = status(&hub, id).await;
        assert!(
            matches!(status.as_str(), "queued" | "processing"),
            "{id} is {status}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_within_a_second_and_the_next_start_goes_on() {
    let (mut hub, stuck, working) = busy_hub().await;
    let requests = requests(&hub).await;
    hub.signal("TERM");
    hub.wait_for_log("asked to stop").await;
    let ends = tokio::spawn(ends(requests));
    let ended = hub.stop(Duration::from_secs(1));
    assert_eq!(ended.code(), Some(1), "{}", hub.log());

    let ends = ends.await.expect("every request has an end");
    let hub = hub.kill().start();
    for id in working.iter().chain(&ends.acknowledged) {
        assert_eq!(hub.finished(id).await["status"], "processed", "{id}");
    }
    for id in &stuck {
        status(&hub, id).await;
    }
}

/// Who has no answer sends again, also after the hub was gone; and no other hub makes the same ids of a
/// key, so that nobody can use them before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_with_a_key_is_known_after_a_restart() {
    let durable = || {
        let queue = "[queue]\nbackend = \"sqlite\"";
        HubBuilder::new().config(queue).plugin("probe").start()
    };
    async fn send(hub: &Hub) -> (String, Value) {
        let event = command("keyed", 1, "notify", json!({ "record": { "n": 1 } }));
        let request = hub.request("POST", "/v1/events").json(&event);
        let (status, told) = hub.send(request.header("idempotency-key", "k")).await;
        assert_eq!(status, 202, "{told}");
        let id = told["event_id"].as_str().expect("it has an id").to_owned();
        (id, told["status"].clone())
    }
    let (hub, other) = (durable(), durable());
    let (first, status) = send(&hub).await;
    assert_eq!(status, "accepted");
    assert_ne!(send(&other).await.0, first);
    let hub = hub.kill().start();
    assert_eq!(send(&hub).await, (first, json!("duplicate")));
}
