//! `nexus.v1.Hub`: receives events over gRPC, hands them to the intake, and sends accepted ones to
//! those who follow. It judges no event, and knows nothing that the other doors do not.

mod door;
mod events;
#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
mod health;
mod messages;
mod refusal;

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{self, Stream, StreamExt, unfold};
use nexus_plugin_api::Event;
use nexus_proto::nexus::v1 as wire;
use nexus_proto::nexus::v1::hub_server::{Hub, HubServer};
use prost::Message;
use tokio::sync::watch;
use tonic::service::Routes;
use tonic::{Request, Status, Streaming};
use tonic_health::pb::health_server::HealthServer;

use super::accept::Answer;
use super::config::Config;
use super::follower::{Follower, Next, Wanted};
use super::http;
use super::ports::Ports;
use crate::admission::{ClientScope, Code, Rejection, Supplied};
use crate::intake::{self, Receipt};
use crate::observe::Passed;
use door::Door;
use health::Health;

/// Events of one stream that are taken in together, when so many are there.
const TOGETHER: usize = 256;

/// What a message may weigh beside its event's payload.
const ENVELOPE: usize = 64 * 1024;

/// How long a client who follows and hears nothing may go on when what it was let in with has expired.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a message that anybody may send may weigh: it holds a name.
const QUESTION: usize = 16 * 1024;

/// Answers requests by the service, and tells about it: health, and reflection in both versions.
pub(super) fn answers(ports: Ports, config: &Config, stopping: watch::Receiver<bool>) -> Answer {
    let most = ports.intake.admission().limits().max_body.as_len();
    let hub = HubServer::new(HubService {
        ports: ports.clone(),
        stopping: stopping.clone(),
    })
    .max_decoding_message_size(most.saturating_add(ENVELOPE));
    let health = HealthServer::new(Health {
        idle_timeout: config.idle_timeout.get(),
        stopping: stopping.clone(),
    })
    .max_decoding_message_size(QUESTION);
    let mut routes = Routes::new(hub).add_service(health);
    let descriptions = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(wire::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // They are made by the same build as this program: they can be read.
    if let Ok(reflection) = descriptions().build_v1() {
        routes = routes.add_service(reflection.max_decoding_message_size(QUESTION));
    }
    if let Ok(reflection) = descriptions().build_v1alpha() {
        routes = routes.add_service(reflection.max_decoding_message_size(QUESTION));
    }
    let door = Arc::new(Door::new(
        routes.prepare().into_axum_router(),
        ports,
        config,
        stopping,
    ));
    Arc::new(move |request| Box::pin(door.clone().answer(request)))
}

/// See the module.
struct HubService {
    ports: Ports,
    stopping: watch::Receiver<bool>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Hub for HubService {
    async fn publish(
        &self,
        request: Request<wire::PublishRequest>,
    ) -> Result<tonic::Response<wire::PublishResponse>, Status> {
        let client = client(&request)?;
        let (metadata, _, message) = request.into_parts();
        let trace = http::Trace::of(metadata.as_ref());
        let event = read(message, trace.supplied());
        let receipt = self
            .ports
            .intake
            .submit_event(intake::Door::Grpc, &client, event, false);
        let parent = trace.supplied().traceparent;
        let mut span = self.ports.tracer.receive_grpc("Publish", parent);
        let receipt = span.receive(parent, receipt).await;
        let receipt = receipt.map_err(|refused| refusal::status(&refused));
        span.answered_grpc(
            receipt
                .as_ref()
                .map_or_else(Status::code, |_| tonic::Code::Ok),
        );
        Ok(tonic::Response::new(events::receipt(&receipt?)))
    }

    type PublishStreamStream = Answers<wire::PublishResult>;

    async fn publish_stream(
        &self,
        request: Request<Streaming<wire::PublishRequest>>,
    ) -> Result<tonic::Response<Self::PublishStreamStream>, Status> {
        let client = client(&request)?;
        let most = self.ports.intake.admission().limits().max_body;
        let (intake, tracer) = (self.ports.intake.clone(), self.ports.tracer.clone());
        let (metadata, _, messages) = request.into_parts();
        let metadata = Arc::new(metadata);
        // What has come meanwhile goes into the queue together; nothing more is read before that.
        let chunks = chunks(messages, most.as_len());
        let answers = chunks.then(move |chunk| {
            let (client, intake, metadata) = (client.clone(), intake.clone(), metadata.clone());
            let tracer = tracer.clone();
            async move {
                if client.has_expired() {
                    let message = "what the client was let in with has expired";
                    let expired = Rejection::new(Code::Unauthenticated, message);
                    return stream::iter(vec![Err(refusal::status(&expired))]);
                }
                let trace = http::Trace::of((*metadata).as_ref());
                let (read, broken) = until_broken(chunk, trace.supplied());
                let broken = broken.map(|status| match refusal::unread(&status, most) {
                    Some(refused) => {
                        let refused = intake.refuse(intake::Door::Grpc, &client, refused);
                        refusal::status(&refused)
                    }
                    None => status,
                });
                let parent = trace.supplied().traceparent;
                let span = tracer.receive_grpc("PublishStream", parent);
                let submitted = intake.submit_events(intake::Door::Grpc, &client, read, false);
                let answers = span.receive(parent, submitted).await;
                let answers = answers.iter().map(|answer| Ok(result(answer)));
                let answers: Vec<_> = answers.chain(broken.map(Err)).collect();
                stream::iter(answers)
            }
        });
        Ok(tonic::Response::new(Box::pin(answers.flatten())))
    }

    type SubscribeStream = Answers<wire::SubscribeResponse>;

    async fn subscribe(
        &self,
        request: Request<wire::SubscribeRequest>,
    ) -> Result<tonic::Response<Self::SubscribeStream>, Status> {
        let client = client(&request)?;
        let refuse = |refused| refusal::status(&refused);
        client.expect_subscriber().map_err(refuse)?;
        let wire::SubscribeRequest {
            types,
            sources,
            after,
        } = request.into_inner();
        let wanted = Wanted::of_lists(&types, &sources).map_err(refuse)?;
        let (tap, stopping) = (&self.ports.live, self.stopping.clone());
        let follower = match after {
            0 => Follower::new(tap, client, wanted, stopping),
            after => Follower::resume(tap, after, client, wanted, stopping)
                .map_err(|_| refusal::forgotten(after))?,
        };
        let answers = unfold(follower, |mut follower| async move {
            loop {
                let answer = match follower.next(PATIENCE).await {
                    Next::Quiet => continue,
                    Next::End => return None,
                    Next::Missed(missed) => events::missed(missed),
                    Next::Event(Passed { position, event }) => events::passed(position, &event),
                };
                return Some((Ok(answer), follower));
            }
        });
        Ok(tonic::Response::new(Box::pin(answers)))
    }
}

/// The client behind a call, whom [`door::Door`] has let in.
fn client<T>(request: &Request<T>) -> Result<Arc<ClientScope>, Status> {
    let client = request.extensions().get::<Arc<ClientScope>>();
    client.cloned().ok_or_else(|| {
        let message = "nobody was asked who calls";
        refusal::status(&Rejection::new(Code::Unauthenticated, message))
    })
}

/// The event that a message holds. The trace of the call is its own, when it names none.
fn read(message: wire::PublishRequest, supplied: Supplied<'_>) -> Result<Event, Rejection> {
    let mut event = events::read(message)?;
    supplied.trace(&mut event.traceparent, &mut event.tracestate);
    Ok(event)
}

/// Messages as they come, together with those that have come meanwhile: so many, and so many bytes.
fn chunks(
    messages: Streaming<wire::PublishRequest>,
    most: usize,
) -> impl Stream<Item = Vec<Result<wire::PublishRequest, Status>>> {
    unfold(messages, move |mut messages| async move {
        let mut chunk = vec![messages.next().await?];
        let mut bytes = 0;
        while chunk.len() < TOGETHER {
            bytes += chunk
                .last()
                .map_or(0, |one| one.as_ref().map_or(0, Message::encoded_len));
            if bytes >= most {
                break;
            }
            match messages.next().now_or_never() {
                Some(Some(message)) => chunk.push(message),
                // The end is found again.
                Some(None) | None => break,
            }
        }
        Some((chunk, messages))
    })
}

/// The events of a chunk, up to the end of the stream if it breaks off.
fn until_broken(
    chunk: Vec<Result<wire::PublishRequest, Status>>,
    supplied: Supplied<'_>,
) -> (Vec<Result<Event, Rejection>>, Option<Status>) {
    let mut events = Vec::with_capacity(chunk.len());
    for message in chunk {
        match message {
            Ok(message) => events.push(read(message, supplied)),
            Err(status) => return (events, Some(status)),
        }
    }
    (events, None)
}

fn result(answer: &Result<Receipt, Rejection>) -> wire::PublishResult {
    use wire::publish_result::Result as Either;
    let result = match answer {
        Ok(receipt) => Either::Accepted(events::receipt(receipt)),
        Err(refused) => Either::Refused(refusal::problem(refused)),
    };
    wire::PublishResult {
        result: Some(result),
    }
}
