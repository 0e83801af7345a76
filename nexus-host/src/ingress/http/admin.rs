//! `/v1/admin`: shows clients that may administer what the hub is doing. It changes nothing.

use axum::extract::State as Extracted;
use axum::response::Response;
use hyper::{HeaderMap, StatusCode};
use serde_json::json as value;

use super::problem::Problem;
use super::{State, auth, json};
use crate::queue::{LetterFilter, Page};

/// Dead letters in one answer.
const MAX_LETTERS: usize = 1_000;

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

/// `GET /v1/admin/dead-letters`.
pub(super) async fn dead_letters(
    Extracted(shared): State,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    auth::admin(&shared, &headers)?;
    let queue = shared.ports.intake.queue();
    let page = Page::first(MAX_LETTERS);
    let letters = queue.dead_letters(LetterFilter::default(), page).await?;
    Ok(json(StatusCode::OK, &value!({ "dead_letters": letters })))
}
