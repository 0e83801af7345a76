//! What fits into a queue, and what happens when no more does. Nothing is ever dropped silently.

use nexus_host::config::ByteSize;
use nexus_host::queue::config::WhenFull;
use nexus_host::queue::{Config, EventStatus, PushError, Pushed, Step};
use nexus_plugin_api::Priority::{Critical, High, Low};

use super::{Backend, Rig, failure, nack, room_for};
use crate::events::{admitted, alert, event, heavy, number};

fn full(capacity: usize) -> Result<Pushed, PushError> {
    Err(PushError::Full { capacity })
}

/// Asserts that exactly these events were dropped, in this order, and are told of.
async fn assert_dropped(rig: &Rig<'_>, expected: &[u64]) {
    let letters = rig.dead_letters().await;
    let dropped: Vec<_> = letters.iter().map(|letter| number(&letter.event)).collect();
    assert_eq!(dropped, expected);
    for letter in letters {
        assert_eq!(letter.reason, "queue_full");
        let journey = rig
            .journey(letter.event.event_id)
            .await
            .expect("it is known");
        assert_eq!(journey.status, EventStatus::Dead);
        let told = |step: &Step| matches!(step, Step::Dead { dead_letter, .. } if *dead_letter == letter.id);
        assert!(journey.steps.iter().any(|line| told(&line.step)));
    }
}

/// `reject`: the capacity counts what is leased too, and a finished event makes room.
pub async fn a_full_queue_refuses(backend: &Backend) {
    let rig = backend.rig(room_for(2)).await;
    rig.put([event("a", 0), event("b", 1)]).await;
    let held = rig.lease().await;
    let refused = event("c", 2);
    assert_eq!(rig.push(refused.clone()).await, full(2));
    rig.ack(&held).await;
    assert_eq!(
        rig.push(refused).await,
        Ok(Pushed::Accepted),
        "refused is not remembered"
    );
    assert_eq!(rig.queue.stats().dead_letters, 0);
}

/// Whatever is done when it is full: events that tell of alerts are taken, and nothing gives way for them. Not without
/// end.
pub async fn a_full_queue_takes_what_tells_of_alerts(backend: &Backend) {
    for when_full in [
        WhenFull::Reject,
        WhenFull::Wait,
        WhenFull::DropOldest,
        WhenFull::DropLowest,
    ] {
        let config = Config {
            when_full,
            ..room_for(1)
        };
        let rig = backend.rig(config).await;
        rig.put([event("a", 0)]).await;
        rig.put((0..64).map(alert)).await;
        assert_dropped(&rig, &[]).await;
        if matches!(when_full, WhenFull::Reject | WhenFull::Wait) {
            assert_eq!(rig.push(alert(64)).await, full(1));
        }
    }
}

fn waiting(backend: &Backend, capacity: usize) -> Config {
    Config {
        when_full: WhenFull::Wait,
        wait_timeout: backend.span(4),
        ..room_for(capacity)
    }
}

/// `wait`: a producer waits until an event is finished.
pub async fn a_producer_waits_for_room(backend: &Backend) {
    let rig = backend.rig(waiting(backend, 1)).await;
    rig.put([event("a", 0)]).await;
    let producer = tokio::spawn(rig.queue.clone().push_one(event("b", 1)));
    rig.pass(10).await;
    assert!(!producer.is_finished(), "there is no room yet");
    let held = rig.lease().await;
    rig.ack(&held).await;
    assert_eq!(producer.await.expect("no panic"), Ok(Pushed::Accepted));
    assert_eq!(number(&rig.lease().await.event), 1);
}

/// `wait`: after `wait_timeout`, which holds for a whole batch, it is refused.
pub async fn a_producer_waits_no_longer_than_configured(backend: &Backend) {
    let rig = backend.rig(waiting(backend, 1)).await;
    rig.put([event("a", 0)]).await;
    let batch = (1..=5).map(|n| admitted(event("b", n))).collect();
    let started = tokio::time::Instant::now();
    let report = rig.queue.push(batch).await;
    let waited = started.elapsed();
    assert_eq!(report.answers, vec![full(1); 5]);
    assert!(waited >= rig.units(4), "{waited:?}");
    assert!(
        waited < rig.units(8),
        "each event of a batch waited for itself: {waited:?}"
    );
}

/// `wait`: whoever came first gets in first.
pub async fn producers_get_room_in_the_order_they_came(backend: &Backend) {
    let rig = backend.rig(waiting(backend, 1)).await;
    rig.put([event("a", 0)]).await;
    let mut producers = Vec::new();
    for n in 1..=5 {
        producers.push(tokio::spawn(rig.queue.clone().push_one(event("b", n))));
        rig.pass(1).await;
    }
    for n in 0..=5 {
        let delivery = rig.lease().await;
        assert_eq!(number(&delivery.event), n);
        rig.ack(&delivery).await;
    }
    for producer in producers {
        assert_eq!(producer.await.expect("no panic"), Ok(Pushed::Accepted));
    }
}

/// `drop_oldest`: the oldest waiting event gives way, of whatever priority; what is leased stays.
pub async fn the_oldest_is_dropped(backend: &Backend) {
    let config = Config {
        when_full: WhenFull::DropOldest,
        ..room_for(3)
    };
    let rig = backend.rig(config).await;
    rig.put([event("a", 0)]).await;
    let held = rig.lease().await;
    rig.put([event("b", 1).with_priority(Critical), event("b", 2)])
        .await;
    rig.put([event("b", 3).with_priority(Low), event("b", 4)])
        .await;
    assert_dropped(&rig, &[1, 2]).await;
    assert_eq!(rig.given_way().len(), 2, "told once");
    rig.ack(&held).await;
    for expected in [4, 3] {
        let delivery = rig.lease().await;
        assert_eq!(number(&delivery.event), expected);
        rig.ack(&delivery).await;
    }
    let stats = rig.queue.stats();
    assert_eq!((stats.accepted, stats.finished, stats.depth), (5, 5, 0));
}

/// `drop_lowest`: the oldest of the lowest priority gives way, but never to a lower one.
pub async fn the_oldest_of_the_lowest_is_dropped(backend: &Backend) {
    let config = Config {
        when_full: WhenFull::DropLowest,
        ..room_for(3)
    };
    let rig = backend.rig(config).await;
    rig.put([
        event("a", 0).with_priority(High),
        event("a", 1).with_priority(Low),
        event("a", 2).with_priority(Low),
    ])
    .await;
    rig.put([event("a", 3).with_priority(Low)]).await;
    rig.put([event("a", 4).with_priority(Critical)]).await;
    assert_dropped(&rig, &[1, 2]).await;
    rig.put([event("a", 5).with_priority(Critical)]).await;
    assert_dropped(&rig, &[1, 2, 3]).await;
    assert_eq!(rig.push(event("a", 6).with_priority(Low)).await, full(3));
    assert_dropped(&rig, &[1, 2, 3]).await;
    assert_eq!(rig.given_way().len(), 3);
    rig.put([event("a", 7).with_priority(High)]).await;
    assert_dropped(&rig, &[1, 2, 3, 0]).await;
}

/// Nothing is dropped for an event that does not fit even so.
pub async fn nothing_is_dropped_in_vain(backend: &Backend) {
    for when_full in [WhenFull::DropOldest, WhenFull::DropLowest] {
        let config = Config {
            when_full,
            max_bytes: ByteSize::from_bytes(1_000),
            ..Config::default()
        };
        let rig = backend.rig(config).await;
        rig.put([heavy("a", 600)]).await;
        let held = rig.lease().await;
        rig.put((0..5).map(|n| event("b", n))).await;
        assert_eq!(rig.push(heavy("c", 500)).await, full(1_000));
        assert_eq!(rig.queue.stats().dead_letters, 0, "{when_full:?}");
        rig.ack(&held).await;
        rig.put([heavy("c", 1_000)]).await;
        assert_eq!(
            rig.queue.stats().dead_letters,
            5,
            "{when_full:?}: now it made room"
        );
    }
}

/// `max_bytes` holds for all events together.
pub async fn bytes_are_bounded(backend: &Backend) {
    let config = Config {
        max_bytes: ByteSize::from_bytes(1_000),
        ..Config::default()
    };
    let rig = backend.rig(config).await;
    rig.put([heavy("a", 400), heavy("b", 400)]).await;
    assert_eq!(rig.queue.stats().bytes, 800);
    assert_eq!(rig.push(heavy("c", 400)).await, full(1_000));
    rig.put([heavy("c", 200)]).await;
    let first = rig.lease().await;
    rig.ack(&first).await;
    rig.put([heavy("d", 400)]).await;
    assert_eq!(rig.queue.stats().bytes, 1_000);
}

/// An event of more than `max_bytes` is taken when it is alone, so that it does not wait for ever.
pub async fn an_event_larger_than_everything_fits_alone(backend: &Backend) {
    let config = Config {
        max_bytes: ByteSize::from_bytes(1_000),
        ..Config::default()
    };
    let rig = backend.rig(config).await;
    rig.put([heavy("a", 2_000)]).await;
    assert_eq!(rig.push(event("b", 1)).await, full(1_000));
}

/// An event of which only a retry is left takes no place: an outage does not stop the intake.
pub async fn what_waits_for_its_time_takes_no_place(backend: &Backend) {
    let rig = backend.rig(room_for(1)).await;
    for n in 0..5 {
        rig.put([event("a", n)]).await;
        let held = rig.lease().await;
        assert_eq!(rig.push(event("b", 100 + n)).await, full(1));
        rig.settle(&held, nack(rig.units(1), Some(failure("no"))))
            .await;
    }
    let stats = rig.queue.stats();
    assert_eq!((stats.depth, stats.parked, stats.delayed), (5, 5, 5));
    rig.pass(12).await;
    for n in 0..5 {
        let again = rig.lease().await;
        assert_eq!((number(&again.event), again.attempt), (n, 2));
        rig.ack(&again).await;
    }
    assert_eq!(rig.queue.stats().depth, 0);
}

/// More than `max_parked` goes to the dead letters.
pub async fn what_waits_for_its_time_is_bounded(backend: &Backend) {
    let config = Config {
        max_parked: 2,
        ..Config::default()
    };
    let rig = backend.rig(config).await;
    for n in 0..3 {
        rig.put([event("a", n)]).await;
        let held = rig.lease().await;
        rig.settle(&held, nack(rig.units(1), Some(failure("no"))))
            .await;
    }
    let letters = rig.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(number(&letters[0].event), 2);
    assert_eq!(letters[0].reason, "too_much_parked");
    assert_eq!(letters[0].errors.len(), 1, "its failure is kept");
    let stats = rig.queue.stats();
    assert_eq!((stats.delayed, stats.depth, stats.finished), (2, 2, 1));
}

/// Pushing as a task of its own.
trait PushOne {
    fn push_one(
        self,
        event: nexus_plugin_api::Event,
    ) -> impl Future<Output = Result<Pushed, PushError>> + Send;
}

impl PushOne for std::sync::Arc<dyn nexus_host::queue::Queue> {
    async fn push_one(self, event: nexus_plugin_api::Event) -> Result<Pushed, PushError> {
        self.push(vec![admitted(event)]).await.answers.remove(0)
    }
}
