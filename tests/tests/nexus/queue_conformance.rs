//! Every queue backend, held against the one suite.

mod memory {
    use std::sync::Arc;

    use nexus_host::queue::{MemoryQueue, Queue};
    use nexus_tests::conformance::{Backend, Clock, bounds, endings};
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

    /// What depends on threads runs on real ones too.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn on_several_threads() {
        let backend = memory(Clock::Real);
        endings::nothing_is_lost_between_producers_and_workers(&backend).await;
        for _ in 0..50 {
            endings::every_waiting_worker_gets_its_share(&backend).await;
        }
        endings::who_stops_waiting_loses_nothing(&backend).await;
        bounds::producers_get_room_in_the_order_they_came(&backend).await;
    }
}
