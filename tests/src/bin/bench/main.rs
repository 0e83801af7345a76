//! The benchmark: every figure as a ratio between two things measured in turn in the same run.
//!
//! `bench` prints the figures of every part and writes them as JSON; with the name of a part, only that
//! one's. With `--quick` at the end it takes a shorter look. `bench admit CLIENTS CONTRACTS TURNS` does
//! nothing but let events in, for a profiler to look at. What the other arguments name it starts itself,
//! in processes of their own.

#![allow(clippy::print_stdout, reason = "its output is what it is run for")]

mod admission;
mod alerts;
mod attackers;
mod backlog;
mod call;
mod crashes;
mod crowd;
mod durable;
mod http;
mod isolation;
mod limiter;
mod load;
mod logged;
mod observe;
mod polling;
mod report;
mod serve;
mod system;
mod websockets;

use std::error::Error;
use std::process::ExitCode;

use report::{Effort, Report};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["serve-bare"] => serve::bare(),
        ["serve-hub"] => serve::hub(""),
        ["serve-durable-hub"] => serve::durable_hub(),
        ["serve-logged-hub"] => serve::logged_hub(),
        ["serve-crowd", clients, contracts] => serve::crowded_hub(clients, contracts),
        ["serve-websockets"] => serve::websocket_hub(),
        ["serve-crashes", folder] => crashes::serve(folder),
        ["work-off", folder, events] => backlog::work_off_and_tell(folder, events),
        ["admit", clients, contracts, turns] => admission::admit(clients, contracts, turns),
        ["flood-limiter", names] => limiter::flood_and_tell(names),
        [part @ .., "--quick"] => measure(part, &Effort::QUICK),
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

/// What can be measured alone.
const PARTS: [&str; 12] = [
    "call",
    "isolation",
    "ingest",
    "admission",
    "limiter",
    "websockets",
    "observe",
    "attackers",
    "polling",
    "alerts",
    "queue",
    "backlog",
];

/// Measures one part, or everything.
fn measure(wanted: &[&str], effort: &Effort) -> Result<(), Box<dyn Error>> {
    let (parts, file) = match wanted {
        [] => (&PARTS[..], "bench.json".to_owned()),
        ["queue"] => (&["queue", "backlog"][..], "bench-queue.json".to_owned()),
        [part] if PARTS.contains(part) => (wanted, format!("bench-{part}.json")),
        other => {
            let parts = PARTS.join(" | ");
            return Err(format!("usage: bench [{parts}] [--quick]; found {other:?}").into());
        }
    };
    let mut report = Report::new(effort);
    let runtime = runtime()?;
    for part in parts {
        runtime.block_on(async {
            match *part {
                "call" => call::measure(effort, &mut report).await,
                "isolation" => {
                    isolation::measure(effort, &mut report).await?;
                    crashes::measure(effort, &mut report).await
                }
                "ingest" => http::measure(effort, &mut report).await,
                "admission" => admission::measure(effort, &mut report).await,
                "limiter" => limiter::measure(effort, &mut report),
                "websockets" => websockets::measure(effort, &mut report).await,
                "observe" => observe::measure(effort, &mut report).await,
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
    }
    report.finish(&file)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
}
