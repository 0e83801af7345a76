//! `GET /v1/events/stream`: sends accepted events as they come (server-sent events), those within
//! the client's reach and nobody else's. Whoever reads too slowly misses events and is told how
//! many; nobody else waits for it.

use std::time::Duration;

use axum::extract::{RawQuery, State as Extracted};
use axum::response::Response;
use bytes::Bytes;
use hyper::http::request::Parts;
use nexus_plugin_api::Event;
use tokio::time::Instant;

use super::problem::Problem;
use super::query::{known, refused};
use super::sse::{SIGN_OF_LIFE, STILL_HERE};
use super::{State, auth, sse};
use crate::admission::quoted;
use crate::ingress::cloudevents::write_structured;
use crate::ingress::follower::{Follower, Next, Wanted};
use crate::observe::Passed;

/// Said at once.
const FOLLOWING: Bytes = Bytes::from_static(b": following\n\n");

/// A second, of which no more than so many events are sent if a client wants that.
const SECOND: Duration = Duration::from_secs(1);

/// One client that follows.
struct Lines {
    follower: Follower,
    sample: Option<Sample>,
    as_cloudevents: bool,
}

/// For a client that wants to see some of many: so many a second at most.
struct Sample {
    most: u32,
    sent: u32,
    left_out: u64,
    since: Instant,
}

/// `GET /v1/events/stream`.
pub(super) async fn follow(
    Extracted(shared): State,
    RawQuery(query): RawQuery,
    head: Parts,
) -> Result<Response, Problem> {
    let client = auth::client(&shared, &head).await?;
    client.expect_subscriber()?;
    let names = ["type", "source", "format", "most"];
    let [types, sources, format, most] = known(query.as_deref(), names)?;
    let sample = most.map(|most| Sample::of(&most)).transpose()?;
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
        sample,
        as_cloudevents,
    };
    Ok(sse::answer(FOLLOWING, lines))
}

impl sse::Lines for Lines {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(left_out) = self.sample.as_mut().and_then(Sample::told) {
                return Some(format!(": left out {left_out} events\n\n").into());
            }
            let is_owed = self
                .sample
                .as_ref()
                .is_some_and(|sample| sample.left_out > 0);
            let patience = if is_owed { SECOND } else { SIGN_OF_LIFE };
            match self.follower.next(patience).await {
                Next::Quiet if is_owed => {}
                Next::Quiet => return Some(STILL_HERE),
                Next::End => return None,
                Next::Missed(missed) => {
                    return Some(format!(": missed {missed} events\n\n").into());
                }
                Next::Event(_) if !self.sample.as_mut().is_none_or(Sample::takes) => {}
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

impl Sample {
    fn of(most: &str) -> Result<Self, Problem> {
        let wrong = || {
            let most = quoted(most);
            refused(format!(
                "`most` takes 1 to 1000 events a second, found {most}"
            ))
        };
        let most = most.parse().map_err(|_| wrong())?;
        (1..=1_000)
            .contains(&most)
            .then(|| Self {
                most,
                sent: 0,
                left_out: 0,
                since: Instant::now(),
            })
            .ok_or_else(wrong)
    }

    /// Whether one more is sent.
    fn takes(&mut self) -> bool {
        if self.since.elapsed() >= SECOND {
            (self.since, self.sent) = (Instant::now(), 0);
        }
        let takes = self.sent < self.most;
        match takes {
            true => self.sent += 1,
            false => self.left_out += 1,
        }
        takes
    }

    /// How many were left out in a second that is over.
    fn told(&mut self) -> Option<u64> {
        let is_over = self.left_out > 0 && self.since.elapsed() >= SECOND;
        is_over.then(|| std::mem::take(&mut self.left_out))
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

    #[tokio::test(start_paused = true)]
    async fn a_sample_is_so_many_a_second_and_tells_of_the_rest() {
        let mut sample = Sample::of("2").unwrap_or_else(|_| panic!("it is in order"));
        let taken = (0..5).filter(|_| sample.takes()).count();
        assert_eq!((taken, sample.told()), (2, None));
        tokio::time::advance(SECOND).await;
        assert_eq!((sample.told(), sample.told()), (Some(3), None));
        assert!(sample.takes());
        for wrong in ["0", "1001", "-1", "x", ""] {
            assert!(Sample::of(wrong).is_err(), "{wrong}");
        }
    }

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
