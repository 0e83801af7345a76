//! What it costs to be watched: the time of a scrape, and events a second with somebody who scrapes, with somebody who
//! has the dashboard open, and without.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use crate::http::{Server, noted, percentile};
use crate::load::{closed_loop, request, timed};
use crate::report::{Effort, Report};
use crate::serve::KEY;

/// Contracts of the hub that is scraped.
const CONTRACTS: &str = "1000";

/// Scrapes, one after the other, of which the time is taken.
const SCRAPES: usize = 200;

/// Between two scrapes under load: far more often than anybody should.
const OFTEN: Duration = Duration::from_secs(1);

/// What a dashboard asks for: the overview, and a sample of the events.
const FOLLOWED: [&str; 2] = ["/v1/admin/overview/stream", "/v1/events/stream?most=20"];

pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let hub = Server::start_with("serve-crowd", &["1", CONTRACTS])?;
    let scrape =
        format!("GET /metrics HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    let scrape = scrape.into_bytes();
    let event = request(&noted());
    let (mut medians, mut longest) = (vec![], vec![]);
    let (mut scraped_ratio, mut open_ratio) = (vec![], vec![]);
    for round in 0..=effort.rounds {
        let alone = closed_loop(hub.address, 64, effort.round, event.clone()).await?;
        let end = Instant::now() + effort.round;
        let (watched, scrapes) = tokio::try_join!(
            closed_loop(hub.address, 64, effort.round, event.clone()),
            timed(hub.address, &scrape, OFTEN, |_| Instant::now() < end),
        )?;
        if scrapes.is_empty() {
            return Err("nothing was scraped".into());
        }
        let again = closed_loop(hub.address, 64, effort.round, event.clone()).await?;
        let end = Instant::now() + effort.round;
        let (open, overviews, sample) = tokio::try_join!(
            closed_loop(hub.address, 64, effort.round, event.clone()),
            followed(hub.address, FOLLOWED[0], end),
            followed(hub.address, FOLLOWED[1], end),
        )?;
        if overviews == 0 || sample == 0 {
            return Err("nothing was followed".into());
        }
        let idle = timed(hub.address, &scrape, Duration::ZERO, |done| done < SCRAPES).await?;
        // The first round warms up.
        if round > 0 {
            medians.push(percentile(&idle, 50) / 1_000.0);
            longest.push(percentile(&idle, 99) / 1_000.0);
            scraped_ratio.push(watched / alone);
            open_ratio.push(open / again);
        }
    }
    let what = "scrape, 1,000 contracts";
    report.add(&format!("{what}: median"), "ms", medians, Some("< 5"));
    report.add(&format!("{what}: p99"), "ms", longest, Some("< 5"));
    report.add(
        "ingest: scraped once a second over not at all",
        "ratio",
        scraped_ratio,
        Some(">= 0.9"),
    );
    report.add(
        "ingest: with the dashboard open over without",
        "ratio",
        open_ratio,
        Some(">= 0.95"),
    );
    hub.stop()
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
