//! `/v1/events`: receives bodies with events, answers what became of each; and tells the journey
//! of one. It waits for an outcome only where it is asked to, and then not for ever.

use std::borrow::Cow;

use axum::extract::{Path, Request, State as Extracted};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use hyper::{HeaderMap, StatusCode};
use nexus_plugin_api::PublishStatus;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::deprecation;
use super::problem::{Document, Problem};
use super::query::{known, refused};
use super::{Shared, State, auth, body, json, json_text};
use crate::admission::{ClientScope, Notice, quoted};
use crate::intake::{Receipt, Submitted};
use crate::queue::{EventStatus, Journey};

/// `POST /v1/events`.
pub(super) async fn publish(
    Extracted(shared): State,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let client = auth::client(&shared, &head.headers)?;
    let [ack] = known(head.uri.query(), ["ack"])?;
    let watched = match ack.as_deref() {
        None => false,
        Some("processed") => true,
        Some(other) => {
            let other = quoted(other);
            return Err(refused(format!(
                "`ack` knows `processed` only, found {other}"
            )));
        }
    };
    body::expect_json(&head.headers)?;
    let limit = shared.admission().limits().max_body;
    let body = body::read(body, limit, shared.body_timeout).await?;
    let submitted = shared.ports.intake.submit(&client, &body, watched).await;
    drop(body);
    let submitted = submitted.inspect_err(|refused| {
        tracing::debug!(client = %client.id(), code = %refused.code(), "refused");
    })?;
    let deadline = Instant::now() + shared.ack_timeout;
    match submitted {
        Submitted::One(mut receipt) => {
            if let Some(journey) = outcome(&shared, &client, &mut receipt, deadline).await {
                let mut response = json(StatusCode::OK, &journey);
                if let Some(notice) = &receipt.notice {
                    deprecation::announce(notice, response.headers_mut());
                }
                return Ok(response);
            }
            let (id, status) = (receipt.event_id, word(receipt.status()));
            let mut response = match receipt.first_accepted_at {
                None => {
                    let text = format!(r#"{{"event_id":"{id}","status":"{status}"}}"#);
                    json_text(StatusCode::ACCEPTED, text)
                }
                Some(_) => json(StatusCode::ACCEPTED, &One::taken(&receipt)),
            };
            if let Some(notice) = &receipt.notice {
                deprecation::announce(notice, response.headers_mut());
            }
            Ok(response)
        }
        Submitted::Many(answers) => {
            let mut outcomes = Vec::with_capacity(answers.len());
            for answer in answers {
                outcomes.push(match answer {
                    Ok(mut receipt) => {
                        let journey = outcome(&shared, &client, &mut receipt, deadline).await;
                        Ok((receipt, journey))
                    }
                    Err(rejection) => Err(Problem::from(rejection)),
                });
            }
            Ok(all(&outcomes, watched))
        }
    }
}

fn word(status: PublishStatus) -> &'static str {
    match status {
        PublishStatus::Accepted => "accepted",
        PublishStatus::Duplicate => "duplicate",
    }
}

/// What became of one element of an array.
#[derive(Serialize)]
#[serde(untagged)]
enum One<'a> {
    Finished(&'a Journey),
    Taken {
        event_id: Uuid,
        status: &'static str,
        #[serde(flatten)]
        first: Option<First>,
        /// That the contract version which was sent is outdated.
        #[serde(skip_serializing_if = "Option::is_none")]
        deprecation: Option<&'a Notice>,
    },
    Refused {
        status: &'static str,
        error: Document<'a>,
    },
}

/// Where the first outcome of a duplicate is to be found.
#[derive(Serialize)]
struct First {
    first_accepted_at: DateTime<Utc>,
    href: String,
}

impl<'a> One<'a> {
    /// An event that is in, or was there before.
    fn taken(receipt: &'a Receipt) -> Self {
        let event_id = receipt.event_id;
        Self::Taken {
            event_id,
            status: word(receipt.status()),
            first: receipt.first_accepted_at.map(|first_accepted_at| First {
                first_accepted_at,
                href: format!("/v1/events/{event_id}"),
            }),
            deprecation: receipt.notice.as_deref(),
        }
    }
}

type Outcome = Result<(Receipt, Option<Journey>), Problem>;

/// 202 when all were taken, 200 when all are finished, 207 when some were refused.
fn all(outcomes: &[Outcome], watched: bool) -> Response {
    let body: Vec<One<'_>> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok((_, Some(journey))) => One::Finished(journey),
            Ok((receipt, None)) => One::taken(receipt),
            Err(problem) => One::Refused {
                status: "rejected",
                error: problem.as_document(None),
            },
        })
        .collect();
    let finished = |one: &One<'_>| matches!(one, One::Finished(_));
    let status = if outcomes.iter().any(Result::is_err) {
        StatusCode::MULTI_STATUS
    } else if watched && body.iter().all(finished) {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    json(status, &body)
}

/// Waits until the event is finished, when the receipt was asked to tell; not past the deadline,
/// and not while the server wants to stop.
async fn outcome(
    shared: &Shared,
    client: &ClientScope,
    receipt: &mut Receipt,
    deadline: Instant,
) -> Option<Journey> {
    let watch = receipt.watch.take()?;
    let queue = shared.ports.intake.queue();
    // Another source may have used the same id.
    let is_finished = |journey: &Journey| within_reach(client, journey) && is_finished(journey);
    // A duplicate may have been finished, and forgotten, long before anybody watched.
    if receipt.first_accepted_at.is_some() {
        // Whoever cannot be told the outcome for the moment is told that the event is in.
        let journey = queue.journey(receipt.event_id).await.ok()??;
        if is_finished(&journey) {
            return Some(journey);
        }
    }
    tokio::select! {
        biased;
        () = watch => {}
        () = sleep_until(deadline) => return None,
        () = shared.stopped() => return None,
    }
    let journey = queue.journey(receipt.event_id).await.ok()?;
    journey.filter(is_finished)
}

fn within_reach(client: &ClientScope, journey: &Journey) -> bool {
    client.is_admin() || client.covers(&journey.source, &journey.event_type)
}

fn is_finished(journey: &Journey) -> bool {
    matches!(journey.status, EventStatus::Processed | EventStatus::Dead)
}

/// `GET /v1/events/{id}`. An event out of the client's reach is answered as one that is unknown.
pub(super) async fn journey(
    Extracted(shared): State,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let client = auth::client(&shared, &headers)?;
    let unknown = || {
        let detail: Cow<'static, str> = "no such event is known, or it was forgotten".into();
        Problem::not_found(detail)
    };
    let id = Uuid::try_parse(&id).map_err(|_| unknown())?;
    let journey = shared.ports.intake.queue().journey(id).await?;
    let journey = journey.filter(|journey| within_reach(&client, journey));
    let journey = journey.ok_or_else(unknown)?;
    Ok(json(StatusCode::OK, &journey).into_response())
}
