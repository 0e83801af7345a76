//! `POST /v1/hooks/{name}` for the webhooks of the configuration: receives a request, answers what became
//! of its event. It parses nothing before the sender is known, and answers an unknown one without saying
//! why.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode};
use nexus_plugin_api::PublishStatus;
use percent_encoding::percent_decode;
use serde::Serialize;
use uuid::Uuid;

use super::deprecation;
use super::problem::Problem;
use super::{Shared, auth, body, json, json_text};
use crate::admission::{Code, quoted};
use crate::ingress::cloudevents::is_utf8;
use crate::ingress::webhooks::{Message, Receiver, Verified};
use crate::intake::{Door, Receipt};

/// What became of a webhook's event.
#[derive(Serialize)]
struct Answer {
    event_id: Uuid,
    status: PublishStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_accepted_at: Option<DateTime<Utc>>,
}

/// Takes in one request. `path` is what follows the webhook's name.
pub(super) async fn receive(
    shared: &Shared,
    webhook: &Receiver,
    path: &str,
    head: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    if !matches!(path, "" | "/") {
        let problem = Problem::not_found("a webhook has no paths below its own");
        shared.count_refused(Door::Webhook, &problem);
        return Err(problem);
    }
    if head.method != Method::POST {
        let mut response = Problem::method_not_allowed().into_response();
        let post = HeaderValue::from_static("POST");
        response.headers_mut().insert(ALLOW, post);
        return Ok(response);
    }
    let proven = prove(shared, webhook, head, body).await;
    let (verified, body) = proven.inspect_err(|problem| {
        shared.count_refused(Door::Webhook, problem);
    })?;
    let scope = webhook.scope();
    let message = body.and_then(|body| read(shared, webhook, head, &verified, &body));
    let message = message.map_err(|problem| shared.refuse(Door::Webhook, scope, problem))?;
    let event = match message {
        Message::Event(event) => *event,
        Message::Challenge(answer) => return Ok(json(StatusCode::OK, &answer)),
        Message::Ping => return Ok(json_text(StatusCode::OK, r#"{"status":"pong"}"#)),
    };
    let event_type = event.event_type.clone();
    let receipt = shared
        .ports
        .intake
        .submit_event(Door::Webhook, scope, Ok(event), false);
    let receipt = receipt.await.inspect_err(|refused| {
        if refused.code() == Code::UnknownType {
            webhook.tell_without_contract(&event_type);
        }
        tracing::debug!(client = %scope.id(), code = %refused.code(), "refused");
    })?;
    let mut response = json(StatusCode::ACCEPTED, &Answer::from(&receipt));
    if let Some(notice) = &receipt.notice {
        deprecation::announce(notice, response.headers_mut());
    }
    Ok(response)
}

/// Finds out who sent it. With the body, or with what is wrong with that, of a sender who was known before.
async fn prove(
    shared: &Shared,
    webhook: &Receiver,
    head: &Parts,
    body: Body,
) -> Result<(Verified, Result<Bytes, Problem>), Problem> {
    let now = Utc::now();
    let verify = |body: &[u8]| {
        let verified = webhook.verify(&head.headers, body, now);
        verified.map_err(|reason| {
            let admission = shared.admission();
            admission.refuse_webhook(webhook.name(), auth::peer(head), reason)
        })
    };
    if !webhook.needs_body() {
        return Ok((verify(&[])?, body::read(shared, body).await));
    }
    let mut share = shared.unproven.share(auth::peer(head));
    let body = body::read_unproven(shared, body, &mut share).await?;
    Ok((verify(&body)?, Ok(body)))
}

/// What a verified request comes to.
fn read(
    shared: &Shared,
    webhook: &Receiver,
    head: &Parts,
    verified: &Verified,
    body: &[u8],
) -> Result<Message, Problem> {
    let admission = shared.admission();
    let text = content(&head.headers, body)?;
    let text = admission.json(&text)?;
    Ok(webhook.read(verified, &head.headers, text, admission.contracts())?)
}

impl From<&Receipt> for Answer {
    fn from(receipt: &Receipt) -> Self {
        Self {
            event_id: receipt.event_id,
            status: receipt.status(),
            first_accepted_at: receipt.first_accepted_at,
        }
    }
}

/// The JSON in a body: all of it, or what a form holds as `payload`, which is how some senders wrap it.
pub(super) fn content<'b>(headers: &HeaderMap, body: &'b [u8]) -> Result<Cow<'b, [u8]>, Problem> {
    let refused = |detail: String| Err(Problem::new(Code::UnsupportedMediaType, detail));
    for encoding in headers.get_all(CONTENT_ENCODING) {
        if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") {
            let found = quoted(&String::from_utf8_lossy(encoding.as_bytes()));
            return refused(format!("content encoding {found} is not read here"));
        }
    }
    let Some(media_type) = headers.get(CONTENT_TYPE) else {
        return Ok(Cow::Borrowed(body));
    };
    let media_type = String::from_utf8_lossy(media_type.as_bytes());
    let mut parts = media_type.split(';');
    let essence = parts.next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    match essence.as_str() {
        _ if !is_utf8(parts) => {
            let found = quoted(&media_type);
            refused(format!(
                "content type {found} is not read; JSON is in UTF-8"
            ))
        }
        "application/json" => Ok(Cow::Borrowed(body)),
        text if text.starts_with("application/") && text.ends_with("+json") => {
            Ok(Cow::Borrowed(body))
        }
        "application/x-www-form-urlencoded" => {
            let mut payloads = fields(body).filter(|(name, _)| decoded(name) == b"payload");
            match (payloads.next(), payloads.next()) {
                (Some((_, payload)), None) => Ok(Cow::Owned(decoded(payload))),
                _ => {
                    let detail = "a form must have one field `payload`, with JSON in it";
                    Err(Problem::new(Code::MalformedEvent, detail))
                }
            }
        }
        _ => {
            let found = quoted(&media_type);
            refused(format!(
                "content type {found} is not read; send application/json, or a form with `payload`"
            ))
        }
    }
}

/// A form's fields, each with its value, as they were sent.
fn fields(form: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    form.split(|byte| *byte == b'&').map(|field| {
        let end = field.iter().position(|byte| *byte == b'=');
        let (name, value) = field.split_at(end.unwrap_or(field.len()));
        (name, value.strip_prefix(b"=").unwrap_or_default())
    })
}

/// The bytes that a part of a form stands for, whatever they are: those that are no UTF-8 are refused with
/// the rest of what is no JSON, and none is replaced.
fn decoded(part: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = part
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests;
