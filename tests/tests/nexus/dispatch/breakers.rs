//! Targets that fail: left alone, probed, and not overrun when they are back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nexus_host::queue::{Queue, Step};
use nexus_plugin_api::{PluginError, Reply};
use nexus_tests::events::event;
use tokio::time::{Instant, advance, sleep};

use super::scripted::{Called, Rig, Setup, notify, notify_target, unavailable};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn state_of(rig: &Rig, name: &str) -> &'static str {
    let all = rig.breakers.snapshot();
    all.into_iter()
        .find(|breaker| breaker.name == name)
        .map_or("none", |breaker| breaker.state)
}

/// An integration that fails until `up`.
fn failing_until(
    up: Duration,
) -> impl Fn(Called) -> std::future::Ready<Result<Reply, PluginError>> {
    move |call| {
        std::future::ready(if call.at < up {
            Err(unavailable())
        } else {
            Ok(Reply::ok())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_opens_the_breaker_and_what_waits_is_delivered_afterwards() {
    const EVENTS: u64 = 200;
    let rig = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", failing_until(seconds(300)))
        .start();
    let events: Vec<_> = (0..EVENTS).map(|n| event(&format!("s{n}"), n)).collect();
    // The first five open it, one after the other, so that no more are under way by then.
    for one in &events[..5] {
        rig.put([one.clone()]).await;
        advance(Duration::from_millis(1)).await;
    }
    assert_eq!(state_of(&rig, "i/act"), "open");
    rig.put(events[5..].iter().cloned()).await;
    rig.done().await;

    let calls = rig.calls("i/act");
    let parked: Vec<_> = calls
        .iter()
        .filter(|call| call.n >= 5 && call.at >= seconds(300))
        .collect();
    // A probe that failed was an attempt; nothing else was.
    let probes: Vec<_> = calls[5..]
        .iter()
        .filter(|call| call.at < seconds(300))
        .collect();
    assert!(
        probes.len() <= 10,
        "one probe in 30 s, found {}",
        probes.len()
    );
    for pair in probes.windows(2) {
        assert!(pair[1].at - pair[0].at >= seconds(30), "{pair:?}");
    }
    let fresh = parked.iter().filter(|call| call.attempt == 1).count();
    assert!(
        fresh >= (EVENTS - 5) as usize - probes.len(),
        "parking burns no attempt: {fresh}"
    );
    let mut delivered: Vec<_> = calls
        .iter()
        .filter(|call| call.at >= seconds(300))
        .map(|call| call.n)
        .collect();
    delivered.sort_unstable();
    assert_eq!(delivered, (0..EVENTS).collect::<Vec<_>>(), "each once");
    assert!(rig.dead().await.is_empty());
    let steps = rig.steps(events[100].event_id).await;
    assert!(
        steps.iter().any(|step| matches!(step, Step::Parked { .. })),
        "{steps:?}"
    );
    assert_eq!(state_of(&rig, "i/act"), "closed");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn exactly_one_probe_is_under_way() {
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let recovering = Arc::new(AtomicBool::new(false));
    let rig = {
        let (under_way, most, recovering) = (under_way, most.clone(), recovering.clone());
        Setup::new()
            .decides("p/one", vec![notify("i/act", 1)])
            .integration("i/act", move |_| {
                let (under_way, most, recovering) =
                    (under_way.clone(), most.clone(), recovering.clone());
                async move {
                    if !recovering.load(Ordering::SeqCst) {
                        return Err(unavailable());
                    }
                    let now = under_way.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    sleep(seconds(5)).await;
                    under_way.fetch_sub(1, Ordering::SeqCst);
                    Err(unavailable())
                }
            })
            .start()
    };
    rig.put((0..20).map(|n| event(&format!("s{n}"), n))).await;
    sleep(seconds(1)).await;
    assert_eq!(state_of(&rig, "i/act"), "open");
    recovering.store(true, Ordering::SeqCst);
    sleep(seconds(300)).await;
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_or_panics_is_not_stuck() {
    let rig = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", |call| async move {
            match call.at.as_secs() {
                ..30 => Err(unavailable()),
                30..60 => std::future::pending().await,
                60..120 => panic!("for a test"),
                _ => Ok(Reply::ok()),
            }
        })
        .start();
    rig.put((0..20).map(|n| event(&format!("s{n}"), n))).await;
    rig.done().await;
    assert_eq!(state_of(&rig, "i/act"), "closed");
    let delivered = rig
        .calls("i/act")
        .iter()
        .filter(|call| call.at >= seconds(120))
        .count();
    let dead = rig.dead().await;
    assert_eq!(delivered + dead.len(), 20);
    assert!(
        dead.iter().all(|letter| letter.reason == "host_panicked"),
        "{dead:?}"
    );
    assert!(!dead.is_empty(), "a probe panicked");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_whose_calls_panic_is_left_alone() {
    let rig = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", |_| async { panic!("for a test") })
        .start();
    rig.put((0..20).map(|n| event("a", n))).await;
    sleep(seconds(1)).await;
    assert_eq!(state_of(&rig, "i/act"), "open");
    assert_eq!(rig.calls("i/act").len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_says_nothing_against_the_target() {
    let rig = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", |_| async {
            Err(PluginError::permanent("bad_request", "never"))
        })
        .start();
    rig.put((0..50).map(|n| event("a", n))).await;
    rig.done().await;
    assert_eq!(rig.calls("i/act").len(), 50);
    assert_eq!(state_of(&rig, "i/act"), "closed");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn each_target_has_a_breaker_of_its_own() {
    let effects = vec![
        notify_target("i/act", "down", 1),
        notify_target("i/act", "up", 2),
    ];
    let rig = Setup::new()
        .decides("p/one", effects)
        .integration("i/act", |call| async move {
            match call.request {
                1 => Err(unavailable()),
                _ => Ok(Reply::ok()),
            }
        })
        .start();
    rig.put((0..20).map(|n| event("a", n))).await;
    sleep(seconds(1)).await;
    assert_eq!(state_of(&rig, "i/act@down"), "open");
    assert_eq!(state_of(&rig, "i/act@up"), "closed");
    let up = rig
        .calls("i/act")
        .iter()
        .filter(|call| call.request == 2)
        .count();
    assert_eq!(up, 20, "nobody waits for another target");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_the_target_little_and_ends_without_a_herd() {
    let (rate, outage) = (50_u64, 60_u64);
    let rig = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", failing_until(seconds(outage)))
        .start();
    for n in 0..rate * outage {
        rig.put([event(&format!("s{}", n % 500), n)]).await;
        sleep(seconds(1) / u32::try_from(rate).unwrap()).await;
    }
    let during = rig.calls("i/act").len();
    assert!(
        during <= usize::try_from(rate * outage).unwrap() * 12 / 10,
        "{during} calls"
    );
    rig.done().await;

    let calls = rig.calls("i/act");
    let after: Vec<_> = calls
        .iter()
        .filter(|call| call.at >= seconds(outage))
        .collect();
    assert!(
        after.len() >= 2_900,
        "the backlog comes after it: {}",
        after.len()
    );
    let mut most = 0;
    let mut first = 0;
    for (last, call) in after.iter().enumerate() {
        while call.at - after[first].at > Duration::from_millis(100) {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    assert!(
        most * 10 <= after.len(),
        "{most} of {} calls within 100 ms",
        after.len()
    );
    assert!(rig.dead().await.is_empty());
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_large_backlog_is_parked_beyond_the_capacity() {
    let mut setup = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", failing_until(seconds(60)));
    setup.queue.capacity = 10;
    let rig = setup.start();
    let started = Instant::now();
    for n in 0..500 {
        rig.put([event(&format!("s{}", n % 7), n)]).await;
        sleep(Duration::from_millis(1)).await;
    }
    assert!(started.elapsed() < seconds(30));
    let stats = rig.queue.stats();
    assert_eq!((stats.depth, stats.parked), (500, 500));
    rig.done().await;
    assert!(rig.dead().await.is_empty());
    rig.stop().await;
}
