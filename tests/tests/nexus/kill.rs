//! A hub that is killed: what it has acknowledged is there when it comes back.
//!
//! `NEXUS_KILL_CYCLES` and `NEXUS_KILL_SEED` make another run than the usual one; for many cycles
//! there is `cargo xtask soak kill`.

use nexus_tests::kill::{Backend, Plan, run};

/// How often the hub is killed.
const CYCLES: u32 = 20;

/// What an environment variable holds, as a number.
fn number<N: std::str::FromStr>(variable: &str) -> Option<N> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse().ok();
    Some(number.unwrap_or_else(|| panic!("{variable} must be a number, and is {text:?}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_undecided_is_done() {
    let plan = Plan {
        backend: Backend::Sqlite,
        cycles: number("NEXUS_KILL_CYCLES").unwrap_or(CYCLES),
        seed: number("NEXUS_KILL_SEED").unwrap_or_else(rand::random),
    };
    println!("seed {}", plan.seed);
    let verdict = run(plan, |cycle| println!("{cycle}")).await;
    assert!(verdict.findings.is_empty(), "{verdict}");
    println!("{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loss_is_found() {
    let plan = Plan {
        backend: Backend::Memory,
        cycles: 1,
        // It kills under load, not while the hub starts.
        seed: 3,
    };
    let verdict = run(plan, |_| {}).await;
    assert!(verdict.is_loss_found(), "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_where_nobody_kills() {
    let plan = Plan {
        backend: Backend::Memory,
        cycles: 0,
        seed: rand::random(),
    };
    let verdict = run(plan, |_| {}).await;
    assert!(verdict.findings.is_empty(), "{}: {verdict}", plan.seed);
}
