//! The toasts on show: receives toasts, finds them by id, name or deadline, and forgets them.
//!
//! Bounded on every side: so many toasts, so many remembered requests. Never shows anything and
//! never decides which toast has to go; it says only that one must.

use std::collections::{BTreeMap, HashMap, VecDeque};

use nexus_proto::toasty::v1::TagAndGroup;
use tokio::time::Instant;

use crate::toast::{Toast, ToastId};

/// Toasts on show at once.
pub(crate) const MAX_TOASTS: usize = 128;
/// Request ids remembered, the newest.
pub(crate) const REMEMBERED_REQUESTS: usize = 4096;

/// Toasts by age, and the requests answered lately.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// Ids sort by age, so the first is the oldest.
    toasts: BTreeMap<ToastId, Toast>,
    answered: HashMap<String, ToastId>,
    answered_order: VecDeque<String>,
}

impl Store {
    pub(crate) fn insert(&mut self, toast: Toast) {
        self.toasts.insert(toast.id().clone(), toast);
    }

    pub(crate) fn get(&self, id: &ToastId) -> Option<&Toast> {
        self.toasts.get(id)
    }

    pub(crate) fn remove(&mut self, id: &ToastId) -> Option<Toast> {
        self.toasts.remove(id)
    }

    /// Every toast, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Toast> {
        self.toasts.values()
    }

    /// The toasts with this tag and group, oldest first.
    pub(crate) fn tagged(&self, name: &TagAndGroup) -> Vec<ToastId> {
        self.iter()
            .filter(|toast| toast.request().tag == name.tag && toast.request().group == name.group)
            .map(|toast| toast.id().clone())
            .collect()
    }

    /// The oldest toast, while there are more than may be.
    pub(crate) fn surplus(&self) -> Option<ToastId> {
        if self.toasts.len() > MAX_TOASTS {
            self.toasts.keys().next().cloned()
        } else {
            None
        }
    }

    /// When the next toast ends by itself. A look at each of at most [`MAX_TOASTS`].
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.iter().map(Toast::deadline).min()
    }

    /// The toasts whose time is up.
    pub(crate) fn expired(&self, now: Instant) -> Vec<ToastId> {
        self.iter()
            .filter(|toast| toast.deadline() <= now)
            .map(|toast| toast.id().clone())
            .collect()
    }

    /// The toast this request was answered with, if it is remembered.
    pub(crate) fn answered(&self, request_id: &str) -> Option<&ToastId> {
        self.answered.get(request_id)
    }

    /// Remembers a request's answer; the oldest is forgotten for it. An empty id is no name.
    pub(crate) fn remember(&mut self, request_id: &str, toast_id: ToastId) {
        if request_id.is_empty() {
            return;
        }
        if self.answered_order.len() >= REMEMBERED_REQUESTS
            && let Some(oldest) = self.answered_order.pop_front()
        {
            self.answered.remove(&oldest);
        }
        self.answered_order.push_back(request_id.to_owned());
        self.answered.insert(request_id.to_owned(), toast_id);
    }
}

#[cfg(test)]
mod tests {
    use nexus_proto::toasty::v1::ShowRequest;

    use super::*;

    #[test]
    fn memory_of_requests_is_bounded_and_forgets_the_oldest() {
        let mut store = Store::default();
        let id = Toast::new(ShowRequest::default()).id().clone();
        for n in 0..=REMEMBERED_REQUESTS {
            store.remember(&n.to_string(), id.clone());
        }
        assert_eq!(store.answered("0"), None);
        assert_eq!(store.answered("1"), Some(&id));
        assert_eq!(store.answered.len(), REMEMBERED_REQUESTS);
        assert_eq!(store.answered_order.len(), REMEMBERED_REQUESTS);
    }

    #[test]
    fn an_empty_request_id_is_not_remembered() {
        let mut store = Store::default();
        store.remember("", Toast::new(ShowRequest::default()).id().clone());
        assert_eq!(store.answered(""), None);
    }

    #[test]
    fn surplus_is_the_oldest() {
        let mut store = Store::default();
        let first = Toast::new(ShowRequest::default());
        let oldest = first.id().clone();
        store.insert(first);
        for _ in 1..MAX_TOASTS {
            store.insert(Toast::new(ShowRequest::default()));
        }
        assert_eq!(store.surplus(), None);
        store.insert(Toast::new(ShowRequest::default()));
        assert_eq!(store.surplus(), Some(oldest));
    }
}
