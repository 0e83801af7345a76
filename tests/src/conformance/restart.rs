//! What a durable queue keeps when it is closed and opened again.

use nexus_host::queue::{
    Config, Delivery, EventStatus, Grave, OpenError, Pushed, Settlement, Step, Work,
};
use nexus_plugin_api::Priority::{Critical, Low, Normal};
use nexus_plugin_api::StateWrite;

use super::{Backend, Rig, effect, failure, follow_up, is_duplicate, nack, room_for};
use crate::events::{admitted, event, number};

/// What was given out and not settled is given out again, as the attempt it was.
pub async fn leased_work_is_given_out_again(backend: &Backend) {
    let mut rig = backend.rig(Config::default()).await;
    rig.put([event("a", 0), event("b", 1)]).await;
    let routed = rig.lease().await;
    let with = Settlement {
        follow_ups: vec![follow_up(effect(7), None)],
        ..Settlement::default()
    };
    let settled = rig.settle(&routed, with).await;
    assert_eq!(settled.leased.len(), 1);
    let unrouted = rig.lease().await;
    assert_eq!(rig.queue.stats().leased, 2);
    rig.restart().await;
    let again = [rig.lease().await, rig.lease().await];
    for (before, now) in [&settled.leased[0], &unrouted].into_iter().zip(&again) {
        assert_eq!((&now.event, &now.work), (&before.event, &before.work));
        assert_eq!((now.attempt, now.errors.len()), (1, 0));
        assert_eq!(now.accepted_at, before.accepted_at);
    }
    for one in &again {
        let finished = rig.ack(one).await.finished;
        assert_eq!(finished, Some(EventStatus::Processed));
    }
    rig.nothing().await;
}

/// A retry keeps how often it was tried, why that failed, and when it is due.
pub async fn a_pending_retry_keeps_its_attempts_and_its_time(backend: &Backend) {
    let mut rig = backend.rig(Config::default()).await;
    rig.put([event("a", 0)]).await;
    let first = rig.lease().await;
    let with = Settlement {
        follow_ups: vec![follow_up(effect(0), None)],
        ..Settlement::default()
    };
    let effect = rig.settle(&first, with).await.leased.remove(0);
    rig.settle(&effect, nack(rig.units(0), Some(failure("one"))))
        .await;
    let second = rig.lease().await;
    rig.settle(&second, nack(rig.units(4), Some(failure("two"))))
        .await;
    rig.pass(10).await;
    rig.restart().await;
    rig.pass(20).await;
    rig.nothing().await;
    rig.pass(12).await;
    let third = rig.lease().await;
    let codes: Vec<_> = third.errors.iter().map(|one| one.code.as_str()).collect();
    assert_eq!((third.attempt, codes), (3, vec!["one", "two"]));
    assert_eq!(third.errors[0], second.errors[0]);
    assert_eq!(third.work, effect.work);
}

/// What is scheduled comes at its time: neither early, nor late because of the restart.
pub async fn a_scheduled_effect_is_not_early(backend: &Backend) {
    let mut rig = backend.rig(Config::default()).await;
    rig.put([event("a", 0)]).await;
    let first = rig.lease().await;
    let with = Settlement {
        follow_ups: vec![
            follow_up(effect(0), Some(rig.units(3))),
            follow_up(effect(1), Some(rig.units(1))),
        ],
        ..Settlement::default()
    };
    rig.settle(&first, with).await;
    rig.restart().await;
    rig.nothing().await;
    rig.pass(11).await;
    let due: Delivery = rig.lease().await;
    assert_eq!((due.work, due.attempt), (effect(1), 1));
    rig.nothing().await;
    rig.pass(20).await;
    assert_eq!(rig.lease().await.work, effect(0));
}

/// A duplicate is one whether its first was finished, leased or waiting when the queue was closed.
pub async fn duplicates_stay_known(backend: &Backend) {
    let mut rig = backend.rig(Config::default()).await;
    let events: Vec<_> = (0..3).map(|n| event("a", n)).collect();
    rig.put(events.clone()).await;
    let first = rig.lease().await;
    rig.ack(&first).await;
    rig.lease().await;
    let Ok(Pushed::Duplicate {
        first_accepted_at, ..
    }) = rig.push(events[0].clone()).await
    else {
        panic!("it is known before");
    };
    rig.restart().await;
    for one in events.iter().cloned() {
        assert!(is_duplicate(&rig.push(one).await));
    }
    let again = rig.push(events[0].clone()).await;
    let id_is_shared = false;
    assert_eq!(
        again,
        Ok(Pushed::Duplicate {
            first_accepted_at,
            id_is_shared
        })
    );
    assert_eq!(rig.queue.stats().depth, 2);
}

/// Settles with everything a settlement can hold. Answers what was emitted, and its id.
async fn settle_with_everything(rig: &Rig<'_>, delivery: &Delivery) -> uuid::Uuid {
    let emitted = event("emitted", 9);
    let id = emitted.event_id;
    let write = |key: &str, value: &[u8]| {
        let write = StateWrite {
            key: key.to_owned(),
            value: Some(value.to_owned()),
        };
        ("plugin".to_owned(), write)
    };
    let with = Settlement {
        follow_ups: vec![
            follow_up(effect(0), Some(rig.units(2))),
            follow_up(effect(1), None),
        ],
        dead: vec![Grave {
            work: effect(2),
            reason: "for_a_test".to_owned(),
            errors: vec![failure("no")],
        }],
        emitted: vec![admitted(emitted)],
        state: vec![write("one", b"1"), write("two", b"2")],
        steps: vec![Step::Unrouted],
        ..Settlement::default()
    };
    rig.settle(delivery, with).await;
    id
}

/// A settlement is kept with all that follows from it.
pub async fn a_settlement_is_kept_whole(backend: &Backend) {
    let mut rig = backend.rig(Config::default()).await;
    rig.put([event("a", 0)]).await;
    let first = rig.lease().await;
    let emitted = settle_with_everything(&rig, &first).await;
    rig.restart().await;
    assert_eq!(rig.keys("plugin", "").await, ["one", "two"]);
    assert_eq!(rig.state("plugin", "two").await.as_deref(), Some(&b"2"[..]));
    let letters = rig.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (&letters[0].work, &letters[0].event),
        (&effect(2), &first.event)
    );
    assert_eq!(letters[0].errors.len(), 1);
    let journey = rig.journey(first.event.event_id).await;
    let steps = journey.expect("it is known").steps;
    assert!(steps.iter().any(|line| line.step == Step::Unrouted));
    let due_at_once = rig.lease().await;
    assert_eq!(due_at_once.work, effect(1));
    let new = rig.lease().await;
    assert_eq!((new.event.event_id, new.work), (emitted, Work::Route));
    rig.nothing().await;
    rig.pass(21).await;
    let later = rig.lease().await;
    assert_eq!(later.work, effect(0));
    rig.ack(&due_at_once).await;
    let finished = rig.ack(&later).await.finished;
    assert_eq!(
        finished,
        Some(EventStatus::Dead),
        "its dead part is counted"
    );
}

/// Whether an event shares its id is known of those that came before, and stays known.
pub async fn a_shared_id_stays_shared(backend: &Backend) {
    let mut rig = backend.rig(Config::default()).await;
    let one = event("a", 0);
    let mut other = event("b", 1);
    other.event_id = one.event_id;
    rig.put([one]).await;
    rig.restart().await;
    rig.put([other]).await;
    rig.restart().await;
    let (first, second) = (rig.lease().await, rig.lease().await);
    assert_eq!((first.id_is_shared, second.id_is_shared), (false, true));
    settle_with_everything(&rig, &second).await;
    rig.restart().await;
    let letters: Vec<_> = rig.dead_letters().await.iter().map(|one| one.id).collect();
    rig.queue.replay(letters).await.expect("they can be");
    rig.restart().await;
    rig.pass(21).await;
    for _ in 0..4 {
        let delivery = rig.lease().await;
        let is_other = delivery.event.source == "b";
        let own = delivery.event.event_id == first.event.event_id;
        assert_eq!(delivery.id_is_shared, is_other && own, "{delivery:?}");
    }
}

/// Journeys, dead letters and the state of plugins read as before, and so do the figures.
pub async fn what_is_remembered_reads_the_same(backend: &Backend) {
    let mut rig = backend.rig(Config::default()).await;
    let priorities = [Low, Critical, Normal, Low];
    let events = priorities.into_iter().zip(0_u64..);
    let events: Vec<_> = events
        .map(|(priority, n)| event(&format!("s{n}"), n).with_priority(priority))
        .collect();
    let ids: Vec<_> = events.iter().map(|one| one.event_id).collect();
    rig.put(events).await;
    let first = rig.lease().await;
    settle_with_everything(&rig, &first).await;
    let second = rig.lease().await;
    rig.ack(&second).await;
    let write = StateWrite {
        key: "own".to_owned(),
        value: Some(vec![0, 255]),
    };
    rig.write("other", write).await;

    let before = remembered(&rig, &ids).await;
    rig.restart().await;
    let after = remembered(&rig, &ids).await;
    assert_eq!(before, after);
}

async fn remembered(rig: &Rig<'_>, ids: &[uuid::Uuid]) -> String {
    let mut journeys = Vec::new();
    for id in ids {
        journeys.push(rig.journey(*id).await);
    }
    let letters = rig.dead_letters().await;
    let state = (
        rig.keys("plugin", "").await,
        rig.state("other", "own").await,
    );
    let stats = rig.queue.stats();
    let depths = (stats.depth, stats.parked, stats.bytes, stats.waiting);
    let others = (stats.delayed, stats.dead_letters);
    format!("{journeys:#?}\n{letters:#?}\n{state:?}\n{depths:?} {others:?}")
}

/// Two queues on one file would do everything twice.
pub async fn a_file_is_open_once(backend: &Backend) {
    let mut rig = backend.rig(Config::default()).await;
    rig.put([event("a", 0)]).await;
    let second = rig.open_again().await;
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    assert_eq!(number(&rig.lease().await.event), 0, "the first goes on");
    rig.restart().await;
    assert_eq!(number(&rig.lease().await.event), 0);
}

/// Lanes stay in order among themselves, and the more urgent goes first.
pub async fn lanes_and_priorities_keep_their_order(backend: &Backend) {
    let mut rig = backend.rig(room_for(100)).await;
    for n in 0..20 {
        rig.put([event(["a", "b"][(n % 2) as usize], n)]).await;
    }
    rig.put([event("urgent", 20).with_priority(Critical)]).await;
    rig.restart().await;
    let mut order = Vec::new();
    for turn in 0..21 {
        let delivery = rig.lease().await;
        order.push(number(&delivery.event));
        if turn == 11 {
            rig.restart().await;
        } else {
            rig.ack(&delivery).await;
        }
    }
    let expected: Vec<_> = [20].into_iter().chain(0..=10).chain(10..19).collect();
    assert_eq!(order, expected);
    assert_eq!(number(&rig.lease().await.event), 19);
}

/// Work that was under way keeps its lane, and comes before what waits behind it.
pub async fn interrupted_work_keeps_its_lane(backend: &Backend) {
    let mut rig = backend.rig(Config::default()).await;
    rig.put([event("a", 0), event("a", 1), event("b", 2)]).await;
    let first = rig.lease().await;
    let with = Settlement {
        follow_ups: vec![follow_up(effect(0), None), follow_up(effect(1), None)],
        ..Settlement::default()
    };
    rig.settle(&first, with).await;
    rig.restart().await;
    let one = rig.lease().await;
    assert_eq!((number(&one.event), &one.work), (0, &effect(0)));
    let beside = rig.lease().await;
    assert_eq!(number(&beside.event), 2, "another lane does not wait");
    rig.nothing().await;
    rig.ack(&one).await;
    let other = rig.lease().await;
    assert_eq!((number(&other.event), &other.work), (0, &effect(1)));
    rig.nothing().await;
    rig.ack(&other).await;
    let next = rig.lease().await;
    assert_eq!((number(&next.event), &next.work), (1, &Work::Route));
}

/// What was taken up out of the dead letters is not taken up twice, and not lost.
pub async fn replayed_work_is_kept(backend: &Backend) {
    let mut rig = backend.rig(Config::default()).await;
    rig.put([event("a", 0)]).await;
    let first = rig.lease().await;
    let with = Settlement {
        dead: vec![Grave {
            work: effect(3),
            reason: "for_a_test".to_owned(),
            errors: vec![failure("no")],
        }],
        ..Settlement::default()
    };
    let finished = rig.settle(&first, with).await.finished;
    assert_eq!(finished, Some(EventStatus::Dead));
    let letter = rig.dead_letters().await.remove(0).id;
    assert_eq!(rig.queue.replay(vec![letter]).await, Ok(vec![letter]));
    rig.restart().await;
    assert_eq!(rig.queue.replay(vec![letter]).await, Ok(vec![]));
    let again = rig.lease().await;
    assert_eq!((&again.work, again.attempt), (&effect(3), 1));
    rig.nothing().await;
    let finished = rig.ack(&again).await.finished;
    assert_eq!(finished, Some(EventStatus::Processed));
}
