//! The benchmark: every figure as a ratio between two things measured in turn in the same run.
//!
//! `bench` prints the figures of every part and writes them into `docs/benchmarks.md` and `docs/benchmarks.json`; with the
//! name of a part, only that one's. With `--quick` it takes a shorter look, and writes it into the target
//! folder. `bench admit CLIENTS CONTRACTS TURNS` does nothing but let events in, for a profiler to look at, and
//! `bench drive ADDRESS EVENTS` gives some to a server that is being looked at. What the
//! other arguments name it starts itself, in processes of their own.

#![allow(clippy::print_stdout, reason = "its output is what it is run for")]

mod admission;
mod alerts;
mod attackers;
mod backlog;
mod call;
mod contender;
mod crashes;
mod crowd;
mod durable;
mod growth;
mod idle;
mod ingest;
mod isolation;
mod limiter;
mod load;
mod logged;
mod observe;
mod page;
mod polling;
mod report;
mod rivals;
mod serve;
mod server;
mod system;
mod websockets;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use report::{Effort, Report};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["serve-floor", floor] => serve::floor(floor),
        ["serve-hub"] => serve::hub(""),
        ["serve-watched-hub", collector] => serve::watched_hub(collector, ""),
        ["serve-traced-hub", collector] => serve::watched_hub(collector, EVERY_TRACE),
        ["serve-unwatched-hub"] => serve::unwatched_hub(),
        ["serve-collector"] => serve::collector(),
        ["serve-durable-hub"] => serve::durable_hub(),
        ["serve-logged-hub"] => serve::logged_hub(),
        ["serve-crowd", clients, contracts] => serve::crowded_hub(clients, contracts),
        ["serve-routes", routes] => serve::routed_hub(routes),
        ["serve-websockets"] => serve::websocket_hub(),
        ["serve-crashes", folder] => crashes::serve(folder),
        ["work-off", folder, events] => backlog::work_off_and_tell(folder, events),
        ["admit", clients, contracts, turns] => admission::admit(clients, contracts, turns),
        ["drive", address, events] => runtime()
            .map_err(Into::into)
            .and_then(|runtime| runtime.block_on(load::drive(address, events))),
        ["flood-limiter", names] => limiter::flood_and_tell(names),
        ["--quick", part @ ..] | [part @ .., "--quick"] => measure(part, &Effort::QUICK),
        part => measure(part, &Effort::FULL),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Keeps a trace of every event, however many come.
const EVERY_TRACE: &str = "observe.traces.per_second = 100000";

/// What can be measured alone, in the order in which everything is, and whether the load comes from a core on which no
/// server is.
const PARTS: [(&str, bool); 15] = [
    ("ingest", true),
    ("rivals", true),
    ("observe", true),
    ("idle", false),
    ("call", false),
    ("isolation", false),
    ("admission", false),
    ("growth", false),
    ("limiter", false),
    ("websockets", false),
    ("attackers", false),
    ("polling", false),
    ("alerts", false),
    ("queue", false),
    ("backlog", false),
];

/// Measures one part, or everything.
fn measure(wanted: &[&str], effort: &Effort) -> Result<(), Box<dyn Error>> {
    let parts: Vec<(&str, bool)> = match wanted {
        [] => PARTS.to_vec(),
        [name] if PARTS.iter().any(|(part, _)| part == name) => {
            PARTS.into_iter().filter(|(part, _)| part == name).collect()
        }
        other => {
            let parts = PARTS.map(|(part, _)| part).join(" | ");
            return Err(format!("usage: bench [{parts}] [--quick]; found {other:?}").into());
        }
    };
    let mut reports = Vec::new();
    for (part, wants_own_core) in parts {
        // On a thread of its own, which may keep to a core.
        let measured = std::thread::spawn({
            let effort = effort.clone();
            move || measure_part(part, wants_own_core, &effort).map_err(|error| error.to_string())
        });
        let report = measured
            .join()
            .map_err(|_| format!("{part} has panicked"))?;
        reports.push(report.map_err(|error| format!("{part}: {error}"))?);
    }
    page::write(reports, effort)
}

fn measure_part(
    part: &str,
    wants_own_core: bool,
    effort: &Effort,
) -> Result<Report, Box<dyn Error>> {
    let is_apart = wants_own_core && system::stay_on_the_last_core();
    let mut report = Report::new(part, effort, is_apart);
    let begun = Instant::now();
    println!("\n{part}");
    runtime()?.block_on(async {
        match part {
            "ingest" => ingest::measure(effort, &mut report).await,
            "rivals" => rivals::measure(effort, &mut report).await,
            "observe" => observe::measure(effort, &mut report).await,
            "idle" => idle::measure(effort, &mut report).await,
            "call" => call::measure(effort, &mut report).await,
            "isolation" => {
                isolation::measure(effort, &mut report).await?;
                crashes::measure(effort, &mut report).await
            }
            "admission" => admission::measure(effort, &mut report).await,
            "growth" => growth::measure(effort, &mut report).await,
            "limiter" => limiter::measure(effort, &mut report),
            "websockets" => websockets::measure(effort, &mut report).await,
            "attackers" => attackers::measure(effort, &mut report).await,
            "polling" => polling::measure(effort, &mut report).await,
            "alerts" => alerts::measure(effort, &mut report),
            "queue" => {
                durable::measure(effort, &mut report).await?;
                durable::measure_hubs(effort, &mut report).await
            }
            "backlog" => backlog::measure(effort, &mut report).await,
            other => Err(format!("nothing measures {other}").into()),
        }
    })?;
    println!("{part} took {:.0} s", begun.elapsed().as_secs_f64());
    Ok(report)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
}
