//! `/v1/admin/log`: which lines the hub writes into its log, shown and changed while it runs.

use axum::extract::{Request, State as Extracted};
use axum::response::Response;
use hyper::StatusCode;
use hyper::http::request::Parts;
use serde::Deserialize;

use super::problem::Problem;
use super::{State, auth, body, json};
use crate::admission::{Code, Violation};
use crate::observe::Log;

/// What the log is to become.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// A level or a filter.
    filter: String,
}

/// `GET /v1/admin/log`.
pub(super) async fn show(Extracted(shared): State, head: Parts) -> Result<Response, Problem> {
    auth::admin(&shared, &head).await?;
    Ok(json(StatusCode::OK, &log()?.filter()))
}

/// `PUT /v1/admin/log`: until the configuration's own level changes, or the hub ends.
pub(super) async fn change(
    Extracted(shared): State,
    request: Request,
) -> Result<Response, Problem> {
    let (client, body) = body::of_admin(&shared, request).await?;
    let Wanted { filter } = body::parse(&body)?;
    let changed = log()?.set(&filter).map_err(|error| {
        let detail = "this is no filter of the log; nothing has changed".to_owned();
        Problem::invalid_config(detail, vec![Violation::new("/filter", error.to_string())])
    })?;
    tracing::info!(client = %client.id(), filter, "the log's level is changed");
    Ok(json(StatusCode::OK, &changed))
}

fn log() -> Result<&'static Log, Problem> {
    Log::of_this_process().ok_or_else(|| {
        let detail =
            "the program that the hub is in has a log of its own, which the hub does not change";
        Problem::new(Code::Conflict, detail)
    })
}
