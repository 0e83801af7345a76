//! What the parts of an event's way take by themselves: `cargo bench -p nexus-tests`. What they take together, beside
//! others, is `cargo xtask bench`'s affair.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use nexus_host::admission::{Admission, Contracts, Limits, Origin};
use nexus_host::queue::{Config, MemoryQueue, Queue, Settlement, SqliteQueue};
use nexus_host::subscriptions::Subscriptions;
use nexus_plugin_api::{ContractInfo, Event, RawJson};
use nexus_tests::events::{admitted, heavy};
use nexus_tests::isolated::{NOOP, PLACES, folder_with, process, start};
use semver::Version;
use serde_json::json;
use tokio::runtime::Runtime;

/// Bytes of a payload.
const BYTES: usize = 1_000;

/// Producers that wait for the disk together.
const TOGETHER: usize = 64;

criterion_group!(parts, queue, contract, routing, modes, disk);
criterion_main!(parts);

/// An event through the queue in memory: pushed, leased, settled.
fn queue(criterion: &mut Criterion) {
    let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::new(&Config::default(), true));
    let runtime = runtime();
    criterion.bench_function("queue in memory: push, lease, settle", |bencher| {
        bencher.iter_custom(|times| {
            runtime.block_on(async {
                let mut taken = Duration::ZERO;
                for _ in 0..times {
                    let event = admitted(heavy("bench", BYTES));
                    let begun = Instant::now();
                    queue.push(vec![event]).await;
                    let delivery = queue.lease().await.expect("it is open");
                    let settled = queue.settle(delivery.lease, Settlement::default()).await;
                    taken += begun.elapsed();
                    settled.expect("it is held");
                }
                taken
            })
        });
    });
}

/// A whole event judged: envelope, and payload by its schema.
fn contract(criterion: &mut Criterion) {
    let schema = json!({
        "type": "object",
        "required": ["note", "tags", "count"],
        "properties": {
            "note": { "type": "string", "maxLength": 10_000 },
            "tags": { "type": "array", "items": { "type": "string" } },
            "count": { "type": "integer", "minimum": 0 }
        }
    });
    let contracts = Contracts::default();
    let info = ContractInfo::new("bench.noted", Version::new(1, 0, 0), schema);
    contracts
        .register("bench", info)
        .expect("a usable contract");
    let admission = Admission::new(&Limits::default(), &[], &[], Arc::new(contracts));
    let payload = json!({ "note": "x".repeat(880), "tags": ["one", "two"], "count": 42 });
    let payload = RawJson::of(&payload).expect("JSON");
    let mut group = criterion.benchmark_group("contract");
    group.throughput(Throughput::Bytes(payload.as_slice().len() as u64));
    group.bench_function("an event is judged", |bencher| {
        bencher.iter(|| {
            let event = Event::new("bench.noted", "bench", payload.clone());
            black_box(admission.admit_event(event, Origin::Host)).expect("in order")
        });
    });
    group.finish();
}

/// Who takes an event, of one processor and of a thousand.
fn routing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("routing");
    for many in [1, 1_000] {
        let mut subscriptions = Subscriptions::default();
        for number in 0..many {
            let processor = Arc::from(format!("plugin/{number}"));
            subscriptions.add(&format!("bench.type{number}.happened"), &processor);
        }
        let wanted = format!("bench.type{}.happened", many / 2);
        group.bench_function(format!("{many} subscriptions"), |bencher| {
            bencher.iter(|| black_box(subscriptions.of(&wanted, "bench")));
        });
    }
    group.finish();
}

/// An event through a whole hub to a processor that does nothing, one after the other, wherever it runs.
fn modes(criterion: &mut Criterion) {
    let runtime = runtime();
    let folder = folder_with(&[NOOP]).expect("the plugin is there");
    let mut group = criterion.benchmark_group("event to a plugin");
    for place in PLACES {
        let host = runtime
            .block_on(start(folder.path(), NOOP, place))
            .expect("it starts");
        group.bench_function(place, |bencher| {
            bencher.iter(|| {
                runtime
                    .block_on(process(&host, 0))
                    .expect("it is processed")
            });
        });
        runtime.block_on(host.shutdown()).expect("it ends");
    }
    group.finish();
}

/// Producers which all wait until their events are on disk, in groups that the writer forms.
fn disk(criterion: &mut Criterion) {
    let runtime = runtime();
    // On a disk, which the folder for temporary files need not be.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut config = Config {
        capacity: 100_000_000,
        max_bytes: "1TiB".parse().expect("a size"),
        ..Config::default()
    };
    config.sqlite.path = folder.path().join("queue.db");
    let queue = SqliteQueue::open(&config, true).expect("it opens");
    let mut group = criterion.benchmark_group("queue on disk");
    group.throughput(Throughput::Elements(TOGETHER as u64));
    group.bench_function(
        format!("{TOGETHER} producers push one event each"),
        |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    let mut taken = Duration::ZERO;
                    for _ in 0..times {
                        let event = |lane| admitted(heavy(&format!("s{lane}"), BYTES));
                        let events: Vec<_> = (0..TOGETHER).map(event).collect();
                        let begun = Instant::now();
                        join_all(events.into_iter().map(|event| queue.push(vec![event]))).await;
                        taken += begun.elapsed();
                    }
                    taken
                })
            });
        },
    );
    group.finish();
    runtime.block_on(async {
        queue.close_leasing();
        queue.close().await;
    });
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}
