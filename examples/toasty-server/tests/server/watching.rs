//! Watch: numbered without gaps, resumable, honest about what is lost.

use nexus_proto::toasty::v1::{GetCapabilitiesRequest, ShowRequest, WatchRequest};
use tonic::Code;

use crate::harness::{Harness, next, titled};

/// More than the ring of past events holds.
const OVER_THE_RING: usize = 1100;

#[tokio::test]
async fn events_are_numbered_and_resumable() {
    let mut harness = Harness::start().await;
    for n in 1..=4 {
        harness.show(titled(&n.to_string())).await;
    }
    let mut all = harness.watch(Some(0)).await;
    let mut log_id = String::new();
    for seq in 1..=4 {
        let event = next(&mut all).await;
        assert_eq!(event.seq, seq);
        log_id = event.log_id;
    }
    let mut rest = harness.watch(Some(3)).await;
    assert_eq!(next(&mut rest).await.seq, 4);
    let mut live = harness.watch(None).await;
    harness.show(titled("5")).await;
    for watcher in [&mut all, &mut rest, &mut live] {
        assert_eq!(next(watcher).await.seq, 5);
    }
    let able = harness.client.get_capabilities(GetCapabilitiesRequest {});
    assert_eq!(able.await.unwrap().into_inner().log_id, log_id);
}

#[tokio::test]
async fn what_is_lost_is_told() {
    let mut harness = Harness::start().await;
    for n in 0..OVER_THE_RING / 2 {
        // Each replaces the one before: an end and a beginning.
        let request = ShowRequest {
            tag: "t".to_owned(),
            replace: true,
            ..titled(&n.to_string())
        };
        harness.show(request).await;
    }
    let status = watch(&mut harness, Some(1), "").await;
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(status.message().contains("no longer kept"), "{status:?}");

    let status = watch(&mut harness, Some(1_000_000), "").await;
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(status.message().contains("started again"), "{status:?}");

    let status = watch(&mut harness, Some(1), "another-run").await;
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(status.message().starts_with("log_id: "), "{status:?}");
}

async fn watch(harness: &mut Harness, after_seq: Option<u64>, log_id: &str) -> tonic::Status {
    let request = WatchRequest {
        after_seq,
        log_id: log_id.to_owned(),
    };
    harness.client.watch(request).await.unwrap_err()
}
