//! The benchmark: every figure as a ratio between two things measured in turn in the same run.
//!
//! `bench [--quick]` prints the figures and writes them as JSON; `bench serve-bare` and
//! `bench serve-hub` are the servers it starts in processes of their own.

#![allow(clippy::print_stdout, reason = "its output is what it is run for")]

mod call;
mod durable;
mod http;
mod load;
mod report;
mod serve;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some("serve-bare") => serve::bare(),
        Some("serve-hub") => serve::hub(""),
        Some("serve-durable-hub") => serve::durable_hub(),
        Some("--queue") => queue_only(),
        Some("--quick") => run(&report::Effort::QUICK),
        None => run(&report::Effort::FULL),
        Some(other) => Err(format!("unknown argument `{other}`; known is --quick").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(effort: &report::Effort) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let mut report = report::Report::new(effort);
    runtime.block_on(call::measure(effort, &mut report))?;
    runtime.block_on(durable::measure(effort, &mut report))?;
    runtime.block_on(durable::measure_hubs(effort, &mut report))?;
    runtime.block_on(http::measure(effort, &mut report))?;
    report.finish()
}

fn queue_only() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let mut report = report::Report::new(&report::Effort::QUICK);
    runtime.block_on(durable::measure_hubs(&report::Effort::QUICK, &mut report))?;
    runtime.block_on(durable::measure(&report::Effort::QUICK, &mut report))
}
