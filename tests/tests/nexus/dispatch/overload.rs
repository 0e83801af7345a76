//! A target that fails under load: it sees hardly more than the load itself, and what waits for it
//! does not come back as a herd.

use std::time::Duration;

use nexus_host::config::HumanDuration;
use nexus_host::queue::{Queue, Step};
use nexus_plugin_api::Reply;
use nexus_tests::events::{event, number};
use tokio::time::sleep;

use super::scripted::{Called, Rig, Setup, notify, unavailable};

/// Events a second.
const RATE: u32 = 20;

/// Seconds for which the target fails, from the beginning.
const OUTAGE: u32 = 60;

fn seconds(n: u32) -> Duration {
    Duration::from_secs(n.into())
}

/// A target that fails for a minute, and no breaker that would leave it alone.
fn without_breaker() -> Setup {
    let mut setup = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", |call| async move {
            if call.at < seconds(OUTAGE) {
                return Err(unavailable());
            }
            Ok(Reply::ok())
        });
    setup.breaker.failures = 10_000;
    setup
}

/// Puts events in at an even rate, from a number on.
async fn load(rig: &Rig, from: u64, lasts: u32) {
    for n in from..from + u64::from(RATE * lasts) {
        rig.put([event(&format!("s{}", n % 500), n)]).await;
        sleep(seconds(1) / RATE).await;
    }
}

fn during_outage(rig: &Rig) -> Vec<Called> {
    let mut calls = rig.calls("i/act");
    calls.retain(|call| call.at < seconds(OUTAGE));
    calls
}

#[tokio::test(start_paused = true)]
async fn a_target_that_fails_for_a_minute_sees_a_fifth_more_than_its_load_at_most() {
    let rig = without_breaker().start();
    load(&rig, 0, OUTAGE).await;
    let found = during_outage(&rig).len();
    let load = (RATE * OUTAGE) as usize;
    assert!(found > load, "some are tried again: {found}");
    assert!(found <= load * 12 / 10, "{found} calls for {load} events");

    // Nothing is lost for having waited, and once the target is back it is soon done.
    sleep(seconds(60)).await;
    assert_eq!(rig.queue.stats().depth, 0, "a minute after the outage");
    let delivered = rig.calls("i/act").len() - found;
    let dead = rig.dead().await;
    assert_eq!(delivered + dead.len(), load);
    assert!(dead.iter().all(|letter| letter.errors.len() == 4));
    assert!(dead.len() < load / 10, "{} dead letters", dead.len());
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_healthy_time_before_the_outage_does_not_save_up_for_a_storm() {
    const HEALTHY: u32 = 120;
    let mut setup = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", |call| async move {
            if call.at < seconds(HEALTHY) {
                return Ok(Reply::ok());
            }
            Err(unavailable())
        });
    setup.breaker.failures = 10_000;
    let rig = setup.start();
    load(&rig, 0, HEALTHY).await;
    let before = rig.calls("i/act").len();
    load(&rig, u64::from(HEALTHY * RATE), OUTAGE).await;
    let found = rig.calls("i/act").len() - before;
    let load = (RATE * OUTAGE) as usize;
    assert!(found <= load * 12 / 10, "{found} calls for {load} events");
}

#[tokio::test(start_paused = true)]
async fn a_retry_without_budget_waits_and_burns_no_attempt() {
    let mut setup = without_breaker();
    setup.retry.budget = 0.0;
    let rig = setup.start();
    let events: Vec<_> = (0..30).map(|n| event(&format!("s{n}"), n)).collect();
    rig.put(events.clone()).await;
    rig.done().await;
    // Ten at once, then one every six seconds.
    let retries = during_outage(&rig).len() - 30;
    assert!((15..=20).contains(&retries), "{retries} retries");
    let mut waited = 0;
    for one in &events {
        let steps = rig.steps(one.event_id).await;
        waited += usize::from(steps.iter().any(|step| matches!(step, Step::Parked { .. })));
        let mut calls = rig.calls("i/act");
        calls.retain(|call| call.n == number(one));
        let attempts: Vec<_> = calls.iter().map(|call| call.attempt).collect();
        let expected: Vec<_> = (1..=u32::try_from(calls.len()).unwrap()).collect();
        assert_eq!(attempts, expected, "{steps:?}");
        for (pair, base) in calls.windows(2).zip([1, 2, 4].map(seconds)) {
            assert!(pair[1].at - pair[0].at >= base, "never sooner");
        }
    }
    assert!(waited >= 20, "the journal says so of {waited}");
    let dead = rig.dead().await;
    assert!(dead.iter().all(|letter| letter.errors.len() == 4));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rare_traffic_is_tried_again_without_waiting() {
    let mut setup = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", |_| async { Err(unavailable()) });
    setup.breaker.failures = 10_000;
    setup.retry.budget = 0.0;
    let rig = setup.start();
    for n in 0..30 {
        let one = event("a", n);
        rig.put([one.clone()]).await;
        sleep(seconds(20)).await;
        let steps = rig.steps(one.event_id).await;
        let parked = |step: &Step| matches!(step, Step::Parked { .. });
        assert!(!steps.iter().any(parked), "{steps:?}");
    }
    assert_eq!(rig.calls("i/act").len(), 4 * 30);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_target_does_not_spend_the_budget_of_another() {
    let mut setup = Setup::new()
        .decides("p/one", vec![notify("i/down", 1), notify("i/act", 2)])
        .integration("i/down", |_| async { Err(unavailable()) })
        .integration("i/act", |call| async move {
            if call.attempt < 4 && call.n == 999 {
                return Err(unavailable());
            }
            Ok(Reply::ok())
        });
    setup.breaker.failures = 10_000;
    let rig = setup.start();
    load(&rig, 0, 10).await;
    rig.put([event("a", 999)]).await;
    sleep(seconds(9)).await;
    let mut calls = rig.calls("i/act");
    calls.retain(|call| call.n == 999);
    assert_eq!(calls.len(), 4, "it has waited for nobody");
    rig.stop().await;
}

/// A backlog behind an open breaker. The target takes a moment for each call.
fn backlog(ramp: u64) -> Setup {
    let mut setup = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", |call| async move {
            sleep(Duration::from_millis(20)).await;
            if call.at < seconds(OUTAGE) {
                return Err(unavailable());
            }
            Ok(Reply::ok())
        });
    setup.breaker.ramp = HumanDuration::from_secs(ramp);
    setup
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_the_load_grows_slowly() {
    const RAMP: u32 = 10;
    let rig = backlog(RAMP.into()).start();
    load(&rig, 0, OUTAGE).await;
    rig.done().await;
    let calls = rig.calls("i/act");
    let mut after: Vec<_> = calls
        .iter()
        .filter(|call| call.at >= seconds(OUTAGE))
        .collect();
    let total = after.len();
    // The probe closes the breaker.
    let closed = after.remove(0).at;
    let within = |from: Duration, to: Duration| {
        let span = closed + from..closed + to;
        after.iter().filter(|call| span.contains(&call.at)).count()
    };
    let tenth = seconds(RAMP) / 10;
    assert!(
        within(Duration::ZERO, tenth) <= total / 50,
        "a herd at once"
    );
    for n in 0..20 {
        let found = within(tenth * n, tenth * (n + 1));
        assert!(found <= total * 3 / 10, "{found} of {total} in tenth {n}");
    }
    let retried: Vec<_> = calls.iter().map(|call| call.attempt).collect();
    assert!(retried.iter().filter(|attempt| **attempt > 1).count() < 20);
    assert!(rig.dead().await.is_empty());
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_held_open_by_hand_waits_until_it_is_closed_by_hand() {
    let mut setup = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", |_| async { Ok(Reply::ok()) });
    setup.breaker.open_for = HumanDuration::from_secs(5);
    let rig = setup.start();
    assert_eq!(rig.breakers.open("i/act"), None, "nobody has used it yet");
    rig.put([event("a", 0)]).await;
    rig.done().await;
    assert!(rig.breakers.open("i/act").is_some_and(|one| one.held));
    rig.put((1..100).map(|n| event("a", n))).await;
    sleep(seconds(600)).await;
    assert_eq!(rig.calls("i/act").len(), 1);
    assert_eq!(rig.queue.stats().parked, 99);
    rig.breakers.close("i/act");
    rig.done().await;
    let calls = rig.calls("i/act");
    assert_eq!(calls.len(), 100);
    assert!(calls.iter().all(|call| call.attempt == 1), "no attempt");
    rig.stop().await;
}
