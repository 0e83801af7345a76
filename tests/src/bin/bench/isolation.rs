//! What it costs where a plugin runs: an event of it in the hub itself, on its threads and in its process, and its
//! start.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use futures_util::future::try_join_all;
use nexus_host::Host;
use nexus_tests::isolated::{NOOP, PLACES, folder_with, process, start};

use crate::report::{Effort, Goal, Report};

/// Events at once, of as many lanes.
const AT_ONCE: usize = 64;

pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    report.extent = format!(
        "{} rounds of {} calls, {} starts and {} crashes of each kind",
        effort.rounds,
        effort.calls / 20,
        effort.rounds * 3,
        effort.crashes
    );
    events(effort, report).await?;
    starts(effort, report).await
}

/// Events through a whole hub, one after the other and many at once.
async fn events(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let folder = folder_with(&[NOOP])?;
    let mut hosts = Vec::new();
    for place in PLACES {
        hosts.push(start(folder.path(), NOOP, place).await?);
    }
    let [mut alone, mut many] = [(); 2].map(|()| [(); 3].map(|()| Vec::new()));
    for round in 0..=effort.rounds {
        for (at, host) in hosts.iter().enumerate() {
            let one = one_by_one(host, effort.calls / 200).await?;
            let per_second = at_once(host, effort.calls / 20).await?;
            // The first round warms up.
            if round > 0 {
                alone[at].push(one);
                many[at].push(per_second);
            }
        }
    }
    for host in hosts {
        host.shutdown().await?;
    }
    let [inline, others @ ..] = &alone;
    report.add(
        "one event after the other: inline",
        "us",
        inline.clone(),
        None,
    );
    for (place, goal, times) in [
        ("thread", Some(Goal::AtMost(10.0)), &others[0]),
        ("process", Some(Goal::AtMost(40.0)), &others[1]),
    ] {
        let added = times.iter().zip(inline).map(|(one, inline)| one - inline);
        let name = format!("one event after the other: added by {place}");
        report.add(&name, "us", added.collect(), goal);
    }
    for (place, rates) in PLACES.iter().zip(&many) {
        let name = format!("{AT_ONCE} events at once: {place}");
        report.add(&name, "events/s", rates.clone(), None);
    }
    for (place, rates) in PLACES.iter().zip(&many).skip(1) {
        let ratios = rates.iter().zip(&many[0]).map(|(one, inline)| one / inline);
        let name = format!("{AT_ONCE} events at once: {place} over inline");
        report.add(&name, "ratio", ratios.collect(), None);
    }
    Ok(())
}

/// From reading a file until the plugin is ready: a hub with it, less one without.
async fn starts(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let nothing = folder_with(&[])?;
    for plugin in ["parrot", "toasty"] {
        let folder = folder_with(&[plugin])?;
        for place in &PLACES[1..] {
            let mut took = Vec::new();
            for _ in 0..effort.rounds * 3 {
                let without = timed_start(nothing.path(), plugin, place).await?;
                took.push(timed_start(folder.path(), plugin, place).await? - without);
            }
            let name = format!("start of {plugin}: {place}");
            report.add(&name, "ms", took, Some(Goal::AtMost(5.0)));
        }
    }
    Ok(())
}

/// Milliseconds.
async fn timed_start(folder: &Path, plugin: &str, place: &str) -> Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    let host = start(folder, plugin, place).await?;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    host.shutdown().await?;
    Ok(took)
}

/// Microseconds for each.
async fn one_by_one(host: &Host, events: usize) -> Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    for _ in 0..events {
        process(host, 0).await?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / events as f64)
}

/// Events in a second.
async fn at_once(host: &Host, events: usize) -> Result<f64, Box<dyn Error>> {
    let begun = Instant::now();
    let lanes = (0..AT_ONCE).map(|lane| async move {
        for _ in 0..events / AT_ONCE {
            process(host, lane).await?;
        }
        Ok::<(), String>(())
    });
    try_join_all(lanes).await?;
    Ok((events / AT_ONCE * AT_ONCE) as f64 / begun.elapsed().as_secs_f64())
}
