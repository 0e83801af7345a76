//! A moment's wait, without a runtime: another thread wakes whoever waits, by the waker of the host.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

/// Ready when it is polled for the second time.
#[derive(Default)]
pub(crate) struct Pause {
    has_begun: bool,
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_begun {
            return Poll::Ready(());
        }
        self.has_begun = true;
        let waker = cx.waker().clone();
        thread::spawn(move || waker.wake());
        Poll::Pending
    }
}
