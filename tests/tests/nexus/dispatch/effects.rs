//! What a processor decides is done: in order, at its time, once.

use std::time::Duration;

use chrono::Utc;
use nexus_host::queue::{EventStatus, Queue, Step, Work};
use nexus_plugin_api::{Effect, NewEvent, Outcome, Reply};
use nexus_tests::events::{EVENT_TYPE, event};
use tokio::time::sleep;
use uuid::Uuid;

use super::scripted::{Setup, emit, notify, unavailable};

#[tokio::test(start_paused = true)]
async fn the_effects_of_a_processor_are_done_in_turn_and_processors_side_by_side() {
    let three = |first: u64| (first..first + 3).map(|n| notify("i/act", n)).collect();
    let rig = Setup::new()
        .decides("p/one", three(10))
        .decides("p/two", three(20))
        .integration("i/act", |_| async {
            sleep(Duration::from_secs(1)).await;
            Ok(Reply::noted("done"))
        })
        .start();
    let one = event("a", 0);
    rig.put([one.clone()]).await;
    rig.done().await;
    let calls = rig.calls("i/act");
    for first in [10, 20] {
        let own: Vec<_> = calls
            .iter()
            .filter(|call| call.request / 10 == first / 10)
            .collect();
        let started: Vec<_> = own
            .iter()
            .map(|call| (call.request - first, call.at.as_secs()))
            .collect();
        assert_eq!(started, [(0, 0), (1, 1), (2, 2)]);
    }
    let steps = rig.steps(one.event_id).await;
    let delivered = steps.iter().filter(
        |step| matches!(step, Step::Delivered { summary: Some(said), .. } if said == "done"),
    );
    assert_eq!(delivered.count(), 6);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_effect_waits_for_its_time() {
    let nested = notify("i/act", 3)
        .after(Duration::from_secs(5))
        .after(Duration::from_secs(5));
    let effects = vec![
        notify("i/act", 1).after(Duration::from_secs(20)),
        notify("i/act", 2),
        nested,
        emit(EVENT_TYPE, 100).after(Duration::from_secs(7)),
        notify("i/act", 4).after(Duration::from_millis(u64::MAX)),
    ];
    let rig = Setup::new()
        .processor("p/one", move |_, call| {
            let effects = if call.n == 0 {
                effects.clone()
            } else {
                Vec::new()
            };
            async move {
                Ok(Outcome {
                    effects,
                    ..Outcome::done()
                })
            }
        })
        .integration("i/act", |_| async { Ok(Reply::ok()) })
        .start();
    let one = event("a", 0);
    rig.put([one.clone()]).await;
    rig.done().await;
    let calls: Vec<_> = rig
        .calls("i/act")
        .into_iter()
        .map(|call| (call.request, call.at.as_secs()))
        .collect();
    assert_eq!(calls, [(2, 0), (3, 10), (1, 20)]);
    let emitted = &rig.calls("p/one")[1];
    assert_eq!((emitted.n, emitted.at.as_secs()), (100, 7));
    assert_eq!(
        rig.journey(one.event_id).await.status,
        EventStatus::Processing,
        "one is far away"
    );
    assert_eq!(rig.queue.stats().delayed, 1);
}

#[tokio::test(start_paused = true)]
async fn an_emitted_event_is_an_event_as_any_other() {
    let rig = Setup::new()
        .processor("p/one", |_, call| async move {
            Ok(match call.n {
                0 => Outcome::done()
                    .with(emit(EVENT_TYPE, 1))
                    .with(emit(EVENT_TYPE, 2)),
                _ => Outcome::done().with(notify("i/act", call.n)),
            })
        })
        .integration("i/act", |_| async { Ok(Reply::ok()) })
        .start();
    let one = event("a", 0);
    rig.put([one.clone()]).await;
    rig.done().await;
    let requests: Vec<_> = rig.calls("i/act").iter().map(|call| call.request).collect();
    assert_eq!(requests, [1, 2]);
    let emitted = rig.seen().accepted;
    assert_eq!(emitted.len(), 2);
    for id in emitted {
        let journey = rig.journey(id).await;
        assert_eq!(journey.status, EventStatus::Processed);
        assert_eq!(
            (journey.source.as_str(), journey.causation_id),
            ("p", Some(one.event_id))
        );
        assert_eq!(journey.correlation_id, Some(one.event_id.to_string()));
        let told = |step: &Step| matches!(step, Step::Emitted { event_id, .. } if *event_id == id);
        assert!(rig.steps(one.event_id).await.iter().any(told));
    }
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_emitted_twice_is_there_once() {
    let id = Uuid::now_v7();
    let again = NewEvent::new(EVENT_TYPE, &serde_json::json!({"n": 1}))
        .unwrap()
        .with_id(id);
    let rig = Setup::new()
        .processor("p/one", move |_, call| {
            let outcome = Outcome::done();
            let outcome = if call.n == 0 {
                outcome
                    .with(Effect::emit(again.clone()))
                    .with(Effect::emit(again.clone()))
            } else {
                outcome
            };
            async { Ok(outcome) }
        })
        .start();
    rig.put([event("a", 0)]).await;
    rig.done().await;
    assert_eq!(rig.calls("p/one").len(), 2);
    assert_eq!(rig.seen().accepted, [id], "observers hear of it once");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_emitted_event_that_is_refused_is_a_dead_letter_and_the_rest_goes_on() {
    let rig = Setup::new()
        .decides("p/one", vec![emit("test.unknown", 1), notify("i/act", 2)])
        .integration("i/act", |_| async { Ok(Reply::ok()) })
        .start();
    rig.put([event("a", 0)]).await;
    rig.done().await;
    assert_eq!(rig.calls("i/act").len(), 1);
    let dead = rig.dead().await;
    assert_eq!((dead.len(), dead[0].reason.as_str()), (1, "unknown_type"));
    let work = &dead[0].work;
    let Work::Perform {
        number: 0, effect, ..
    } = work
    else {
        panic!("{work:?}");
    };
    assert!(matches!(**effect, Effect::Emit { .. }), "{effect:?}");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_effects_are_done_and_one_more_is_none() {
    let many = |count| (0..count).map(|n| notify("i/act", n)).collect::<Vec<_>>();
    let rig = Setup::new()
        .processor("p/one", move |_, call| {
            let effects = many(1_000 + call.n);
            async move {
                Ok(Outcome {
                    effects,
                    ..Outcome::done()
                })
            }
        })
        .integration("i/act", |_| async { Ok(Reply::ok()) })
        .start();
    rig.put([event("a", 0), event("b", 1)]).await;
    rig.done().await;
    let calls = rig.calls("i/act");
    assert_eq!(calls.len(), 1_000);
    assert!(calls.iter().all(|call| call.n == 0));
    let dead = rig.dead().await;
    assert_eq!(
        (dead.len(), dead[0].reason.as_str()),
        (1, "too_many_effects")
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_integration_replies_becomes_events_up_to_a_bound() {
    let rig = Setup::new()
        .processor("p/one", |_, call| async move {
            let effects: Vec<_> = if call.n == 0 {
                vec![notify("i/act", 3), notify("i/act", 65)]
            } else {
                Vec::new()
            };
            Ok(Outcome {
                effects,
                ..Outcome::done()
            })
        })
        .integration("i/act", |call| async move {
            if call.attempt == 1 {
                return Err(unavailable());
            }
            let events = (1..=call.request).map(|n| {
                NewEvent::new(EVENT_TYPE, &serde_json::json!({ "n": n })).expect("serialises")
            });
            Ok(Reply {
                events: events.collect(),
                ..Reply::ok()
            })
        })
        .start();
    rig.put([event("a", 0)]).await;
    rig.done().await;
    let emitted = rig.seen().accepted;
    assert_eq!(emitted.len(), 3 + 64);
    for id in &emitted {
        assert_eq!(rig.journey(*id).await.source, "i");
    }
    let dead = rig.dead().await;
    assert_eq!(
        (dead.len(), dead[0].reason.as_str()),
        (1, "too_many_events"),
        "told, not silent"
    );
    let chain: Vec<_> = dead[0].errors.iter().map(|error| &error.code).collect();
    assert_eq!(chain, ["unavailable", "too_many_events"], "every attempt");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn effects_that_fail_do_not_hold_up_the_next() {
    let rig = Setup::new()
        .decides("p/one", (0..3).map(|n| notify("i/act", n)).collect())
        .integration("i/act", |call| async move {
            if call.request == 0 && call.attempt < 3 {
                Err(unavailable())
            } else {
                Ok(Reply::ok())
            }
        })
        .start();
    rig.put([event("a", 0)]).await;
    rig.done().await;
    let calls: Vec<_> = rig
        .calls("i/act")
        .iter()
        .map(|call| (call.request, call.attempt))
        .collect();
    assert_eq!(calls, [(0, 1), (1, 1), (2, 1), (0, 2), (0, 3)]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_event_is_not_shown_to_anybody() {
    let rig = Setup::new().decides("p/one", Vec::new()).start();
    let (mut late, mut in_time) = (event("a", 0), event("a", 1));
    late.expires_at = Some(Utc::now() - chrono::TimeDelta::seconds(1));
    in_time.expires_at = Some(Utc::now() + chrono::TimeDelta::hours(1));
    rig.put([late.clone(), in_time]).await;
    rig.done().await;
    let shown: Vec<_> = rig.calls("p/one").iter().map(|call| call.n).collect();
    assert_eq!(shown, [1]);
    assert!(rig.steps(late.event_id).await.contains(&Step::Expired));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_an_event_that_expires_is_not_done() {
    // The first fails to be delivered, the second to be processed.
    for (n, calls) in [(0, [1, 1]), (1, [1, 0])] {
        // When an event expires is wall time, which does not pause: the calls wait for it.
        let expires_at = Utc::now() + chrono::TimeDelta::milliseconds(200);
        let expire = move || {
            while Utc::now() < expires_at {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let rig = Setup::new()
            .processor("p/one", move |_, call| async move {
                if call.n == 1 {
                    expire();
                    return Err(unavailable());
                }
                if call.n == 9 {
                    return Ok(Outcome::done());
                }
                let later = Duration::from_secs(5);
                Ok(Outcome::done()
                    .with(notify("i/act", 1))
                    .with(notify("i/act", 2).after(later))
                    .with(emit(EVENT_TYPE, 9).after(later)))
            })
            .integration("i/act", move |_| async move {
                expire();
                Err(unavailable())
            })
            .start();
        let mut one = event("a", n);
        one.expires_at = Some(expires_at);
        rig.put([one.clone()]).await;
        rig.done().await;
        let found = ["p/one", "i/act"].map(|who| rig.calls(who).len());
        assert_eq!(found, calls, "no retry, and nothing delayed");
        assert!(rig.seen().accepted.is_empty(), "nothing is emitted");
        let steps = rig.steps(one.event_id).await;
        assert!(steps.contains(&Step::Expired), "{steps:?}");
        let journey = rig.journey(one.event_id).await;
        assert_eq!(journey.status, EventStatus::Processed);
        assert!(rig.dead().await.is_empty(), "too late is no failure");
        rig.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_effects_of_a_refusal_are_not_done_and_not_counted() {
    let rig = Setup::new()
        .processor("p/one", |_, call| async move {
            let outcome = match (call.n, call.attempt) {
                (0, _) => Outcome::reject("nonsense"),
                (_, 1) => Outcome::retry_later(Duration::from_secs(1), "busy"),
                _ => Outcome::done(),
            };
            Ok(outcome.with(notify("i/act", call.n)))
        })
        .integration("i/act", |_| async { Ok(Reply::ok()) })
        .start();
    let events = [event("a", 0), event("a", 1)];
    rig.put(events.clone()).await;
    rig.done().await;
    let requests: Vec<_> = rig.calls("i/act").iter().map(|call| call.request).collect();
    assert_eq!(requests, [1]);
    let mut counted = Vec::new();
    for one in &events {
        let steps = rig.steps(one.event_id).await;
        counted.extend(steps.into_iter().filter_map(|step| match step {
            Step::Processed {
                decision, effects, ..
            } => Some((decision, effects)),
            _ => None,
        }));
    }
    let expected = [("reject", 0), ("retry_later", 0), ("done", 1)];
    assert_eq!(
        counted,
        expected.map(|(decision, effects)| (decision.into(), effects))
    );
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_nobody_wants_is_done_and_says_so() {
    let rig = Setup::new().start();
    let one = event("a", 0);
    rig.put([one.clone()]).await;
    rig.done().await;
    assert!(rig.steps(one.event_id).await.contains(&Step::Unrouted));
    assert_eq!(
        rig.journey(one.event_id).await.status,
        EventStatus::Processed
    );
    assert_eq!(rig.seen().finished, [one.event_id]);
    rig.stop().await;
}
