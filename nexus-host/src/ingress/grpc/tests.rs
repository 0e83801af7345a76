//! The service over a real socket, by a generated client.

use std::time::Duration;

use nexus_plugin_api::ContractInfo;
use nexus_proto::io::cloudevents::v1 as cloud;
use nexus_proto::nexus::v1::hub_client::HubClient;
use nexus_proto::nexus::v1::publish_result::Result as Either;
use nexus_proto::nexus::v1::subscribe_response::Kind as Sent;
use nexus_proto::nexus::v1::{self as wire, publish_request::Kind};
use serde_json::json;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use crate::ingress::harness::Hub;
use crate::queue::Queue;

const PATIENCE: Duration = Duration::from_secs(10);

async fn channel(hub: &Hub) -> Channel {
    let endpoint = Endpoint::try_from(format!("http://{}", hub.grpc)).unwrap();
    endpoint.connect().await.unwrap()
}

/// A request with a client's key.
fn with_key<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {key}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

fn event(n: i64) -> wire::Event {
    wire::Event {
        r#type: "test.happened".to_owned(),
        source: "s".to_owned(),
        payload: format!("{{\"n\":{n}}}").into(),
        ..wire::Event::default()
    }
}

fn publish(event: wire::Event) -> wire::PublishRequest {
    wire::PublishRequest {
        kind: Some(Kind::Event(event)),
    }
}

#[tokio::test]
async fn one_event_and_its_refusals() {
    let hub = Hub::start(|_| {}).await;
    let mut client = HubClient::new(channel(&hub).await);
    let once = wire::Event {
        event_id: "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a".to_owned(),
        ..event(1)
    };
    let first = client
        .publish(with_key("any", publish(once.clone())))
        .await
        .unwrap();
    assert_eq!(first.get_ref().status(), wire::Status::Accepted);
    let again = client
        .publish(with_key("any", publish(once)))
        .await
        .unwrap();
    assert_eq!(again.get_ref().status(), wire::Status::Duplicate);
    assert!(again.get_ref().first_accepted_at.is_some());

    let refusals = [
        (
            with_key("wrong", publish(event(1))),
            Code::Unauthenticated,
            "unauthenticated",
        ),
        (
            Request::new(publish(event(1))),
            Code::Unauthenticated,
            "unauthenticated",
        ),
        (
            with_key("root", publish(event(1))),
            Code::PermissionDenied,
            "forbidden",
        ),
        (
            with_key("any", wire::PublishRequest { kind: None }),
            Code::InvalidArgument,
            "malformed_event",
        ),
        (
            with_key(
                "any",
                publish(wire::Event {
                    payload: "{".into(),
                    ..event(1)
                }),
            ),
            Code::InvalidArgument,
            "malformed_json",
        ),
        (
            with_key(
                "any",
                publish(wire::Event {
                    payload: "{\"n\":\"x\"}".into(),
                    ..event(1)
                }),
            ),
            Code::InvalidArgument,
            "contract_violation",
        ),
        (
            with_key(
                "any",
                publish(wire::Event {
                    event_id: "1".to_owned(),
                    ..event(1)
                }),
            ),
            Code::InvalidArgument,
            "contract_violation",
        ),
        (
            with_key(
                "any",
                publish(wire::Event {
                    r#type: "a.b".to_owned(),
                    ..event(1)
                }),
            ),
            Code::InvalidArgument,
            "unknown_type",
        ),
    ];
    for (request, code, stable) in refusals {
        let refused = client.publish(request).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert_eq!(refused.metadata().get("nexus-code").unwrap(), stable);
    }
    assert_eq!(hub.queue.stats().depth, 1);
}

#[tokio::test]
async fn a_stream_has_a_result_for_each_event_in_order() {
    let hub = Hub::start(|settings| settings.queue.capacity = 10_000).await;
    let mut client = HubClient::new(channel(&hub).await);
    let events = (0..1_000).map(|n| match n % 10 {
        9 => publish(wire::Event {
            payload: "{\"n\":1.5}".into(),
            ..event(n)
        }),
        _ => publish(event(n)),
    });
    let events = tokio_stream::iter(events.collect::<Vec<_>>());
    let answers = client
        .publish_stream(with_key("any", events))
        .await
        .unwrap();
    let mut answers = answers.into_inner();
    let mut count = 0;
    while let Some(answer) = timeout(PATIENCE, answers.message()).await.unwrap().unwrap() {
        match answer.result.unwrap() {
            Either::Accepted(_) => assert_ne!(count % 10, 9),
            Either::Refused(problem) => {
                assert_eq!(count % 10, 9);
                assert_eq!(problem.errors[0].pointer, "/payload/n");
            }
        }
        count += 1;
    }
    assert_eq!((count, hub.queue.stats().depth), (1_000, 900));
}

#[tokio::test]
async fn a_full_queue_is_told_with_when_to_come_again() {
    let hub = Hub::start(|settings| settings.queue.capacity = 1).await;
    let mut client = HubClient::new(channel(&hub).await);
    client
        .publish(with_key("any", publish(event(1))))
        .await
        .unwrap();
    let refused = client
        .publish(with_key("any", publish(event(2))))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.metadata().get("nexus-code").unwrap(), "queue_full");
    assert_eq!(refused.metadata().get("retry-after").unwrap(), "1");
}

#[tokio::test]
async fn cloudevents_are_taken_in() {
    let hub = Hub::start(|_| {}).await;
    let mut client = HubClient::new(channel(&hub).await);
    let event = |spec_version: &str| wire::PublishRequest {
        kind: Some(Kind::CloudEvent(cloud::CloudEvent {
            id: "1".to_owned(),
            source: "/s".to_owned(),
            spec_version: spec_version.to_owned(),
            r#type: "test.happened".to_owned(),
            data: Some(cloud::cloud_event::Data::TextData("{\"n\":1}".to_owned())),
            ..cloud::CloudEvent::default()
        })),
    };
    let taken = client.publish(with_key("any", event("1.0"))).await.unwrap();
    assert_eq!(taken.get_ref().status(), wire::Status::Accepted);
    let refused = client
        .publish(with_key("any", event("0.3")))
        .await
        .unwrap_err();
    assert_eq!(
        refused.metadata().get("nexus-code").unwrap(),
        "malformed_event"
    );
}

#[tokio::test]
async fn who_follows_gets_what_passes_and_can_come_back() {
    let mut hub = Hub::start(|_| {}).await;
    let mut client = HubClient::new(channel(&hub).await);
    let wanted = wire::SubscribeRequest {
        types: vec!["test.*".to_owned()],
        ..wire::SubscribeRequest::default()
    };
    let followed = client
        .subscribe(with_key("any", wanted.clone()))
        .await
        .unwrap();
    let mut followed = followed.into_inner();
    client
        .publish(with_key("any", publish(event(1))))
        .await
        .unwrap();
    client
        .publish(with_key("any", publish(event(2))))
        .await
        .unwrap();
    let first = timeout(PATIENCE, followed.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let Some(Sent::Event(passed)) = first.kind else {
        panic!("{first:?}");
    };
    assert_eq!(&*passed.payload, b"{\"n\":1}");
    drop(followed);

    let resumed = wire::SubscribeRequest {
        after: first.position,
        ..wanted.clone()
    };
    let mut resumed = client
        .subscribe(with_key("any", resumed))
        .await
        .unwrap()
        .into_inner();
    let next = timeout(PATIENCE, resumed.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(next.position, first.position + 1);

    let forgotten = wire::SubscribeRequest { after: 1, ..wanted };
    let refused = client
        .subscribe(with_key("any", forgotten))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);

    hub.stop(Duration::from_secs(5));
    assert!(
        timeout(PATIENCE, resumed.message())
            .await
            .unwrap()
            .unwrap()
            .is_none()
    );
    drop((client, resumed));
    assert_eq!(hub.ended().await.cut, 0);
}

#[tokio::test]
async fn health_is_told() {
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

    let hub = Hub::start(|_| {}).await;
    let mut health = HealthClient::new(channel(&hub).await);
    let mut check = async |service: &str| {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        health
            .check(request)
            .await
            .map(|answer| answer.get_ref().status())
    };
    assert_eq!(check("").await.unwrap(), ServingStatus::Serving);
    assert_eq!(check("nexus.v1.Hub").await.unwrap(), ServingStatus::Serving);
    assert_eq!(check("other").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn nobody_who_is_not_known_is_listened_to() {
    let hub =
        Hub::start(|settings| settings.server.body_timeout = Duration::from_secs(60).into()).await;
    let mut client = HubClient::new(channel(&hub).await);
    // Its events never come: it is refused before any is waited for.
    let nothing = tokio_stream::pending();
    let refused = timeout(PATIENCE, client.publish_stream(with_key("wrong", nothing))).await;
    assert_eq!(refused.unwrap().unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_message_that_does_not_come_is_not_waited_for() {
    use http_body_util::StreamBody;
    let hub =
        Hub::start(|settings| settings.server.body_timeout = Duration::from_millis(300).into())
            .await;
    let socket = tokio::net::TcpStream::connect(hub.grpc).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(socket);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tokio::spawn(connection);
    // A message of a kilobyte is promised, and nothing comes.
    let head = bytes::Bytes::from_static(&[0, 0, 0, 4, 0]);
    let frames =
        futures_util::stream::iter([Ok::<_, std::io::Error>(hyper::body::Frame::data(head))]);
    let frames = futures_util::StreamExt::chain(frames, futures_util::stream::pending());
    let request = hyper::Request::post(format!("http://{}/nexus.v1.Hub/Publish", hub.grpc))
        .header("content-type", "application/grpc")
        .header("authorization", "Bearer any")
        .body(StreamBody::new(Box::pin(frames)))
        .unwrap();
    let answer = timeout(PATIENCE, sender.send_request(request))
        .await
        .unwrap()
        .unwrap();
    assert_ne!(answer.headers().get("grpc-status").unwrap(), "0");
}

#[tokio::test]
async fn streams_that_are_silent_end_with_the_hub() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;

    let mut hub = Hub::start(|_| {}).await;
    let channel = channel(&hub).await;
    let mut client = HubClient::new(channel.clone());
    let nothing = tokio_stream::pending();
    let mut published = client
        .publish_stream(with_key("any", nothing))
        .await
        .unwrap()
        .into_inner();
    let watch = HealthClient::new(channel)
        .watch(HealthCheckRequest::default())
        .await;
    let mut watched = watch.unwrap().into_inner();
    assert!(watched.message().await.unwrap().is_some());
    hub.stop(Duration::from_secs(30));
    let _ = timeout(PATIENCE, published.message())
        .await
        .expect("the stream goes on");
    while let Ok(Some(_)) = timeout(PATIENCE, watched.message())
        .await
        .expect("the watch goes on")
    {}
    drop((client, published, watched));
    let started = std::time::Instant::now();
    assert_eq!(hub.ended().await.cut, 0);
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// A signature covers a request and its body, and a call is neither.
#[tokio::test]
async fn a_signature_lets_nobody_call() {
    use crate::admission::Client;
    use crate::config::Secret;
    use crate::ingress::harness::client;
    use crate::ingress::http::auth::tests::{Signed, signed_header};

    const SECRET: &str = "sixteen bytes, or more";
    let hub = Hub::start(|settings| {
        settings.clients.push(Client {
            hmac: vec![Secret::new(SECRET)],
            ..client("app", &["*"], &["*"])
        });
    })
    .await;
    let mut caller = HubClient::new(channel(&hub).await);
    for (nonce, method, target) in [
        ("0123456789abcdef-1", "", ""),
        ("0123456789abcdef-2", "POST", "/nexus.v1.Hub/Publish"),
    ] {
        let signed = signed_header(&Signed {
            secret: SECRET,
            client: "app",
            late: 0,
            nonce,
            method,
            target,
            body: "",
        });
        let mut request = Request::new(publish(event(1)));
        request
            .metadata_mut()
            .insert("authorization", signed.parse().unwrap());
        let refused = caller.publish(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{method} {target}");
    }
    assert_eq!(hub.queue.stats().depth, 0);
}

#[tokio::test]
async fn the_sender_of_an_outdated_version_is_told() {
    let hub = Hub::start(|_| {}).await;
    let mut info = ContractInfo::new("test.old", "1.0.0".parse().unwrap(), json!({}));
    info.deprecated = Some("2026-01-01T00:00:00Z".parse().unwrap());
    hub.contracts.register("test", info).unwrap();
    let next = ContractInfo::new("test.old", "2.0.0".parse().unwrap(), json!({}));
    hub.contracts.register("test", next).unwrap();
    let mut client = HubClient::new(channel(&hub).await);
    let event = |version: &str| wire::Event {
        r#type: "test.old".to_owned(),
        contract_version: version.to_owned(),
        ..event(1)
    };
    let told = client.publish(with_key("any", publish(event("1.0.0"))));
    let told = told.await.unwrap().into_inner().deprecation.unwrap();
    assert_eq!(
        (&*told.contract_version, &*told.successor),
        ("1.0.0", "2.0.0")
    );
    assert_eq!(told.deprecated.unwrap().seconds, 1_767_225_600);
    assert_eq!(told.sunset, None);
    let fine = client.publish(with_key("any", publish(event("2.0.0"))));
    assert_eq!(fine.await.unwrap().into_inner().deprecation, None);
    let both = ["1.0.0", "2.0.0"].map(|version| publish(event(version)));
    let streamed = client.publish_stream(with_key("any", tokio_stream::iter(both)));
    let mut streamed = streamed.await.unwrap().into_inner();
    for is_told in [true, false] {
        match streamed.message().await.unwrap().unwrap().result {
            Some(Either::Accepted(taken)) => assert_eq!(taken.deprecation.is_some(), is_told),
            other => panic!("{other:?}"),
        }
    }
}
