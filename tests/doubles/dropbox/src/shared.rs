//! What all calls share: accounts with their files, tokens, what is to go wrong, and how often what was asked.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::tree::Tree;

/// Somebody who has linked the app.
#[derive(Debug, Clone)]
pub struct Account {
    /// Such as `dbid:ada`, filled up with `-` to the 40 characters that clients insist on.
    pub id: String,
    /// What access tokens are given for.
    pub refresh_token: String,
    /// An access token that does not expire.
    pub access_token: String,
}

impl Account {
    /// One whose id and tokens are made of a name.
    pub fn named(name: &str) -> Self {
        Self {
            id: format!("dbid:{name:-<35}"),
            refresh_token: format!("refresh-{name}"),
            access_token: format!("access-{name}"),
        }
    }
}

/// A failure to answer with.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which path; any of the API's when absent.
    #[serde(default)]
    pub path: Option<String>,
    /// How many calls are answered before.
    #[serde(default)]
    pub after: u64,
    /// The status.
    pub status: u16,
    /// What `Retry-After` says, in seconds.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// The body; that of the status when absent.
    #[serde(default)]
    pub body: Option<serde_json::Value>,
}

impl Fault {
    /// A status, for whatever is asked next.
    pub fn of(status: u16) -> Self {
        Self {
            path: None,
            after: 0,
            status,
            retry_after: None,
            body: None,
        }
    }

    /// This, for one path alone.
    #[must_use]
    pub fn at(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// This, once so many calls have been answered.
    #[must_use]
    pub fn after(mut self, calls: u64) -> Self {
        self.after = calls;
        self
    }

    /// This, with a time to be left alone.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

/// What was ordered.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) page: usize,
    /// How long one takes.
    pub(crate) slow: Duration,
    pub(crate) newest_first: bool,
    pub(crate) faults: VecDeque<Fault>,
    pub(crate) backoff: Option<u64>,
    /// Cursors of an earlier one are reset.
    pub(crate) epoch: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) app: (String, String),
    pub(crate) accounts: Vec<Account>,
    pub(crate) trees: Mutex<BTreeMap<String, Tree>>,
    pub(crate) settings: Mutex<Settings>,
    /// Access tokens that were given for refresh tokens, and whose they are.
    pub(crate) issued: Mutex<BTreeMap<String, String>>,
    pub(crate) counts: watch::Sender<BTreeMap<String, u64>>,
    /// Counts up with every change.
    pub(crate) changed: watch::Sender<u64>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Shared {
    pub(crate) fn new(app: (String, String), accounts: Vec<Account>) -> Self {
        let trees = accounts.iter().map(|one| (one.id.clone(), Tree::default()));
        Self {
            app,
            trees: Mutex::new(trees.collect()),
            accounts,
            settings: Mutex::new(Settings {
                page: 2000,
                slow: Duration::ZERO,
                newest_first: false,
                faults: VecDeque::new(),
                backoff: None,
                epoch: 0,
            }),
            issued: Mutex::default(),
            counts: watch::Sender::default(),
            changed: watch::Sender::default(),
            tasks: Mutex::default(),
        }
    }

    /// Goes on with something beside; it ends with the double.
    pub(crate) fn beside(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().push(tokio::spawn(task).abort_handle());
    }

    pub(crate) fn stop(&self) {
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
    }

    /// Changes an account's files, and wakes those who wait for it.
    pub(crate) fn change<T>(
        &self,
        account: &str,
        change: impl FnOnce(&mut Tree) -> T,
    ) -> Option<T> {
        let done = self.trees.lock().get_mut(account).map(change);
        self.changed.send_modify(|count| *count += 1);
        done
    }

    pub(crate) fn reset(&self) {
        self.settings.lock().epoch += 1;
        self.changed.send_modify(|count| *count += 1);
    }

    /// Counts a call, and the failure that it is to be answered with.
    pub(crate) fn count(&self, path: &str) -> Option<Fault> {
        self.counts.send_modify(|counts| {
            *counts.entry(path.to_owned()).or_default() += 1;
        });
        let faults = &mut self.settings.lock().faults;
        let meant = |fault: &Fault| fault.path.as_deref().is_none_or(|only| only == path);
        let at = faults.iter().position(meant)?;
        if faults[at].after > 0 {
            faults[at].after -= 1;
            return None;
        }
        faults.remove(at)
    }

    /// Whose token this is.
    pub(crate) fn owner(&self, token: &str) -> Option<String> {
        let fixed = self.accounts.iter().find(|one| one.access_token == token);
        fixed
            .map(|one| one.id.clone())
            .or_else(|| self.issued.lock().get(token).cloned())
    }
}
