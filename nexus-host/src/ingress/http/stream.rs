//! `GET /v1/events/stream`: sends accepted events as they come (server-sent events), those within
//! the client's reach and nobody else's. Whoever reads too slowly misses events and is told how
//! many; nobody else waits for it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State as Extracted};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use nexus_plugin_api::Event;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::problem::Problem;
use super::query::{known, refused};
use super::{Shared, State, auth};
use crate::admission::{ClientScope, Code, quoted};
use crate::config::Selector;

/// After so long without an event, a sign of life, so that a dead connection is noticed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// One client that follows.
struct Follower {
    shared: Arc<Shared>,
    client: Arc<ClientScope>,
    types: Selector,
    sources: Selector,
    events: Receiver<Arc<Event>>,
    greeted: bool,
}

/// `GET /v1/events/stream`.
pub(super) async fn follow(
    Extracted(shared): State,
    RawQuery(query): RawQuery,
    head: Parts,
) -> Result<Response, Problem> {
    let client = auth::client(&shared, &head).await?;
    if !client.may_subscribe() {
        let id = client.id();
        let detail = format!(
            "the token lets client `{id}` publish only; following events takes `subscribe` in its scope"
        );
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let [types, sources] = known(query.as_deref(), ["type", "source"])?;
    let selector = |name: &str, text: Option<&str>| {
        text.unwrap_or("*").parse::<Selector>().map_err(|error| {
            let text = quoted(text.unwrap_or_default());
            refused(format!("the query parameter `{name}` {text} {error}"))
        })
    };
    let follower = Follower {
        types: selector("type", types.as_deref())?,
        sources: selector("source", sources.as_deref())?,
        events: shared.ports.live.subscribe(),
        client,
        shared,
        greeted: false,
    };
    let lines = unfold(follower, |mut follower| async move {
        let line = follower.next().await?;
        Some((Ok::<_, std::convert::Infallible>(line), follower))
    });
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Follower {
    /// What to send next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.greeted {
            self.greeted = true;
            return Some(Bytes::from_static(b": following\n\n"));
        }
        loop {
            let shared = self.shared.clone();
            let received = tokio::select! {
                biased;
                () = shared.stopped() => return None,
                received = timeout(SIGN_OF_LIFE, self.events.recv()) => received,
            };
            if self.client.has_expired() {
                return None;
            }
            match received {
                Err(_) => return Some(Bytes::from_static(b": still here\n\n")),
                Ok(Err(RecvError::Closed)) => return None,
                Ok(Err(RecvError::Lagged(missed))) => {
                    return Some(format!(": missed {missed} events\n\n").into());
                }
                Ok(Ok(event)) if self.wants(&event) => {
                    // An admitted event always serialises.
                    let Ok(text) = serde_json::to_string(&*event) else {
                        continue;
                    };
                    return Some(line(&event, &text));
                }
                Ok(Ok(_)) => {}
            }
        }
    }

    fn wants(&self, event: &Event) -> bool {
        let (source, event_type) = (&event.source, &event.event_type);
        self.sources.matches(source)
            && self.types.matches(event_type)
            && (self.client.is_admin() || self.client.covers(source, event_type))
    }
}

/// A payload is sent as it came, line breaks between its tokens included; each line of it needs its
/// own field, and both kinds of break end a line.
fn line(event: &Event, text: &str) -> Bytes {
    let mut line = format!("id: {}\n", event.event_id);
    for part in text.split(['\n', '\r']) {
        line.push_str("data: ");
        line.push_str(part);
        line.push('\n');
    }
    line.push('\n');
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_of_several_lines_stays_one_message() {
        let payload = nexus_plugin_api::RawJson::from_checked("{\n\"a\":\r\n1}");
        let event = Event::new("a.b", "s", payload);
        let text = serde_json::to_string(&event).unwrap();
        let line = line(&event, &text);
        let line = std::str::from_utf8(&line).unwrap();
        assert!(line.ends_with("\n\n"));
        assert!(!line.trim_end().contains("\n\n") && !line.contains('\r'));
        let data: String = line
            .lines()
            .filter_map(|l| l.strip_prefix("data: "))
            .collect();
        let sent: Event = serde_json::from_str(&data).unwrap();
        assert_eq!(sent.event_id, event.event_id);
    }
}
