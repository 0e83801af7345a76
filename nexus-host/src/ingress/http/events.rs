//! `/v1/events`: receives bodies with events, answers what became of each; and tells the journey
//! of one. It waits for an outcome only where it is asked to, and then not for ever.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State as Extracted};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode};
use nexus_plugin_api::{Event, PublishStatus};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::deprecation;
use super::encoding::Encoding;
use super::format::{Format, PREFIX};
use super::idempotency::{Content, Key};
use super::problem::{Document, Problem};
use super::query::{known, refused};
use super::{Shared, State, auth, body, json, json_text, rate};
use crate::admission::{ClientScope, Notice, Rejection, Sender, Supplied, Transport, quoted};
use crate::ingress::cloudevents;
use crate::intake::{Door, Receipt, Submitted};
use crate::observe::stages::Named;
use crate::queue::{EventStatus, Journey};

/// `POST /v1/events`.
pub(super) async fn publish(
    Extracted(shared): State,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let sender = auth::publisher(&shared, &head, Transport::Http).await;
    let sender = sender.inspect_err(|problem| shared.count_refused(Door::Http, problem))?;
    let known = sender.known().cloned();
    let opened = open(&shared, &head, sender, body).await;
    let opened = opened.map_err(|problem| match &known {
        Some(client) => shared.refuse(Door::Http, client, problem),
        None => {
            shared.count_refused(Door::Http, &problem);
            problem
        }
    })?;
    let client = opened.client.clone();
    let answer = take_in(&shared, &head.headers, opened).await;
    Ok(rate::announced(&client, answer.into_response()))
}

/// A request of which everything is known but its events.
struct Opened {
    client: Arc<ClientScope>,
    format: Format,
    encoding: Encoding,
    body: Bytes,
    watched: bool,
}

async fn open(
    shared: &Shared,
    head: &Parts,
    sender: Sender,
    body: Body,
) -> Result<Opened, Problem> {
    let watched = is_watched(head.uri.query())?;
    let format = Format::of(&head.headers)?;
    let (client, encoding, body) = body::receive(shared, head, sender, body).await?;
    Ok(Opened {
        client,
        format,
        encoding,
        body,
        watched,
    })
}

async fn take_in(
    shared: &Shared,
    headers: &HeaderMap,
    mut opened: Opened,
) -> Result<Response, Problem> {
    let (client, watched) = (opened.client.clone(), opened.watched);
    let refuse = |problem| shared.refuse(Door::Http, &client, problem);
    let most = shared.admission().limits().max_body;
    opened.body = opened
        .encoding
        .undo(opened.body, most)
        .await
        .map_err(refuse)?;
    let claim = Claim::of(shared, &client, headers, &opened.body).map_err(refuse)?;
    let key = claim.as_ref().map(|claim| claim.key);
    let trace = Trace::of(headers);
    let supply = |place| Supplied {
        event_id: key.map(|key| key.event_id(place)),
        ..trace.supplied()
    };
    let submitted = submit(shared, opened, supply).await;
    if let Some(claim) = claim
        && is_taken(&submitted)
    {
        claim.keep();
    }
    let submitted = submitted.inspect_err(|refused| {
        let about = refused.about().map(Named::ids).unwrap_or_default();
        let tell = || tracing::debug!(client = %client.id(), code = %refused.code(), "refused");
        about.span().in_scope(tell);
    })?;
    Ok(answer(shared, &client, submitted, watched).await)
}

/// Whether `?ack=processed` is there. The key that may be in the query was looked at before.
fn is_watched(query: Option<&str>) -> Result<bool, Problem> {
    let [ack, _] = known(query, ["ack", "access_token"])?;
    match ack.as_deref() {
        None => Ok(false),
        Some("processed") => Ok(true),
        Some(other) => {
            let other = quoted(other);
            let detail = format!("`ack` knows `processed` only, found {other}");
            Err(refused(detail))
        }
    }
}

/// The trace that a request belongs to, and with it the events that name none.
pub(in crate::ingress) struct Trace<'h> {
    parent: Option<&'h str>,
    state: Option<Cow<'h, str>>,
}

impl<'h> Trace<'h> {
    /// As headers say it; the state in one of them or in several, which are one list.
    pub(in crate::ingress) fn of(headers: &'h HeaderMap) -> Self {
        let mut states = headers.get_all("tracestate").iter();
        let first = states.next().and_then(|state| state.to_str().ok());
        let state = first.and_then(|first| {
            states.try_fold(Cow::Borrowed(first), |list, next| {
                Some(Cow::Owned(format!("{list},{}", next.to_str().ok()?)))
            })
        });
        // Of several nobody knows which is meant.
        let mut parents = headers.get_all("traceparent").iter();
        let parent = parents.next().filter(|_| parents.next().is_none());
        Self {
            parent: parent.and_then(|parent| parent.to_str().ok()),
            state,
        }
    }

    /// What it supplies to an event.
    pub(in crate::ingress) fn supplied(&self) -> Supplied<'_> {
        Supplied {
            event_id: None,
            traceparent: self.parent,
            tracestate: self.state.as_deref(),
        }
    }
}

/// Reads the body as what it is and takes in what it holds.
async fn submit<'s>(
    shared: &Shared,
    opened: Opened,
    supply: impl Fn(usize) -> Supplied<'s>,
) -> Result<Submitted, Rejection> {
    let intake = &shared.ports.intake;
    let admission = shared.admission();
    let Opened {
        client,
        format,
        body,
        watched,
        ..
    } = opened;
    let client = &client;
    let traced = |event: Result<Event, Rejection>| {
        event.map(|mut event| {
            supply(0).trace(&mut event.traceparent, &mut event.tracestate);
            event
        })
    };
    let event = match format {
        Format::Native => {
            let submitted = intake.submit(Door::Http, client, &body, watched, supply);
            return submitted.await;
        }
        Format::Batch => {
            let events = cloudevents::batch_of(&admission, &body)
                .map_err(|refused| intake.refuse(Door::Http, client, refused))?;
            let events = events.into_iter().map(traced).collect();
            let answers = intake.submit_events(Door::Http, client, events, watched);
            return Ok(Submitted::Many(answers.await));
        }
        Format::Structured => cloudevents::structured_of(&admission, &body),
        // The event's own copy: what was read may share its memory with other requests.
        Format::Binary(attributes) => {
            let data = (!body.is_empty()).then(|| Bytes::copy_from_slice(&body));
            cloudevents::event_of(attributes, data)
        }
    };
    let receipt = intake.submit_event(Door::Http, client, traced(event), watched);
    receipt.await.map(Submitted::One)
}

fn is_taken(submitted: &Result<Submitted, Rejection>) -> bool {
    match submitted {
        Ok(Submitted::One(_)) => true,
        Ok(Submitted::Many(answers)) => answers.iter().any(Result::is_ok),
        Err(_) => false,
    }
}

/// An idempotency key, for as long as its request is being worked on. When nothing is taken with it, or
/// nobody waits for the answer any more, it is free again.
struct Claim<'s> {
    shared: &'s Shared,
    key: Key,
    content: Content,
    is_to_be_freed: bool,
}

impl<'s> Claim<'s> {
    /// The key in the headers, if there is one.
    fn of(
        shared: &'s Shared,
        client: &ClientScope,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Option<Self>, Problem> {
        let Some(key) = Key::of(headers, client, shared.ports.secret)? else {
            return Ok(None);
        };
        // What a CloudEvent says in headers belongs to it as well.
        let attributes = headers.iter().filter(|(name, _)| {
            let name = name.as_str();
            name.starts_with(PREFIX) || name == CONTENT_TYPE.as_str()
        });
        let mut attributes: Vec<_> = attributes
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        attributes.sort_unstable();
        let parts = attributes.into_iter();
        let parts = parts.flat_map(|(name, value)| [name.as_bytes(), value]);
        let content = Content::of(parts.chain([body]));
        let first = shared.repeats.claim(key, content)?;
        Ok(Some(Self {
            shared,
            key,
            content,
            is_to_be_freed: first,
        }))
    }

    /// Something was taken with it.
    fn keep(mut self) {
        self.is_to_be_freed = false;
        // Another request with the key may have come to nothing meanwhile, and freed it.
        let _ = self.shared.repeats.claim(self.key, self.content);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.is_to_be_freed {
            self.shared.repeats.release(self.key);
        }
    }
}

/// What became of the events, once that is known.
async fn answer(
    shared: &Shared,
    client: &ClientScope,
    submitted: Submitted,
    watched: bool,
) -> Response {
    let deadline = Instant::now() + shared.ack_timeout;
    match submitted {
        Submitted::One(mut receipt) => {
            let journey = outcome(shared, client, &mut receipt, deadline).await;
            let (id, status) = (receipt.event_id, word(receipt.status()));
            let mut response = match (journey, receipt.first_accepted_at) {
                (Some(journey), _) => json(StatusCode::OK, &journey),
                (None, None) => {
                    let text = format!(r#"{{"event_id":"{id}","status":"{status}"}}"#);
                    json_text(StatusCode::ACCEPTED, text)
                }
                (None, Some(_)) => json(StatusCode::ACCEPTED, &One::taken(&receipt)),
            };
            if let Some(notice) = &receipt.notice {
                deprecation::announce(notice, response.headers_mut());
            }
            response
        }
        Submitted::Many(answers) => {
            let mut outcomes = Vec::with_capacity(answers.len());
            for answer in answers {
                outcomes.push(match answer {
                    Ok(mut receipt) => {
                        let journey = outcome(shared, client, &mut receipt, deadline).await;
                        Ok((receipt, journey))
                    }
                    Err(rejection) => Err(Problem::from(rejection)),
                });
            }
            all(&outcomes, watched)
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
pub(super) enum One<'a> {
    Finished {
        #[serde(flatten)]
        journey: &'a Journey,
        #[serde(skip_serializing_if = "Option::is_none")]
        deprecation: Option<&'a Notice>,
    },
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
pub(super) struct First {
    first_accepted_at: DateTime<Utc>,
    href: String,
}

/// Where an event's journey is. A source has no letter that would have to be escaped.
fn href(event_id: Uuid, source: Option<&str>) -> String {
    match source {
        None => format!("/v1/events/{event_id}"),
        Some(source) => format!("/v1/events/{event_id}?source={source}"),
    }
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
                href: href(event_id, receipt.source.as_deref()),
            }),
            deprecation: receipt.notice.as_deref(),
        }
    }

    fn rejected(problem: &'a Problem) -> Self {
        Self::Refused {
            status: "rejected",
            error: problem.as_document(None),
        }
    }
}

/// What became of an event, without its outcome.
pub(super) fn one(answer: &Result<Receipt, Problem>) -> One<'_> {
    match answer {
        Ok(receipt) => One::taken(receipt),
        Err(problem) => One::rejected(problem),
    }
}

type Outcome = Result<(Receipt, Option<Journey>), Problem>;

/// 202 when all were taken, 200 when all are finished, 207 when some were refused.
fn all(outcomes: &[Outcome], watched: bool) -> Response {
    let body: Vec<One<'_>> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok((receipt, Some(journey))) => One::Finished {
                journey,
                deprecation: receipt.notice.as_deref(),
            },
            Ok((receipt, None)) => One::taken(receipt),
            Err(problem) => One::rejected(problem),
        })
        .collect();
    let finished = |one: &One<'_>| matches!(one, One::Finished { .. });
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
    let source = watch.source().to_owned();
    let journey = async || {
        let source = source.clone();
        let is_meant = move |of: &str, _: &str| of == source;
        let queue = shared.ports.intake.queue();
        let journey = queue.journey(receipt.event_id, Box::new(is_meant)).await;
        // Whoever cannot be told the outcome for the moment is told that the event is in.
        journey.ok().flatten()
    };
    let is_finished = |journey: &Journey| {
        within_reach(client, &journey.source, &journey.event_type) && is_finished(journey)
    };
    // A duplicate may have been finished, and forgotten, long before anybody watched. It may be somebody
    // else's, whose outcome is told to those who may read events.
    if receipt.first_accepted_at.is_some() {
        if !client.may_subscribe() {
            return None;
        }
        let journey = journey().await?;
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
    journey().await.filter(is_finished)
}

fn within_reach(client: &ClientScope, source: &str, event_type: &str) -> bool {
    client.is_admin() || client.covers(source, event_type)
}

fn is_finished(journey: &Journey) -> bool {
    matches!(journey.status, EventStatus::Processed | EventStatus::Dead)
}

/// `GET /v1/events/{id}`: of several sources' events with this id, the one accepted last; with
/// `?source=`, that source's. An event out of the client's reach is answered as one that is unknown.
pub(super) async fn journey(
    Extracted(shared): State,
    Path(id): Path<String>,
    head: Parts,
) -> Result<Response, Problem> {
    let client = auth::client(&shared, &head).await?;
    client.expect_subscriber()?;
    let unknown = || {
        let detail: Cow<'static, str> = "no such event is known, or it was forgotten".into();
        Problem::not_found(detail)
    };
    let id = Uuid::try_parse(&id).map_err(|_| unknown())?;
    let [source, _] = known(head.uri.query(), ["source", "access_token"])?;
    let source = source.map(Cow::into_owned);
    let is_meant = move |of: &str, event_type: &str| {
        let source = source.as_deref();
        source.is_none_or(|source| of == source) && within_reach(&client, of, event_type)
    };
    let queue = shared.ports.intake.queue();
    let journey = queue.journey(id, Box::new(is_meant)).await?;
    let journey = journey.ok_or_else(unknown)?;
    Ok(json(StatusCode::OK, &journey).into_response())
}

#[cfg(test)]
mod tests;
