//! The benchmark: every figure as a ratio between two things measured in turn in the same run.
//!
//! `bench` prints the figures and writes them as JSON, `bench queue` only those of the durable queue;
//! with `--quick` after it, each takes a shorter look. What the other arguments name it starts itself,
//! in processes of their own.

#![allow(clippy::print_stdout, reason = "its output is what it is run for")]

mod backlog;
mod call;
mod durable;
mod http;
mod load;
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
        ["work-off", folder, events] => backlog::work_off_and_tell(folder, events),
        [] => everything(&Effort::FULL),
        ["--quick"] => everything(&Effort::QUICK),
        ["queue"] => queue(&Effort::FULL),
        ["queue", "--quick"] => queue(&Effort::QUICK),
        other => Err(format!("usage: bench [queue] [--quick]; found {other:?}").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn everything(effort: &Effort) -> Result<(), Box<dyn Error>> {
    let mut report = Report::new(effort);
    runtime()?.block_on(async {
        call::measure(effort, &mut report).await?;
        http::measure(effort, &mut report).await?;
        durable_part(effort, &mut report).await
    })?;
    report.finish("bench.json")
}

fn queue(effort: &Effort) -> Result<(), Box<dyn Error>> {
    let mut report = Report::new(effort);
    runtime()?.block_on(durable_part(effort, &mut report))?;
    report.finish("bench-queue.json")
}

async fn durable_part(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    durable::measure(effort, report).await?;
    durable::measure_hubs(effort, report).await?;
    backlog::measure(effort, report).await
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
}
