//! The routes: receives requests, hands them to their handlers, and turns every refusal into a
//! problem document. It opens no socket, and logs neither bodies, queries nor keys.

mod admin;
mod alerts;
mod approvals;
pub(super) mod auth;
mod body;
mod contracts;
mod dashboard;
mod dead_letters;
mod deprecation;
mod documents;
mod encoding;
mod events;
mod format;
#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
mod handshake;
mod health;
mod hooks;
mod idempotency;
mod log;
mod metrics;
mod overview;
mod problem;
mod query;
mod rate;
mod reload;
mod sse;
mod stages;
mod stream;
mod unproven;
mod webhooks;
mod websocket;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, delete, get, post};
use hyper::{Method, Request, StatusCode, Uri, header};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use tokio::sync::watch;
use tower::Service;

use super::accept::Answer;
use super::config::Config;
use super::ports::Ports;
use crate::admission::{Admission, ClientScope};
use crate::intake::Door;
use crate::observe::{Tracer, traces};
use problem::Problem;

pub(in crate::ingress) use events::Trace;
pub(in crate::ingress) use problem::whole_seconds;

/// What every handler works with.
pub(super) struct Shared {
    ports: Ports,
    body_timeout: Duration,
    ack_timeout: Duration,
    /// Pages that may open a WebSocket, and how long one may be silent.
    origins: Vec<String>,
    websocket_idle: Duration,
    webhook_origins: Vec<String>,
    repeats: idempotency::Memory,
    unproven: unproven::Unproven,
    documents: documents::Documents,
    has_dashboard: bool,
    stopping: watch::Receiver<bool>,
}

type State = axum::extract::State<Arc<Shared>>;

impl Shared {
    fn admission(&self) -> Arc<Admission> {
        self.ports.intake.admission()
    }

    /// Counts an event, or a request of events, that is refused before its events are looked at.
    fn count_refused(&self, door: Door, problem: &Problem) {
        if let Some(code) = problem.admission_code() {
            self.ports.intake.count_refused(door, code);
        }
    }

    /// Refuses a request of a client's before its events are looked at. It counts against the client's rate
    /// as one event. Hands on what is to be answered.
    fn refuse(&self, door: Door, client: &ClientScope, problem: Problem) -> Problem {
        let limited = self.admission().take(client).err();
        let problem = limited.map_or(problem, Problem::from);
        self.count_refused(door, &problem);
        problem
    }

    /// Ready when the server is to stop.
    async fn stopped(&self) {
        // An error means that the server is gone, which is a stop as well.
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

/// The routes, ready to answer.
fn router(ports: Ports, config: &Config, stopping: watch::Receiver<bool>) -> Router {
    let admission = ports.intake.admission();
    let clients = admission.clients();
    let unproven = unproven::Unproven::new(admission.limits().max_body);
    let shared = Shared {
        ports,
        body_timeout: config.body_timeout.get(),
        ack_timeout: config.ack_timeout.get(),
        origins: config.websocket.origins.clone(),
        websocket_idle: config.websocket.idle_timeout.get(),
        webhook_origins: config.webhook_origins.clone(),
        repeats: idempotency::Memory::new(clients),
        unproven,
        documents: documents::Documents::default(),
        has_dashboard: config.dashboard,
        stopping,
    };
    let routes = routes().into_iter();
    routes
        .fold(Router::new(), |router, (path, methods)| {
            router.route(path, methods)
        })
        .method_not_allowed_fallback(other_method)
        .fallback(no_such_path)
        .with_state(Arc::new(shared))
}

/// Every route there is. What each does is told in `documents/operations`.
fn routes() -> Vec<(&'static str, MethodRouter<Arc<Shared>>)> {
    vec![
        (
            "/v1/events",
            post(events::publish).options(handshake::offer),
        ),
        ("/v1/events/stream", get(stream::follow)),
        ("/v1/events/{id}", get(events::journey)),
        ("/v1/ws", get(websocket::open)),
        ("/v1/contracts", get(contracts::list)),
        ("/v1/contracts/{type}", get(contracts::newest)),
        ("/v1/contracts/{type}/{version}", get(contracts::version)),
        ("/v1/hooks/{source}", any(hooks::hook)),
        ("/v1/hooks/{source}/", any(hooks::hook)),
        ("/v1/hooks/{source}/{*rest}", any(hooks::hook)),
        ("/v1/admin/overview", get(overview::show)),
        ("/v1/admin/overview/stream", get(overview::follow)),
        ("/v1/admin/plugins", get(admin::plugins)),
        ("/v1/admin/queue", get(admin::queue)),
        ("/v1/admin/stages", get(stages::follow)),
        ("/v1/admin/breakers", get(admin::breakers)),
        ("/v1/admin/breakers/{*rest}", post(admin::switch_breaker)),
        ("/v1/admin/dead-letters", get(dead_letters::list)),
        ("/v1/admin/dead-letters/replay", post(dead_letters::replay)),
        ("/v1/admin/dead-letters/purge", post(dead_letters::purge)),
        (
            "/v1/admin/dead-letters/{id}",
            get(dead_letters::show).delete(dead_letters::purge_one),
        ),
        (
            "/v1/admin/dead-letters/{id}/replay",
            post(dead_letters::replay_one),
        ),
        ("/v1/admin/approvals", get(approvals::list)),
        (
            "/v1/admin/approvals/{id}",
            get(approvals::show).post(approvals::answer),
        ),
        ("/v1/admin/alerts", get(alerts::list)),
        ("/v1/admin/alerts/rules", get(alerts::rules)),
        (
            "/v1/admin/alerts/silences",
            get(alerts::silences).post(alerts::silence),
        ),
        ("/v1/admin/alerts/silences/{id}", delete(alerts::unsilence)),
        ("/v1/admin/alerts/{id}", get(alerts::show)),
        ("/v1/admin/alerts/{id}/ack", post(alerts::acknowledge)),
        ("/v1/admin/log", get(log::show).put(log::change)),
        ("/v1/admin/reload", post(reload::reload)),
        ("/v1/admin/reload/plan", post(reload::plan)),
        ("/", get(dashboard::page)),
        ("/assets/{file}", get(dashboard::asset)),
        ("/healthz", get(health::alive)),
        ("/readyz", get(health::ready)),
        ("/metrics", get(metrics::metrics)),
        ("/openapi.json", get(documents::openapi)),
        ("/asyncapi.json", get(documents::asyncapi)),
    ]
}

/// Answers requests by the routes.
pub(super) fn answers(ports: Ports, config: &Config, stopping: watch::Receiver<bool>) -> Answer {
    let tracer = ports.tracer.clone();
    let router = router(ports, config, stopping);
    Arc::new(move |request| Box::pin(traced(tracer.clone(), router.clone(), request)))
}

/// Answers one request, within a span of its own where it may bring events.
async fn traced(tracer: Tracer, router: Router, request: Request<Body>) -> Response {
    let route = match request.uri().path() {
        "/v1/events" => Some("/v1/events"),
        path if path.starts_with("/v1/hooks/") => Some("/v1/hooks/{source}"),
        _ => None,
    };
    let Some(route) = route.filter(|_| tracer.is_on()) else {
        return answer(router, request).await;
    };
    let trace = Trace::of(request.headers());
    let parent = trace.supplied().traceparent.map(str::to_owned);
    let parent = parent.as_deref();
    let mut span = tracer.receive_http(known_method(request.method()), route, parent);
    let response = span.receive(parent, answer(router, request)).await;
    span.answered(response.status().as_u16());
    response
}

/// What spans call a method: whoever asks by one of his own makes no name for a span.
fn known_method(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::HEAD
        | Method::OPTIONS => method.as_str(),
        _ => traces::OTHER,
    }
}

/// Answers one request. Here, where the path is known, problems become documents.
async fn answer(mut router: Router, request: Request<Body>) -> Response {
    let started = tracing::enabled!(tracing::Level::DEBUG).then(Instant::now);
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut response = if percent_decode_str(uri.path()).decode_utf8().is_ok() {
        match router.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    } else {
        no_such_path().await.into_response()
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        // The router has put down the length of the empty body that stood in for this one.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(problem.document(Some(uri.path())));
    }
    if let Some(started) = started {
        tracing::debug!(
            %method,
            path = %loggable(&uri),
            status = response.status().as_u16(),
            micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
    }
    response
}

/// The path as far as it holds no secret: webhooks are known to carry theirs in it, and whoever
/// asks for something unknown may have put anything there.
fn loggable(uri: &Uri) -> &str {
    let path = uri.path();
    if let Some(rest) = path.strip_prefix("/v1/hooks/") {
        let source = rest.find('/').unwrap_or(rest.len());
        return &path[..path.len() - rest.len() + source];
    }
    let known = [
        "/v1/",
        "/assets/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/asyncapi.json",
    ];
    if path == "/" || known.iter().any(|start| path.starts_with(start)) {
        path
    } else {
        "(other)"
    }
}

async fn no_such_path() -> Problem {
    Problem::not_found("there is nothing at this path")
}

/// The router adds the header `Allow`.
async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::method_not_allowed().into_response()
}

/// A JSON answer.
fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => json_text(status, text),
        Err(error) => {
            tracing::error!(%error, "failed to write an answer");
            Problem::internal("the answer could not be written").into_response()
        }
    }
}

fn json_text(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
