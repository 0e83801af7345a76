//! Every event that a hub accepts from now on, as its live stream tells: receives a running hub, hands on what has come
//! so far, and waits for what is to come.

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::hub::{Hub, PATIENCE};

/// See the module. It ends when dropped.
#[derive(Debug)]
pub struct Followed {
    seen: watch::Receiver<Vec<Value>>,
    reading: JoinHandle<()>,
}

impl Followed {
    /// Follows a hub's events; ready when none is missed any more.
    ///
    /// # Panics
    /// When the hub does not let one.
    pub async fn of(hub: &Hub) -> Self {
        let answer = hub.request("GET", "/v1/events/stream").send().await;
        let mut answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200);
        let (send, seen) = watch::channel(Vec::new());
        let reading = tokio::spawn(async move {
            let mut text = String::new();
            while let Ok(Some(chunk)) = answer.chunk().await {
                text.push_str(&String::from_utf8_lossy(&chunk));
                while let Some(end) = text.find('\n') {
                    let line: String = text.drain(..=end).collect();
                    let data = line.strip_prefix("data:").unwrap_or_default();
                    if let Ok(event) = serde_json::from_str(data.trim()) {
                        send.send_modify(|seen: &mut Vec<Value>| seen.push(event));
                    }
                }
            }
        });
        Self { seen, reading }
    }

    /// The first event that is meant, as soon as it is there.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn wait_for(&self, what: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
        let found = |seen: &[Value]| seen.iter().find(|event| is_meant(event)).cloned();
        let mut seen = self.seen.clone();
        let wait = seen.wait_for(|seen| found(seen).is_some());
        let seen = timeout(PATIENCE, wait).await;
        let seen = seen
            .unwrap_or_else(|_| panic!("no {what} in time; only {:#}", Value::from(self.all())));
        found(&seen.expect("the stream goes on")).expect("it was found")
    }

    /// The first event of a type, as soon as it is there.
    ///
    /// # Panics
    /// As [`Followed::wait_for`].
    pub async fn first(&self, event_type: &str) -> Value {
        self.wait_for(event_type, |event| event["type"] == event_type)
            .await
    }

    /// The event in that place, as soon as it is there; `None` when no more come.
    pub async fn nth(&self, place: usize) -> Option<Value> {
        let mut seen = self.seen.clone();
        let seen = seen.wait_for(|seen| seen.len() > place).await;
        seen.ok()?.get(place).cloned()
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Value> {
        self.seen.borrow().clone()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
