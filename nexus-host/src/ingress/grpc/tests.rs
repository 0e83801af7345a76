//! The service over a real socket, by a generated client.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::HeaderMap;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nexus_plugin_api::ContractInfo;
use nexus_proto::io::cloudevents::v1 as cloud;
use nexus_proto::nexus::v1::hub_client::HubClient;
use nexus_proto::nexus::v1::publish_result::Result as Either;
use nexus_proto::nexus::v1::subscribe_response::Kind as Sent;
use nexus_proto::nexus::v1::{self as wire, publish_request::Kind};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use crate::admission::OnSuspicion;
use crate::ingress::harness::Hub;
use crate::observe::{Heard, Passed};
use crate::queue::Queue;

const PATIENCE: Duration = Duration::from_secs(10);

/// What a stream of a call by hand may be sent before it is read.
const WINDOW: u32 = 1024;

/// The beginning of a message of a kilobyte.
const BEGUN: &[u8] = &[0, 0, 0, 4, 0, 1];

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

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

type Parts = Pin<Box<dyn hyper::body::Body<Data = Bytes, Error = Infallible> + Send>>;

/// A connection by hand.
async fn connect(hub: &Hub) -> (SendRequest<Parts>, JoinHandle<hyper::Result<()>>) {
    let socket = tokio::net::TcpStream::connect(hub.grpc).await.unwrap();
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(WINDOW)
        .handshake(TokioIo::new(socket))
        .await
        .unwrap();
    (sender, tokio::spawn(connection))
}

/// A call as it is sent: its messages are whatever the parts are.
fn request(
    hub: &Hub,
    path: &str,
    key: Option<&str>,
    parts: impl Stream<Item = Bytes> + Send + 'static,
) -> hyper::Request<Parts> {
    let frames = parts.map(|part| Ok(hyper::body::Frame::data(part)));
    let mut request = hyper::Request::post(format!("http://{}{path}", hub.grpc))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    request
        .body(Box::pin(StreamBody::new(frames)) as Parts)
        .unwrap()
}

/// The answer to a call, on a connection of its own.
async fn call(
    hub: &Hub,
    path: &str,
    key: Option<&str>,
    parts: impl Stream<Item = Bytes> + Send + 'static,
) -> hyper::Response<hyper::body::Incoming> {
    let (mut sender, _) = connect(hub).await;
    let request = request(hub, path, key, parts);
    let answer = timeout(PATIENCE, sender.send_request(request)).await;
    answer.expect("no answer").unwrap()
}

/// These bytes, and then nothing more for ever.
fn begun(bytes: &'static [u8]) -> impl Stream<Item = Bytes> {
    stream::iter([Bytes::from_static(bytes)]).chain(stream::pending())
}

/// How long it takes until an answer ends, and with what.
async fn ended(answer: hyper::Response<hyper::body::Incoming>) -> (Duration, HeaderMap) {
    let started = Instant::now();
    let head = answer.headers().clone();
    let body = timeout(PATIENCE, answer.into_body().collect()).await;
    let trailers = body.expect("it goes on").ok();
    let trailers = trailers.and_then(|body| body.trailers().cloned());
    (started.elapsed(), trailers.unwrap_or(head))
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

/// A client takes so many bytes of trailers, whatever an event gets wrong.
#[tokio::test]
async fn a_refusal_has_details_and_stays_small() {
    let hub = Hub::start(|settings| settings.limits.suspicious = OnSuspicion::Refuse).await;
    let mut client = HubClient::new(channel(&hub).await);
    let wrong = wire::Event {
        payload: json!({ "n": "one" }).to_string().into(),
        ..event(1)
    };
    let refused = client.publish(with_key("any", publish(wrong))).await;
    let refused = refused.unwrap_err();
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "contract_violation");
    let violations = &details.bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "/payload/n");
    assert!(!violations[0].description.is_empty());

    let none = wire::Event {
        payload: Bytes::new(),
        ..event(1)
    };
    let refused = client.publish(with_key("any", publish(none))).await;
    let refused = refused.unwrap_err();
    assert!(
        refused.message().contains("/payload is required"),
        "{refused}"
    );

    let keys = (0..30).map(|n| (format!("{n}{}", "é".repeat(100)), json!("<script>")));
    let keys: serde_json::Map<_, _> = keys.collect();
    let wrong = wire::Event {
        payload: json!({ "n": 1, "more": keys }).to_string().into(),
        ..event(1)
    };
    let refused = client.publish(with_key("any", publish(wrong))).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    let details = refused.get_error_details();
    assert!(!details.bad_request().unwrap().field_violations.is_empty());
    let mut trailers = HeaderMap::new();
    refused.add_header(&mut trailers).unwrap();
    let sizes = trailers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 32);
    assert!(sizes.sum::<usize>() < 8 * 1024);
    assert_eq!(hub.queue.stats().depth, 0);
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
    assert_eq!(refused.metadata().get("nexus-code").unwrap(), "not_found");

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

async fn health(hub: &Hub) -> HealthClient<Channel> {
    HealthClient::new(channel(hub).await)
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[tokio::test]
async fn health_is_told() {
    let hub = Hub::start(|_| {}).await;
    let mut health = health(&hub).await;
    let mut check = async |service: &str| {
        let answer = health.check(of(service)).await;
        answer.map(|answer| answer.get_ref().status())
    };
    assert_eq!(check("").await.unwrap(), ServingStatus::Serving);
    assert_eq!(check("nexus.v1.Hub").await.unwrap(), ServingStatus::Serving);
    assert_eq!(check("other").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn who_watches_is_told_what_is_not_known_and_when_the_hub_stops() {
    let mut hub = Hub::start(|_| {}).await;
    let mut health = health(&hub).await;
    let mut known = health.watch(of("")).await.unwrap().into_inner();
    let mut other = health.watch(of("other")).await.unwrap().into_inner();
    let mut told = async |of: &str| {
        let watch = if of == "known" {
            &mut known
        } else {
            &mut other
        };
        let next = timeout(PATIENCE, watch.message()).await;
        next.expect("nothing comes")
            .unwrap()
            .map(|answer| answer.status())
    };
    assert_eq!(told("known").await, Some(ServingStatus::Serving));
    assert_eq!(told("other").await, Some(ServingStatus::ServiceUnknown));
    hub.stop(Duration::from_secs(30));
    assert_eq!(told("known").await, Some(ServingStatus::NotServing));
    assert_eq!(told("known").await, None);
    assert_eq!(told("other").await, None);
    drop(health);
    assert_eq!(hub.ended().await.cut, 0);
}

#[tokio::test]
async fn only_who_is_known_watches_for_ever() {
    let idle = Duration::from_millis(500);
    let hub = Hub::start(|settings| settings.server.idle_timeout = idle.into()).await;
    let mut health = health(&hub).await;
    let mut lasting = health
        .watch(with_key("any", of("")))
        .await
        .unwrap()
        .into_inner();
    assert!(lasting.message().await.unwrap().is_some());
    for request in [Request::new(of("")), with_key("wrong", of("other"))] {
        let mut watch = health.watch(request).await.unwrap().into_inner();
        let started = Instant::now();
        assert!(watch.message().await.unwrap().is_some());
        let end = timeout(PATIENCE, watch.message())
            .await
            .expect("it goes on");
        let end = end.unwrap_err();
        assert_eq!(end.code(), Code::Unavailable, "{end}");
        assert!(end.message().contains("server.idle_timeout"), "{end}");
        assert!(started.elapsed() >= idle / 2, "{:?}", started.elapsed());
    }
    let more = timeout(idle, lasting.message()).await;
    assert!(more.is_err(), "{more:?}");
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
    let hub =
        Hub::start(|settings| settings.server.body_timeout = Duration::from_millis(300).into())
            .await;
    for path in ["/nexus.v1.Hub/Publish", "/nexus.v1.Hub/PublishStream"] {
        let answer = call(&hub, path, Some("any"), begun(BEGUN)).await;
        let (_, end) = ended(answer).await;
        assert_eq!(end["grpc-status"], "4", "{path}");
        assert_eq!(end["nexus-code"], "request_timeout", "{path}");
    }
}

#[tokio::test]
async fn nobody_keeps_a_place_or_memory_with_a_question_that_does_not_come() {
    let hub = Hub::start(|settings| {
        settings.server.body_timeout = Duration::from_millis(600).into();
        settings.server.idle_timeout = Duration::from_millis(1_500).into();
    })
    .await;
    let v1alpha = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
    for path in [REFLECTION, v1alpha] {
        let (took, _) = ended(call(&hub, path, None, begun(BEGUN)).await).await;
        assert!(took < Duration::from_millis(1_200), "{path}: {took:?}");
        let (took, _) = ended(call(&hub, path, None, stream::pending()).await).await;
        let idle = Duration::from_millis(1_300)..Duration::from_secs(5);
        assert!(idle.contains(&took), "{path}: {took:?}");
        // Of 16 KiB and one byte not even the beginning is waited for.
        let big = begun(&[0, 0, 0, 0x40, 1, 1]);
        let (took, _) = ended(call(&hub, path, None, big).await).await;
        assert!(took < Duration::from_millis(500), "{path}: {took:?}");
    }
    let big = begun(&[0, 0, 0, 0x40, 1, 1]);
    let (took, _) = ended(call(&hub, "/grpc.health.v1.Health/Check", None, big).await).await;
    assert!(took < Duration::from_millis(500), "{took:?}");
}

#[tokio::test]
async fn reflection_answers_one_question_after_the_other() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_response};

    let hub =
        Hub::start(|settings| settings.server.body_timeout = Duration::from_millis(200).into())
            .await;
    let questions = stream::unfold(0, |n| async move {
        // Longer than a message may take: what has not begun has more time.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let question = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        (n < 3).then_some((question, n + 1))
    });
    let mut client = ServerReflectionClient::new(channel(&hub).await);
    let answers = client.server_reflection_info(questions).await.unwrap();
    let mut answers = answers.into_inner();
    let mut count = 0;
    while let Some(answer) = timeout(PATIENCE, answers.message()).await.unwrap().unwrap() {
        use server_reflection_response::MessageResponse::ListServicesResponse;
        match answer.message_response.unwrap() {
            ListServicesResponse(list) => {
                assert!(list.service.iter().any(|one| one.name == "nexus.v1.Hub"));
            }
            other => panic!("{other:?}"),
        }
        count += 1;
    }
    assert_eq!(count, 3);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_counts_as_an_event() {
    let slow = |id| crate::admission::Client {
        rate: Some(0.001),
        burst: Some(1),
        ..crate::ingress::harness::client(id, &["*"], &["*"])
    };
    let hub = Hub::start(|settings| {
        settings.limits.max_body = crate::config::ByteSize::from_kib(16);
        settings.clients.extend([slow("one"), slow("two")]);
    })
    .await;
    let mut client = HubClient::new(channel(&hub).await);
    let big = || {
        publish(wire::Event {
            payload: vec![b' '; 1 << 20].into(),
            ..event(1)
        })
    };
    for code in [Code::InvalidArgument, Code::ResourceExhausted] {
        let refused = client.publish(with_key("one", big())).await.unwrap_err();
        assert_eq!(refused.code(), code);
        let stream = with_key("two", tokio_stream::iter([big()]));
        let mut answers = client.publish_stream(stream).await.unwrap().into_inner();
        assert_eq!(answers.message().await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_refused_with_its_code() {
    let hub =
        Hub::start(|settings| settings.limits.max_body = crate::config::ByteSize::from_kib(16))
            .await;
    let mut client = HubClient::new(channel(&hub).await);
    let text = format!("{{\"s\":\"{}\"}}", "x".repeat(2 << 20));
    let big = || {
        publish(wire::Event {
            payload: text.clone().into(),
            ..event(1)
        })
    };
    let refused = client.publish(with_key("any", big())).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let code = refused.metadata().get("nexus-code").unwrap();
    assert_eq!(code, "payload_too_large");
    assert!(refused.message().contains("limits.max_body"), "{refused}");

    let events = tokio_stream::iter([publish(event(1)), big()]);
    let answers = client.publish_stream(with_key("any", events)).await;
    let mut answers = answers.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    let refused = answers.message().await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let code = refused.metadata().get("nexus-code").unwrap();
    assert_eq!(code, "payload_too_large");

    // A field that never ends, half a message, none at all, and one that says that it is compressed.
    for parts in [
        &[0, 0, 0, 0, 3, 255, 255, 255][..],
        BEGUN,
        &[],
        &[1, 0, 0, 0, 1, 7],
    ] {
        for method in ["Publish", "PublishStream", "Subscribe"] {
            if method == "PublishStream" && parts.is_empty() {
                continue;
            }
            let path = format!("/nexus.v1.Hub/{method}");
            let parts = stream::iter([Bytes::from_static(parts)]);
            let (_, end) = ended(call(&hub, &path, Some("any"), parts).await).await;
            assert_eq!(end["grpc-status"], "3", "{path}: {end:?}");
            assert_eq!(end["nexus-code"], "malformed_event", "{path}: {end:?}");
        }
    }
    let mut counted = Vec::new();
    hub.intake.outcomes(|door, what, count| {
        if door == crate::intake::Door::Grpc && count > 0 {
            counted.push((what, count));
        }
    });
    counted.sort_unstable();
    let expected = [
        ("accepted", 1),
        ("malformed_event", 7),
        ("payload_too_large", 2),
    ];
    assert_eq!(counted, expected);
}

#[tokio::test]
async fn the_trace_of_a_call_is_that_of_events_which_name_none() {
    const CALL: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const OWN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let hub = Hub::start(|_| {}).await;
    let mut live = hub.live.listen();
    let mut client = HubClient::new(channel(&hub).await);
    fn traced<T>(message: T) -> Request<T> {
        let mut request = with_key("any", message);
        let metadata = request.metadata_mut();
        metadata.insert("traceparent", CALL.parse().unwrap());
        metadata.insert("tracestate", "a=b".parse().unwrap());
        request
    }
    let own = wire::Event {
        traceparent: OWN.to_owned(),
        ..event(1)
    };
    client.publish(traced(publish(event(1)))).await.unwrap();
    client.publish(traced(publish(own.clone()))).await.unwrap();
    let events = tokio_stream::iter([publish(event(1)), publish(own)]);
    let answers = client.publish_stream(traced(events)).await.unwrap();
    assert_eq!(answers.into_inner().collect::<Vec<_>>().await.len(), 2);
    for (traceparent, tracestate) in [(CALL, Some("a=b")), (OWN, None)].repeat(2) {
        let Heard::Event(Passed { event, .. }) = live.hear().await else {
            panic!("an event is missed");
        };
        assert_eq!(event.traceparent.as_deref(), Some(traceparent));
        assert_eq!(event.tracestate.as_deref(), tracestate);
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_waited_for_as_long_as_for_a_body() {
    let hub =
        Hub::start(|settings| settings.server.body_timeout = Duration::from_secs(1).into()).await;
    let (mut sender, connection) = connect(&hub).await;
    let follow = stream::iter([Bytes::from_static(&[0; 5])]);
    let request = request(&hub, "/nexus.v1.Hub/Subscribe", Some("any"), follow);
    let followed = sender.send_request(request).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let started = Instant::now();
    let mut client = HubClient::new(channel(&hub).await);
    for n in 0..30 {
        let published = client.publish(with_key("any", publish(event(n)))).await;
        published.unwrap();
    }
    let _ = timeout(PATIENCE, connection).await.expect("it goes on");
    let took = started.elapsed();
    let expected = Duration::from_millis(900)..Duration::from_millis(1_900);
    assert!(expected.contains(&took), "{took:?}");
    drop(followed);
}

#[tokio::test]
async fn streams_that_are_silent_end_with_the_hub() {
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
