//! A future across the border.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use abi_stable::StableAbi;
use abi_stable::std_types::{RErr, ROption};

use crate::guard::{guard, panicked};
use crate::reply::{AnswerV1, ErrorV1, ReplyV1};
use crate::waker::{self, WakerV1};

/// An owned, pinned, guarded future of a [`ReplyV1`].
///
/// Polled and dropped by the other side; a panic in either is caught in the library that made it
/// and becomes an error. Dropping it before it is ready cancels the call.
#[repr(C)]
#[derive(StableAbi)]
pub struct FutureV1 {
    state: *mut (),
    poll: unsafe extern "C" fn(*mut (), &WakerV1) -> ROption<ReplyV1>,
    drop: unsafe extern "C" fn(*mut ()),
}

// SAFETY: `FutureV1::new` only accepts `Send` futures, and nothing can be reached through a shared
// reference to a `FutureV1`.
unsafe impl Send for FutureV1 {}
// SAFETY: as above; `&FutureV1` offers no method.
unsafe impl Sync for FutureV1 {}

impl FutureV1 {
    /// Boxes `future` for the other side.
    pub fn new<F>(future: F) -> Self
    where
        F: Future<Output = Result<AnswerV1, ErrorV1>> + Send + 'static,
    {
        Self {
            state: Box::into_raw(Box::new(future)).cast(),
            poll: poll::<F>,
            drop: drop_future::<F>,
        }
    }

    /// A future that is ready at once.
    pub fn ready(reply: Result<AnswerV1, ErrorV1>) -> Self {
        Self::new(std::future::ready(reply))
    }
}

unsafe extern "C" fn poll<F>(state: *mut (), waker: &WakerV1) -> ROption<ReplyV1>
where
    F: Future<Output = Result<AnswerV1, ErrorV1>> + Send + 'static,
{
    // SAFETY: `state` is the box made in `new`, which is never moved out of; the owner holds
    // `&mut FutureV1`, so nothing else polls it.
    let future = unsafe { Pin::new_unchecked(&mut *state.cast::<F>()) };
    let waker = waker::adopt(waker);
    match guard(|| future.poll(&mut Context::from_waker(&waker))) {
        Ok(Poll::Pending) => ROption::RNone,
        Ok(Poll::Ready(reply)) => ROption::RSome(reply.into()),
        Err(panic) => ROption::RSome(RErr(panic)),
    }
}

unsafe extern "C" fn drop_future<F>(state: *mut ()) {
    // SAFETY: called once, from `FutureV1`'s drop, with the box made in `new`.
    let boxed = unsafe { Box::from_raw(state.cast::<F>()) };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(move || drop(boxed))) {
        // Nobody waits for the answer of a dropped future: the message still goes to the log of
        // the panic hook, and the payload is let go safely.
        let _ = panicked(payload);
    }
}

impl Future for FutureV1 {
    type Output = Result<AnswerV1, ErrorV1>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let lent = waker::lend(cx.waker());
        // SAFETY: `state` belongs to `poll`, and `&mut self` makes this the only poll.
        match unsafe { (self.poll)(self.state, &lent) } {
            ROption::RSome(reply) => Poll::Ready(reply.into_result()),
            ROption::RNone => Poll::Pending,
        }
    }
}

impl Drop for FutureV1 {
    fn drop(&mut self) {
        // SAFETY: the one place where `state` is released.
        unsafe { (self.drop)(self.state) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::codes;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn wakes_across_the_border_and_answers() {
        let (send, receive) = tokio::sync::oneshot::channel::<u8>();
        let future = FutureV1::new(async move {
            let byte = receive.await.expect("sent below");
            Ok(AnswerV1 {
                head: vec![byte].into(),
                ..Default::default()
            })
        });
        let task = tokio::spawn(future);
        tokio::task::yield_now().await;
        send.send(7).expect("the future waits");
        let answer = task.await.expect("no panic").expect("an answer");
        assert_eq!(answer.head.as_slice(), [7]);
    }

    #[tokio::test]
    async fn a_panic_in_poll_is_an_error() {
        let error = FutureV1::new(async { panic!("mid-flight") })
            .await
            .expect_err("must be caught");
        assert_eq!(error.code.as_str(), codes::PANICKED);
        assert_eq!(error.message.as_str(), "mid-flight");
    }

    #[test]
    fn a_panic_in_drop_is_swallowed_and_drop_runs_once() {
        struct Bomb(Arc<AtomicBool>);
        impl Drop for Bomb {
            fn drop(&mut self) {
                assert!(!self.0.swap(true, Ordering::SeqCst), "dropped twice");
                panic!("in drop");
            }
        }
        let dropped = Arc::new(AtomicBool::new(false));
        let bomb = Bomb(dropped.clone());
        drop(FutureV1::new(async move {
            std::future::pending::<()>().await;
            drop(bomb);
            Ok(AnswerV1::default())
        }));
        assert!(dropped.load(Ordering::SeqCst));
    }
}
