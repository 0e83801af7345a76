//! What the double knows: receives changes, hands on what it is now, and a signal after each. One lock around all of
//! it, never held across an await.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use nexus_plugin_api::outgoing::{Access, Client};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::mail::Mailbox;
use crate::notify::Delivery;
use crate::seal::Tampered;
use crate::subscriptions::Subscription;

/// How it behaves; what the real service does, unless a test says otherwise.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// How long a token lives, in milliseconds.
    pub token_life_ms: u64,
    /// How long a subscription lives at most, in milliseconds, whatever is asked for; left out, as Graph allows.
    pub subscription_life_ms: Option<u64>,
    /// How many messages there are on a page.
    pub page_size: usize,
    /// What a delta link is answered with that is not known any more: 410, and by some 400 or 404.
    pub forgotten_delta: u16,
    /// The base URL that links on pages have, where a server knows itself by another name.
    pub links: Option<String>,
    /// Whether the last page of changes has a link to those that come later.
    pub delta_link: bool,
    /// How long a handshake may take, in milliseconds.
    pub handshake_ms: u64,
    /// How long the answer to a notification may take, in milliseconds.
    pub answer_ms: u64,
    /// The pauses before an undelivered notification is tried again, in milliseconds; the last one repeats.
    pub retry_ms: Vec<u64>,
    /// For how long it is tried, in milliseconds.
    pub give_up_ms: u64,
    /// Claims that go over the right ones in validation tokens.
    pub claims: Value,
    /// Fields that go over the right ones in resource data.
    pub sealed: Value,
    /// What is done to resource data on its way.
    pub tampered: Option<Tampered>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            token_life_ms: 3_599_000,
            subscription_life_ms: None,
            page_size: 10,
            forgotten_delta: 410,
            links: None,
            delta_link: true,
            handshake_ms: 10_000,
            answer_ms: 3_000,
            retry_ms: vec![1_000, 2_000, 5_000, 10_000, 30_000, 60_000],
            give_up_ms: 4 * 60 * 60 * 1_000,
            claims: Value::Null,
            sealed: Value::Null,
            tampered: None,
        }
    }
}

/// A failure to come.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What it befalls, as [`GraphDouble::count`](crate::GraphDouble::count) has it.
    pub what: String,
    /// The status that is answered.
    pub status: u16,
    /// `Retry-After`, in seconds.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// How often.
    pub times: u32,
}

pub(crate) struct World {
    /// The double's own base URL.
    pub(crate) url: String,
    pub(crate) http: Client,
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
    tasks: Mutex<Vec<AbortHandle>>,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) behaviour: Behaviour,
    pub(crate) faults: Vec<Fault>,
    pub(crate) counts: BTreeMap<String, u64>,
    /// Each with the end of its life.
    pub(crate) tokens: BTreeMap<String, DateTime<Utc>>,
    pub(crate) mailboxes: BTreeMap<String, Mailbox>,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    pub(crate) delta_epoch: u64,
    /// Whether requests wait.
    pub(crate) is_paused: bool,
    /// Notifications that are held back, with the URLs they are for.
    pub(crate) held: Option<Vec<Value>>,
    pub(crate) deliveries: Vec<Delivery>,
}

impl World {
    pub(crate) fn new(url: String) -> Arc<Self> {
        Arc::new(Self {
            url,
            http: Client::new(Access::default()),
            inner: Mutex::default(),
            changed: watch::Sender::new(()),
            tasks: Mutex::default(),
        })
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&Inner) -> T) -> T {
        look(&self.inner.lock())
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let changed = change(&mut self.inner.lock());
        self.changed.send_replace(());
        changed
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Waits while requests are to wait.
    pub(crate) async fn let_through(&self) {
        let mut changes = self.changes();
        while self.read(|inner| inner.is_paused) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Goes on with something beside; it ends with the double.
    pub(crate) fn beside(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock();
        tasks.retain(|task| !task.is_finished());
        tasks.push(tokio::spawn(task).abort_handle());
    }

    pub(crate) fn stop(&self) {
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn counted(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    /// The failure that is to befall a request, if any.
    pub(crate) fn fault(&mut self, what: &str) -> Option<Fault> {
        let at = self.faults.iter().position(|fault| fault.what == what)?;
        let fault = self.faults[at].clone();
        match self.faults[at].times {
            0 | 1 => drop(self.faults.remove(at)),
            _ => self.faults[at].times -= 1,
        }
        Some(fault)
    }

    /// Lets go of subscriptions whose time is over.
    pub(crate) fn expire(&mut self) {
        let now = Utc::now();
        self.subscriptions.retain(|_, one| one.expires_at > now);
    }

    pub(crate) fn is_signed_in(&self, token: &str) -> bool {
        self.tokens
            .get(token)
            .is_some_and(|until| *until > Utc::now())
    }

    pub(crate) fn message(&self, mailbox: &str, id: &str) -> Option<&Value> {
        self.mailboxes
            .get(&mailbox.to_lowercase())?
            .messages
            .get(id)
    }
}

/// A time that a behaviour names.
pub(crate) fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
