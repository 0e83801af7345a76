//! `/v1/hooks/{source}`: receives raw webhooks, shows them byte by byte to the plugin whose source
//! it is, and sends its answer; those of the configuration's own senders go to [`webhooks`]. It asks for
//! no key, since the producer's signature is theirs to verify; it bounds the body before the plugin sees
//! any of it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State as Extracted};
use axum::response::Response;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{HeaderMap, StatusCode};
use nexus_plugin_api::{HookReply, HookRequest};

use super::problem::Problem;
use super::{State, auth, body, webhooks};
use crate::admission::{Code, quoted};
use crate::ingress::ports::HookFailure;

const PREFIX: &str = "/v1/hooks/";

/// When to come again, where the source does not say.
const RETRY: Duration = Duration::from_secs(5);

/// Headers that belong to the connection and not to the answer.
const OF_THE_CONNECTION: [HeaderName; 5] = [
    CONNECTION,
    CONTENT_LENGTH,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// `ANY /v1/hooks/{source}` and below.
pub(super) async fn hook(Extracted(shared): State, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let rest = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let (source, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if let Some(webhook) = shared.ports.webhooks.get(source) {
        return webhooks::receive(&shared, &webhook, path, &head, body).await;
    }
    if !shared.ports.hooks.knows(source) {
        return Err(unknown(source));
    }
    // Held no longer than the body takes to come: how long the plugin then works is not up to the sender.
    let mut share = shared.unproven.share(auth::peer(&head));
    let body = body::read_unproven(&shared, body, &mut share).await?;
    drop(share);
    let request = HookRequest {
        method: head.method.as_str().to_owned(),
        path: path.to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: plain(&head.headers),
        body,
    };
    match shared.ports.hooks.hook(source, request).await {
        // The plugin's own answer, until too many have failed.
        Ok(reply) if reply.status == StatusCode::UNAUTHORIZED.as_u16() => {
            let detail = "the plugin answers 401";
            let peer = auth::peer(&head);
            let refused = shared.admission().refuse_webhook(source, peer, detail);
            match refused.code() {
                Code::RateLimited => Err(refused.into()),
                _ => Ok(answered(reply)),
            }
        }
        Ok(reply) => Ok(answered(reply)),
        Err(HookFailure::UnknownSource) => Err(unknown(source)),
        Err(HookFailure::Unavailable { retry_after }) => Err(Problem::unavailable(
            "the source cannot answer for the moment; try again later",
            retry_after.unwrap_or(RETRY),
        )),
        Err(HookFailure::Failed) => Err(Problem::internal(
            "the source failed; the hub's log tells why",
        )),
    }
}

fn unknown(source: &str) -> Problem {
    let source = quoted(source);
    Problem::not_found(format!(
        "neither a plugin nor [[webhooks]] has the name {source}"
    ))
}

fn plain(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

/// A plugin's answer, without what it has no say in. A status or header that HTTP does not know is
/// the plugin's fault and told in the log.
fn answered(reply: HookReply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = match StatusCode::from_u16(reply.status) {
        Ok(status) if (200..600).contains(&reply.status) => status,
        _ => {
            tracing::warn!(
                status = reply.status,
                "a source answered with no valid status"
            );
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    for (name, value) in reply.headers {
        let parsed = HeaderName::try_from(&name).ok();
        match (parsed, HeaderValue::try_from(value)) {
            (Some(name), Ok(value)) if !OF_THE_CONNECTION.contains(&name) => {
                response.headers_mut().insert(name, value);
            }
            _ => {
                tracing::warn!(name = %quoted(&name), "a header of a source's answer was left out")
            }
        }
    }
    response
}
