//! How toasts end by themselves, and how the server does.

use std::time::Duration;

use nexus_proto::toasty::v1::{DismissRequest, ListRequest, ShowRequest, dismiss_request};
use tonic::Code;

use crate::harness::{Harness, WITHIN, connect, next, next_in_short, titled};

#[tokio::test]
async fn a_toast_times_out() {
    let mut harness = Harness::start().await;
    let mut events = harness.watch(None).await;
    let brief = ShowRequest {
        ttl: Some(Duration::from_millis(80).try_into().unwrap()),
        ..titled("Brief")
    };
    // The later toast runs out first: the clock follows the nearest end.
    harness.show(titled("Lasting")).await;
    let shown = harness.show(brief).await;
    next(&mut events).await;
    next(&mut events).await;
    let event = next(&mut events).await;
    assert_eq!(event.toast_id, shown.toast_id);
    let mut again = harness.watch(Some(2)).await;
    assert_eq!(next_in_short(&mut again).await, "DISMISSED TimedOut");
    harness.wait_for_print("[2] is gone").await;
    let target = Some(dismiss_request::Target::ToastId(shown.toast_id));
    let late = harness.client.dismiss(DismissRequest { target }).await;
    assert_eq!(late.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn one_toast_too_many_ends_the_oldest() {
    let mut harness = Harness::start().await;
    let oldest = harness.show(titled("0")).await;
    for n in 1..128 {
        harness.show(titled(&n.to_string())).await;
    }
    let mut events = harness.watch(None).await;
    harness.show(titled("128")).await;
    assert_eq!(next_in_short(&mut events).await, "SHOWN");
    assert_eq!(next(&mut events).await.toast_id, oldest.toast_id);
    let all = harness.client.list(ListRequest::default()).await.unwrap();
    assert_eq!(all.into_inner().toasts.len(), 128);
}

#[tokio::test]
async fn stopping_takes_toasts_away_and_tells_watchers() {
    let mut harness = Harness::start().await;
    let mut events = harness.watch(None).await;
    harness.show(titled("Last")).await;
    next(&mut events).await;
    let endpoint = harness.running.endpoint();
    let stopped = tokio::time::timeout(WITHIN, harness.running.stop());
    let watched = async {
        assert_eq!(
            next_in_short(&mut events).await,
            "DISMISSED ApplicationHidden"
        );
        events.message().await.unwrap_err()
    };
    let (stopped, end) = tokio::join!(stopped, watched);
    stopped.unwrap().unwrap();
    assert_eq!(end.code(), Code::Unavailable);
    let gone = tonic::transport::Channel::from_shared(endpoint).unwrap();
    assert!(gone.connect().await.is_err());
}

#[tokio::test]
async fn health_is_served() {
    let harness = Harness::start().await;
    let channel = tonic::transport::Channel::from_shared(harness.running.endpoint()).unwrap();
    let mut health =
        tonic_health::pb::health_client::HealthClient::new(channel.connect().await.unwrap());
    for service in ["", "toasty.v1.Toasty"] {
        let request = tonic_health::pb::HealthCheckRequest {
            service: service.to_owned(),
        };
        let reply = health.check(request).await.unwrap().into_inner();
        assert_eq!(reply.status, 1, "{service:?}");
    }
    connect(&harness.running.endpoint()).await;
}
