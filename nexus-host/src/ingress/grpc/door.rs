//! The door in front of the services: receives calls, and lets nobody call the hub who is not known,
//! before a byte of a message is read. It gives messages their time, and what the library refuses the
//! hub's own codes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use hyper::http::request::Parts;
use tokio::sync::watch;
use tonic::Status;
use tower::Service;

use super::messages::{Messages, Patience};
use super::refusal;
use crate::admission::{ClientScope, Credentials, Presented, Rejection, Transport};
use crate::ingress::config::Config;
use crate::ingress::http;
use crate::ingress::ports::Ports;
use crate::intake;

/// Calls for which one has to be known.
const HUB: &str = "/nexus.v1.Hub/";

/// Those of them that bring events.
const PUBLISHING: &str = "/nexus.v1.Hub/Publish";

/// The one of them whose messages come as long as the caller likes.
const PUBLISH_STREAM: &str = "/nexus.v1.Hub/PublishStream";

/// What anybody may ask, one thing after the other.
const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// What anybody may call, and may go on for those who are known.
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// See the module.
pub(super) struct Door {
    router: Router,
    ports: Ports,
    body_timeout: Duration,
    idle_timeout: Duration,
    stopping: watch::Receiver<bool>,
}

impl Door {
    pub(super) fn new(
        router: Router,
        ports: Ports,
        config: &Config,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            router,
            ports,
            body_timeout: config.body_timeout.get(),
            idle_timeout: config.idle_timeout.get(),
            stopping,
        }
    }

    /// Answers a call.
    pub(super) async fn answer(self: Arc<Self>, request: Request<Body>) -> Response {
        let (mut head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let is_hub = path.starts_with(HUB);
        let mut known = None;
        if is_hub || (path == WATCH && http::auth::presents_something(&head)) {
            let admission = self.ports.intake.admission();
            match admission.authenticate(&credentials(&head)).await {
                Ok(client) => {
                    known = Some(client.clone());
                    head.extensions.insert(client);
                }
                Err(refused) if is_hub => {
                    self.count_refused(&path, &refused);
                    return refusal::status(&refused).into_http();
                }
                // He watches like anybody.
                Err(_) => {}
            }
        }
        let body = Messages::new(body, self.patience(&path), self.stopping.clone());
        let request = Request::from_parts(head, Body::new(body));
        let response = match self.router.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        match known.filter(|_| is_hub) {
            Some(client) => self.in_own_words(&path, &client, response),
            None => response,
        }
    }

    fn patience(&self, path: &str) -> Patience {
        let message = self.body_timeout;
        if path == PUBLISH_STREAM {
            let between = None;
            Patience::Each { message, between }
        } else if REFLECTION.contains(&path) {
            let between = Some(self.idle_timeout);
            Patience::Each { message, between }
        } else {
            Patience::Whole(message)
        }
    }

    /// The answer, unless it is the library's, to a message that it could not read.
    fn in_own_words(&self, path: &str, client: &ClientScope, response: Response) -> Response {
        let status = Status::from_header_map(response.headers());
        let most = self.ports.intake.admission().limits().max_body;
        match status.and_then(|status| refusal::unread(&status, most)) {
            Some(refused) if path.starts_with(PUBLISHING) => {
                let intake = &self.ports.intake;
                let refused = intake.refuse(intake::Door::Grpc, client, refused);
                refusal::status(&refused).into_http()
            }
            Some(refused) => refusal::status(&refused).into_http(),
            None => response,
        }
    }

    fn count_refused(&self, path: &str, refused: &Rejection) {
        if path.starts_with(PUBLISHING) {
            let intake = &self.ports.intake;
            intake.count_refused(intake::Door::Grpc, refused.code());
        }
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
