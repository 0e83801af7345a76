//! The door in front of the services: receives calls, and lets nobody call the hub who is not known,
//! before a byte of a message is read. It gives messages their time, and ends what is open when the hub
//! stops.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt;
use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Request};
use tokio::sync::watch;
use tokio::time::sleep;
use tower::Service;

use super::refusal;
use crate::admission::{Credentials, Presented, Transport};
use crate::ingress::accept::{PeerAddress, PeerCertificate};
use crate::ingress::ports::Ports;

/// Calls for which one has to be known.
const HUB: &str = "/nexus.v1.Hub/";

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
    pub(super) async fn answer(self: Arc<Self>, mut request: Request<Body>) -> Response {
        let path = request.uri().path().to_owned();
        if path.starts_with(HUB) {
            let admission = self.ports.intake.admission();
            match admission.authenticate(&credentials(&request)).await {
                Ok(client) => request.extensions_mut().insert(client),
                Err(refused) => return refusal::status(&refused).into_http(),
            };
        }
        let is_stream = STREAMS.contains(&&*path);
        let mut stopping = self.stopping.clone();
        let body_timeout = self.body_timeout;
        let request = request.map(|body| {
            // What ends before its time is no message, and refused.
            Body::from_stream(body.into_data_stream().take_until(async move {
                match is_stream {
                    true => drop(stopping.wait_for(|stopping| *stopping).await),
                    false => sleep(body_timeout).await,
                }
            }))
        });
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

/// What a call holds of credentials.
fn credentials(request: &Request<Body>) -> Credentials<'_> {
    let extensions = request.extensions();
    let certificate = extensions.get::<PeerCertificate>();
    Credentials {
        presented: presented(request.headers()),
        certificate: certificate.map(|certificate| &*certificate.0),
        peer: extensions.get::<PeerAddress>().map(|peer| peer.0.ip()),
        transport: Transport::Grpc,
    }
}

fn presented(headers: &HeaderMap) -> Presented<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    // Two of them are none: nobody can tell which one was meant.
    match (values.next().map(|value| value.to_str()), values.next()) {
        (None, _) => Presented::Nothing,
        // Signatures are over requests of HTTP; a call has no such form.
        (Some(Ok(value)), None) => Presented::read(value, "", ""),
        _ => Presented::Unreadable,
    }
}
