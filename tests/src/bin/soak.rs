//! Long runs of what the tests try for a moment.
//!
//! `soak kill --cycles N [--seed S]` kills a hub N times. The cycles come in rounds, each with a
//! home and a seed of its own, so that what has to be remembered stays bounded; the run ends with
//! the first round in which something does not fit.

#![allow(clippy::print_stdout, reason = "its output is what it is run for")]

use std::process::ExitCode;

use nexus_tests::kill::{Backend, Plan, Verdict, run};

/// How many cycles one round has.
const ROUND: u32 = 50;

/// How many cycles pass between two lines of progress.
const BETWEEN_LINES: u32 = 10;

const USAGE: &str = "Usage: soak kill --cycles N [--seed S]";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((cycles, seed)) = parse(&args) else {
        eprintln!("soak: {USAGE}");
        return ExitCode::from(2);
    };
    let verdict = kill(cycles, seed).await;
    println!("{verdict}");
    if verdict.findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Cycles and seed.
fn parse(args: &[String]) -> Option<(u32, u64)> {
    let (what, mut rest) = args.split_first()?;
    let (mut cycles, mut seed) = (None, rand::random());
    while let [name, value, more @ ..] = rest {
        match name.as_str() {
            "--cycles" => cycles = Some(value.parse().ok()?),
            "--seed" => seed = value.parse().ok()?,
            _ => return None,
        }
        rest = more;
    }
    (what == "kill" && rest.is_empty()).then_some((cycles?, seed))
}

async fn kill(cycles: u32, seed: u64) -> Verdict {
    let mut total = Verdict::default();
    for round in 0..cycles.div_ceil(ROUND) {
        let plan = Plan {
            backend: Backend::Sqlite,
            cycles: ROUND.min(cycles - round * ROUND),
            seed: seed.wrapping_add(u64::from(round)),
        };
        println!(
            "round {}: {} cycles, seed {}",
            round + 1,
            plan.cycles,
            plan.seed
        );
        let verdict = run(plan, |cycle| {
            if cycle.number % BETWEEN_LINES == 0 {
                println!("  {cycle}");
            }
        });
        total.add(verdict.await);
        if !total.findings.is_empty() {
            break;
        }
    }
    total
}
