//! The handshake of CloudEvents' web hooks: receives the question of somebody who wants to deliver
//! events here, hands on whether he may. It lets nobody in: events need a key all the same.

use axum::extract::State as Extracted;
use axum::response::Response;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{HeaderMap, StatusCode};

use super::State;

const REQUEST_ORIGIN: &str = "webhook-request-origin";
const ALLOWED_ORIGIN: &str = "webhook-allowed-origin";
const ALLOWED_RATE: &str = "webhook-allowed-rate";

/// `OPTIONS /v1/events`. A callback address that the question may name is not called.
pub(super) async fn offer(Extracted(shared): State, headers: HeaderMap) -> Response {
    let mut response = Response::default();
    let answer = response.headers_mut();
    answer.insert(ALLOW, HeaderValue::from_static("POST,OPTIONS"));
    let Some(origin) = headers.get(REQUEST_ORIGIN) else {
        *response.status_mut() = StatusCode::NO_CONTENT;
        return response;
    };
    if let Some(allowed) = allowed(&shared.webhook_origins, origin) {
        answer.insert(ALLOWED_ORIGIN, allowed);
        // How often he may come is for his key to say, and a refusal for that reason says when.
        answer.insert(ALLOWED_RATE, HeaderValue::from_static("*"));
    }
    response
}

/// What to answer to an origin that may deliver.
fn allowed(origins: &[String], asked: &HeaderValue) -> Option<HeaderValue> {
    let same = |origin: &&String| {
        *origin == "*" || asked.as_bytes().eq_ignore_ascii_case(origin.as_bytes())
    };
    let origin = origins.iter().find(same)?;
    HeaderValue::try_from(origin).ok()
}
