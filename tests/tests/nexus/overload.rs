//! More events than the hub can do: the lowest class still gets its share, who is refused is told
//! when to come again, what is accepted is done, and memory stays what it was.

use std::cell::Cell;
use std::collections::HashSet;
use std::time::Duration;

use nexus_plugin_api::{Contract, Event, Priority};
use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder, eventually, key_hash};
use nexus_tests::ledger::{Entry, Ledger, Word};
use nexus_tests::receiver::Receiver;
use nexus_tests::wire::{Wire, post};
use probe::{Order, Parcel};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The key of a client that may publish ten events per second.
const LIMITED_KEY: &str = "nxk_test_limited";

/// One that says nothing of itself: its alerts are events, and here all are counted.
fn hub(receiver: &Receiver, config: &str) -> Hub {
    HubBuilder::new()
        .config(&format!(
            "[alerts]\nenabled = false\n[dispatch]\nconcurrency = 4\n{config}\n{}\n\
             [[clients]]\nid = \"limited\"\nkey_sha256 = \"{}\"\nsources = [\"*\"]\n\
             types = [\"*\"]\nrate = 10\nburst = 10",
            receiver.config(),
            key_hash(LIMITED_KEY)
        ))
        .plugin("probe")
        .start()
}

/// An event in a lane of its own, of which one parcel comes.
fn event(tag: String, priority: Priority) -> Event<Order> {
    let parcel = Parcel {
        tag,
        ..Parcel::default()
    };
    let order = Order {
        parcels: vec![parcel],
        ..Order::default()
    };
    let mut event = Event::new(Order::TYPE, "test", order);
    event.priority = priority;
    event.partition_key = Some(event.event_id.to_string());
    event
}

fn tag(entry: &Entry) -> &str {
    &entry.event.payload.parcels[0].tag
}

/// Connections that send as fast as they are answered, whatever the answers are.
struct Flood {
    tasks: JoinSet<Ledger>,
    sent: watch::Sender<usize>,
    stop: watch::Sender<bool>,
}

impl Flood {
    fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            sent: watch::Sender::new(0),
            stop: watch::Sender::new(false),
        }
    }

    /// Adds a connection that sends `size` events at once.
    fn connect(&mut self, hub: &Hub, key: &'static str, size: usize) {
        let (address, connection) = (hub.address(), self.tasks.len());
        let (sent, stop) = (self.sent.clone(), self.stop.subscribe());
        self.tasks.spawn(async move {
            let mut ledger = Ledger::default();
            let mut wire = Wire::open(address).await.expect("the hub listens");
            while !*stop.borrow() {
                let first = ledger.entries().len();
                for n in first..first + size {
                    // Long enough for a leak of what was refused to show.
                    let tag = format!("flood-{connection}-{n:02000}");
                    ledger.open(event(tag, Priority::Critical));
                }
                let new = &ledger.entries()[first..];
                let body: Value = match new {
                    [one] => json!(one.event),
                    several => several.iter().map(|entry| json!(entry.event)).collect(),
                };
                let request = post("/v1/events", key, &body);
                let answer = wire.exchange(&request).await.expect("an answer");
                let words = Word::all_of(&answer, size);
                for (number, word) in (first..).zip(words) {
                    ledger.note(number, 1, word);
                }
                sent.send_modify(|sent| *sent += size);
            }
            ledger
        });
    }

    /// Waits until so many events were sent.
    async fn wait_for(&self, events: usize) {
        let mut sent = self.sent.subscribe();
        let enough = sent.wait_for(|sent| *sent >= events);
        enough.await.expect("the flood goes on");
    }

    async fn stop(self) -> Vec<Ledger> {
        self.stop.send_replace(true);
        self.tasks.join_all().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lowest_class_gets_its_share_of_a_flood() {
    let receiver = Receiver::at_pace(Duration::from_millis(3)).await;
    let hub = hub(&receiver, "[queue]\ncapacity = 1_000");
    // All classes wait until the end of what is measured: by their weights, none of the others is
    // done before the lowest is.
    receiver.hold();
    for (name, priority, count) in [
        ("low", Priority::Low, 100),
        ("normal", Priority::Normal, 200),
        ("high", Priority::High, 400),
    ] {
        let events: Vec<_> = (0..count)
            .map(|n| event(format!("{name}-{n}"), priority))
            .collect();
        assert_eq!(hub.publish(&json!(events)).await.0, 202);
    }
    let mut flood = Flood::new();
    for _ in 0..3 {
        flood.connect(&hub, ADMIN_KEY, 20);
    }
    eventually("the queue is full", || async {
        let (_, queue) = hub.get("/v1/admin/queue").await;
        (queue["depth"].as_u64()? >= 990).then_some(())
    })
    .await;
    let held = receiver.arrivals().len();
    receiver.release();
    let fewest = Cell::new(u64::MAX);
    let is_low = |tag: &str| tag.starts_with("low-");
    let arrivals = eventually("the lowest class is done", || async {
        let (_, queue) = hub.get("/v1/admin/queue").await;
        let depth = queue["depth"].as_u64()?;
        let arrivals = receiver.arrivals();
        let low = arrivals.iter().filter(|one| is_low(&one.parcel.tag));
        if low.count() == 100 {
            return Some(arrivals);
        }
        fewest.set(fewest.get().min(depth));
        None
    })
    .await;
    flood.stop().await;

    // What was taken up before the others were there says nothing.
    let contested: Vec<&str> = arrivals[held..]
        .iter()
        .map(|one| one.parcel.tag.as_str())
        .collect();
    let last = contested.iter().rposition(|tag| is_low(tag)).expect("some");
    let low = contested[..=last].iter().filter(|tag| is_low(tag)).count();
    let share = low as f64 / (last + 1) as f64;
    println!("{low} of {} are of the lowest class: {share:.3}", last + 1);
    assert!(fewest.get() > 700, "the flood ran dry");
    assert!(share >= 0.05, "{low} of {}: {share:.3}", last + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_the_load_is_refused_in_good_form_and_what_is_accepted_is_done() {
    const SENT: usize = 20_000;
    let receiver = Receiver::at_pace(Duration::from_millis(20)).await;
    let hub = hub(
        &receiver,
        "[queue]\ncapacity = 200\njournal_capacity = 500\ndedup_capacity = 500",
    );
    forget_peak_memory(&hub);
    let mut flood = Flood::new();
    for size in [1, 1, 20, 20, 20, 20] {
        flood.connect(&hub, ADMIN_KEY, size);
    }
    for size in [1, 5] {
        flood.connect(&hub, LIMITED_KEY, size);
    }
    // By then everything that has a bound is full.
    flood.wait_for(SENT / 4).await;
    let before = peak_memory(&hub);
    flood.wait_for(SENT).await;
    let after = peak_memory(&hub);
    let ledgers = flood.stop().await;
    eventually("the queue is empty", || async {
        let (_, queue) = hub.get("/v1/admin/queue").await;
        (queue["depth"] == 0).then_some(())
    })
    .await;

    let entries = || ledgers.iter().flat_map(Ledger::entries);
    let sent = entries().count();
    let accepted: HashSet<&str> = entries()
        .filter(|entry| entry.is_acknowledged())
        .map(tag)
        .collect();
    let mut codes = HashSet::new();
    for entry in entries() {
        match entry.words().next() {
            Some(Word::Accepted) => {}
            Some(Word::Refused(code, Some(1..))) => {
                codes.insert(code.as_str());
            }
            _ => panic!("neither accepted nor told when to come again: {entry}"),
        }
    }
    println!(
        "{sent} sent, {} accepted; at most {before:?} KiB, then {after:?} KiB",
        accepted.len()
    );
    assert_eq!(codes, HashSet::from(["queue_full", "rate_limited"]));
    assert!(accepted.len() * 10 <= sent, "{} of {sent}", accepted.len());

    let (_, queue) = hub.get("/v1/admin/queue").await;
    assert_eq!(queue["accepted"], accepted.len(), "{queue}");
    assert_eq!(queue["finished"], accepted.len(), "{queue}");
    let arrivals = receiver.arrivals();
    let arrived: HashSet<&str> = arrivals.iter().map(|one| one.parcel.tag.as_str()).collect();
    assert_eq!(arrived.len(), arrivals.len(), "each once");
    assert_eq!(arrived, accepted);
    if let (Some(before), Some(after)) = (before, after) {
        assert!(after * 10 <= before * 11, "{before} KiB, then {after} KiB");
    }
}

/// Forgets what the hub took for a moment when it judged its plugins.
fn forget_peak_memory(hub: &Hub) {
    // Where the system does not know this, there is no peak to be read either.
    let _ = std::fs::write(format!("/proc/{}/clear_refs", hub.pid()), "5");
}

/// The most memory that a hub has held so far, in KiB; nothing where the system does not tell.
fn peak_memory(hub: &Hub) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.pid())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
