//! `GET /v1/ws`: a WebSocket that takes events in, one reply for each frame, and sends accepted events
//! to whoever follows. Decides who may open one; what is said on it is in `session` and `frame`.

mod allowance;
mod frame;
#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
mod opening;
mod session;

#[cfg(test)]
mod tests;

use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::extract::{FromRequestParts, Request, State as Extracted};
use axum::response::Response;
use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};
use hyper::http::uri::Authority;

use super::problem::Problem;
use super::query::known;
use super::{State, auth};
use crate::admission::{Code, Transport, quoted};
use crate::ingress::follower::Wanted;
use session::{Session, Speech};

/// CloudEvents as they are, in both directions.
const CLOUDEVENTS: &str = "cloudevents.json";

/// The hub's own frames.
const NATIVE: &str = "nexus.v1";

/// What one connection reads ahead, and what it may have written without the client taking it: the
/// rest waits where it is.
const READ_BUFFER: usize = 4 * 1024;
const WRITE_BUFFER: usize = 4 * 1024;

/// What a frame may weigh beside its events.
const ENVELOPE: usize = 4 * 1024;

/// `GET /v1/ws`.
pub(super) async fn open(Extracted(shared): State, request: Request) -> Result<Response, Problem> {
    let (mut head, body) = request.into_parts();
    expect_origin(&head.headers, &shared.origins)?;
    let sender = auth::publisher(&shared, &head, Transport::WebSocket).await?;
    let client = auth::confirm(&shared, sender, &bytes::Bytes::new())?;
    let wanted = wanted(head.uri.query())?;
    if wanted.is_some() {
        client.expect_subscriber()?;
    }
    opening::check(&mut head.headers, &body)?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut head, &())
        .await
        .map_err(not_a_websocket)?;
    let most = shared.admission().limits().max_body.as_len();
    let most = most.saturating_add(ENVELOPE);
    let upgrade = upgrade
        .protocols([CLOUDEVENTS, NATIVE])
        .max_message_size(most)
        .max_frame_size(most)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(most.saturating_mul(2).saturating_add(WRITE_BUFFER));
    let speech = match upgrade.selected_protocol() {
        Some(protocol) if protocol == CLOUDEVENTS => Speech::CloudEvents,
        _ => Speech::Native,
    };
    let session = Session::new(shared, client, speech, wanted);
    Ok(upgrade.on_upgrade(move |socket| session.run(socket)))
}

/// Refuses pages in browsers from elsewhere, which would speak in the name of whoever looks at them.
fn expect_origin(headers: &HeaderMap, allowed: &[String]) -> Result<(), Problem> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let (Some(origin), further) = (origins.next(), origins.next()) else {
        return Ok(());
    };
    // Several are none that could be let in: nobody can tell which one was meant.
    let origin = origin.to_str().ok().filter(|_| further.is_none());
    let origin = origin.unwrap_or_default();
    let is_allowed = allowed
        .iter()
        .any(|one| one == "*" || one.eq_ignore_ascii_case(origin));
    let own = headers.get(HOST).and_then(|host| host.to_str().ok());
    let place = origin.split_once("://").map(|(_, place)| place);
    let is_own = place.and_then(|place| place.parse::<Authority>().ok());
    let is_own =
        is_own.is_some_and(|place| own.is_some_and(|own| place.as_str().eq_ignore_ascii_case(own)));
    if is_allowed || is_own {
        return Ok(());
    }
    let detail = format!(
        "pages from {} may not open a WebSocket here; server.websocket.origins says which may",
        quoted(origin)
    );
    Err(Problem::new(Code::Forbidden, detail))
}

/// What the query asks to follow from the beginning, if it does.
fn wanted(query: Option<&str>) -> Result<Option<Wanted>, Problem> {
    let [types, sources, _] = known(query, ["type", "source", "access_token"])?;
    if types.is_none() && sources.is_none() {
        return Ok(None);
    }
    Ok(Some(Wanted::of_query(
        types.as_deref(),
        sources.as_deref(),
    )?))
}

fn not_a_websocket(rejection: WebSocketUpgradeRejection) -> Problem {
    let detail = format!("this path is for WebSockets: {rejection}");
    Problem::new(Code::MalformedEvent, detail)
}
