//! One client that follows accepted events, through whichever door: receives what passes by, hands on
//! what the client wants and may see. Whoever reads too slowly misses events and is told how many;
//! nobody else waits for it.

use std::sync::Arc;
use std::time::Duration;

use nexus_plugin_api::Event;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::admission::{ClientScope, Code, Rejection, quoted};
use crate::config::Selector;
use crate::observe::{Forgotten, Heard, Listener, Passed, Tap};

/// Selectors in one list.
const MOST_SELECTORS: usize = 100;

/// What a client wants: of any of these types, from any of these sources. None of them means all.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    types: Vec<Selector>,
    sources: Vec<Selector>,
}

/// See the module.
pub(super) struct Follower {
    client: Arc<ClientScope>,
    wanted: Wanted,
    live: Listener,
    stopping: watch::Receiver<bool>,
}

/// What happens next.
pub(super) enum Next {
    /// An event.
    Event(Passed),
    /// So many were lost.
    Missed(u64),
    /// Nothing, for as long as was to be waited.
    Quiet,
    /// The hub stops, or what the client was let in with has expired.
    End,
}

impl Wanted {
    /// What lists of selectors ask for.
    ///
    /// # Errors
    /// `malformed_event`, naming the list and what in it is no selector, or that it is too long: each
    /// event is compared with all of them.
    pub(super) fn of_lists(types: &[String], sources: &[String]) -> Result<Self, Rejection> {
        let selectors = |field: &str, texts: &[String]| {
            if texts.len() > MOST_SELECTORS {
                let message = format!(
                    "`{field}` has {} selectors, and may have {MOST_SELECTORS}; use `prefix.*`, or follow \
                     with several subscriptions",
                    texts.len()
                );
                return Err(Rejection::new(Code::MalformedEvent, message));
            }
            let parse = |text: &String| {
                text.parse().map_err(|error| {
                    let message = format!("`{field}` has {}, which {error}", quoted(text));
                    Rejection::new(Code::MalformedEvent, message)
                })
            };
            texts.iter().map(parse).collect::<Result<_, _>>()
        };
        Ok(Self {
            types: selectors("types", types)?,
            sources: selectors("sources", sources)?,
        })
    }

    /// What the parameters `type` and `source` of a query ask for.
    ///
    /// # Errors
    /// `malformed_event`, naming the parameter that is no selector.
    pub(super) fn of_query(
        event_type: Option<&str>,
        source: Option<&str>,
    ) -> Result<Self, Rejection> {
        let selectors = |name: &str, text: Option<&str>| {
            let parse = |text: &str| {
                text.parse().map_err(|error| {
                    let message = format!("the query parameter `{name}` {} {error}", quoted(text));
                    Rejection::new(Code::MalformedEvent, message)
                })
            };
            text.into_iter().map(parse).collect::<Result<_, _>>()
        };
        Ok(Self {
            types: selectors("type", event_type)?,
            sources: selectors("source", source)?,
        })
    }

    /// Whether it is of these, by its type and source.
    pub(super) fn names(&self, event_type: &str, source: &str) -> bool {
        let any = |selectors: &[Selector], name| {
            selectors.is_empty() || selectors.iter().any(|one| one.matches(name))
        };
        any(&self.types, event_type) && any(&self.sources, source)
    }

    /// Whether nothing is left out.
    pub(super) fn is_everything(&self) -> bool {
        self.types.is_empty() && self.sources.is_empty()
    }
}

impl Follower {
    /// Follows from now on.
    pub(super) fn new(
        tap: &Tap,
        client: Arc<ClientScope>,
        wanted: Wanted,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            client,
            wanted,
            live: tap.listen(),
            stopping,
        }
    }

    /// Follows on behind a position.
    pub(super) fn resume(
        tap: &Tap,
        after: u64,
        client: Arc<ClientScope>,
        wanted: Wanted,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, Forgotten> {
        Ok(Self {
            client,
            wanted,
            live: tap.resume(after)?,
            stopping,
        })
    }

    /// Waits for what happens next, so long at most, whatever passes that the client does not want.
    pub(super) async fn next(&mut self, patience: Duration) -> Next {
        let deadline = Instant::now() + patience;
        loop {
            let heard = tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stopping| *stopping) => return Next::End,
                heard = timeout_at(deadline, self.live.hear()) => heard,
            };
            if self.client.has_expired() {
                return Next::End;
            }
            match heard {
                Err(_) => return Next::Quiet,
                Ok(Heard::End) => return Next::End,
                Ok(Heard::Missed(missed)) => return Next::Missed(missed),
                Ok(Heard::Event(passed)) if self.wants(&passed.event) => {
                    return Next::Event(passed);
                }
                Ok(Heard::Event(_)) if Instant::now() >= deadline => return Next::Quiet,
                Ok(Heard::Event(_)) => {}
            }
        }
    }

    fn wants(&self, event: &Event) -> bool {
        let is_within_reach =
            self.client.is_admin() || self.client.covers(&event.source, &event.event_type);
        is_within_reach && self.wanted.names(&event.event_type, &event.source)
    }
}

#[cfg(test)]
mod tests {
    use nexus_plugin_api::RawJson;

    use super::*;
    use crate::admission::fuzz::anybody;

    /// A sign of life is due although others' events pass all the time.
    #[tokio::test(start_paused = true)]
    async fn events_that_are_not_wanted_are_no_news() {
        let tap = Tap::new();
        let wanted = Wanted::of_query(Some("a.*"), None).unwrap();
        let (_stop, stopping) = watch::channel(false);
        let mut follower = Follower::new(&tap, anybody(), wanted, stopping);
        let busy = async {
            loop {
                let event = Event::new("b.c", "s", RawJson::from_checked("{}"));
                tap.show(&Arc::new(event));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let began = Instant::now();
        tokio::select! {
            () = busy => {}
            next = follower.next(Duration::from_secs(1)) => assert!(matches!(next, Next::Quiet)),
        }
        assert!(began.elapsed() < Duration::from_millis(1_200));
    }
}
