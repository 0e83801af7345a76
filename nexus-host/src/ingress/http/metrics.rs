//! `/metrics`: what is counted, for a client that may read it.

use axum::extract::State as Extracted;
use axum::response::{IntoResponse, Response};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::http::request::Parts;

use super::problem::Problem;
use super::{State, auth};
use crate::observe::Metrics;

/// `GET /metrics`.
pub(super) async fn metrics(Extracted(shared): State, head: Parts) -> Result<Response, Problem> {
    auth::metrics_reader(&shared, &head).await?;
    let text = shared.ports.metrics.text().map_err(|error| {
        tracing::error!(%error, "failed to write the metrics");
        Problem::internal("the metrics could not be written")
    })?;
    let headers = [
        (CONTENT_TYPE, Metrics::CONTENT_TYPE),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, text).into_response())
}
