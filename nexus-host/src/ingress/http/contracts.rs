//! `/v1/contracts`: shows the registered contracts as JSON Schema. It changes none.

use std::sync::Arc;

use axum::extract::{Path, State as Extracted};
use axum::response::Response;
use hyper::StatusCode;
use hyper::http::request::Parts;
use semver::Version;
use serde::Serialize;
use serde_json::Value;

use super::problem::Problem;
use super::{State, auth, json};
use crate::admission::{Contract, quoted};

/// One type in the list.
#[derive(Serialize)]
struct Listed {
    r#type: String,
    /// The newest.
    version: Version,
    versions: Vec<Version>,
    plugin: String,
}

/// One version in full.
#[derive(Serialize)]
struct Shown<'a> {
    r#type: &'a str,
    version: &'a Version,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    versions: Vec<Version>,
    plugin: &'a str,
    schema: &'a Value,
}

/// `GET /v1/contracts`.
pub(super) async fn list(Extracted(shared): State, head: Parts) -> Result<Response, Problem> {
    auth::client(&shared, &head).await?;
    let contracts = shared.admission().contracts();
    let mut listed: Vec<Listed> = Vec::new();
    for contract in contracts.list() {
        let info = contract.info();
        match listed.last_mut() {
            Some(last) if last.r#type == info.event_type => {
                last.versions.push(info.version.clone());
            }
            _ => {
                let newest = contracts.newest(&info.event_type);
                let newest = newest.as_deref().unwrap_or(&*contract);
                listed.push(Listed {
                    r#type: info.event_type.clone(),
                    version: newest.info().version.clone(),
                    versions: vec![info.version.clone()],
                    plugin: newest.owner().to_owned(),
                });
            }
        }
    }
    let body = serde_json::json!({ "contracts": listed });
    Ok(json(StatusCode::OK, &body))
}

/// `GET /v1/contracts/{type}`: the newest version.
pub(super) async fn newest(
    Extracted(shared): State,
    Path(event_type): Path<String>,
    head: Parts,
) -> Result<Response, Problem> {
    auth::client(&shared, &head).await?;
    let contracts = shared.admission().contracts();
    let newest = contracts.newest(&event_type);
    let newest = newest.ok_or_else(|| unknown_type(&event_type))?;
    let versions = contracts.versions(&event_type);
    let versions: Vec<Arc<Contract>> = versions.map_or_else(Vec::new, |v| v.to_vec());
    let versions = versions.iter().map(|c| c.info().version.clone());
    Ok(show(&newest, versions.collect()))
}

/// `GET /v1/contracts/{type}/{version}`.
pub(super) async fn version(
    Extracted(shared): State,
    Path((event_type, version)): Path<(String, String)>,
    head: Parts,
) -> Result<Response, Problem> {
    auth::client(&shared, &head).await?;
    let contracts = shared.admission().contracts();
    if contracts.newest(&event_type).is_none() {
        return Err(unknown_type(&event_type));
    }
    let parsed = Version::parse(&version).ok();
    let found = parsed.and_then(|version| contracts.get(&event_type, &version));
    let found = found.ok_or_else(|| {
        let version = quoted(&version);
        Problem::not_found(format!("the type {event_type} has no version {version}"))
    })?;
    Ok(show(&found, Vec::new()))
}

fn show(contract: &Contract, versions: Vec<Version>) -> Response {
    let info = contract.info();
    let shown = Shown {
        r#type: &info.event_type,
        version: &info.version,
        versions,
        plugin: contract.owner(),
        schema: &info.schema,
    };
    json(StatusCode::OK, &shown)
}

fn unknown_type(event_type: &str) -> Problem {
    let event_type = quoted(event_type);
    Problem::not_found(format!("no contract is known for the type {event_type}"))
}
