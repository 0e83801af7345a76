//! What it costs to be watched: the time of a scrape, and events a second with everything on that tells of them, with
//! somebody who has the dashboard open, and without.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use crate::ingest::{noted, percentile};
use crate::load::{closed_loop, request, timed};
use crate::report::{Effort, Goal, Report};
use crate::serve::KEY;
use crate::server::Server;

/// Contracts of the hub that is scraped.
const CONTRACTS: &str = "1000";

/// Scrapes, one after the other, of which the time is taken.
const SCRAPES: usize = 200;

/// Between two scrapes under load: far more often than anybody should.
const OFTEN: Duration = Duration::from_secs(1);

/// What a dashboard asks for: the overview, and a sample of the events.
const FOLLOWED: [&str; 2] = ["/v1/admin/overview/stream", "/v1/events/stream?most=20"];

pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    scrapes(effort, report).await?;
    everything(effort, report).await
}

/// A hub with many contracts.
async fn scrapes(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let hub = Server::start_with("serve-crowd", &["1", CONTRACTS])?;
    let scrape = scrape();
    let event = request(&noted());
    let (mut medians, mut longest) = (vec![], vec![]);
    for round in 0..=effort.rounds {
        // So that there is something to tell.
        closed_loop(hub.address, 64, effort.round, event.clone()).await?;
        let idle = timed(hub.address, &scrape, Duration::ZERO, |done| done < SCRAPES).await?;
        // The first round warms up.
        if round > 0 {
            medians.push(percentile(&idle, 50) / 1_000.0);
            longest.push(percentile(&idle, 99) / 1_000.0);
        }
    }
    let goal = Some(Goal::AtMost(5.0));
    let what = "scrape, 1,000 contracts";
    report.add(&format!("{what}: median"), "ms", medians, goal);
    report.add(&format!("{what}: p99"), "ms", longest, goal);
    hub.stop()
}

/// Hubs with all that can be turned on, and one with all that can be turned off.
async fn everything(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let collector = Server::start("serve-collector")?;
    let endpoint = format!("http://{}/v1/traces", collector.address);
    let mut watched = Server::start_with("serve-watched-hub", &[&endpoint])?;
    let traced = Server::start_with("serve-traced-hub", &[&endpoint])?;
    let mut unwatched = Server::start("serve-unwatched-hub")?;
    let scrape = scrape();
    let event = request(&noted());
    let load = |hub: SocketAddr| closed_loop(hub, 64, effort.round, event.clone());
    let (mut all, mut own, mut every, mut open) = (vec![], vec![], vec![], vec![]);
    for round in 0..=effort.rounds {
        let before = (unwatched.processor_time()?, watched.processor_time()?);
        let nobody_looks = load(unwatched.address).await?;
        let end = Instant::now() + effort.round;
        let (looked_at, scrapes) = tokio::try_join!(
            load(watched.address),
            timed(watched.address, &scrape, OFTEN, |_| Instant::now() < end),
        )?;
        let of_unwatched = nobody_looks.micros_each(unwatched.processor_time()? - before.0);
        let of_watched = looked_at.micros_each(watched.processor_time()? - before.1);
        let each_traced = load(traced.address).await?.rate();
        let without = load(unwatched.address).await?.rate();
        let end = Instant::now() + effort.round;
        let (with, overviews, sample) = tokio::try_join!(
            load(unwatched.address),
            followed(unwatched.address, FOLLOWED[0], end),
            followed(unwatched.address, FOLLOWED[1], end),
        )?;
        if scrapes.is_empty() || overviews == 0 || sample == 0 {
            return Err("nobody has looked".into());
        }
        if round > 0 {
            all.push(looked_at.rate() / nobody_looks.rate());
            own.push(of_watched / of_unwatched);
            every.push(each_traced / without);
            open.push(with.rate() / without);
        }
    }
    let name = "ingest: lines, traces, alerts and a scrape a second over none";
    report.add(name, "ratio", all, Some(Goal::AtLeast(0.9)));
    let name = "the hub's own processor time for an event, the same over none";
    report.add(name, "ratio", own, None);
    let name = "ingest: a trace of every event as well, over none";
    report.add(name, "ratio", every, None);
    let name = "ingest: with the dashboard open over without";
    report.add(name, "ratio", open, Some(Goal::AtLeast(0.95)));
    watched.stop()?;
    traced.stop()?;
    unwatched.stop()?;
    collector.stop()
}

fn scrape() -> Vec<u8> {
    format!("GET /metrics HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\n\r\n")
        .into_bytes()
}

/// Follows a stream until then, as a dashboard does: how many messages have come.
async fn followed(hub: SocketAddr, path: &str, end: Instant) -> io::Result<usize> {
    let mut stream = TcpStream::connect(hub).await?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let (mut messages, mut part) = (0, vec![0; 64 * 1024]);
    while let Ok(read) = timeout_at(end.into(), stream.read(&mut part)).await {
        let read = read?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        messages += part[..read]
            .windows(6)
            .filter(|six| *six == b"\ndata:")
            .count();
    }
    Ok(messages)
}
