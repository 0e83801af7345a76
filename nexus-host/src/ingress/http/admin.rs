//! `/v1/admin`: shows clients that may administer what the hub is doing, and opens and closes
//! breakers for them. It changes nothing else.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extracted};
use axum::response::Response;
use hyper::http::request::Parts;
use hyper::{StatusCode, Uri};

use super::problem::Problem;
use super::{State, auth, json, no_such_path};
use crate::admission::quoted;

/// `GET /v1/admin/plugins`.
pub(super) async fn plugins(Extracted(shared): State, head: Parts) -> Result<Response, Problem> {
    auth::admin(&shared, &head).await?;
    Ok(json(StatusCode::OK, &shared.ports.admin.plugins()))
}

/// `GET /v1/admin/breakers`.
pub(super) async fn breakers(Extracted(shared): State, head: Parts) -> Result<Response, Problem> {
    auth::admin(&shared, &head).await?;
    Ok(json(StatusCode::OK, &shared.ports.admin.breakers()))
}

/// `POST /v1/admin/breakers/{name}/open` and `POST /v1/admin/breakers/{name}/close`: answers how
/// the breaker stands then. A name may have slashes in it, as they are or escaped.
pub(super) async fn switch_breaker(
    Extracted(shared): State,
    uri: Uri,
    path: Result<Path<String>, PathRejection>,
    head: Parts,
) -> Result<Response, Problem> {
    let client = auth::admin(&shared, &head).await?;
    // As it was written: an escaped slash belongs to the name.
    let action = uri.path().rsplit('/').next().unwrap_or_default();
    let rest = path.as_deref().map_or("", |rest| rest);
    let Some((name, _)) = rest.rsplit_once('/') else {
        return Err(no_such_path().await);
    };
    let admin = &shared.ports.admin;
    let breaker = match action {
        "open" => admin.open_breaker(name),
        "close" => admin.close_breaker(name),
        _ => return Err(no_such_path().await),
    };
    let Some(breaker) = breaker else {
        let name = quoted(name);
        return Err(Problem::not_found(format!("no breaker is named {name}")));
    };
    tracing::info!(
        client = %client.id(),
        breaker = name,
        action,
        "a breaker is switched by hand"
    );
    Ok(json(StatusCode::OK, &breaker))
}

/// `GET /v1/admin/queue`.
pub(super) async fn queue(Extracted(shared): State, head: Parts) -> Result<Response, Problem> {
    auth::admin(&shared, &head).await?;
    Ok(json(StatusCode::OK, &shared.ports.intake.queue().stats()))
}
