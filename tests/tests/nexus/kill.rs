//! A hub that is killed: what it has acknowledged is there when it comes back.
//!
//! `NEXUS_KILL_CYCLES` and `NEXUS_KILL_SEED` make another run than the usual one; for many cycles
//! there is `cargo xtask soak kill`.

use nexus_tests::kill::{Backend, Plan, Verdict, run};

async fn memory(cycles: u32) -> Verdict {
    let plan = Plan {
        backend: Backend::Memory,
        cycles,
        // Kills under load, not while the hub starts.
        seed: 3,
    };
    run(plan, |_| {}).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_nobody_kills_loses_nothing() {
    let verdict = memory(0).await;
    assert!(verdict.findings.is_empty(), "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loss_is_found() {
    let verdict = memory(1).await;
    assert!(verdict.is_loss_found(), "{verdict}");
}
