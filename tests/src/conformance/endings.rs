//! Waking and stopping: nobody waits for what is there, nothing is lost when somebody leaves.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_host::queue::config::WhenFull;
use nexus_host::queue::{Config, Delivery, PushError, Pushed, Queue, Settlement, Verdict};
use tokio::sync::{Barrier, mpsc};
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
        assert_eq!(refused, [Err(PushError::Closed)]);
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
    assert!(!drained.is_finished(), "it is leased");
    rig.ack(&again).await;
    timeout(rig.units(10), drained)
        .await
        .expect("at once")
        .expect("no panic");
}

/// A call to `lease` that is dropped takes nothing with it, and passes its wake-up on.
pub async fn who_stops_waiting_loses_nothing(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    for n in 0..20 {
        let quitter = {
            let queue = rig.queue.clone();
            tokio::spawn(async move { queue.lease().await.map(|found| found.lease) })
        };
        let worker = {
            let queue = rig.queue.clone();
            tokio::spawn(async move { queue.lease().await })
        };
        rig.pass(1).await;
        let pushed = rig.push(event("a", n)).await;
        assert_eq!(pushed, Ok(Pushed::Accepted));
        quitter.abort();
        // Either it was quick enough to take the event, or the other has it.
        match quitter.await {
            Ok(taken) => {
                worker.abort();
                let taken = taken.expect("leasing is open");
                let settled = rig.queue.settle(taken, Settlement::default()).await;
                settled.expect("it is held");
            }
            Err(_) => {
                let found = timeout(rig.units(10), worker).await.expect("it was woken");
                rig.ack(&found.expect("no panic").expect("leasing is open"))
                    .await;
            }
        }
        assert_eq!(rig.queue.stats().depth, 0);
    }
}

/// A batch of eight wakes eight workers, not one; whoever holds a delivery holds up no other.
pub async fn every_waiting_worker_gets_its_share(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    for settled_before in [false, true] {
        let (taken, mut arrivals) = mpsc::channel(8);
        let workers: Vec<_> = (0..8)
            .map(|_| {
                let (queue, taken) = (rig.queue.clone(), taken.clone());
                tokio::spawn(async move {
                    let delivery = queue.lease().await.expect("leasing is open");
                    taken.send(delivery).await.expect("somebody listens");
                })
            })
            .collect();
        if settled_before {
            rig.pass(1).await;
        }
        let batch = (0..8)
            .map(|n| admitted(event(&format!("s{n}"), n)))
            .collect();
        rig.queue.push(batch).await;
        for _ in 0..8 {
            let one = timeout(rig.units(10), arrivals.recv())
                .await
                .expect("each gets one");
            rig.ack(&one.expect("the sender is there")).await;
        }
        for worker in workers {
            worker.await.expect("no panic");
        }
    }
}

/// While a worker sleeps until something far away is due, something nearer is not missed.
pub async fn a_nearer_due_time_is_not_missed(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    rig.put([event("a", 0), event("b", 1)]).await;
    let (far, near) = (rig.lease().await, rig.lease().await);
    let (taken, mut arrivals) = mpsc::channel(8);
    for _ in 0..4 {
        let (queue, taken) = (rig.queue.clone(), taken.clone());
        tokio::spawn(async move {
            let delivery = queue.lease().await.expect("leasing is open");
            taken.send(delivery).await.expect("somebody listens");
        });
    }
    rig.pass(1).await;
    // One of them now watches the clock, and is the last in line for a wake-up.
    rig.settle(&far, nack(rig.units(3_600), None)).await;
    rig.pass(1).await;
    rig.settle(&near, nack(rig.units(1), None)).await;
    let started = Instant::now();
    let found = timeout(rig.units(60), arrivals.recv()).await;
    let found = found
        .expect("it was woken in time")
        .expect("the sender is there");
    assert_eq!(number(&found.event), 1);
    let waited = started.elapsed();
    assert!(
        waited >= rig.units(1) && waited < rig.units(3),
        "{waited:?}"
    );
}

/// Eight workers that only go on together, round after round: one wake-up lost and all of them
/// stand still. Worth running on several threads.
pub async fn no_wake_up_is_lost(backend: &Backend) {
    const WORKERS: usize = 8;
    let rounds = 2_000;
    let rig = backend.rig(Config::default()).await;
    let together = Arc::new(Barrier::new(WORKERS + 1));
    for _ in 0..WORKERS {
        let (queue, together) = (rig.queue.clone(), together.clone());
        tokio::spawn(async move {
            while let Some(delivery) = queue.lease().await {
                together.wait().await;
                let settled = queue.settle(delivery.lease, Settlement::default()).await;
                settled.expect("it is held");
            }
        });
    }
    for round in 0..rounds {
        for worker in 0..WORKERS {
            rig.put([event(&format!("s{round}-{worker}"), 0)]).await;
        }
        let all = timeout(Duration::from_secs(20), together.wait()).await;
        assert!(
            all.is_ok(),
            "in round {round} a worker sleeps: {:?}",
            rig.queue.stats()
        );
    }
    rig.queue.close_leasing();
}

/// When the worker that watches the clock takes other work or goes away, another one watches.
pub async fn the_duty_to_watch_the_clock_is_handed_on(backend: &Backend) {
    for goes_away in [false, true] {
        let rig = backend.rig(Config::default()).await;
        rig.put([event("a", 0)]).await;
        let delivery = rig.lease().await;
        rig.settle(&delivery, nack(rig.units(2), None)).await;
        let (taken, mut arrivals) = mpsc::channel(8);
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let (queue, taken) = (rig.queue.clone(), taken.clone());
                tokio::spawn(async move {
                    let delivery = queue.lease().await.expect("leasing is open");
                    taken.send(delivery).await.expect("somebody listens");
                })
            })
            .collect();
        rig.pass(1).await;
        // Two of three leave, so that one of them had the duty or the last one has it anyway.
        if goes_away {
            workers[0].abort();
            workers[1].abort();
        } else {
            rig.put([event("b", 1), event("c", 2)]).await;
            for _ in 0..2 {
                let other = timeout(rig.units(1), arrivals.recv())
                    .await
                    .expect("at once");
                assert_ne!(number(&other.expect("the sender is there").event), 0);
            }
        }
        let due = timeout(rig.units(10), arrivals.recv())
            .await
            .expect("somebody watched");
        assert_eq!(number(&due.expect("the sender is there").event), 0);
    }
}

/// With nothing to do but to wait for a due time, a worker does not spin: others get to run and,
/// with a paused clock, time gets to pass.
pub async fn a_lone_worker_with_delayed_work_sleeps(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    rig.put([event("a", 0)]).await;
    let delivery = rig.lease().await;
    rig.settle(&delivery, nack(rig.units(2), None)).await;
    let queue = rig.queue.clone();
    let worker = tokio::spawn(async move {
        let mut numbers = Vec::new();
        while let Some(found) = queue.lease().await {
            numbers.push(number(&found.event));
            queue
                .settle(found.lease, Settlement::default())
                .await
                .expect("it is held");
        }
        numbers
    });
    rig.pass(1).await;
    rig.put([event("b", 1)]).await;
    rig.pass(1).await;
    rig.put([event("b", 2)]).await;
    let slept = timeout(
        rig.units(10),
        rig.queue.drained(Instant::now() + rig.units(3)),
    )
    .await;
    slept.expect("the worker wakes when it is due");
    rig.queue.close_leasing();
    assert_eq!(worker.await.expect("no panic"), [1, 2, 0]);
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
                    assert_eq!(pushed, [Ok(Pushed::Accepted)]);
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.expect("no panic");
    }
    let drained = rig.queue.drained(Instant::now() + rig.units(100));
    timeout(Duration::from_secs(120), drained)
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
