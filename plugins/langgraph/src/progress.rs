//! A streamed run on its way: reads the server's stream of updates, publishes some of them.
//!
//! Progress is worth something while it is new. So it waits for nobody: what comes too fast, is too large,
//! or finds the hub's queue full, is left out. That the run has ended is not learned from here.

use std::time::Duration;

use nexus_plugin_api::{Context, PluginError};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::events::{self, Progress};
use crate::ledger::Entry;
use crate::server::Server;
use crate::sse::{Decoder, Message};

/// The largest update that an event carries, in bytes.
const MAX_UPDATE: usize = 16 * 1024;
/// How many updates may come at once.
const BURST: u32 = 20;
/// How often one may come in the long run.
const EVERY: Duration = Duration::from_millis(200);

/// Publishes the updates of a run until its stream ends.
pub(crate) async fn publish(
    server: &Server,
    ctx: &Context,
    entry: &Entry,
) -> Result<(), PluginError> {
    let mut answer = server.stream(entry.thread_id, entry.run_id).await?;
    let mut decoder = Decoder::new(MAX_UPDATE);
    let mut pace = Pace::new();
    let mut skipped = 0;
    while let Some(bytes) = server.next(&mut answer).await? {
        for message in decoder.feed(bytes.as_ref()) {
            let Some((node, data)) = update(&message) else {
                continue;
            };
            if !pace.allows() {
                skipped += 1;
                continue;
            }
            let progress = Progress {
                thread_id: entry.thread_id,
                run_id: entry.run_id,
                assistant: entry.assistant.clone(),
                node,
                data,
                skipped: (skipped > 0).then_some(skipped),
                context: entry.context.clone(),
            };
            skipped = 0;
            // Seen again after a break, it has the same id.
            let event = events::progress(entry, &message.id, &progress)?;
            if let Err(error) = ctx.publish(event).await {
                tracing::debug!(run_id = %entry.run_id, "an update is left out: {error}");
            }
        }
    }
    Ok(())
}

/// Node and update in a message; `None` where it is of another kind, or a question, which belongs to the
/// run's ending.
fn update(message: &Message) -> Option<(Option<String>, Option<Value>)> {
    if message.event != "updates" {
        return None;
    }
    let Some(data) = &message.data else {
        return Some((None, None));
    };
    let updates: Map<String, Value> = serde_json::from_slice(data).ok()?;
    if updates.contains_key("__interrupt__") {
        return None;
    }
    if updates.len() == 1 {
        return updates
            .into_iter()
            .next()
            .map(|(node, data)| (Some(node), Some(data)));
    }
    Some((None, Some(Value::Object(updates))))
}

/// How much may come: a burst, and then so much in a time.
struct Pace {
    left: u32,
    at: Instant,
}

impl Pace {
    fn new() -> Self {
        Self {
            left: BURST,
            at: Instant::now(),
        }
    }

    fn allows(&mut self) -> bool {
        while self.left < BURST && self.at.elapsed() >= EVERY {
            self.at += EVERY;
            self.left += 1;
        }
        if self.left == BURST {
            self.at = Instant::now();
        }
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_five_a_second() {
        let mut pace = Pace::new();
        let mut allowed = || (0..100).filter(|_| pace.allows()).count();
        assert_eq!(allowed(), 20);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(allowed(), 5);
        tokio::time::advance(Duration::from_secs(1000)).await;
        assert_eq!(allowed(), 20);
        assert_eq!(allowed(), 0);
    }

    #[test]
    fn an_update_is_of_its_node_and_a_question_is_none() {
        let sent = |event: &str, data: Option<&str>| {
            update(&Message {
                event: event.to_owned(),
                id: String::new(),
                data: data.map(|data| data.as_bytes().to_vec()),
            })
        };
        let of_one = sent("updates", Some(r#"{"begin": {"n": 1}}"#));
        assert_eq!(
            of_one,
            Some((Some("begin".to_owned()), Some(json!({"n": 1}))))
        );
        let of_two = sent("updates", Some(r#"{"a": 1, "b": 2}"#));
        assert_eq!(of_two, Some((None, Some(json!({"a": 1, "b": 2})))));
        assert_eq!(sent("updates", None), Some((None, None)));
        assert_eq!(sent("updates", Some(r#"{"__interrupt__": []}"#)), None);
        assert_eq!(sent("values", Some(r#"{"a": 1}"#)), None);
        assert_eq!(sent("updates", Some("no JSON")), None);
    }
}
