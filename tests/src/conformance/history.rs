//! What a queue remembers: marks against duplicates, journeys, dead letters. All of it is bounded.

use nexus_host::config::ByteSize;
use nexus_host::queue::config::WhenFull;
use nexus_host::queue::{
    Config, Delivery, EventStatus, Grave, Journey, Pushed, Settlement, Step, Work,
};
use nexus_plugin_api::{Event, RawJson};
use semver::Version;
use uuid::Uuid;

use super::{Backend, Rig, effect, failure, is_duplicate, nack};
use crate::events::{EVENT_TYPE, VERSIONED_TYPE, admitted, event, heavy, number};

/// A duplicate is answered as one, whether its first is waiting, leased or finished.
pub async fn a_duplicate_is_told_and_not_put_in(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let one = event("a", 0);
    let batch = vec![
        admitted(one.clone()),
        admitted(one.clone()),
        admitted(event("a", 1)),
    ];
    let answers = rig.queue.push(batch).await.answers;
    let told: Vec<_> = answers.iter().map(is_duplicate).collect();
    assert_eq!(told, [false, true, false], "within one batch");
    assert!(is_duplicate(&rig.push(one.clone()).await), "while it waits");
    let delivery = rig.lease().await;
    assert!(
        is_duplicate(&rig.push(one.clone()).await),
        "while it is leased"
    );
    rig.ack(&delivery).await;
    assert!(is_duplicate(&rig.push(one).await), "when it is finished");
    assert_eq!(number(&rig.lease().await.event), 1);
    rig.nothing().await;
    let stats = rig.queue.stats();
    assert_eq!((stats.accepted, stats.depth), (2, 1));
}

/// Two events of different sources with the same id, leased: `n` is 0 and 1.
async fn two_of_one_id(rig: &Rig<'_>) -> (Delivery, Delivery) {
    let one = event("a", 0);
    let mut other = event("b", 1);
    other.event_id = one.event_id;
    rig.put([one, other]).await;
    (rig.lease().await, rig.lease().await)
}

/// Ids are unique within a source only.
pub async fn the_same_id_from_another_source_is_another_event(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let (first, second) = two_of_one_id(&rig).await;
    assert_eq!((number(&first.event), number(&second.event)), (0, 1));
    rig.settle(&first, nack(rig.units(1), None)).await;
    assert_eq!(
        rig.ack(&second).await.finished,
        Some(EventStatus::Processed)
    );
    assert_eq!(rig.queue.stats().depth, 1);
}

/// After `dedup_window` the same id is a new event, and marked anew.
pub async fn a_mark_is_forgotten_after_its_window(backend: &Backend) {
    let config = Config {
        dedup_window: backend.span(2),
        ..Config::default()
    };
    let rig = backend.rig(config).await;
    let one = event("a", 0);
    rig.put([one.clone()]).await;
    rig.pass(10).await;
    assert!(is_duplicate(&rig.push(one.clone()).await));
    rig.pass(11).await;
    assert_eq!(
        rig.push(one.clone()).await,
        Ok(Pushed::Accepted),
        "from the first time on"
    );
    rig.put([event("a", 1)]).await;
    assert!(is_duplicate(&rig.push(one).await), "the new mark holds");
}

/// At most `dedup_capacity` marks are kept, the newest.
pub async fn marks_are_bounded(backend: &Backend) {
    let config = Config {
        dedup_capacity: 3,
        ..Config::default()
    };
    let rig = backend.rig(config).await;
    let events: Vec<_> = (0..4).map(|n| event("a", n)).collect();
    rig.put(events.clone()).await;
    for one in &events[1..] {
        assert!(is_duplicate(&rig.push(one.clone()).await));
    }
    assert_eq!(rig.push(events[0].clone()).await, Ok(Pushed::Accepted));
}

async fn status(rig: &Rig<'_>, id: Uuid) -> Option<EventStatus> {
    rig.journey(id).await.map(|journey| journey.status)
}

/// A journey has the event's head, its standing at any time, and its steps in order.
pub async fn a_journey_tells_what_happened(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    assert!(rig.journey(Uuid::now_v7()).await.is_none());
    let mut one = event("a", 0).with_correlation("thread");
    one.causation_id = Some(Uuid::now_v7());
    let id = one.event_id;
    rig.put([one.clone()]).await;
    assert_eq!(status(&rig, id).await, Some(EventStatus::Queued));
    let delivery = rig.lease().await;
    assert_eq!(status(&rig, id).await, Some(EventStatus::Processing));
    let retry = Settlement {
        steps: vec![Step::Unrouted],
        ..nack(rig.units(1), Some(failure("no")))
    };
    rig.settle(&delivery, retry).await;
    assert_eq!(status(&rig, id).await, Some(EventStatus::Processing));
    rig.pass(11).await;
    let again = rig.lease().await;
    rig.ack(&again).await;

    let journey = rig.journey(id).await.expect("it is kept");
    assert_eq!(journey.status, EventStatus::Processed);
    assert_eq!((journey.event_id, journey.event_type), (id, one.event_type));
    assert_eq!(
        (journey.source, journey.correlation_id),
        (one.source, one.correlation_id)
    );
    assert_eq!(journey.causation_id, one.causation_id);
    assert_eq!(journey.accepted_at, delivery.accepted_at);
    assert!(
        journey
            .finished_at
            .is_some_and(|at| at >= journey.accepted_at)
    );
    let steps: Vec<_> = journey.steps.iter().map(|line| line.step.clone()).collect();
    let finished = Step::Finished {
        status: EventStatus::Processed,
    };
    assert_eq!(
        steps,
        [
            Step::Accepted,
            Step::Leased,
            Step::Unrouted,
            Step::Leased,
            finished
        ]
    );
    assert!(journey.steps.is_sorted_by_key(|line| line.at));
}

/// What admission has flagged stands in the journal, once, whatever becomes of the event: waiting, under
/// way, dropped or finished.
pub async fn a_journey_tells_what_looked_suspicious(backend: &Backend) {
    let config = Config {
        capacity: 2,
        when_full: WhenFull::DropOldest,
        ..Config::default()
    };
    let rig = backend.rig(config).await;
    let suspicious = || {
        let payload = RawJson::from_checked(r#"{"n":0,"text":["<script>","../"]}"#);
        Event::new(EVENT_TYPE, "a", payload)
    };
    let flags = |journey: Journey| -> Vec<(String, String)> {
        let found = journey
            .steps
            .into_iter()
            .filter_map(|line| match line.step {
                Step::Flagged { found } => Some(found),
                _ => None,
            });
        let found: Vec<_> = found.flatten().collect();
        found
            .into_iter()
            .map(|flag| (flag.pattern, flag.pointer))
            .collect()
    };
    let expected = [
        ("script_tag".to_owned(), "/payload/text/0".to_owned()),
        ("path_traversal".to_owned(), "/payload/text/1".to_owned()),
    ];
    let one = suspicious();
    rig.put([one.clone()]).await;
    assert_eq!(
        flags(rig.journey(one.event_id).await.expect("it is remembered")),
        expected,
        "waiting"
    );
    let delivery = rig.lease().await;
    assert_eq!(delivery.event.payload, one.payload, "unchanged");
    assert_eq!(
        flags(rig.journey(one.event_id).await.expect("it is remembered")),
        expected,
        "under way"
    );
    rig.ack(&delivery).await;
    let journey = rig.journey(one.event_id).await.expect("it is remembered");
    assert_eq!(journey.steps[0].step, Step::Accepted);
    assert_eq!(flags(journey), expected, "finished");

    let dropped = suspicious();
    rig.put([dropped.clone(), event("a", 1), event("a", 2)])
        .await;
    let journey = rig
        .journey(dropped.event_id)
        .await
        .expect("it is remembered");
    assert_eq!(journey.status, EventStatus::Dead);
    assert_eq!(flags(journey), expected, "dropped");
    let harmless = rig.lease().await.event.event_id;
    assert_eq!(
        flags(rig.journey(harmless).await.expect("it is remembered")),
        []
    );
}

/// An event that was carried over to a later version and flagged tells of both, in this order, whatever becomes
/// of it.
pub async fn a_journey_begins_with_what_admission_did(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let payload = RawJson::from_checked(r#"{"text":"<script>"}"#);
    let mut event = Event::new(VERSIONED_TYPE, "a", payload);
    event.contract_version = Some(Version::new(1, 0, 0));
    rig.put([event.clone()]).await;
    let delivery = rig.lease().await;
    let version = delivery.event.contract_version.clone();
    assert_eq!(version, Some(Version::new(1, 1, 0)));
    for place in ["under way", "finished"] {
        let steps = rig
            .journey(event.event_id)
            .await
            .expect("it is remembered")
            .steps;
        let [accepted, migrated, flagged, ..] = &steps[..] else {
            panic!("{place}: {steps:?}");
        };
        assert_eq!(accepted.step, Step::Accepted);
        let (from, to) = (Version::new(1, 0, 0), Version::new(1, 1, 0));
        assert_eq!(migrated.step, Step::Migrated { from, to });
        let Step::Flagged { found } = &flagged.step else {
            panic!("{place}: {flagged:?}");
        };
        assert_eq!(found[0].pointer, "/payload/text");
        if place == "under way" {
            rig.ack(&delivery).await;
        }
    }
}

/// At most `journal_capacity` finished journeys are kept, the newest; unfinished ones all.
pub async fn journeys_are_bounded(backend: &Backend) {
    let config = Config {
        journal_capacity: 2,
        ..Config::default()
    };
    let rig = backend.rig(config).await;
    let events: Vec<_> = (0..6).map(|n| event(&format!("s{n}"), n)).collect();
    let ids: Vec<_> = events.iter().map(|one| one.event_id).collect();
    rig.put(events).await;
    let held = rig.lease().await;
    for _ in 0..4 {
        let one = rig.lease().await;
        rig.ack(&one).await;
    }
    let mut standing = Vec::new();
    for id in ids {
        standing.push(status(&rig, id).await);
    }
    let done = Some(EventStatus::Processed);
    let (processing, queued) = (Some(EventStatus::Processing), Some(EventStatus::Queued));
    assert_eq!(standing, [processing, None, None, done, done, queued]);
    rig.ack(&held).await;
}

async fn kill(rig: &Rig<'_>) {
    let delivery = rig.lease().await;
    let with = Settlement {
        dead: vec![Grave {
            work: effect(0),
            reason: "for_a_test".to_owned(),
            errors: vec![failure("no")],
        }],
        ..Settlement::default()
    };
    rig.settle(&delivery, with).await;
}

async fn buried(rig: &Rig<'_>) -> Vec<u64> {
    let letters = rig.dead_letters().await;
    assert!(letters.is_sorted_by_key(|letter| (letter.at, letter.id)));
    assert_eq!(letters.len(), rig.queue.stats().dead_letters);
    letters.iter().map(|letter| number(&letter.event)).collect()
}

/// Dead letters are kept oldest first, at most `dead_letter_capacity` of them, the newest.
pub async fn dead_letters_are_kept_in_order_and_bounded(backend: &Backend) {
    let config = Config {
        dead_letter_capacity: 3,
        ..Config::default()
    };
    let rig = backend.rig(config).await;
    rig.put((0..5).map(|n| event("a", n))).await;
    for _ in 0..3 {
        kill(&rig).await;
    }
    assert_eq!(buried(&rig).await, [0, 1, 2]);
    kill(&rig).await;
    kill(&rig).await;
    assert_eq!(buried(&rig).await, [2, 3, 4]);
}

/// Dead letters keep their events, and these together at most `max_bytes`.
pub async fn dead_letters_are_bounded_in_bytes(backend: &Backend) {
    let config = Config {
        max_bytes: ByteSize::from_bytes(1_000),
        ..Config::default()
    };
    let rig = backend.rig(config).await;
    for _ in 0..5 {
        rig.put([heavy("a", 400)]).await;
        kill(&rig).await;
    }
    assert_eq!(rig.dead_letters().await.len(), 2);
    assert_eq!(rig.queue.stats().dead_letters, 2);
}

/// Parked a thousand times, an event has one line for it.
pub async fn an_outage_does_not_fill_the_journal(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let one = event("a", 0);
    let id = one.event_id;
    rig.put([one]).await;
    for n in 0..1_000 {
        let delivery = rig.lease().await;
        let parked = Settlement {
            steps: vec![Step::Parked {
                effect: 0,
                integration: "tests/any".to_owned(),
                because: "its breaker is open".into(),
                retry_in_ms: n,
            }],
            ..nack(std::time::Duration::ZERO, None)
        };
        // Not a routing any more after the first time, so that only this is noted.
        if n == 0 {
            let with = Settlement {
                follow_ups: vec![super::follow_up(effect(0), Some(std::time::Duration::ZERO))],
                ..Settlement::default()
            };
            rig.settle(&delivery, with).await;
        } else {
            rig.settle(&delivery, parked).await;
        }
    }
    let journey = rig.journey(id).await.expect("it is known");
    let last = journey.steps.last().map(|line| line.step.clone());
    assert!(
        matches!(
            last,
            Some(Step::Parked {
                retry_in_ms: 999,
                ..
            })
        ),
        "{last:?}"
    );
    assert_eq!(journey.steps.len(), 3, "{:?}", journey.steps);
}

/// Two parts of an event that died are two letters of it; taken up again, it is one event still.
pub async fn letters_of_one_event_are_taken_up_as_one(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    // The same id from elsewhere, in between.
    let (first, second) = two_of_one_id(&rig).await;
    let grave = |number| Grave {
        work: effect(number),
        reason: "for_a_test".to_owned(),
        errors: Vec::new(),
    };
    let with = Settlement {
        dead: vec![grave(0), grave(1)],
        ..Settlement::default()
    };
    rig.settle(&first, with).await;
    rig.ack(&second).await;
    let letters: Vec<_> = rig.dead_letters().await.iter().map(|one| one.id).collect();
    assert_eq!(letters.len(), 2);

    assert_eq!(rig.queue.replay(letters.clone()).await, Ok(letters));
    assert_eq!(rig.queue.stats().depth, 1);
    let (one, two) = (rig.lease().await, rig.lease().await);
    assert_eq!((&one.work, &two.work), (&effect(0), &effect(1)));
    assert_eq!(rig.ack(&one).await.finished, None);
    let finished = rig.ack(&two).await.finished;
    assert_eq!(
        finished,
        Some(EventStatus::Processed),
        "nothing is dead any more"
    );
}

/// Whoever takes a letter up again wants it done: it is not the oldest that is dropped.
pub async fn what_is_taken_up_again_does_not_give_way(backend: &Backend) {
    let config = Config {
        capacity: 2,
        when_full: WhenFull::DropOldest,
        ..Config::default()
    };
    let rig = backend.rig(config).await;
    rig.put((0..3).map(|n| event(&format!("s{n}"), n))).await;
    let letter = rig.dead_letters().await.remove(0);
    assert_eq!(number(&letter.event), 0);
    let replayed = rig.queue.replay(vec![letter.id]).await;
    assert_eq!(replayed, Ok(vec![letter.id]));
    let standing = status(&rig, letter.event.event_id).await;
    assert_eq!(standing, Some(EventStatus::Queued));
    assert_eq!(rig.queue.stats().waiting.iter().sum::<usize>(), 2);
    rig.put([event("s3", 3)]).await;
    assert_eq!(buried(&rig).await, [1, 2]);
}

/// An id alone may name several events: its journey is that of the one accepted last, in whatever
/// order they finish.
pub async fn an_id_used_twice_tells_of_the_event_accepted_last(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let one = event("a", 0);
    let mut other = event("b", 1);
    other.event_id = one.event_id;
    let id = one.event_id;
    rig.put([one, other]).await;
    let (first, second) = (rig.lease().await, rig.lease().await);
    for delivery in [second, first] {
        rig.ack(&delivery).await;
        let journey = rig.journey(id).await.expect("it is kept");
        assert_eq!(journey.source, "b");
        for source in ["a", "b"] {
            let journey = rig.journey_of(source, id).await.expect("it is kept");
            assert_eq!(journey.source, source);
        }
        assert!(rig.journey_of("c", id).await.is_none());
    }
}

/// Journeys of one id are forgotten each on its own, the oldest first.
pub async fn a_forgotten_journey_takes_no_other_of_its_id_along(backend: &Backend) {
    let config = Config {
        journal_capacity: 2,
        ..Config::default()
    };
    let rig = backend.rig(config).await;
    let one = event("s0", 0);
    let id = one.event_id;
    rig.put([one.clone()]).await;
    rig.ack(&rig.lease().await).await;
    for (source, sources_kept) in [("s1", &["s0", "s1"][..]), ("s2", &["s1", "s2"])] {
        let mut other = event(source, 0);
        other.event_id = id;
        rig.put([other]).await;
        rig.ack(&rig.lease().await).await;
        for source in ["s0", "s1", "s2"] {
            let is_kept = rig.journey_of(source, id).await.is_some();
            assert_eq!(is_kept, sources_kept.contains(&source), "{source}");
        }
    }
}

/// The second source that comes with an id shares it, the first does not; and it stays so through
/// retries, death and replay.
pub async fn who_came_second_with_an_id_shares_it(backend: &Backend) {
    let config = Config {
        dedup_window: backend.span(4),
        ..Config::default()
    };
    let rig = backend.rig(config).await;
    let (first, mut second) = two_of_one_id(&rig).await;
    rig.ack(&first).await;
    assert!(!first.id_is_shared);
    let own = Uuid::now_v7();
    for _ in 0..2 {
        assert!(second.id_is_shared, "{:?}", second.work);
        rig.settle(&second, nack(rig.units(1), Some(failure("no"))))
            .await;
        rig.pass(11).await;
        second = rig.lease().await;
    }
    let grave = Grave {
        work: Work::Route,
        reason: "for_a_test".to_owned(),
        errors: Vec::new(),
    };
    let with = Settlement {
        dead: vec![grave],
        ..Settlement::default()
    };
    rig.settle(&second, with).await;
    let letter = rig.dead_letters().await.remove(0).id;
    assert_eq!(rig.queue.replay(vec![letter]).await, Ok(vec![letter]));
    let again = rig.lease().await;
    assert!(again.id_is_shared, "taken up again");
    rig.ack(&again).await;

    // Whoever comes with its own id again, after the window, shares it with nobody.
    for _ in 0..2 {
        rig.pass(41).await;
        let mut alone = event("a", 2);
        alone.event_id = own;
        rig.put([alone.clone()]).await;
        assert!(is_duplicate(&rig.push(alone).await));
        let delivery = rig.lease().await;
        assert!(!delivery.id_is_shared);
        rig.ack(&delivery).await;
    }
}
