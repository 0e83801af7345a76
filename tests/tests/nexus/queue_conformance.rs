//! Every queue backend, held against the one suite.

mod memory {
    use std::sync::Arc;

    use nexus_host::queue::{Config, MemoryQueue, Queue};
    use nexus_tests::conformance::{Backend, Clock, bounds, endings};
    use nexus_tests::events::event;
    use nexus_tests::queue_conformance;

    fn memory(clock: Clock) -> Backend {
        Backend::new(clock, |config, lanes| {
            Box::pin(async move {
                let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::new(&config, lanes));
                queue
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
        let journey = rig.queue.journey(delivery.event.event_id).await;
        assert!(journey.is_some());
        assert_eq!(
            Arc::strong_count(&delivery.event),
            1,
            "only this test has it"
        );
    }

    /// What depends on threads runs on real ones too.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn on_several_threads() {
        let backend = memory(Clock::Real);
        for _ in 0..20 {
            endings::nothing_is_lost_between_producers_and_workers(&backend).await;
        }
        endings::no_wake_up_is_lost(&backend).await;
        endings::every_waiting_worker_gets_its_share(&backend).await;
        endings::who_stops_waiting_loses_nothing(&backend).await;
        bounds::producers_get_room_in_the_order_they_came(&backend).await;
    }
}
