//! Which trace the work at hand belongs to, for what goes out of the plugin meanwhile. Receives it with each call, and
//! lends it to this thread while the call is polled.

use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static TRACEPARENT: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// The W3C `traceparent` of the call that this thread works on, for requests to other systems.
/// [`outgoing::Client`](crate::outgoing) sends it by itself. A task that a plugin spawns works on no call.
pub fn traceparent() -> Option<Arc<str>> {
    TRACEPARENT.with_borrow(Clone::clone)
}

/// This thread works on a call of that trace until the guard is dropped.
pub(crate) fn within(traceparent: Option<Arc<str>>) -> Within {
    Within(TRACEPARENT.replace(traceparent))
}

pub(crate) struct Within(Option<Arc<str>>);

impl Drop for Within {
    fn drop(&mut self) {
        TRACEPARENT.set(self.0.take());
    }
}
