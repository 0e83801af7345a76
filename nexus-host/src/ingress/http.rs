//! The routes: receives requests, hands them to their handlers, and turns every refusal into a
//! problem document. It opens no socket, and logs neither bodies, queries nor keys.

mod admin;
mod auth;
mod body;
mod contracts;
mod dead_letters;
mod events;
mod health;
mod hooks;
mod problem;
mod query;
mod stream;
mod webhooks;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use hyper::{Method, Request, StatusCode, Uri, header};
use serde::Serialize;
use tokio::sync::watch;
use tower::Service;

use super::config::Config;
use super::ports::Ports;
use crate::admission::Admission;
use problem::Problem;

/// What every handler works with.
pub(super) struct Shared {
    ports: Ports,
    body_timeout: Duration,
    ack_timeout: Duration,
    stopping: watch::Receiver<bool>,
}

type State = axum::extract::State<Arc<Shared>>;

impl Shared {
    fn admission(&self) -> &Admission {
        self.ports.intake.admission()
    }

    /// Ready when the server is to stop.
    async fn stopped(&self) {
        // An error means that the server is gone, which is a stop as well.
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

/// Every route there is.
pub(super) fn router(ports: Ports, config: &Config, stopping: watch::Receiver<bool>) -> Router {
    let shared = Shared {
        ports,
        body_timeout: config.body_timeout.get(),
        ack_timeout: config.ack_timeout.get(),
        stopping,
    };
    Router::new()
        .route("/v1/events", post(events::publish))
        .route("/v1/events/stream", get(stream::follow))
        .route("/v1/events/{id}", get(events::journey))
        .route("/v1/contracts", get(contracts::list))
        .route("/v1/contracts/{type}", get(contracts::newest))
        .route("/v1/contracts/{type}/{version}", get(contracts::version))
        .route("/v1/hooks/{source}", any(hooks::hook))
        .route("/v1/hooks/{source}/", any(hooks::hook))
        .route("/v1/hooks/{source}/{*rest}", any(hooks::hook))
        .route("/v1/admin/plugins", get(admin::plugins))
        .route("/v1/admin/queue", get(admin::queue))
        .route("/v1/admin/breakers", get(admin::breakers))
        .route("/v1/admin/breakers/{*rest}", post(admin::switch_breaker))
        .route("/v1/admin/dead-letters", get(dead_letters::list))
        .route("/v1/admin/dead-letters/replay", post(dead_letters::replay))
        .route("/v1/admin/dead-letters/purge", post(dead_letters::purge))
        .route(
            "/v1/admin/dead-letters/{id}",
            get(dead_letters::show).delete(dead_letters::purge_one),
        )
        .route(
            "/v1/admin/dead-letters/{id}/replay",
            post(dead_letters::replay_one),
        )
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .method_not_allowed_fallback(other_method)
        .fallback(no_such_path)
        .with_state(Arc::new(shared))
}

/// Answers one request. Here, where the path is known, problems become documents.
pub(super) async fn answer(mut router: Router, request: Request<Body>) -> Response {
    let started = tracing::enabled!(tracing::Level::DEBUG).then(Instant::now);
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut response = match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
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
    let known = ["/v1/", "/healthz", "/readyz"];
    if known.iter().any(|start| path.starts_with(start)) {
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
