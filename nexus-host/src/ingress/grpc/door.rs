//! The door in front of the services: receives calls, and lets nobody call the hub who is not known,
//! before a byte of a message is read. It gives messages their time, and ends what is open when the hub
//! stops.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt;
use hyper::Request;
use hyper::http::request::Parts;
use tokio::sync::watch;
use tokio::time::sleep;
use tower::Service;

use super::refusal;
use crate::admission::{Credentials, Presented, Transport};
use crate::ingress::http;
use crate::ingress::ports::Ports;
use crate::intake;

/// Calls for which one has to be known.
const HUB: &str = "/nexus.v1.Hub/";

/// Those of them that bring events.
const PUBLISHING: &str = "/nexus.v1.Hub/Publish";

/// Calls whose messages come as long as the caller likes.
const STREAMS: [&str; 3] = [
    "/nexus.v1.Hub/PublishStream",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The call that is answered for ever, and not by the hub's own code.
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// See the module.
pub(super) struct Door {
    router: Router,
    ports: Ports,
    body_timeout: Duration,
    stopping: watch::Receiver<bool>,
}

impl Door {
    pub(super) fn new(
        router: Router,
        ports: Ports,
        body_timeout: Duration,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            router,
            ports,
            body_timeout,
            stopping,
        }
    }

    /// Answers a call.
    pub(super) async fn answer(self: Arc<Self>, request: Request<Body>) -> Response {
        let (mut head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        if path.starts_with(HUB) {
            let admission = self.ports.intake.admission();
            match admission.authenticate(&credentials(&head)).await {
                Ok(client) => head.extensions.insert(client),
                Err(refused) => {
                    if path.starts_with(PUBLISHING) {
                        let intake = &self.ports.intake;
                        intake.count_refused(intake::Door::Grpc, refused.code());
                    }
                    return refusal::status(&refused).into_http();
                }
            };
        }
        let is_stream = STREAMS.contains(&&*path);
        let mut stopping = self.stopping.clone();
        let body_timeout = self.body_timeout;
        // What ends before its time is no message, and refused.
        let body = Body::from_stream(body.into_data_stream().take_until(async move {
            match is_stream {
                true => drop(stopping.wait_for(|stopping| *stopping).await),
                false => sleep(body_timeout).await,
            }
        }));
        let request = Request::from_parts(head, body);
        let response = match self.router.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if path != WATCH {
            return response;
        }
        let mut stopping = self.stopping.clone();
        response.map(|body| {
            Body::from_stream(body.into_data_stream().take_until(async move {
                drop(stopping.wait_for(|stopping| *stopping).await);
            }))
        })
    }
}

/// What a call holds of credentials. Signatures are over requests of HTTP, body and all; a call has no
/// such form, and one that comes with one is not looked at.
fn credentials(head: &Parts) -> Credentials<'_> {
    let mut credentials = http::auth::credentials(head, Transport::Grpc);
    if matches!(credentials.presented, Presented::Signed { .. }) {
        credentials.presented = Presented::Unreadable;
    }
    credentials
}
