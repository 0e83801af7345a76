//! `/v1/admin/approvals`: shows administrators the questions that wait for a person, and takes their answers.

use axum::extract::{Path, Request, State as Extracted};
use axum::response::Response;
use hyper::http::request::Parts;
use hyper::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::json as value;
use uuid::Uuid;

use super::problem::Problem;
use super::query::{known, refused};
use super::{State, auth, body, json};
use crate::admission::{Code, Rejection, Violation, quoted};
use crate::approvals::{AnswerError, ApprovalStatus};

/// Where a question may stand.
const STATES: [ApprovalStatus; 3] = [
    ApprovalStatus::Pending,
    ApprovalStatus::Answered,
    ApprovalStatus::Expired,
];

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
    let status = status.map(|name| state(&name)).transpose()?;
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
    let (head, body) = request.into_parts();
    let sender = auth::admin_sender(&shared, &head).await?;
    let (client, body) = body::receive_of_admin(&shared, &head, sender, body).await?;
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
            AnswerError::Choice(_) => unfit("/choice", told),
            AnswerError::Note | AnswerError::NoteMissing => unfit("/note", told),
            AnswerError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

fn unfit(field: &str, told: String) -> Problem {
    let place = Violation::new(field, told);
    let unfit = Rejection::new(
        Code::ContractViolation,
        "the answer does not fit; see `errors`",
    );
    unfit.with_errors(vec![place]).into()
}

fn state(name: &str) -> Result<ApprovalStatus, Problem> {
    let known = STATES.into_iter().find(|state| state.as_str() == name);
    known.ok_or_else(|| {
        let names = STATES
            .map(|state| format!("`{}`", state.as_str()))
            .join(", ");
        let name = quoted(name);
        refused(format!("the status {name} is not known; known: {names}"))
    })
}

fn approval_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| Problem::not_found(AnswerError::Unknown.to_string()))
}
