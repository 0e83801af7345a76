//! What a long backlog costs a durable queue: the time until a restart gives out work, and memory.

use std::error::Error;
use std::io::{Write, stdout};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use nexus_host::queue::{Config, Queue, Settlement, SqliteQueue};
use nexus_tests::events::{admitted, heavy};
use tokio::task::JoinSet;

use crate::durable::{BYTES, PRODUCERS, config};
use crate::report::{Effort, Goal, Report, target_folder};
use crate::{serve, system};

/// Events leased and settled by a process before its memory is looked at.
const WORKED_OFF: u32 = 10_000;

/// Events pushed at once to make a backlog.
const BATCH: u32 = 1_000;

/// Measures restarts and memory. All files come from the page cache: they were just written.
pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    report.extent = format!("{} restarts with {} events", effort.rounds, effort.backlog);
    let mut memory = Vec::new();
    for pending in [10, effort.backlog / 10, effort.backlog] {
        let folder = tempfile::tempdir_in(target_folder()?)?;
        fill(folder.path(), pending + WORKED_OFF, effort.marks).await?;
        if pending == effort.backlog {
            let mut took = Vec::with_capacity(effort.rounds);
            for _ in 0..effort.rounds {
                took.push(restarted(folder.path()).await?);
            }
            let name = format!("restart until the first lease, {pending} pending");
            report.add(&name, "s", took, Some(Goal::AtMost(5.0)));
        }
        if let Some(mib) = resident(folder.path())? {
            let name = format!("resident memory, {pending} pending");
            report.add(&name, "MiB", vec![mib], None);
            memory.push(mib);
        }
    }
    if let [few, .., many] = memory.as_slice() {
        let name = "resident memory: most pending over fewest";
        report.add(name, "ratio", vec![many / few], Some(Goal::AtMost(1.1)));
    }
    Ok(())
}

/// Makes a queue that has so many events pending, and as many marks against duplicates as it may keep,
/// however few are pending: their number has a bound of its own.
async fn fill(folder: &Path, pending: u32, marks: u32) -> Result<(), Box<dyn Error>> {
    let config = Config {
        dedup_capacity: marks as usize,
        ..config(folder)
    };
    let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::open(&config, true)?);
    let total = pending.max(marks);
    let mut pushed = 0;
    while pushed < total {
        let many = BATCH.min(total - pushed);
        let lane = |n: u32| format!("s{}", n as usize % PRODUCERS);
        let events = (pushed..pushed + many).map(|n| admitted(heavy(&lane(n), BYTES)));
        let report = queue.push(events.collect()).await;
        report.answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        pushed += many;
    }
    work_off(&queue, total - pending).await?;
    queue.close_leasing();
    queue.close().await;
    Ok(())
}

/// Seconds from opening a queue until it gives out its first work.
async fn restarted(folder: &Path) -> Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    let queue = SqliteQueue::open(&config(folder), true)?;
    queue.lease().await.ok_or("the queue is closed")?;
    let took = begun.elapsed().as_secs_f64();
    queue.close_leasing();
    queue.close().await;
    Ok(took)
}

/// Leases and settles so many events, many at a time.
async fn work_off(queue: &Arc<dyn Queue>, events: u32) -> Result<(), Box<dyn Error>> {
    let taken = Arc::new(AtomicU32::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..PRODUCERS {
        let (queue, taken) = (queue.clone(), taken.clone());
        workers.spawn(async move {
            while taken.fetch_add(1, Ordering::Relaxed) < events {
                let delivery = queue.lease().await.ok_or("the queue is closed")?;
                let settled = queue.settle(delivery.lease, Settlement::default()).await;
                settled.map_err(|error| error.to_string())?;
            }
            Ok::<(), String>(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

/// MiB of memory that a process of its own holds which has opened the queue and worked some of it off;
/// `None` where the system does not tell.
fn resident(folder: &Path) -> Result<Option<f64>, Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?)
        .arg("work-off")
        .arg(folder)
        .arg(WORKED_OFF.to_string())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let told = String::from_utf8(output.stdout)?;
    match told.trim() {
        "" => Ok(None),
        kib => Ok(Some(kib.parse::<f64>()? / 1_024.0)),
    }
}

/// Works off some of a queue and prints the memory that this process holds then.
pub(crate) fn work_off_and_tell(folder: &str, events: &str) -> Result<(), Box<dyn Error>> {
    let events = events.parse()?;
    serve::runtime()?.block_on(async {
        let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::open(&config(folder.as_ref()), true)?);
        work_off(&queue, events).await?;
        let resident = system::resident("self");
        writeln!(
            stdout(),
            "{}",
            resident.map_or_else(String::new, |kib| kib.to_string())
        )?;
        queue.close_leasing();
        queue.close().await;
        Ok(())
    })
}
