//! `GET /v1/events/stream`: sends accepted events as they come (server-sent events), those within
//! the client's reach and nobody else's. Whoever reads too slowly misses events and is told how
//! many; nobody else waits for it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State as Extracted};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use nexus_plugin_api::Event;

use super::problem::Problem;
use super::query::{known, refused};
use super::{State, auth};
use crate::admission::quoted;
use crate::ingress::cloudevents::write_structured;
use crate::ingress::follower::{Follower, Next, Wanted};
use crate::observe::Passed;

/// After so long without an event, a sign of life, so that a dead connection is noticed.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// One client that follows.
struct Lines {
    follower: Follower,
    as_cloudevents: bool,
    greeted: bool,
}

/// `GET /v1/events/stream`.
pub(super) async fn follow(
    Extracted(shared): State,
    RawQuery(query): RawQuery,
    head: Parts,
) -> Result<Response, Problem> {
    let client = auth::client(&shared, &head).await?;
    client.expect_subscriber()?;
    let [types, sources, format] = known(query.as_deref(), ["type", "source", "format"])?;
    let as_cloudevents = match format.as_deref() {
        None => false,
        Some("cloudevents") => true,
        Some(other) => {
            let other = quoted(other);
            let detail = format!("`format` knows `cloudevents` only, found {other}");
            return Err(refused(detail));
        }
    };
    let wanted = Wanted::of_query(types.as_deref(), sources.as_deref())?;
    let lines = Lines {
        follower: Follower::new(&shared.ports.live, client, wanted, shared.stopping.clone()),
        as_cloudevents,
        greeted: false,
    };
    let lines = unfold(lines, |mut lines| async move {
        let line = lines.next().await?;
        Some((Ok::<_, std::convert::Infallible>(line), lines))
    });
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Lines {
    /// What to send next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.greeted {
            self.greeted = true;
            return Some(Bytes::from_static(b": following\n\n"));
        }
        loop {
            match self.follower.next(SIGN_OF_LIFE).await {
                Next::Quiet => return Some(Bytes::from_static(b": still here\n\n")),
                Next::End => return None,
                Next::Missed(missed) => {
                    return Some(format!(": missed {missed} events\n\n").into());
                }
                Next::Event(Passed { event, .. }) => {
                    let text = match self.as_cloudevents {
                        true => write_structured(&event),
                        false => serde_json::to_string(&*event),
                    };
                    // An admitted event always serialises.
                    if let Ok(text) = text {
                        return Some(line(&event, &text));
                    }
                }
            }
        }
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
