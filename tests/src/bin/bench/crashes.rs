//! What a plugin's crash costs: how long until the next worker does its events, and what somebody else's events take
//! meanwhile.

use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

use nexus_host::Host;
use nexus_host::queue::{JournalLine, Step};
use nexus_plugin_api::{Event, RawJson};
use nexus_tests::artifacts::{executable, library};
use serde_json::json;
use tokio::runtime::Handle;

use crate::ingest::{percentile, sent};
use crate::load::open_loop;
use crate::report::{Effort, Goal, Report};
use crate::serve::{self, answer_until_the_end, noop};
use crate::server::Server;
use nexus_tests::isolated::noop_event;

/// Events per second of somebody else.
const RATE: u32 = 1_000;

/// What happens to a worker: what ends it at once,
const CRASHES: [&str; 9] = [
    "abort", "exit", "segfault", "overflow", "eat", "leak", "close", "panic", "killed",
];

/// and what has to be ended.
const HANGS: [&str; 3] = ["spin", "block", "silence"];

pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = library("crasher");
    let name = file.file_name().ok_or("a library has a name")?;
    std::fs::copy(&file, folder.path().join(name))?;
    let mut hub = Server::start_with("serve-crashes", &[&folder.path().display().to_string()])?;
    let (mut happened, mut survived) = (0, 0);
    for (group, kinds, goal) in [
        ("a crash", &CRASHES[..], Some(Goal::AtMost(250.0))),
        ("a hang", &HANGS[..], Some(Goal::AtMost(2000.0))),
    ] {
        let (mut all, mut ratios) = (Vec::new(), Vec::new());
        for kind in kinds {
            let mut recovered: Vec<u64> = Vec::new();
            while recovered.len() < effort.crashes {
                open_loop(hub.address, 16, RATE, effort.round, sent).await?;
                let quiet = percentile(&hub.latencies()?, 99);
                let (back, times) = beside(hub, kind, effort.round).await?;
                hub = back;
                let busy = percentile(&hub.latencies()?, 99);
                happened += times.len();
                survived += times.iter().flatten().count();
                recovered.extend(times.into_iter().flatten());
                ratios.push(busy / quiet);
            }
            all.extend(&recovered);
            let name = format!("recovery: {kind}");
            report.add(
                &name,
                "ms",
                recovered.iter().copied().map(ms).collect(),
                None,
            );
        }
        all.sort_unstable();
        let name = format!("recovery after {group}: p99");
        report.add(&name, "ms", vec![percentile(&all, 99) / 1e3], goal);
        let name = format!("somebody else's p99 beside {group} over quiet");
        report.add(&name, "ratio", ratios, Some(Goal::AtMost(1.5)));
    }
    let up = 100.0 * f64::from(survived as u32) / f64::from(happened.max(1) as u32);
    report.add(
        "crashes that the hub survived",
        "%",
        vec![up],
        Some(Goal::AtLeast(100.0)),
    );
    hub.stop()
}

fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

/// Has a kind happen again and again while somebody else's events come: microseconds until each was made good, `None`
/// for one that the hub did not survive.
async fn beside(
    mut hub: Server,
    kind: &'static str,
    length: Duration,
) -> Result<(Server, Vec<Option<u64>>), Box<dyn Error>> {
    let address = hub.address;
    let crashing = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        let mut times = Vec::new();
        while begun.elapsed() < length {
            let told = hub.told(kind).map_err(|error| error.to_string())?;
            times.push(told.trim().parse().ok());
        }
        Ok::<_, String>((hub, times))
    });
    open_loop(address, 16, RATE, length, sent).await?;
    Ok(crashing.await??)
}

/// A hub with the crasher in a process. Each line on standard input is what is to happen to that.
pub(crate) fn serve(folder: &str) -> Result<(), Box<dyn Error>> {
    let worker = json!(executable("nexus-plugin-worker"));
    let config = serve::config(&format!(
        "plugins.worker = {worker}\n\
         [plugins.crasher]\nisolation = \"process\"\nrequired = true\nlimits.memory = \"128MiB\"\n\
         [dispatch]\nprocessor_timeout = \"1s\"\n[retry]\ndelays = [\"1ms\"]\n"
    ))?;
    serve::runtime()?.block_on(async {
        let host = Host::builder().config(config).plugins_dir(folder);
        let host = host.plugin(noop::plugin()).build()?.start().await?;
        let host = std::sync::Arc::new(host);
        let address = host.http_addr().ok_or("the hub does not listen")?;
        let (hub, handle) = (host.clone(), Handle::current());
        let crash = move |kind: &str| {
            let took = handle.block_on(happen(&hub, kind));
            Some(took.map_or_else(|error| error.to_string(), |us| us.to_string()))
        };
        answer_until_the_end(address, crash).await
    })
}

/// Has something happen, and waits until the plugin does its events again: microseconds from when it was known (a
/// death, or that a time limit was over) until the next event is done.
async fn happen(host: &Host, kind: &str) -> Result<i64, Box<dyn Error>> {
    let since = match kind {
        "killed" => {
            let worker = worker().ok_or("there is no worker")?;
            let since = chrono::Utc::now();
            Command::new("kill").args(["-KILL", &worker]).status()?;
            since
        }
        // It may take several.
        _ => loop {
            let payload = RawJson::of(&json!({ "how": kind, "once": true }))?;
            let event = Event::new("crasher.told", "bench.killer", payload);
            let failed = |line: &&JournalLine| matches!(line.step, Step::ProcessorFailed { .. });
            let steps = done(host, event).await?;
            if let Some(first) = steps.iter().find(failed) {
                break first.at;
            }
        },
    };
    let steps = done(host, noop_event(0)).await?;
    let end = steps.last().ok_or("no steps")?.at;
    Ok((end - since).num_microseconds().unwrap_or(i64::MAX))
}

/// Publishes an event and waits until nothing more is done for it.
async fn done(host: &Host, event: Event) -> Result<Vec<JournalLine>, Box<dyn Error>> {
    let published = host.publish(event).await?;
    let journey = host.wait_processed(published.event_id).await?;
    Ok(journey.ok_or("it is forgotten")?.steps)
}

/// The worker, by what the system lists as this process's children.
fn worker() -> Option<String> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let children = threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok());
    children
        .flat_map(|all| all.split_whitespace().next().map(str::to_owned))
        .next()
}
