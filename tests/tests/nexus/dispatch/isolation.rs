//! One part fails, hangs or panics; the others do not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_host::dispatch::config;
use nexus_host::queue::{EventStatus, Queue, Step, Work};
use nexus_plugin_api::{Outcome, Reply};
use nexus_tests::events::event;
use tokio::time::sleep;

use super::scripted::{PANICKING, Setup, emit, notify, unavailable};

#[tokio::test(start_paused = true)]
async fn the_working_processor_waits_for_no_other() {
    let rig = Setup::new()
        .processor("p/fails", |_, _| async { Err(unavailable()) })
        .processor("p/hangs", |_, _| std::future::pending())
        .processor("p/works", |_, call| async move {
            let outcome = Outcome::done();
            Ok(match call.n {
                0 => outcome.with(notify("i/act", 1)).with(emit("test.event", 9)),
                _ => outcome,
            })
        })
        .integration("i/act", |_| async { Ok(Reply::ok()) })
        .start();
    let one = event("a", 0);
    rig.put([one.clone()]).await;
    sleep(Duration::from_millis(10)).await;
    assert_eq!(rig.calls("i/act").len(), 1, "at once");
    assert_eq!(rig.seen().accepted.len(), 1, "at once");
    let steps = rig.steps(one.event_id).await;
    let worked = |step: &Step| matches!(step, Step::Delivered { .. });
    let failed = |step: &Step| matches!(step, Step::ProcessorFailed { processor, .. } if processor == "p/fails");
    assert!(
        steps.iter().any(worked) && steps.iter().any(failed),
        "{steps:?}"
    );
    rig.queue.close_intake();
    sleep(Duration::from_secs(60)).await;
    let settled_once = rig
        .calls("p/works")
        .iter()
        .filter(|call| call.n == 0)
        .count();
    assert_eq!(settled_once, 1, "what worked is not repeated");
}

#[tokio::test(start_paused = true)]
async fn every_processor_gets_every_event_and_fails_for_itself() {
    let rig = Setup::new()
        .processor("p/fails", |_, _| async { Err(unavailable()) })
        .processor("p/hangs", |_, _| std::future::pending())
        .processor("p/panics", |_, _| async { panic!("for a test") })
        .decides("p/works", vec![notify("i/act", 1)])
        .integration("i/act", |_| async { Ok(Reply::ok()) })
        .start();
    let one = event("a", 0);
    rig.put([one.clone()]).await;
    rig.done().await;
    let calls =
        ["p/fails", "p/hangs", "p/panics", "p/works", "i/act"].map(|who| rig.calls(who).len());
    assert_eq!(calls, [4, 4, 1, 1, 1]);
    let mut dead: Vec<_> = rig
        .dead()
        .await
        .into_iter()
        .map(|letter| match letter.work {
            Work::Process { processor, .. } => (processor, letter.reason),
            other => panic!("{other:?}"),
        })
        .collect();
    dead.sort();
    let expected = [
        ("p/fails", "retries_exhausted"),
        ("p/hangs", "retries_exhausted"),
        ("p/panics", "host_panicked"),
    ];
    assert_eq!(
        dead,
        expected.map(|(who, why)| (who.to_owned(), why.to_owned()))
    );
    assert_eq!(rig.journey(one.event_id).await.status, EventStatus::Dead);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_hub_costs_one_event_and_no_worker() {
    let mut setup = Setup::new()
        .subscribers_panic_on(1)
        .processor("p/one", |_, call| async move {
            assert_ne!(call.n, 2, "a panic for a test");
            let first = if call.n == 4 {
                emit(PANICKING, 0)
            } else {
                notify("i/act", 1)
            };
            Ok(Outcome::done().with(first).with(notify("i/act", 2)))
        })
        .integration("i/act", |call| async move {
            assert!(call.n != 3 || call.request != 1, "a panic for a test");
            Ok(Reply::ok())
        });
    setup.dispatch.concurrency = 1;
    let rig = setup.start();
    rig.put((0..7).map(|n| event("a", n))).await;
    rig.done().await;
    let mut done: Vec<_> = rig
        .calls("i/act")
        .into_iter()
        .map(|call| (call.n, call.request))
        .collect();
    done.sort_unstable();
    let expected = [
        (0, 1),
        (0, 2),
        (3, 1),
        (3, 2),
        (4, 2),
        (5, 1),
        (5, 2),
        (6, 1),
        (6, 2),
    ];
    assert_eq!(
        done, expected,
        "a panic ends the work at hand and nothing else"
    );
    let dead = rig.dead().await;
    assert_eq!(dead.len(), 4);
    assert!(
        dead.iter().all(|letter| letter.reason == "host_panicked"),
        "{dead:?}"
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_costs_nothing() {
    let mut setup = Setup::new()
        .observers_panic()
        .processor("p/one", |_, call| async move {
            let outcome = Outcome::done().with(notify("i/act", 1));
            Ok(if call.n < 100 {
                outcome.with(emit("test.event", call.n + 100))
            } else {
                outcome
            })
        })
        .integration("i/act", |_| async { Ok(Reply::ok()) });
    setup.dispatch.concurrency = 1;
    let rig = setup.start();
    rig.put((0..5).map(|n| event("a", n))).await;
    rig.done().await;
    assert_eq!(rig.calls("i/act").len(), 10);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn in_a_lane_events_and_their_effects_keep_their_order() {
    let rig = Setup::new()
        .decides("p/one", (0..3).map(|n| notify("i/act", n)).collect())
        .integration("i/act", |call| async move {
            // The later ones are the quicker ones.
            sleep(Duration::from_millis(50 - call.n - call.request * 10)).await;
            if call.n % 3 == 0 && call.attempt == 1 {
                Err(unavailable())
            } else {
                Ok(Reply::ok())
            }
        });
    let mut rig = rig;
    rig.breaker.failures = 1_000;
    let rig = rig.start();
    rig.put((0..20).map(|n| event("one", n))).await;
    rig.done().await;
    let calls = rig.calls("i/act");
    let first_attempts: Vec<_> = calls
        .iter()
        .filter(|call| call.attempt == 1)
        .map(|call| (call.n, call.request))
        .collect();
    let expected: Vec<_> = (0..20).flat_map(|n| (0..3).map(move |r| (n, r))).collect();
    assert_eq!(first_attempts, expected);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn lanes_run_beside_each_other_up_to_the_concurrency() {
    for (ordering, sources, expected) in [
        (config::Ordering::Lane, 100, 64),
        (config::Ordering::Lane, 3, 3),
        (config::Ordering::None, 1, 64),
    ] {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut setup = {
            let most = most.clone();
            Setup::new().processor("p/one", move |_, _| {
                let (now, most) = (now.clone(), most.clone());
                async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    sleep(Duration::from_millis(10)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok(Outcome::done())
                }
            })
        };
        setup.dispatch.ordering = ordering;
        let rig = setup.start();
        rig.put((0..300).map(|n| event(&format!("s{}", n % sources), n)))
            .await;
        rig.done().await;
        assert_eq!(
            most.load(Ordering::SeqCst),
            expected,
            "{ordering:?}, {sources} sources"
        );
        rig.stop().await;
    }
}
