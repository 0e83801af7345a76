//! Every queue backend, held against the one suite.

mod memory {
    use std::sync::Arc;

    use nexus_host::queue::{Config, Grave, MemoryQueue, Queue, Settlement};
    use nexus_tests::conformance::{Backend, Clock, bounds, effect, endings, waking};
    use nexus_tests::events::event;
    use nexus_tests::queue_conformance;

    fn memory(clock: Clock) -> Backend {
        Backend::new(clock, |config, lanes| {
            Box::pin(async move {
                let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::new(&config, lanes));
                Ok(queue)
            })
        })
    }

    queue_conformance!(#[tokio::test(start_paused = true)], memory(Clock::Paused));

    /// A journey is kept without its event: journals are bounded in number, payloads in bytes.
    #[tokio::test(start_paused = true)]
    async fn a_finished_event_leaves_no_payload_behind() {
        let backend = memory(Clock::Paused);
        let rig = backend.rig(Config::default()).await;
        rig.put([event("a", 0)]).await;
        let delivery = rig.lease().await;
        rig.ack(&delivery).await;
        let journey = rig.journey(delivery.event.event_id).await;
        assert!(journey.is_some());
        assert_eq!(
            Arc::strong_count(&delivery.event),
            1,
            "only this test has it"
        );
    }

    /// A journey that goes on and ends again takes one place among the finished ones.
    #[tokio::test(start_paused = true)]
    async fn replays_forget_no_other_journey() {
        let config = Config {
            journal_capacity: 2,
            ..Config::default()
        };
        let backend = memory(Clock::Paused);
        let rig = backend.rig(config).await;
        let (done, dies) = (event("a", 0), event("b", 1));
        let ids = [done.event_id, dies.event_id];
        rig.put([done, dies]).await;
        let delivery = rig.lease().await;
        rig.ack(&delivery).await;
        for _ in 0..300 {
            let delivery = rig.lease().await;
            let with = Settlement {
                dead: vec![Grave {
                    work: effect(0),
                    reason: "x".to_owned(),
                    errors: Vec::new(),
                }],
                ..Settlement::default()
            };
            rig.settle(&delivery, with).await;
            for id in ids {
                assert!(rig.journey(id).await.is_some());
            }
            let letter = rig.dead_letters().await.remove(0).id;
            assert_eq!(rig.queue.replay(vec![letter]).await, Ok(vec![letter]));
        }
    }

    /// What depends on threads runs on real ones too.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn on_several_threads() {
        let backend = memory(Clock::Real);
        for _ in 0..20 {
            endings::nothing_is_lost_between_producers_and_workers(&backend).await;
        }
        waking::no_wake_up_is_lost(&backend).await;
        waking::every_waiting_worker_gets_its_share(&backend).await;
        waking::who_stops_waiting_loses_nothing(&backend).await;
        bounds::producers_get_room_in_the_order_they_came(&backend).await;
    }
}

mod sqlite {
    use std::sync::Arc;

    use nexus_host::queue::{Queue, SqliteQueue};
    use nexus_tests::conformance::{Backend, Clock};
    use nexus_tests::{durable_queue_conformance, queue_conformance};

    fn sqlite() -> Backend {
        Backend::new(Clock::Real, |config, lanes| {
            Box::pin(async move {
                let queue: Arc<dyn Queue> = Arc::new(SqliteQueue::open(&config, lanes)?);
                Ok(queue)
            })
        })
    }

    queue_conformance!(#[tokio::test(flavor = "multi_thread", worker_threads = 2)], sqlite());
    durable_queue_conformance!(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)],
        sqlite()
    );
}
