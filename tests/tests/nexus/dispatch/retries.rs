//! Failed attempts: when they are made again, how often, and when they are given up.

use std::time::Duration;

use nexus_host::queue::Queue;
use nexus_host::queue::{EventStatus, Step, Work};
use nexus_plugin_api::{Outcome, PluginError, Reply, StateWrite};
use nexus_tests::events::event;

use super::scripted::{Called, Setup, notify, unavailable};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Asserts that the delays between attempts are 1, 2 and 4 s and up to a quarter more.
fn assert_delays(calls: &[Called], each_takes: Duration) {
    assert_eq!(calls.len(), 4, "three retries are four attempts");
    let attempts: Vec<_> = calls.iter().map(|call| call.attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4]);
    for (pair, base) in calls.windows(2).zip([1, 2, 4].map(seconds)) {
        let delay = pair[1].at - pair[0].at - each_takes;
        // The clock of the tests ticks in milliseconds.
        let most = base.mul_f64(1.25) + Duration::from_millis(2);
        assert!(
            delay >= base && delay <= most,
            "{delay:?} instead of {base:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_effect_is_tried_four_times_then_it_is_a_dead_letter() {
    let rig = Setup::new()
        .decides("p/one", vec![notify("i/act", 7)])
        .integration("i/act", |call| async move {
            Err(PluginError::retryable(
                format!("no_{}", call.attempt),
                "not now",
            ))
        })
        .start();
    let one = event("a", 0);
    rig.put([one.clone()]).await;
    rig.done().await;
    assert_delays(&rig.calls("i/act"), Duration::ZERO);
    assert_eq!(
        rig.calls("p/one").len(),
        1,
        "only what failed is tried again"
    );
    let dead = rig.dead().await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason, "retries_exhausted");
    assert!(matches!(dead[0].work, Work::Perform { number: 0, .. }));
    let codes: Vec<_> = dead[0]
        .errors
        .iter()
        .map(|error| error.code.as_str())
        .collect();
    assert_eq!(codes, ["no_1", "no_2", "no_3", "no_4"]);
    assert_eq!(rig.journey(one.event_id).await.status, EventStatus::Dead);
    assert_eq!(rig.seen().finished, [one.event_id]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_processor_is_tried_four_times_then_it_is_a_dead_letter() {
    let rig = Setup::new()
        .processor("p/one", |_, _| async { Err(unavailable()) })
        .start();
    rig.put([event("a", 0)]).await;
    rig.done().await;
    assert_delays(&rig.calls("p/one"), Duration::ZERO);
    let dead = rig.dead().await;
    assert_eq!((dead.len(), dead[0].errors.len()), (1, 4));
    assert!(matches!(&dead[0].work, Work::Process { processor, .. } if processor == "p/one"));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_works_the_second_time_is_done() {
    let rig = Setup::new()
        .processor("p/one", |_, call| async move {
            match call.attempt {
                1 => Err(unavailable()),
                _ => Ok(Outcome::done().with(notify("i/act", 1))),
            }
        })
        .integration("i/act", |call| async move {
            match call.attempt {
                1 => Err(unavailable()),
                _ => Ok(Reply::ok()),
            }
        })
        .start();
    let one = event("a", 0);
    rig.put([one.clone()]).await;
    rig.done().await;
    assert_eq!((rig.calls("p/one").len(), rig.calls("i/act").len()), (2, 2));
    assert_eq!(
        rig.journey(one.event_id).await.status,
        EventStatus::Processed
    );
    assert!(rig.dead().await.is_empty());
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_is_a_dead_letter_at_once() {
    let rig = Setup::new()
        .decides(
            "p/one",
            vec![notify("i/act", 1), notify("i/act", 2), notify("nobody", 3)],
        )
        .processor("p/two", |_, _| async {
            Err(PluginError::permanent("broken", "never"))
        })
        .integration("i/act", |call| async move {
            match call.request {
                1 => Err(PluginError::permanent("bad_request", "never")),
                _ => Ok(Reply::ok()),
            }
        })
        .start();
    rig.put([event("a", 0)]).await;
    rig.done().await;
    assert_eq!(rig.calls("i/act").len(), 2, "the other effect goes on");
    let mut reasons: Vec<_> = rig
        .dead()
        .await
        .into_iter()
        .map(|dead| dead.reason)
        .collect();
    reasons.sort();
    assert_eq!(reasons, ["bad_request", "broken", "unknown_integration"]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_names_a_later_time_is_obeyed() {
    let rig = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", |call| async move {
            match call.attempt {
                1 => Err(unavailable().after(seconds(60))),
                2 => Err(unavailable().after(Duration::from_millis(1))),
                _ => Ok(Reply::ok()),
            }
        })
        .start();
    rig.put([event("a", 0)]).await;
    rig.done().await;
    let calls = rig.calls("i/act");
    assert!(calls[1].at - calls[0].at >= seconds(60));
    assert!(
        calls[2].at - calls[1].at >= seconds(1),
        "never sooner than configured"
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_away_and_says_when_it_will_be_back_is_waited_for() {
    let mut setup = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", |call| async move {
            match call.attempt {
                ..=50 => Err(PluginError::retryable(PluginError::BUSY, "no").after(seconds(9))),
                _ => Err(unavailable()),
            }
        });
    setup.dispatch.concurrency = 1;
    let rig = setup.start();
    rig.put([event("a", 0)]).await;
    rig.done().await;
    assert_eq!(
        rig.calls("i/act").len(),
        54,
        "and then four attempts are made"
    );
    let dead = rig.dead().await;
    assert_eq!(dead[0].reason, "retries_exhausted");
    assert_eq!(dead[0].errors[0].code, "retry_later");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_endless_retry_after_does_not_stop_the_workers() {
    let mut setup = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", |call| async move {
            match call.n {
                0 => Err(unavailable().after(Duration::MAX)),
                _ => Ok(Reply::ok()),
            }
        });
    setup.dispatch.concurrency = 1;
    let rig = setup.start();
    rig.put((0..3).map(|n| event("a", n))).await;
    rig.done().await;
    assert_eq!(rig.calls("i/act").len(), 3);
    assert_eq!(rig.queue.stats().delayed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_given_up_in_time_and_tried_again() {
    let rig = Setup::new()
        .decides("p/quick", vec![notify("i/hangs", 1)])
        .processor("p/hangs", |_, _| std::future::pending())
        .integration("i/hangs", |_| std::future::pending())
        .start();
    rig.put([event("a", 0)]).await;
    rig.done().await;
    assert_delays(&rig.calls("i/hangs"), seconds(10));
    assert_delays(&rig.calls("p/hangs"), seconds(30));
    let dead = rig.dead().await;
    assert_eq!(dead.len(), 2);
    for letter in dead {
        assert!(
            letter.errors.iter().all(|error| error.code == "timeout"),
            "{letter:?}"
        );
    }
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_effect_keeps_its_idempotency_key_and_shares_it_with_none() {
    let effects = || vec![notify("i/act", 1), notify("i/act", 2).after(seconds(1))];
    let rig = Setup::new()
        .decides("p/one", effects())
        .decides("p/two", effects())
        .integration("i/act", |call| async move {
            match call.attempt {
                1 | 2 => Err(PluginError::retryable("unavailable", "not now")),
                _ => Ok(Reply::ok()),
            }
        });
    let mut rig = rig;
    rig.breaker.failures = 1_000;
    let rig = rig.start();
    rig.put((0..3).map(|n| event("a", n))).await;
    rig.done().await;
    let mut keys = std::collections::BTreeMap::<_, Vec<_>>::new();
    for call in rig.calls("i/act") {
        assert!(!call.key.is_empty());
        keys.entry(call.key)
            .or_default()
            .push((call.n, call.request, call.attempt));
    }
    assert_eq!(keys.len(), 3 * 2 * 2, "events, processors, effects");
    for (key, calls) in keys {
        let attempts: Vec<_> = calls.iter().map(|call| call.2).collect();
        assert_eq!(attempts, [1, 2, 3], "{key}");
        let same = calls
            .iter()
            .all(|call| (call.0, call.1) == (calls[0].0, calls[0].1));
        assert!(same, "{key} means {calls:?}");
    }
    rig.stop().await;
}

/// Two sources that use the same id are two events, each with a key of its own through all attempts.
#[tokio::test(start_paused = true)]
async fn sources_that_share_an_id_share_no_idempotency_key() {
    let rig = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", |call| async move {
            match call.attempt {
                1 => Err(PluginError::retryable("unavailable", "not now")),
                _ => Ok(Reply::ok()),
            }
        })
        .start();
    let one = event("a", 0);
    let mut other = event("b", 1);
    other.event_id = one.event_id;
    rig.put([one.clone(), other]).await;
    rig.done().await;
    let calls = rig.calls("i/act");
    let keys_of = |n| {
        let keys = calls.iter().filter(|call| call.n == n);
        keys.map(|call| call.key.as_str()).collect::<Vec<_>>()
    };
    let own = format!("{}:0", one.event_id);
    assert_eq!(keys_of(0), [&own, &own]);
    let others = keys_of(1);
    assert_eq!(others.len(), 2);
    assert_eq!(others[0], others[1]);
    assert_ne!(others[0], own);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_processor_may_put_an_event_off_without_using_up_attempts() {
    let rig = Setup::new()
        .processor("p/one", |_, call| async move {
            match call.attempt {
                ..=10 => Ok(Outcome::retry_later(seconds(5), "busy")),
                11..=13 => Err(unavailable()),
                _ => Ok(Outcome::done()),
            }
        })
        .start();
    let one = event("a", 0);
    rig.put([one.clone()]).await;
    rig.done().await;
    let calls = rig.calls("p/one");
    assert_eq!(calls.len(), 14);
    for pair in calls[..=10].windows(2) {
        let delay = pair[1].at - pair[0].at;
        assert!(delay >= seconds(5) && delay < seconds(6), "{delay:?}");
    }
    assert_eq!(
        rig.journey(one.event_id).await.status,
        EventStatus::Processed
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_is_not_put_off_for_ever() {
    let rig = Setup::new()
        .processor("p/asks", |_, _| async {
            Ok(Outcome::retry_later(seconds(1), "busy"))
        })
        .processor("p/fails", |_, _| async {
            Err(PluginError::retryable(
                "retry_later",
                "a code of the plugin's choice",
            ))
        })
        .start();
    rig.put([event("a", 0)]).await;
    rig.done().await;
    for who in ["p/asks", "p/fails"] {
        let calls = rig.calls(who).len();
        assert!(calls <= 105, "{who} was called {calls} times");
    }
    let mut reasons: Vec<_> = rig
        .dead()
        .await
        .into_iter()
        .map(|dead| dead.reason)
        .collect();
    reasons.sort();
    assert_eq!(reasons, ["put_off_too_often", "retries_exhausted"]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn skipped_is_done_and_rejected_is_dead() {
    let rig = Setup::new()
        .processor("p/one", |_, call| async move {
            Ok(match call.n {
                0 => Outcome::skip("not mine"),
                _ => Outcome::reject("nonsense"),
            })
        })
        .start();
    let (skipped, rejected) = (event("a", 0), event("a", 1));
    rig.put([skipped.clone(), rejected.clone()]).await;
    rig.done().await;
    assert_eq!(
        rig.journey(skipped.event_id).await.status,
        EventStatus::Processed
    );
    let told = |step: &Step| matches!(step, Step::Processed { decision, reason: Some(why), .. } if decision == "skip" && why == "not mine");
    assert!(rig.steps(skipped.event_id).await.iter().any(told));
    assert_eq!(
        rig.journey(rejected.event_id).await.status,
        EventStatus::Dead
    );
    let dead = rig.dead().await;
    assert_eq!((dead.len(), dead[0].reason.as_str()), (1, "rejected"));
    assert_eq!(dead[0].errors[0].message, "nonsense");
    assert_eq!(rig.calls("p/one").len(), 2);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn plugin_state_is_written_with_a_decision_and_not_with_a_failure() {
    let rig = Setup::new()
        .processor("p/one", |_, call| async move {
            let mut outcome = match call.attempt {
                1 => Outcome::retry_later(seconds(1), "busy"),
                _ => Outcome::done(),
            };
            outcome.state.push(StateWrite {
                key: format!("attempt/{}", call.attempt),
                value: Some(b"seen".to_vec()),
            });
            Ok(outcome)
        })
        .start();
    rig.put([event("a", 0)]).await;
    rig.done().await;
    let keys = rig.queue.state_keys("p", "").await;
    assert_eq!(keys.expect("they can be read"), ["attempt/2"]);
    rig.stop().await;
}
