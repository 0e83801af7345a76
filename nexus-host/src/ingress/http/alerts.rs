//! `/v1/admin/alerts`: shows administrators what is wrong with the hub, takes notice for them, and keeps silences.

use axum::extract::{Path, Request, State as Extracted};
use axum::response::Response;
use hyper::http::request::Parts;
use hyper::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::json as value;
use uuid::Uuid;

use super::problem::Problem;
use super::query::{known, named};
use super::{State, auth, body, json};
use crate::admission::Code;
use crate::alerts::{AlertError, AlertStatus, Hush, is_pattern};
use crate::config::HumanDuration;

/// How long a note may be, in characters.
const LONGEST_NOTE: usize = 1_000;

/// How long a pattern may be, in characters.
const LONGEST_PATTERN: usize = 256;

/// Somebody takes notice.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Notice {
    /// What is said beside.
    note: Option<String>,
    /// Whether every active alert of the group is meant.
    whole_group: bool,
}

/// What is to be silent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSilence {
    /// Alerts of which rules.
    #[serde(default = "all")]
    rule: String,
    /// Alerts about what.
    #[serde(default = "all")]
    subject: String,
    /// For how long.
    lasting: HumanDuration,
    /// Why.
    note: Option<String>,
}

fn all() -> String {
    "*".to_owned()
}

/// `GET /v1/admin/alerts`.
pub(super) async fn list(
    Extracted(shared): State,
    uri: Uri,
    head: Parts,
) -> Result<Response, Problem> {
    auth::admin(&shared, &head).await?;
    let [status] = known(uri.query(), ["status"])?;
    let status = status.map(|name| named("status", &name, AlertStatus::ALL, AlertStatus::as_str));
    let status = status.transpose()?;
    let mut alerts = shared.ports.alerts.list();
    alerts.retain(|one| status.is_none_or(|status| one.alert.status == status));
    Ok(json(StatusCode::OK, &value!({ "alerts": alerts })))
}

/// `GET /v1/admin/alerts/{id}`.
pub(super) async fn show(
    Extracted(shared): State,
    Path(id): Path<String>,
    head: Parts,
) -> Result<Response, Problem> {
    auth::admin(&shared, &head).await?;
    let alert = shared.ports.alerts.get(known_id(&id, AlertError::Unknown)?);
    let alert = alert.ok_or(AlertError::Unknown)?;
    Ok(json(StatusCode::OK, &alert))
}

/// `POST /v1/admin/alerts/{id}/ack`: once more is as good.
pub(super) async fn acknowledge(
    Extracted(shared): State,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (client, body) = body::of_admin(&shared, request).await?;
    let id = known_id(&id, AlertError::Unknown)?;
    let notice: Notice = match body.is_empty() {
        true => Notice::default(),
        false => body::parse(&body)?,
    };
    expect_note(notice.note.as_deref())?;
    let (by, note) = (client.id(), notice.note.as_deref());
    let alerts = &shared.ports.alerts;
    let meant = alerts.acknowledge(id, notice.whole_group, by, note)?;
    Ok(json(StatusCode::OK, &value!({ "alerts": meant })))
}

/// `GET /v1/admin/alerts/rules`.
pub(super) async fn rules(Extracted(shared): State, head: Parts) -> Result<Response, Problem> {
    auth::admin(&shared, &head).await?;
    Ok(json(StatusCode::OK, &shared.ports.alerts.rules()))
}

/// `GET /v1/admin/alerts/silences`.
pub(super) async fn silences(Extracted(shared): State, head: Parts) -> Result<Response, Problem> {
    auth::admin(&shared, &head).await?;
    let silences = shared.ports.alerts.silences();
    Ok(json(StatusCode::OK, &value!({ "silences": silences })))
}

/// `POST /v1/admin/alerts/silences`.
pub(super) async fn silence(
    Extracted(shared): State,
    request: Request,
) -> Result<Response, Problem> {
    let (client, body) = body::of_admin(&shared, request).await?;
    let new: NewSilence = body::parse(&body)?;
    expect_note(new.note.as_deref())?;
    for (field, pattern) in [("/rule", &new.rule), ("/subject", &new.subject)] {
        let length = pattern.chars().count();
        if length == 0 || length > LONGEST_PATTERN || pattern.contains(char::is_control) {
            let told = format!(
                "has {length} characters; 1 to {LONGEST_PATTERN} without control characters fit"
            );
            return Err(unfit(field, told));
        }
        if !is_pattern(pattern) {
            return Err(unfit(field, "may have `*` only at its end"));
        }
    }
    if new.lasting.get().is_zero() {
        return Err(unfit("/lasting", "must be more than 0s"));
    }
    let hush = Hush {
        rule: new.rule,
        subject: new.subject,
        lasting: new.lasting.get(),
        note: new.note,
    };
    let silence = shared.ports.alerts.silence(hush, client.id())?;
    Ok(json(StatusCode::CREATED, &silence))
}

/// `DELETE /v1/admin/alerts/silences/{id}`.
pub(super) async fn unsilence(
    Extracted(shared): State,
    Path(id): Path<String>,
    head: Parts,
) -> Result<Response, Problem> {
    let client = auth::admin(&shared, &head).await?;
    let id = known_id(&id, AlertError::UnknownSilence)?;
    let ended = shared.ports.alerts.unsilence(id, client.id())?;
    Ok(json(StatusCode::OK, &ended))
}

impl From<AlertError> for Problem {
    fn from(error: AlertError) -> Self {
        let told = error.to_string();
        match error {
            AlertError::Unknown | AlertError::UnknownSilence => Self::not_found(told),
            AlertError::Over | AlertError::TooManySilences => Self::new(Code::Conflict, told),
        }
    }
}

fn expect_note(note: Option<&str>) -> Result<(), Problem> {
    let fits =
        |note: &str| note.chars().count() <= LONGEST_NOTE && !note.contains(char::is_control);
    match note.is_none_or(fits) {
        true => Ok(()),
        false => Err(unfit(
            "/note",
            format!("a note has at most {LONGEST_NOTE} characters, without control characters"),
        )),
    }
}

fn unfit(field: &str, told: impl Into<String>) -> Problem {
    Problem::unfit("the request", field, told)
}

fn known_id(text: &str, unknown: AlertError) -> Result<Uuid, AlertError> {
    Uuid::try_parse(text).map_err(|_| unknown)
}
