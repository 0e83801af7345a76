//! `/v1/admin`: shows clients that may administer what the hub is doing. It changes nothing.

use axum::extract::State as Extracted;
use axum::response::Response;
use hyper::{HeaderMap, StatusCode};

use super::problem::Problem;
use super::{State, auth, json};

/// `GET /v1/admin/plugins`.
pub(super) async fn plugins(
    Extracted(shared): State,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    auth::admin(&shared, &headers)?;
    Ok(json(StatusCode::OK, &shared.ports.admin.plugins()))
}

/// `GET /v1/admin/breakers`.
pub(super) async fn breakers(
    Extracted(shared): State,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    auth::admin(&shared, &headers)?;
    Ok(json(StatusCode::OK, &shared.ports.admin.breakers()))
}

/// `GET /v1/admin/queue`.
pub(super) async fn queue(
    Extracted(shared): State,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    auth::admin(&shared, &headers)?;
    Ok(json(StatusCode::OK, &shared.ports.intake.queue().stats()))
}
