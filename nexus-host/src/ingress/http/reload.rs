//! `/v1/admin/reload`: has the hub read its configuration again, and tells what that changes. A plan changes
//! nothing, and may be asked for with a text in the place of the configuration file.

use axum::extract::{Request, State as Extracted};
use axum::response::Response;
use hyper::StatusCode;
use serde::Deserialize;

use super::problem::Problem;
use super::{State, body, json};
use crate::admission::{Code, Violation};
use crate::ingress::ports::NotReloaded;

/// What a plan is asked for with.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    /// The text that is to stand in the configuration file.
    config: Option<String>,
}

/// What a reload is asked for with: nothing, since it reads the hub's own files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// `POST /v1/admin/reload`.
pub(super) async fn reload(
    Extracted(shared): State,
    request: Request,
) -> Result<Response, Problem> {
    let (client, body) = body::of_admin(&shared, request).await?;
    if !body.is_empty() {
        let Nothing {} = body::parse(&body)?;
    }
    tracing::info!(client = %client.id(), "asked to read the configuration again");
    let changed = shared.ports.admin.reload().await?;
    Ok(json(StatusCode::OK, &changed))
}

/// `POST /v1/admin/reload/plan`.
pub(super) async fn plan(Extracted(shared): State, request: Request) -> Result<Response, Problem> {
    let (_, body) = body::of_admin(&shared, request).await?;
    let asked: Asked = match body.is_empty() {
        true => Asked::default(),
        false => body::parse(&body)?,
    };
    let planned = shared.ports.admin.plan(asked.config).await?;
    Ok(json(StatusCode::OK, &planned))
}

impl From<NotReloaded> for Problem {
    fn from(refused: NotReloaded) -> Self {
        if refused.problems.is_empty() {
            return Self::new(Code::Conflict, refused.detail);
        }
        let errors = refused.problems.into_iter();
        let errors = errors.map(|(key, told)| Violation::new(pointer(&key), told));
        Self::invalid_config(refused.detail, errors.collect())
    }
}

/// A key as a JSON Pointer: `clients[1].id` is `/clients/1/id`.
fn pointer(key: &str) -> String {
    let steps = key.split(['.', '[']).map(|step| step.trim_end_matches(']'));
    let steps = steps.filter(|step| !step.is_empty());
    steps.map(|step| format!("/{step}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_pointers() {
        assert_eq!(pointer("clients[1].id"), "/clients/1/id");
        assert_eq!(pointer(""), "");
    }
}
