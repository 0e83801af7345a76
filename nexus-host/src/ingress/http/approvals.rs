//! `/v1/admin/approvals`: shows administrators the questions that wait for a person, and takes their answers.

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
use crate::approvals::{AnswerError, ApprovalStatus};

/// Where a question may stand.
const STATES: [ApprovalStatus; 3] = [
    ApprovalStatus::Pending,
    ApprovalStatus::Answered,
    ApprovalStatus::Expired,
];

/// What may not fit.
const ANSWER: &str = "the answer";

/// What somebody answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    /// The id of a choice.
    choice: String,
    /// What is said beside.
    note: Option<String>,
}

/// `GET /v1/admin/approvals`: without what came with each, which may be a lot.
pub(super) async fn list(
    Extracted(shared): State,
    uri: Uri,
    head: Parts,
) -> Result<Response, Problem> {
    auth::admin(&shared, &head).await?;
    let [status] = known(uri.query(), ["status"])?;
    let status = status.map(|name| named("status", &name, STATES, ApprovalStatus::as_str));
    let status = status.transpose()?;
    let mut approvals = shared.ports.admin.approvals();
    approvals.retain(|approval| status.is_none_or(|status| approval.status == status));
    let approvals: Vec<_> = approvals
        .iter()
        .map(|approval| approval.outline())
        .collect();
    Ok(json(StatusCode::OK, &value!({ "approvals": approvals })))
}

/// `GET /v1/admin/approvals/{id}`.
pub(super) async fn show(
    Extracted(shared): State,
    Path(id): Path<String>,
    head: Parts,
) -> Result<Response, Problem> {
    auth::admin(&shared, &head).await?;
    let approval = shared.ports.admin.approval(approval_id(&id)?);
    let approval = approval.ok_or_else(|| Problem::not_found(AnswerError::Unknown.to_string()))?;
    Ok(json(StatusCode::OK, &approval))
}

/// `POST /v1/admin/approvals/{id}`: answers it. The first answer counts; the same one again is as good.
pub(super) async fn answer(
    Extracted(shared): State,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (client, body) = body::of_admin(&shared, request).await?;
    let id = approval_id(&id)?;
    let Answer { choice, note } = body::parse(&body)?;
    let admin = &shared.ports.admin;
    let answered = admin
        .answer(id, &choice, client.id(), note.as_deref())
        .await;
    match answered {
        Ok(approval) => Ok(json(StatusCode::OK, &approval)),
        Err(AnswerError::Ended(approval))
            if approval.answer.as_ref().is_some_and(|given| {
                given.choice == choice && given.by.as_deref() == Some(client.id())
            }) =>
        {
            Ok(json(StatusCode::OK, &approval))
        }
        Err(error) => Err(error.into()),
    }
}

impl From<AnswerError> for Problem {
    fn from(error: AnswerError) -> Self {
        let told = error.to_string();
        match error {
            AnswerError::Unknown => Self::not_found(told),
            AnswerError::Ended(_) => Self::new(Code::Conflict, told),
            AnswerError::Choice(_) => Self::unfit(ANSWER, "/choice", told),
            AnswerError::Note | AnswerError::NoteMissing => Self::unfit(ANSWER, "/note", told),
            AnswerError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

fn approval_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| Problem::not_found(AnswerError::Unknown.to_string()))
}
