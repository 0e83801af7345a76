//! A backlog far larger than the window: it is worked off whole and in order, nobody holds up the
//! others, and memory holds the window only.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::join_all;
use nexus_plugin_api::Priority::{self, Critical, High, Low, Normal};
use nexus_plugin_api::{ContractInfo, RawJson};
use semver::Version;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::admission::{Admission, Admitted, Contracts, Limits, Origin};
use crate::config::{ByteSize, HumanDuration};
use crate::queue::config::{Config, WhenFull};
use crate::queue::sqlite::SqliteQueue;
use crate::queue::{LetterFilter, Page, Queue, Settlement};

const EVENT_TYPE: &str = "test.event";

static ADMISSION: LazyLock<Admission> = LazyLock::new(|| {
    let contracts = Contracts::default();
    let contract = ContractInfo::new(EVENT_TYPE, Version::new(1, 0, 0), json!({"type": "object"}));
    contracts.register("tests", contract).unwrap();
    Admission::new(&Limits::default(), &[], &[], Arc::new(contracts))
});

pub(in crate::queue::sqlite) fn event(lane: &str, priority: Priority, n: u64) -> Admitted {
    let payload = RawJson::of(&json!({ "n": n })).unwrap();
    let event = Event::new(EVENT_TYPE, lane, payload).with_priority(priority);
    ADMISSION.admit_event(event, Origin::Host).unwrap()
}

fn heavy(lane: &str, bytes: usize) -> Admitted {
    let payload =
        RawJson::of(&json!({ "n": 0, "x": vec!["x".repeat(200_000); bytes / 200_000] })).unwrap();
    let event = Event::new(EVENT_TYPE, lane, payload);
    ADMISSION.admit_event(event, Origin::Host).unwrap()
}

fn number(event: &Event) -> u64 {
    event.payload.parse::<serde_json::Value>().unwrap()["n"]
        .as_u64()
        .unwrap()
}

/// A queue on a file in memory, where there is such a place: this is not about disks.
struct Rig {
    queue: SqliteQueue,
    _folder: TempDir,
}

impl Rig {
    fn open(config: Config) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.unwrap();
        let mut config = config;
        config.sqlite.path = folder.path().join("queue.db");
        Self {
            queue: SqliteQueue::open(&config, true).unwrap(),
            _folder: folder,
        }
    }

    fn roomy() -> Self {
        Self::open(Config {
            capacity: 1_000_000,
            max_bytes: ByteSize::from_mib(1_000_000),
            dedup_window: HumanDuration::from_secs(3_600),
            ..Config::default()
        })
    }

    async fn put(&self, events: impl IntoIterator<Item = Admitted>) {
        let events: Vec<_> = events.into_iter().collect();
        for batch in events.chunks(500) {
            let report = self.queue.push(batch.to_vec()).await;
            assert_eq!(report.answers.iter().find(|answer| answer.is_err()), None);
            self.assert_bounded();
        }
    }

    /// The next delivery; `None` when nothing is left.
    async fn lease(&self) -> Option<Delivery> {
        if self.queue.stats().depth == 0 {
            return None;
        }
        let found = timeout(Duration::from_secs(10), self.queue.lease()).await;
        self.assert_bounded();
        found.expect("something is at hand")
    }

    async fn ack(&self, deliveries: impl IntoIterator<Item = Delivery>) {
        let settle = |delivery: Delivery| {
            let settled = self.queue.settle(delivery.lease, Settlement::default());
            async { settled.await.map(drop) }
        };
        for settled in join_all(deliveries.into_iter().map(settle)).await {
            settled.unwrap();
        }
        self.assert_bounded();
    }

    /// What memory holds does not depend on how much there is.
    fn assert_bounded(&self) {
        let ready = self.queue.shared.ready.lock();
        let (events, bytes) = (ready.waiting.len(), ready.waiting_bytes);
        assert!(events <= 2 * 4 * WINDOW, "{events} events");
        assert!(bytes <= 3 * WINDOW_BYTES, "{bytes} bytes");
    }

    async fn dropped(&self) -> Vec<u64> {
        let all = LetterFilter::default();
        let letters = self.queue.dead_letters(all, Page::first(usize::MAX)).await;
        letters
            .unwrap()
            .iter()
            .map(|letter| number(&letter.event))
            .collect()
    }
}

/// Numbers that look like chance, the same each time.
fn chance(n: u64) -> u64 {
    let mut x = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 29;
    x.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
}

/// Works everything off, with so many deliveries under way at a time, which end in any order.
/// Asserts that the events of a lane come one at a time, and those of a lane and class in order.
async fn work_off(rig: &Rig, at_once: usize) -> u64 {
    let mut last: HashMap<(String, Priority), u64> = HashMap::new();
    let mut held: Vec<Delivery> = Vec::new();
    let mut worked = 0;
    loop {
        // Once all lanes that are at hand are taken, what is held has to end first.
        while held.is_empty()
            || held.len() < at_once && rig.queue.shared.ready.lock().schedule.has_ready()
        {
            let Some(delivery) = rig.lease().await else {
                return worked;
            };
            let source = &delivery.event.source;
            let lane = (source.clone(), delivery.event.priority);
            let n = number(&delivery.event);
            assert!(held.iter().all(|one| one.event.source != *source));
            assert!(
                last.insert(lane, n).is_none_or(|last| last < n),
                "{n} is late"
            );
            held.push(delivery);
            worked += 1;
        }
        let keep = held.len() / 3;
        rig.ack(held.drain(keep..)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_of_many_lanes_is_worked_off_in_order() {
    const EVENTS: u64 = 20_000;
    let rig = Rig::roomy();
    let events = (0..EVENTS).map(|n| {
        let lane = match chance(n) % 4 {
            0 => "hot".to_owned(),
            1 => format!("slow-{}", n / 400 % 8),
            _ => format!("lane-{}", chance(n) % 300),
        };
        event(&lane, Priority::ALL[(chance(n + EVENTS) % 4) as usize], n)
    });
    rig.put(events).await;
    assert_eq!(work_off(&rig, 48).await, EVENTS);
    let stats = rig.queue.stats();
    assert_eq!((stats.depth, stats.bytes, stats.waiting), (0, 0, [0; 4]));
}

/// A lane on its own, and one lane after the other, as it comes when sources take turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_that_come_in_blocks_are_worked_off_in_order() {
    let rig = Rig::roomy();
    let block = |n: u64| event(&format!("block-{}", n / 3_000), Normal, n);
    rig.put((0..12_000).map(block)).await;
    assert_eq!(work_off(&rig, 16).await, 12_000);
}

/// As many lanes as workers hang, each with a backlog of its own before everybody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_lanes_hold_up_no_other() {
    let rig = Rig::roomy();
    let slow = (0..63 * 200).map(|n| event(&format!("slow-{}", n % 63), Normal, n));
    rig.put(slow).await;
    let mut hanging = Vec::new();
    for _ in 0..63 {
        hanging.push(rig.lease().await.unwrap());
    }
    let lanes: HashSet<_> = hanging.iter().map(|one| one.event.source.clone()).collect();
    assert_eq!(lanes.len(), 63);
    rig.put((0..2_000).map(|n| event(&format!("quick-{}", n % 50), Normal, n)))
        .await;
    for done in 0..2_000 {
        let found = timeout(Duration::from_secs(5), rig.lease()).await;
        let Ok(Some(delivery)) = found else {
            panic!("the others stand still after {done}");
        };
        assert!(delivery.event.source.starts_with("quick"));
        rig.ack([delivery]).await;
    }
    rig.ack(hanging).await;
    assert_eq!(work_off(&rig, 63).await, 63 * 199);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_lane_holds_up_no_other() {
    let rig = Rig::roomy();
    rig.put((0..10_000).map(|n| event("hot", High, n))).await;
    rig.put([event("other", High, 0), event("third", Low, 0)])
        .await;
    let hot = rig.lease().await.unwrap();
    let others = [rig.lease().await.unwrap(), rig.lease().await.unwrap()];
    let lanes = others.each_ref().map(|one| one.event.source.as_str());
    assert_eq!(lanes, ["other", "third"]);
    rig.ack([hot]).await;
    rig.ack(others).await;
}

/// Large payloads count in bytes: a few of them fill the window, and no more are read at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_payloads_stay_on_disk() {
    let rig = Rig::roomy();
    for _ in 0..30 {
        rig.put((0..4).map(|n| heavy(&format!("s{n}"), 1_000_000)))
            .await;
    }
    let mut worked = 0;
    while let Some(delivery) = rig.lease().await {
        rig.ack([delivery]).await;
        worked += 1;
    }
    assert_eq!(worked, 120);
}

fn dropping(when_full: WhenFull) -> Rig {
    Rig::open(Config {
        when_full,
        capacity: 3_000,
        dead_letter_capacity: 1_000_000,
        ..Config::default()
    })
}

/// The window holds the first of a hot lane and what came after it: the oldest are on disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_give_way_wherever_they_are() {
    let rig = dropping(WhenFull::DropOldest);
    let lane = |n: u64| {
        if n < 2_000 {
            "hot".to_owned()
        } else {
            format!("s{}", n % 20)
        }
    };
    let class = |n: u64| Priority::ALL[(chance(n) % 4) as usize];
    rig.put((0..5_500).map(|n| event(&lane(n), class(n), n)))
        .await;
    assert_eq!(rig.dropped().await, (0..2_500).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_of_the_lowest_give_way_wherever_they_are() {
    let rig = dropping(WhenFull::DropLowest);
    rig.put((0..1_500).map(|n| event("hot", High, n))).await;
    rig.put((1_500..3_000).map(|n| event("hot", Low, n))).await;
    rig.put((3_000..6_000).map(|n| event("other", Critical, n)))
        .await;
    let expected: Vec<_> = (1_500..3_000).chain(0..1_500).collect();
    assert_eq!(rig.dropped().await, expected);
}

/// While workers take from the window and producers push out what is behind it, each event either
/// gives way or is worked on, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gives_way_is_not_given_out() {
    for when_full in [WhenFull::DropOldest, WhenFull::DropLowest] {
        let rig = dropping(when_full);
        let (mut seen, mut accepted) = (HashSet::new(), 0);
        for round in 0..60 {
            let events = (round * 200..(round + 1) * 200).map(|n| {
                let lane = format!("s{}", chance(n) % 3);
                event(&lane, Priority::ALL[(chance(n * 7) % 2) as usize], n)
            });
            let events: Vec<_> = events.collect();
            let pushed = rig.queue.push(events);
            let worked = async {
                let mut numbers = Vec::new();
                for _ in 0..if round < 20 { 0 } else { 60 } {
                    let delivery = rig.lease().await.unwrap();
                    numbers.push(number(&delivery.event));
                    rig.ack([delivery]).await;
                }
                numbers
            };
            let (report, numbers) = tokio::join!(pushed, worked);
            accepted += report
                .answers
                .iter()
                .filter(|answer| answer.is_ok())
                .count();
            for n in numbers {
                assert!(seen.insert(n), "{n} came twice");
            }
        }
        while let Some(delivery) = rig.lease().await {
            assert!(seen.insert(number(&delivery.event)));
            rig.ack([delivery]).await;
        }
        for n in rig.dropped().await {
            assert!(seen.insert(n), "{n} gave way and was worked on");
        }
        assert_eq!(seen.len(), accepted);
        assert!(accepted == 12_000 || when_full == WhenFull::DropLowest);
        let stats = rig.queue.stats();
        assert_eq!((stats.depth, stats.bytes), (0, 0));
    }
}
