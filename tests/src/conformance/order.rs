//! In which order work is given out: priorities, shares, lanes.

use nexus_host::queue::{Config, Settlement};
use nexus_plugin_api::Priority::{self, Critical, High, Low, Normal};

use super::{Backend, Rig, effect, failure, follow_up, nack, room_for};
use crate::events::{event, number};

/// Each waiting worker a lane of its own, so that only the priority decides.
async fn flood(rig: &Rig<'_>, each: u64) {
    for n in 0..each * 4 {
        let priority = Priority::ALL[(n % 4) as usize];
        rig.put([event(&format!("s{n}"), n).with_priority(priority)])
            .await;
    }
}

/// Events of one priority leave as they came, whatever their lanes.
pub async fn first_in_first_out_within_a_priority(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    rig.put((0..20).map(|n| event(&format!("s{}", n % 5), n)))
        .await;
    for n in 0..20 {
        let delivery = rig.lease().await;
        assert_eq!(number(&delivery.event), n);
        rig.ack(&delivery).await;
    }
    rig.nothing().await;
}

/// With one event of each, the most urgent leaves first.
pub async fn the_more_urgent_goes_first(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    flood(&rig, 1).await;
    for expected in [Critical, High, Normal, Low] {
        assert_eq!(rig.lease().await.event.priority, expected);
    }
}

/// While all four wait, the lowest gets at least 5 % and the more urgent get more.
pub async fn the_lowest_gets_its_share_of_a_flood(backend: &Backend) {
    let rig = backend.rig(room_for(2_000)).await;
    flood(&rig, 400).await;
    let mut turns = [0_u32; 4];
    for _ in 0..300 {
        let delivery = rig.lease().await;
        turns[delivery.event.priority as usize] += 1;
        rig.ack(&delivery).await;
    }
    let [low, normal, high, critical] = turns;
    assert!(low * 20 >= 300, "low got {low} of 300");
    assert!(
        low < normal && normal < high && high < critical,
        "{turns:?}"
    );
}

/// A class that was just served while it was alone does not wait longer for that: at most fourteen
/// others go before the fifteenth turn.
pub async fn no_class_is_passed_over_for_long(backend: &Backend) {
    let rig = backend.rig(room_for(2_000)).await;
    rig.put([event("alone", 0).with_priority(Low)]).await;
    let alone = rig.lease().await;
    rig.ack(&alone).await;
    flood(&rig, 100).await;
    let mut waited = [0_u32; 4];
    for _ in 0..150 {
        let taken = rig.lease().await;
        waited.iter_mut().for_each(|turns| *turns += 1);
        waited[taken.event.priority as usize] = 0;
        assert!(
            waited.iter().all(|turns| *turns < 15),
            "turns without: {waited:?}"
        );
        rig.ack(&taken).await;
    }
}

/// The second event of a lane waits until the first is settled.
pub async fn a_lane_is_worked_one_at_a_time(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    rig.put((0..3).map(|n| event("one", n))).await;
    for n in 0..3 {
        let delivery = rig.lease().await;
        assert_eq!(number(&delivery.event), n);
        rig.nothing().await;
        rig.ack(&delivery).await;
    }
}

/// A busy lane holds up no other.
pub async fn lanes_do_not_wait_for_each_other(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    rig.put([event("a", 0), event("a", 1), event("b", 2), event("c", 3)])
        .await;
    let held: Vec<_> = [rig.lease().await, rig.lease().await, rig.lease().await].into();
    let numbers: Vec<_> = held.iter().map(|one| number(&one.event)).collect();
    assert_eq!(numbers, [0, 2, 3]);
    rig.nothing().await;
    rig.ack(&held[0]).await;
    assert_eq!(number(&rig.lease().await.event), 1);
}

/// The lane is the partition key where there is one, and the source else.
pub async fn the_partition_key_makes_the_lane(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    rig.put([
        event("a", 0).with_partition_key("x"),
        event("b", 1).with_partition_key("x"),
        event("a", 2).with_partition_key("y"),
        event("a", 3),
    ])
    .await;
    let first = rig.lease().await;
    assert_eq!(number(&first.event), 0);
    assert_eq!(
        number(&rig.lease().await.event),
        2,
        "the same source, another key"
    );
    assert_eq!(
        number(&rig.lease().await.event),
        3,
        "the same source, no key"
    );
    rig.nothing().await;
    rig.ack(&first).await;
    assert_eq!(
        number(&rig.lease().await.event),
        1,
        "another source, the same key"
    );
}

/// With `ordering = "none"` no event waits for another.
pub async fn without_ordering_nothing_waits(backend: &Backend) {
    let rig = backend.rig_with(Config::default(), false).await;
    rig.put((0..10).map(|n| event("one", n))).await;
    for n in 0..10 {
        assert_eq!(number(&rig.lease().await.event), n);
    }
}

/// The lane's next event waits for the first attempt at every immediate follow-up, and for those
/// that follow from these.
pub async fn a_lane_waits_for_the_immediate_follow_ups(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    rig.put((0..2).map(|n| event("one", n))).await;
    let first = rig.lease().await;
    let with = |numbers: [u32; 2]| Settlement {
        follow_ups: numbers.map(|n| follow_up(effect(n), None)).into(),
        ..Settlement::default()
    };
    let effects = rig.settle(&first, with([0, 1])).await.leased;
    assert_eq!(effects.len(), 2);
    rig.nothing().await;
    let more = rig.settle(&effects[0], with([2, 3])).await.leased;
    rig.ack(&effects[1]).await;
    rig.nothing().await;
    rig.ack(&more[0]).await;
    rig.nothing().await;
    rig.ack(&more[1]).await;
    assert_eq!(number(&rig.lease().await.event), 1);
}

/// A retry waits outside of the lane and comes back beside it.
pub async fn what_is_tried_again_leaves_the_lane(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    rig.put((0..3).map(|n| event("one", n))).await;
    let first = rig.lease().await;
    rig.settle(&first, nack(rig.units(1), Some(failure("no"))))
        .await;
    let second = rig.lease().await;
    assert_eq!(number(&second.event), 1, "the lane goes on");
    rig.pass(11).await;
    let again = rig.lease().await;
    assert_eq!(
        (number(&again.event), again.attempt),
        (0, 2),
        "beside the busy lane"
    );
    rig.nothing().await;
    rig.ack(&again).await;
    rig.nothing().await;
    rig.ack(&second).await;
    assert_eq!(number(&rig.lease().await.event), 2);
}

/// Within a lane too, the more urgent goes first, and never beside another.
pub async fn a_lane_takes_its_most_urgent_event_first(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    rig.put([
        event("one", 0),
        event("one", 1).with_priority(Low),
        event("one", 2).with_priority(Critical),
    ])
    .await;
    for expected in [2, 0, 1] {
        let delivery = rig.lease().await;
        assert_eq!(number(&delivery.event), expected);
        rig.nothing().await;
        rig.ack(&delivery).await;
    }
}
