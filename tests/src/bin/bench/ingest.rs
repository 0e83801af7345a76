//! What the hub costs over servers that do less and less: throughput, and time from due to processed.

use std::error::Error;

use crate::contender::Contender;
use crate::load::{open_loop, request};
use crate::report::{Effort, Goal, Report};
use crate::serve::Floor;
use crate::server::Server;

/// Events per second of the open loop.
pub(crate) const RATE: u32 = 2_000;

pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    throughput(effort, report).await?;
    latency(effort, report).await
}

async fn throughput(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let floors =
        Floor::ALL.map(|floor| (floor, Server::start_with("serve-floor", &[floor.name()])));
    let mut servers = Vec::new();
    let mut contenders = Vec::new();
    for (floor, server) in floors {
        let server = server?;
        let name = format!("axum that {}", floor.name());
        contenders.push(Contender::new(&name, server.address, server.id()));
        servers.push(server);
    }
    let server = Server::start("serve-hub")?;
    contenders.push(Contender::new(
        "hub, everything on",
        server.address,
        server.id(),
    ));
    servers.push(server);

    let noted = request(&noted());
    // The first round warms up.
    for round in 0..=effort.rounds {
        for contender in &mut contenders {
            contender.round(effort.round, &noted, round > 0).await?;
        }
    }
    for contender in &contenders {
        contender.tell(report);
    }
    if let [floors @ .., hub] = contenders.as_slice() {
        for (floor, contender) in Floor::ALL.into_iter().zip(floors) {
            let name = format!("hub over axum that {}", floor.name());
            let goal = (floor == Floor::Parses).then_some(Goal::AtLeast(0.7));
            report.add(&name, "ratio", hub.over(contender), goal);
        }
    }
    servers.into_iter().try_for_each(Server::stop)
}

async fn latency(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let bare = Server::start_with("serve-floor", &[Floor::Parses.name()])?;
    let mut hub = Server::start("serve-hub")?;
    let (mut medians, mut bare99, mut hub99, mut ratio) = (vec![], vec![], vec![], vec![]);
    for round in 0..=effort.rounds {
        let answers = open_loop(bare.address, 16, RATE, effort.round, sent).await?;
        open_loop(hub.address, 16, RATE, effort.round, sent).await?;
        let processed = hub.latencies()?;
        if round > 0 {
            medians.push(percentile(&processed, 50) / 1_000.0);
            bare99.push(percentile(&answers, 99) / 1_000.0);
            hub99.push(percentile(&processed, 99) / 1_000.0);
            ratio.push(percentile(&processed, 99) / percentile(&answers, 99));
        }
    }
    let rate = "2,000/s open loop";
    report.add(&format!("{rate}: axum's answer, p99"), "ms", bare99, None);
    report.add(
        &format!("{rate}: received to processed, p99"),
        "ms",
        hub99,
        None,
    );
    let name = format!("{rate}: received to processed, median");
    report.add(&name, "ms", medians, Some(Goal::AtMost(0.5)));
    let name = format!("{rate}: p99 over axum's answer");
    report.add(&name, "ratio", ratio, Some(Goal::AtMost(2.0)));
    bare.stop()?;
    hub.stop()
}

pub(crate) fn percentile(sorted: &[u64], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(f64::NAN, |value| *value as f64)
}

pub(crate) fn noted() -> String {
    noted_as("bench.noted")
}

/// The same as any type.
pub(crate) fn noted_as(event_type: &str) -> String {
    let note = "x".repeat(880);
    format!(
        r#"{{"type":"{event_type}","source":"bench","priority":"normal","payload":{{"note":"{note}","tags":["one","two","three"],"count":42}}}}"#
    )
}

pub(crate) fn sent(due_us: u64) -> String {
    let note = "x".repeat(880);
    format!(
        r#"{{"type":"bench.sent","source":"bench","payload":{{"note":"{note}","sent_us":{due_us}}}}}"#
    )
}
