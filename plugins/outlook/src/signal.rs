//! What is to be done for a folder at once: receives it from the webhook, hands it on to whoever keeps the folder.
//!
//! It is kept in memory alone: a hub that dies meanwhile does all of it when it starts again.

use parking_lot::Mutex;
use tokio::sync::Notify;

/// What is to be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// Graph has forgotten the subscription.
    pub(crate) create: bool,
    /// Graph wants to see again that the app may.
    pub(crate) reauthorize: bool,
    /// The subscription's life is to be prolonged, whatever is left of it.
    pub(crate) renew: bool,
    /// Notifications may have been lost.
    pub(crate) reconcile: bool,
}

impl Due {
    /// What is done when nothing is known of how things stand.
    pub(crate) const AT_START: Self = Self {
        create: false,
        reauthorize: false,
        renew: true,
        reconcile: true,
    };

    /// What a lifecycle notification asks for; `None` for one that is not known.
    pub(crate) fn of_lifecycle(event: &str) -> Option<Self> {
        let nothing = Self::default();
        Some(match event {
            "reauthorizationRequired" => Self {
                reauthorize: true,
                ..nothing
            },
            "subscriptionRemoved" => Self {
                create: true,
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
        self.create |= more.create;
        self.reauthorize |= more.reauthorize;
        self.renew |= more.renew;
        self.reconcile |= more.reconcile;
    }
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
