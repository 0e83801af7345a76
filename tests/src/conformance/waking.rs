//! Waking: nobody sleeps beside work that is there, and nothing is lost when somebody leaves.

use std::sync::Arc;
use std::time::Duration;

use nexus_host::queue::{Config, Delivery, Pushed, Settlement};
use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{Backend, Rig, nack};
use crate::events::{admitted, event, number};

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

/// Workers that lease once each, and where what they get arrives.
fn waiting_workers(rig: &Rig<'_>, count: usize) -> (Vec<JoinHandle<()>>, mpsc::Receiver<Delivery>) {
    let (taken, arrivals) = mpsc::channel(count);
    let workers = (0..count).map(|_| {
        let (queue, taken) = (rig.queue.clone(), taken.clone());
        tokio::spawn(async move {
            let delivery = queue.lease().await.expect("leasing is open");
            taken.send(delivery).await.expect("somebody listens");
        })
    });
    (workers.collect(), arrivals)
}

/// A batch of eight wakes eight workers, not one; whoever holds a delivery holds up no other.
pub async fn every_waiting_worker_gets_its_share(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    for settled_before in [false, true] {
        let (workers, mut arrivals) = waiting_workers(&rig, 8);
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
    let started = Instant::now();
    rig.settle(&near, nack(rig.units(1), None)).await;
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
        let (workers, mut arrivals) = waiting_workers(&rig, 3);
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
    if rig.queue.is_durable() {
        // It may be stopped with delayed work, which it keeps.
        rig.pass(25).await;
    }
    let slept = timeout(
        rig.units(10),
        rig.queue.drained(Instant::now() + rig.units(3)),
    )
    .await;
    slept.expect("the worker wakes when it is due");
    rig.queue.close_leasing();
    assert_eq!(worker.await.expect("no panic"), [1, 2, 0]);
}
