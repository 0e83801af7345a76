//! The benchmark: every figure as a ratio between two things measured in turn in the same run.
//!
//! `bench` prints the figures and writes them as JSON, `bench queue` only those of the durable queue,
//! `bench backlog` only what a long backlog costs it. With `--quick` after it, each takes a shorter
//! look. What the other arguments name it starts itself, in processes of their own.

#![allow(clippy::print_stdout, reason = "its output is what it is run for")]

mod backlog;
mod call;
mod durable;
mod http;
mod load;
mod logged;
mod report;
mod serve;

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
        ["work-off", folder, events] => backlog::work_off_and_tell(folder, events),
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

/// Measures one part, or everything.
fn measure(part: &[&str], effort: &Effort) -> Result<(), Box<dyn Error>> {
    let (all, queue, file) = match part {
        [] => (true, true, "bench.json"),
        ["queue"] => (false, true, "bench-queue.json"),
        ["backlog"] => (false, false, "bench-backlog.json"),
        other => {
            return Err(
                format!("usage: bench [queue | backlog] [--quick]; found {other:?}").into(),
            );
        }
    };
    let mut report = Report::new(effort);
    runtime()?.block_on(async {
        if all {
            call::measure(effort, &mut report).await?;
            http::measure(effort, &mut report).await?;
        }
        if queue {
            durable::measure(effort, &mut report).await?;
            durable::measure_hubs(effort, &mut report).await?;
        }
        backlog::measure(effort, &mut report).await
    })?;
    report.finish(file)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
}
