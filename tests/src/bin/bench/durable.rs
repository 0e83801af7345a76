//! What durability costs: the queue on disk over a plain log with the same batching, and the hub on
//! disk over the hub in memory.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nexus_host::queue::{Config, MemoryQueue, Pushed, Queue, Settlement, SqliteQueue};
use nexus_tests::events::{admitted, heavy};
use tokio::task::JoinSet;

use crate::ingest::{RATE, noted, percentile, sent};
use crate::load::{closed_loop, open_loop, request};
use crate::logged::{Log, Logged};
use crate::report::{Effort, Goal, Report, target_folder};
use crate::server::Server;

/// Producers side by side, each waiting for its answer before it goes on.
pub(crate) const PRODUCERS: usize = 64;

/// Bytes of an event's payload.
pub(crate) const BYTES: usize = 1_024;

/// Measures queues alone, without HTTP.
pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let (mut log, mut sqlite, mut logged, mut memory) = (vec![], vec![], vec![], vec![]);
    let (mut over_log, mut over_logged, mut over_memory) = (vec![], vec![], vec![]);
    for round in 0..=effort.rounds {
        let folder = tempfile::tempdir_in(target_folder()?)?;
        let l = appended(folder.path(), effort.round).await?;
        let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::open(&config(folder.path()), true)?);
        let s = pushed(&queue, effort.round).await;
        queue.close().await;
        let folder = tempfile::tempdir_in(target_folder()?)?;
        let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::open(&config(folder.path()), true)?);
        let through = worked_off(&queue, effort.round).await;
        queue.close().await;
        let queue: Arc<dyn Queue> = Arc::new(Logged::open(&config(folder.path()), folder.path())?);
        let own = worked_off(&queue, effort.round).await;
        let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::new(&config(folder.path()), true));
        let m = worked_off(&queue, effort.round).await;
        // The first round warms up.
        if round > 0 {
            log.push(l);
            over_log.push(s / l);
            sqlite.push(through);
            logged.push(own);
            memory.push(m);
            over_memory.push(through / m);
            over_logged.push(through / own);
        }
    }
    let rate = "events/s";
    report.add(
        "append + fdatasync in groups, 1 KiB, 64 producers",
        rate,
        log,
        None,
    );
    report.add("sqlite queue, push over that", "ratio", over_log, None);
    report.add("sqlite queue, pushed and worked off", rate, sqlite, None);
    report.add("log prototype, pushed and worked off", rate, logged, None);
    report.add("memory queue, pushed and worked off", rate, memory, None);
    report.add(
        "queue alone: sqlite over the prototype",
        "ratio",
        over_logged,
        None,
    );
    report.add(
        "queue alone: sqlite over memory",
        "ratio",
        over_memory,
        None,
    );
    Ok(())
}

/// Measures hubs over HTTP: on disk over in memory.
pub(crate) async fn measure_hubs(
    effort: &Effort,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let mut memory = Server::start("serve-hub")?;
    let mut sqlite = Server::start("serve-durable-hub")?;
    let mut logged = Server::start("serve-logged-hub")?;
    let (mut memory_rate, mut sqlite_rate, mut ratio) = (vec![], vec![], vec![]);
    let mut with_log = vec![];
    for round in 0..=effort.rounds {
        let noted = request(&noted());
        let m = closed_loop(memory.address, PRODUCERS, effort.round, noted.clone()).await?;
        let s = closed_loop(sqlite.address, PRODUCERS, effort.round, noted.clone()).await?;
        let l = closed_loop(logged.address, PRODUCERS, effort.round, noted).await?;
        if round > 0 {
            with_log.push(l.rate() / m.rate());
            memory_rate.push(m.rate());
            sqlite_rate.push(s.rate());
            ratio.push(s.rate() / m.rate());
        }
    }
    let rate = "events/s";
    report.add(
        "ingest, 1 KiB, 64 connections: hub in memory",
        rate,
        memory_rate,
        None,
    );
    report.add(
        "ingest, 1 KiB, 64 connections: hub on disk",
        rate,
        sqlite_rate,
        None,
    );
    report.add(
        "ingest: on disk over in memory",
        "ratio",
        ratio,
        Some(Goal::AtLeast(0.7)),
    );
    report.add(
        "ingest: log prototype over in memory",
        "ratio",
        with_log,
        None,
    );
    let (mut in_memory, mut on_disk, mut in_log) = (vec![], vec![], vec![]);
    let (mut two_syncs, mut over) = (vec![], vec![]);
    for round in 0..=effort.rounds {
        open_loop(memory.address, 16, RATE, effort.round, sent).await?;
        let m = percentile(&memory.latencies()?, 99) / 1_000.0;
        open_loop(sqlite.address, 16, RATE, effort.round, sent).await?;
        let s = percentile(&sqlite.latencies()?, 99) / 1_000.0;
        open_loop(logged.address, 16, RATE, effort.round, sent).await?;
        let l = percentile(&logged.latencies()?, 99) / 1_000.0;
        let syncs = 2.0 * sync_p99()?;
        if round > 0 {
            in_memory.push(m);
            on_disk.push(s);
            in_log.push(l);
            two_syncs.push(syncs);
            over.push(s / (m + syncs));
        }
    }
    report.add("2,000/s open loop: in memory, p99", "ms", in_memory, None);
    report.add("2,000/s open loop: on disk, p99", "ms", on_disk, None);
    report.add("2,000/s open loop: log prototype, p99", "ms", in_log, None);
    report.add("two syncs of 4 KiB appended, p99", "ms", two_syncs, None);
    let goal = Some(Goal::AtMost(1.0));
    report.add(
        "2,000/s: on disk over in memory plus two syncs",
        "ratio",
        over,
        goal,
    );
    memory.stop()?;
    sqlite.stop()?;
    logged.stop()
}

/// How long an append of a page and its sync take, in milliseconds.
fn sync_p99() -> Result<f64, Box<dyn Error>> {
    let mut file = tempfile::tempfile_in(target_folder()?)?;
    let mut took = Vec::with_capacity(1_000);
    for _ in 0..1_000 {
        let begun = Instant::now();
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        took.push(u64::try_from(begun.elapsed().as_micros())?);
    }
    took.sort_unstable();
    Ok(percentile(&took, 99) / 1_000.0)
}

pub(crate) fn config(folder: &Path) -> Config {
    let mut config = Config {
        capacity: 10_000_000,
        max_bytes: "64GiB".parse().expect("a size"),
        ..Config::default()
    };
    config.sqlite.path = folder.join("queue.db");
    config
}

/// Events per second that producers get in.
async fn pushed(queue: &Arc<dyn Queue>, span: Duration) -> f64 {
    let queue = queue.clone();
    load(span, move |producer| {
        let queue = queue.clone();
        async move {
            let event = admitted(heavy(&format!("s{producer}"), BYTES));
            let report = queue.push(vec![event]).await;
            assert_eq!(report.answers, [Ok(Pushed::Accepted)]);
        }
    })
    .await
}

/// The same, while workers take them out and settle them.
async fn worked_off(queue: &Arc<dyn Queue>, span: Duration) -> f64 {
    let mut workers = JoinSet::new();
    for _ in 0..64 {
        let queue = queue.clone();
        workers.spawn(async move {
            while let Some(delivery) = queue.lease().await {
                let settled = queue.settle(delivery.lease, Settlement::default()).await;
                settled.expect("it is held");
            }
        });
    }
    let begun = Instant::now();
    let rate = pushed(queue, span).await;
    let accepted = rate * span.as_secs_f64();
    queue.drained(tokio::time::Instant::now()).await;
    queue.close_leasing();
    while workers.join_next().await.is_some() {}
    accepted / begun.elapsed().as_secs_f64()
}

/// Calls per second that so many callers get through, one after the other each.
async fn load<F, C>(span: Duration, call: F) -> f64
where
    F: Fn(usize) -> C + Clone + Send + 'static,
    C: Future<Output = ()> + Send,
{
    let over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    let begun = Instant::now();
    for caller in 0..PRODUCERS {
        let (over, call) = (over.clone(), call.clone());
        callers.spawn(async move {
            let mut calls = 0_u32;
            while !over.load(Ordering::Relaxed) {
                call(caller).await;
                calls += 1;
                // A queue in memory answers at once; the others want a turn.
                tokio::task::yield_now().await;
            }
            calls
        });
    }
    tokio::time::sleep(span).await;
    over.store(true, Ordering::Relaxed);
    let calls: u32 = callers.join_all().await.into_iter().sum();
    f64::from(calls) / begun.elapsed().as_secs_f64()
}

async fn appended(folder: &Path, span: Duration) -> Result<f64, Box<dyn Error>> {
    let log = Log::growing(&folder.join("log"))?;
    let to = log.clone();
    let rate = load(span, move |producer| {
        let log = to.clone();
        async move {
            // What goes in is made the same way, so that only the storage differs.
            let event = admitted(heavy(&format!("s{producer}"), BYTES));
            log.append(event.event().payload.as_slice().to_vec()).await;
        }
    })
    .await;
    log.end();
    Ok(rate)
}
