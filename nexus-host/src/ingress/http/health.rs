//! `/healthz` and `/readyz`: tell whoever asks whether the process lives, and whether it takes
//! events. They ask for no key, and so tell nothing that needs one: why something does not work is
//! for administrators.

use axum::extract::State as Extracted;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;

use super::{State, auth, json, json_text};
use crate::ingress::ports::{Check, ReadyStatus};

/// `GET /healthz`.
pub(super) async fn alive() -> Response {
    uncached(json_text(StatusCode::OK, r#"{"status":"ok"}"#))
}

/// `GET /readyz`. Not ready is an answer, not a problem: it has the checks in it.
pub(super) async fn ready(Extracted(shared): State, head: Parts) -> Response {
    let mut report = shared.ports.readiness.report();
    // Whoever shows nothing is no stranger who failed to get in.
    let is_admin = auth::presents_something(&head)
        && auth::client(&shared, &head)
            .await
            .is_ok_and(|client| client.is_admin());
    if !is_admin {
        report.checks.iter_mut().for_each(Check::keep_to_yourself);
    }
    if *shared.stopping.borrow() {
        report.status = ReadyStatus::ShuttingDown;
    }
    match report.status {
        ReadyStatus::Ready | ReadyStatus::Degraded => uncached(json(StatusCode::OK, &report)),
        ReadyStatus::NotReady | ReadyStatus::ShuttingDown => {
            let mut response = json(StatusCode::SERVICE_UNAVAILABLE, &report);
            let delay = HeaderValue::from_static("5");
            response.headers_mut().insert(RETRY_AFTER, delay);
            uncached(response)
        }
    }
}

fn uncached(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}
