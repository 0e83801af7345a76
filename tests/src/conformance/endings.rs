//! Stopping, and the accounts: nothing is lost, and the figures say so.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_host::queue::config::WhenFull;
use nexus_host::queue::{Config, Delivery, PushError, Pushed, Queue, Settlement, Verdict};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::{Backend, effect, failure, follow_up, nack, room_for};
use crate::events::{admitted, event, number};

/// Pushes are refused; what is in goes on.
pub async fn a_closed_intake_refuses(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    rig.put([event("a", 0)]).await;
    rig.queue.close_intake();
    assert_eq!(rig.push(event("a", 1)).await, Err(PushError::Closed));
    let delivery = rig.lease().await;
    rig.ack(&delivery).await;
    assert_eq!(rig.queue.stats().finished, 1);
}

/// Producers that wait for room are refused at once.
pub async fn a_closed_intake_sends_waiting_producers_away(backend: &Backend) {
    let config = Config {
        when_full: WhenFull::Wait,
        wait_timeout: backend.span(1_000),
        ..room_for(1)
    };
    let rig = backend.rig(config).await;
    rig.put([event("a", 0)]).await;
    let producers: Vec<_> = (1..5)
        .map(|n| {
            let queue = rig.queue.clone();
            tokio::spawn(async move { queue.push(vec![admitted(event("b", n))]).await })
        })
        .collect();
    rig.pass(1).await;
    rig.queue.close_intake();
    for producer in producers {
        let refused = timeout(rig.units(10), producer)
            .await
            .expect("at once")
            .expect("no panic");
        assert_eq!(refused.answers, [Err(PushError::Closed)]);
    }
}

/// Every worker gets `None`: those that wait and those that come later, work or not.
pub async fn closed_leasing_ends_every_worker(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let queue = rig.queue.clone();
            tokio::spawn(async move { queue.lease().await })
        })
        .collect();
    rig.pass(1).await;
    rig.queue.close_leasing();
    for worker in workers {
        let ended = timeout(rig.units(10), worker)
            .await
            .expect("at once")
            .expect("no panic");
        assert!(ended.is_none());
    }
    rig.put([event("a", 0)]).await;
    assert!(rig.queue.lease().await.is_none());
}

/// Drained is when nothing is ready, waiting or leased.
pub async fn drained_waits_for_what_is_leased(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let until = Instant::now() + rig.units(100);
    rig.queue.drained(until).await;
    rig.put([event("a", 0), event("a", 1)]).await;
    let queue = rig.queue.clone();
    let drained = tokio::spawn(async move { queue.drained(until).await });
    for _ in 0..2 {
        rig.pass(1).await;
        assert!(!drained.is_finished());
        let delivery = rig.lease().await;
        rig.pass(1).await;
        assert!(!drained.is_finished(), "it is leased");
        rig.ack(&delivery).await;
    }
    timeout(rig.units(10), drained)
        .await
        .expect("at once")
        .expect("no panic");
}

/// What is due in time is waited for; what is due later, not. Holds for a backend that forgets;
/// one that keeps it may be drained sooner, but not with work ready or leased.
pub async fn drained_waits_for_what_is_due_in_time(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    rig.put([event("a", 0)]).await;
    let delivery = rig.lease().await;
    rig.settle(&delivery, nack(rig.units(5), None)).await;
    let now = Instant::now();
    let later = rig.queue.drained(now + rig.units(4));
    timeout(rig.units(1), later)
        .await
        .expect("it is due after that");
    let queue = rig.queue.clone();
    let until = now + rig.units(20);
    let drained = tokio::spawn(async move { queue.drained(until).await });
    rig.pass(55).await;
    let again = rig.lease().await;
    rig.pass(1).await;
    assert!(
        !drained.is_finished() || rig.queue.is_durable(),
        "it is leased"
    );
    rig.ack(&again).await;
    timeout(rig.units(10), drained)
        .await
        .expect("at once")
        .expect("no panic");
}

/// Many producers and workers at once: every event is leased exactly once per attempt, every one
/// is finished, and the figures agree.
pub async fn nothing_is_lost_between_producers_and_workers(backend: &Backend) {
    const PRODUCERS: u64 = 8;
    const EACH: u64 = 250;
    let config = Config {
        when_full: WhenFull::Wait,
        wait_timeout: backend.span(60),
        ..room_for(16)
    };
    let rig = backend.rig(config).await;
    let (seen, mut sightings) = mpsc::channel(2 * (PRODUCERS * EACH) as usize);
    let workers: Vec<_> = (0..8)
        .map(|_| tokio::spawn(work(rig.queue.clone(), seen.clone(), rig.units(1) / 100)))
        .collect();
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| {
            let queue = rig.queue.clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    let one = event(&format!("s{}", n % 5), producer * EACH + n);
                    let pushed = queue.push(vec![admitted(one)]).await;
                    assert_eq!(pushed.answers, [Ok(Pushed::Accepted)]);
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.expect("no panic");
    }
    // One that keeps what is delayed may be drained sooner.
    let worked_off = async {
        while rig.queue.stats().depth > 0 {
            rig.queue.drained(Instant::now() + rig.units(100)).await;
            tokio::time::sleep(rig.units(1) / 100).await;
        }
    };
    timeout(Duration::from_secs(120), worked_off)
        .await
        .expect("everything is worked off");
    rig.queue.close_leasing();
    for worker in workers {
        worker.await.expect("no panic");
    }
    drop(seen);
    let mut attempts: HashMap<u64, Vec<u32>> = HashMap::new();
    while let Some((n, attempt)) = sightings.recv().await {
        attempts.entry(n).or_default().push(attempt);
    }
    assert_eq!(attempts.len(), (PRODUCERS * EACH) as usize);
    for (n, attempts) in attempts {
        let expected: &[u32] = if n % 3 == 0 { &[1, 2] } else { &[1] };
        assert_eq!(attempts, expected, "attempts at {n}");
    }
    let stats = rig.queue.stats();
    assert_eq!(
        (stats.accepted, stats.finished),
        (PRODUCERS * EACH, PRODUCERS * EACH)
    );
    assert_eq!(
        (stats.depth, stats.leased, stats.delayed, stats.bytes),
        (0, 0, 0, 0)
    );
}

/// Fails every third event once, and has an effect done for every fifth.
async fn work(queue: Arc<dyn Queue>, seen: mpsc::Sender<(u64, u32)>, delay: Duration) {
    while let Some(delivery) = queue.lease().await {
        let n = number(&delivery.event);
        seen.send((n, delivery.attempt))
            .await
            .expect("somebody listens");
        let mut with = Settlement::default();
        if n.is_multiple_of(3) && delivery.attempt == 1 {
            with.verdict = Verdict::Nack {
                after: delay,
                failure: Some(failure("no")),
            };
        } else if n.is_multiple_of(5) {
            with.follow_ups.push(follow_up(effect(0), None));
        }
        tokio::task::yield_now().await;
        let settled = queue
            .settle(delivery.lease, with)
            .await
            .expect("it is held");
        for follow_up in settled.leased {
            let done = queue.settle(follow_up.lease, Settlement::default()).await;
            done.expect("it is held");
        }
    }
}

/// Every figure of the statistics, through the life of a few events.
pub async fn the_figures_are_true(backend: &Backend) {
    use nexus_plugin_api::Priority::{Critical, Low};
    let rig = backend.rig(room_for(7)).await;
    let figures = || {
        let stats = rig.queue.stats();
        let counts = (stats.depth, stats.parked, stats.leased, stats.delayed);
        (counts, stats.waiting, (stats.accepted, stats.finished))
    };
    assert_eq!(figures(), ((0, 0, 0, 0), [0; 4], (0, 0)));
    assert_eq!(rig.queue.stats().oldest, None);
    rig.put([
        event("a", 0).with_priority(Low),
        event("b", 1).with_priority(Critical),
    ])
    .await;
    rig.put([event("b", 2).with_priority(Critical)]).await;
    assert_eq!(figures(), ((3, 0, 0, 0), [1, 0, 0, 2], (3, 0)));
    let stats = rig.queue.stats();
    assert_eq!((stats.capacity, stats.bytes), (7, 21));
    let first: Delivery = rig.lease().await;
    assert_eq!(figures(), ((3, 0, 1, 0), [1, 0, 0, 1], (3, 0)));
    let oldest = rig.queue.stats().oldest.expect("two wait");
    assert!(oldest <= first.accepted_at, "the low one came first");
    let with = Settlement {
        follow_ups: vec![
            follow_up(effect(0), None),
            follow_up(effect(1), Some(rig.units(1))),
        ],
        ..Settlement::default()
    };
    let settled = rig.settle(&first, with).await;
    assert_eq!(figures(), ((3, 0, 1, 1), [1, 0, 0, 1], (3, 0)));
    rig.ack(&settled.leased[0]).await;
    assert_eq!(figures(), ((3, 1, 0, 1), [1, 0, 0, 1], (3, 0)));
    rig.pass(12).await;
    for _ in 0..3 {
        let one = rig.lease().await;
        rig.ack(&one).await;
    }
    assert_eq!(figures(), ((0, 0, 0, 0), [0; 4], (3, 3)));
    let stats = rig.queue.stats();
    assert_eq!((stats.bytes, stats.oldest), (0, None));
}
