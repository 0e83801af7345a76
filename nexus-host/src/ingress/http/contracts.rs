//! `/v1/contracts`: shows the registered contracts as JSON Schema. It changes none.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State as Extracted};
use axum::response::Response;
use chrono::{DateTime, Utc};
use hyper::StatusCode;
use hyper::http::request::Parts;
use nexus_plugin_api::RuleInfo;
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
    /// The versions that are outdated, or will be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outdated: Vec<Outdated>,
    /// How many events of each version were admitted since the start; versions without any left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    uses: BTreeMap<Version, u64>,
}

/// A version that should not be sent any more, or that will not be taken some day.
#[derive(Serialize)]
struct Outdated {
    version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecated: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sunset: Option<DateTime<Utc>>,
}

/// One version in full.
#[derive(Serialize)]
struct Shown<'a> {
    r#type: &'a str,
    version: &'a Version,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    versions: Vec<Version>,
    plugin: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecated: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sunset: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rules: &'a [RuleInfo],
    /// How many events of this version were admitted since the start.
    uses: u64,
    schema: &'a Value,
}

impl Listed {
    fn add(&mut self, contract: &Contract) {
        let info = contract.info();
        self.versions.push(info.version.clone());
        if info.deprecated.is_some() || info.sunset.is_some() {
            self.outdated.push(Outdated {
                version: info.version.clone(),
                deprecated: info.deprecated,
                sunset: info.sunset,
            });
        }
        if contract.uses() > 0 {
            self.uses.insert(info.version.clone(), contract.uses());
        }
    }
}

/// `GET /v1/contracts`.
pub(super) async fn list(Extracted(shared): State, head: Parts) -> Result<Response, Problem> {
    auth::contract_reader(&shared, &head).await?;
    let contracts = shared.admission().contracts().clone();
    let mut listed: Vec<Listed> = Vec::new();
    for contract in contracts.list() {
        let info = contract.info();
        if listed
            .last()
            .is_none_or(|last| last.r#type != info.event_type)
        {
            let newest = contracts.newest(&info.event_type);
            let newest = newest.as_deref().unwrap_or(&*contract);
            listed.push(Listed {
                r#type: info.event_type.clone(),
                version: newest.info().version.clone(),
                versions: Vec::new(),
                plugin: newest.owner().to_owned(),
                outdated: Vec::new(),
                uses: BTreeMap::new(),
            });
        }
        if let Some(last) = listed.last_mut() {
            last.add(&contract);
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
    auth::contract_reader(&shared, &head).await?;
    let contracts = shared.admission().contracts().clone();
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
    auth::contract_reader(&shared, &head).await?;
    let contracts = shared.admission().contracts().clone();
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
        deprecated: info.deprecated,
        sunset: info.sunset,
        rules: &info.rules,
        uses: contract.uses(),
        schema: &info.schema,
    };
    json(StatusCode::OK, &shown)
}

fn unknown_type(event_type: &str) -> Problem {
    let event_type = quoted(event_type);
    Problem::not_found(format!("no contract is known for the type {event_type}"))
}
