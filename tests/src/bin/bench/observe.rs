//! What it costs to be watched: the time of a scrape, and events a second with somebody who scrapes and without.

use std::error::Error;
use std::time::{Duration, Instant};

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

pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let hub = Server::start_with("serve-crowd", &["1", CONTRACTS])?;
    let scrape =
        format!("GET /metrics HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    let scrape = scrape.into_bytes();
    let event = request(&noted());
    let (mut medians, mut longest, mut ratio) = (vec![], vec![], vec![]);
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
        let idle = timed(hub.address, &scrape, Duration::ZERO, |done| done < SCRAPES).await?;
        // The first round warms up.
        if round > 0 {
            medians.push(percentile(&idle, 50) / 1_000.0);
            longest.push(percentile(&idle, 99) / 1_000.0);
            ratio.push(watched / alone);
        }
    }
    let what = "scrape, 1,000 contracts";
    report.add(&format!("{what}: median"), "ms", medians, Some("< 5"));
    report.add(&format!("{what}: p99"), "ms", longest, Some("< 5"));
    report.add(
        "ingest: scraped once a second over not at all",
        "ratio",
        ratio,
        Some(">= 0.9"),
    );
    hub.stop()
}
