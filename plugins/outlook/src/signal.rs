//! What is to be done for a folder at once: receives it from the webhook, hands it on to whoever keeps the folder.
//!
//! It is kept in memory alone: a hub that dies meanwhile does all of it when it starts again.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// The subscriptions that Graph has forgotten.
    removed: BTreeSet<String>,
    /// Those of which Graph wants to see again that the app may.
    reauthorize: BTreeSet<String>,
    /// The subscription's life is to be prolonged, whatever is left of it.
    pub(crate) renew: bool,
    /// Notifications may have been lost.
    pub(crate) reconcile: bool,
}

impl Due {
    /// What is done when nothing is known of how things stand.
    pub(crate) fn at_start() -> Self {
        Self {
            renew: true,
            reconcile: true,
            ..Self::default()
        }
    }

    /// What a lifecycle notification asks for; `None` for one that is not known. It comes again for hours when its
    /// answer is lost, so that it is of concern only as long as the subscription is kept that it names. One that
    /// names none is taken to mean any.
    pub(crate) fn of_lifecycle(event: &str, subscription_id: &str) -> Option<Self> {
        let nothing = Self::default();
        let named = BTreeSet::from([subscription_id.to_owned()]);
        Some(match event {
            "reauthorizationRequired" => Self {
                reauthorize: named,
                ..nothing
            },
            "subscriptionRemoved" => Self {
                removed: named,
                reconcile: true,
                ..nothing
            },
            "missed" => Self {
                reconcile: true,
                ..nothing
            },
            _ => return None,
        })
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.removed.extend(more.removed);
        self.reauthorize.extend(more.reauthorize);
        self.renew |= more.renew;
        self.reconcile |= more.reconcile;
    }

    pub(crate) fn is_removed(&self, subscription_id: &str) -> bool {
        names(&self.removed, subscription_id)
    }

    pub(crate) fn is_to_be_reauthorized(&self, subscription_id: &str) -> bool {
        names(&self.reauthorize, subscription_id)
    }

    /// The subscription is as it is to be.
    pub(crate) fn is_subscribed(&mut self) {
        *self = Self {
            reconcile: self.reconcile,
            ..Self::default()
        };
    }
}

fn names(named: &BTreeSet<String>, subscription_id: &str) -> bool {
    named.contains(subscription_id) || named.contains("")
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    due: Mutex<Due>,
    notify: Notify,
}

impl Signal {
    pub(crate) fn give(&self, due: Due) {
        self.due.lock().add(due);
        self.notify.notify_one();
    }

    /// Waits until there is something; it is given out once.
    pub(crate) async fn taken(&self) -> Due {
        loop {
            let due = std::mem::take(&mut *self.due.lock());
            if due != Due::default() {
                return due;
            }
            self.notify.notified().await;
        }
    }
}
