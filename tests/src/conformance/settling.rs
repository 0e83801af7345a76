//! What a settlement brings about, applied as one.

use std::time::Duration;

use nexus_host::queue::{EventStatus, FollowUp, Grave, SettleError, Settlement, Step, Work};
use nexus_plugin_api::StateWrite;

use super::{Backend, effect, failure, follow_up, nack, room_for};
use crate::events::{admitted, event, number};

/// `Ack` without anything else ends the event.
pub async fn an_acknowledged_event_is_finished(backend: &Backend) {
    let rig = backend.rig(room_for(10)).await;
    rig.put([event("a", 0)]).await;
    let delivery = rig.lease().await;
    assert_eq!((delivery.attempt, delivery.errors.len()), (1, 0));
    assert_eq!(delivery.work, Work::Route);
    let settled = rig.ack(&delivery).await;
    assert_eq!(settled.finished, Some(EventStatus::Processed));
    assert!(settled.leased.is_empty());
}

/// `Nack` with a failure: not before the delay, then as the next attempt with every failure.
pub async fn a_failed_attempt_comes_again_after_its_delay(backend: &Backend) {
    let rig = backend.rig(room_for(10)).await;
    rig.put([event("a", 0)]).await;
    let first = rig.lease().await;
    let settled = rig
        .settle(&first, nack(rig.units(2), Some(failure("one"))))
        .await;
    assert_eq!(settled.finished, None);
    rig.pass(14).await;
    rig.nothing().await;
    rig.pass(7).await;
    let second = rig.lease().await;
    rig.settle(&second, nack(rig.units(1), Some(failure("two"))))
        .await;
    rig.pass(11).await;
    let third = rig.lease().await;
    let codes: Vec<_> = third
        .errors
        .iter()
        .map(|failure| failure.code.as_str())
        .collect();
    assert_eq!((third.attempt, codes), (3, vec!["one", "two"]));
    assert_eq!(third.event, first.event);
    assert_eq!(rig.ack(&third).await.finished, Some(EventStatus::Processed));
}

/// `Nack` without a failure: later, and still the same attempt.
pub async fn a_parked_delivery_burns_no_attempt(backend: &Backend) {
    let rig = backend.rig(room_for(10)).await;
    rig.put([event("a", 0)]).await;
    for _ in 0..5 {
        let delivery = rig.lease().await;
        assert_eq!((delivery.attempt, delivery.errors.len()), (1, 0));
        rig.settle(&delivery, nack(rig.units(1), None)).await;
        rig.nothing().await;
        rig.pass(11).await;
    }
}

/// Follow-ups without a delay come back leased, in order; the event is finished with the last.
pub async fn immediate_follow_ups_are_leased_to_who_settles(backend: &Backend) {
    let rig = backend.rig(room_for(10)).await;
    rig.put([event("a", 0)]).await;
    let delivery = rig.lease().await;
    let with = Settlement {
        follow_ups: (0..3).map(|n| follow_up(effect(n), None)).collect(),
        ..Settlement::default()
    };
    let settled = rig.settle(&delivery, with).await;
    assert_eq!(settled.finished, None);
    let work: Vec<_> = settled.leased.iter().map(|one| one.work.clone()).collect();
    assert_eq!(work, [effect(0), effect(1), effect(2)]);
    rig.nothing().await;
    assert_eq!(rig.queue.stats().leased, 3);
    for (index, one) in settled.leased.iter().enumerate() {
        assert_eq!((one.attempt, &one.event), (1, &delivery.event));
        let finished = (index == 2).then_some(EventStatus::Processed);
        assert_eq!(rig.ack(one).await.finished, finished);
    }
}

/// Follow-ups with a delay wait for it, and keep the event unfinished.
pub async fn delayed_follow_ups_wait_for_their_time(backend: &Backend) {
    let rig = backend.rig(room_for(10)).await;
    rig.put([event("a", 0)]).await;
    let delivery = rig.lease().await;
    let with = Settlement {
        follow_ups: vec![
            follow_up(effect(0), Some(rig.units(2))),
            follow_up(effect(1), Some(rig.units(1))),
        ],
        ..Settlement::default()
    };
    let settled = rig.settle(&delivery, with).await;
    assert_eq!((settled.leased.len(), settled.finished), (0, None));
    rig.nothing().await;
    for (wait, number, finished) in [(10, 1, None), (10, 0, Some(EventStatus::Processed))] {
        rig.pass(wait).await;
        let one = rig.lease().await;
        assert_eq!((one.work.clone(), one.attempt), (effect(number), 1));
        rig.nothing().await;
        assert_eq!(rig.ack(&one).await.finished, finished);
    }
}

/// A follow-up that brings a failure along has had its first attempt.
pub async fn a_follow_up_that_failed_already_is_a_second_attempt(backend: &Backend) {
    let rig = backend.rig(room_for(10)).await;
    rig.put([event("a", 0)]).await;
    let delivery = rig.lease().await;
    let with = Settlement {
        follow_ups: vec![FollowUp {
            work: effect(7),
            after: Some(rig.units(1)),
            failure: Some(failure("first")),
        }],
        ..Settlement::default()
    };
    rig.settle(&delivery, with).await;
    rig.pass(11).await;
    let again = rig.lease().await;
    assert_eq!((again.attempt, again.errors.len()), (2, 1));
    assert_eq!(again.errors[0].code, "first");
}

/// Emitted events are events as any other; those that were there before are left out.
pub async fn emitted_events_are_taken_in(backend: &Backend) {
    let rig = backend.rig(room_for(10)).await;
    let known = event("b", 1);
    rig.put([event("a", 0), known.clone()]).await;
    let delivery = rig.lease().await;
    let with = Settlement {
        emitted: [known, event("c", 2), event("c", 3)].map(admitted).into(),
        ..Settlement::default()
    };
    let settled = rig.settle(&delivery, with).await;
    let accepted: Vec<_> = settled
        .accepted
        .iter()
        .map(|one| number(one.event()))
        .collect();
    assert_eq!(accepted, [2, 3]);
    for n in 1..=3 {
        let next = rig.lease().await;
        assert_eq!(number(&next.event), n);
        rig.ack(&next).await;
    }
    rig.nothing().await;
    assert_eq!(rig.queue.stats().accepted, 4);
}

/// Nothing that follows from an accepted event is refused, not even by a full or closed queue.
pub async fn emitted_events_are_taken_in_even_if_full(backend: &Backend) {
    let rig = backend.rig(room_for(1)).await;
    rig.put([event("a", 0)]).await;
    let delivery = rig.lease().await;
    rig.queue.close_intake();
    let with = Settlement {
        emitted: (1..=3).map(|n| admitted(event("b", n))).collect(),
        ..Settlement::default()
    };
    assert_eq!(rig.settle(&delivery, with).await.accepted.len(), 3);
    let stats = rig.queue.stats();
    assert_eq!((stats.depth, stats.accepted), (3, 4));
}

/// A second settlement is refused, and nothing of it is applied.
pub async fn a_lease_is_settled_once(backend: &Backend) {
    let rig = backend.rig(room_for(10)).await;
    let first = event("a", 0);
    rig.put([first.clone()]).await;
    let delivery = rig.lease().await;
    rig.settle(&delivery, nack(rig.units(1), Some(failure("no"))))
        .await;
    let before = rig.queue.stats();
    let everything = Settlement {
        follow_ups: vec![
            follow_up(effect(0), None),
            follow_up(effect(1), Some(Duration::ZERO)),
        ],
        dead: vec![grave()],
        emitted: vec![admitted(event("b", 1))],
        state: vec![("plugin".to_owned(), write("key", Some(b"value")))],
        steps: vec![Step::Unrouted],
        ..Settlement::default()
    };
    let refused = rig.queue.settle(delivery.lease, everything).await;
    assert_eq!(refused.err(), Some(SettleError::UnknownLease));
    assert_eq!(rig.queue.stats(), before);
    assert!(rig.dead_letters().await.is_empty());
    assert_eq!(rig.state("plugin", "key").await, None);
    let journey = rig.journey(first.event_id).await.expect("it is known");
    assert!(!journey.steps.iter().any(|line| line.step == Step::Unrouted));
    rig.nothing().await;
}

/// Work given up makes dead letters, while the rest goes on; the event is dead in the end.
pub async fn dead_parts_make_a_dead_event(backend: &Backend) {
    let rig = backend.rig(room_for(10)).await;
    rig.put([event("a", 0)]).await;
    let delivery = rig.lease().await;
    let with = Settlement {
        dead: vec![grave()],
        follow_ups: vec![follow_up(effect(1), None)],
        ..Settlement::default()
    };
    let settled = rig.settle(&delivery, with).await;
    assert_eq!(settled.finished, None);
    assert_eq!(
        rig.ack(&settled.leased[0]).await.finished,
        Some(EventStatus::Dead)
    );
    let letters = rig.dead_letters().await;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((&letter.event, &letter.work), (&delivery.event, &effect(0)));
    assert_eq!(
        (letter.reason.as_str(), letter.errors.len()),
        ("given_up", 2)
    );
    let stats = rig.queue.stats();
    assert_eq!(
        (stats.dead_letters, stats.accepted, stats.finished),
        (1, 1, 1)
    );
}

fn grave() -> Grave {
    Grave {
        work: effect(0),
        reason: "given_up".to_owned(),
        errors: vec![failure("one"), failure("two")],
    }
}

fn write(key: &str, value: Option<&[u8]>) -> StateWrite {
    StateWrite {
        key: key.to_owned(),
        value: value.map(<[u8]>::to_vec),
    }
}

/// State is written when the settlement is, and deleted by a write without a value.
pub async fn plugin_state_is_written_with_the_settlement(backend: &Backend) {
    let rig = backend.rig(room_for(10)).await;
    let held = Some(b"held".to_vec());
    rig.write("one", write("gone", Some(b"old"))).await;
    rig.write("two", write("key", Some(b"other"))).await;
    rig.put([event("a", 0)]).await;
    let delivery = rig.lease().await;
    let with = Settlement {
        state: vec![
            ("one".to_owned(), write("key", Some(b"first"))),
            ("one".to_owned(), write("key", Some(b"held"))),
            ("one".to_owned(), write("gone", None)),
        ],
        ..Settlement::default()
    };
    rig.settle(&delivery, with).await;
    assert_eq!(rig.state("one", "key").await, held, "the later write holds");
    assert_eq!(rig.state("one", "gone").await, None);
    assert_eq!(rig.state("two", "key").await, Some(b"other".to_vec()));
}

/// Keys are listed by plugin and prefix, sorted.
pub async fn plugin_state_is_listed_by_prefix(backend: &Backend) {
    let rig = backend.rig(room_for(10)).await;
    let keys = [
        ("p", "b/2"),
        ("p", "b/1"),
        ("p", "a"),
        ("p", "b"),
        ("q", "b/3"),
        ("o", "b/0"),
    ];
    for (plugin, key) in keys {
        rig.write(plugin, write(key, Some(b"x"))).await;
    }
    assert_eq!(rig.keys("p", "b/").await, ["b/1", "b/2"]);
    assert_eq!(rig.keys("p", "").await, ["a", "b", "b/1", "b/2"]);
    assert!(rig.keys("r", "").await.is_empty());
}

/// A delay that no clock can hold is a long one, not a panic.
pub async fn an_endless_delay_is_no_accident(backend: &Backend) {
    let rig = backend.rig(room_for(10)).await;
    rig.put([event("a", 0)]).await;
    let delivery = rig.lease().await;
    rig.settle(&delivery, nack(Duration::MAX, None)).await;
    rig.nothing().await;
    assert_eq!(rig.queue.stats().delayed, 1);
}
