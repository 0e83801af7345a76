//! What a caller sends: receives the body of a call, hands on its frames as they are, and ends it when
//! a message does not come in time, or the hub stops. It sees where messages begin and end, and nothing
//! of what they say.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

use super::refusal;
use crate::queue::BoxFuture;

/// What stands before each message: whether it is compressed, and its length.
const HEAD: usize = 5;

/// In how many parts a time is counted.
const PARTS: u32 = 8;

/// How long what may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    /// All of it together.
    Whole(Duration),
    /// Each message that has begun, and, if they are not waited for as long as the caller likes, the
    /// time between two of them. They end when the hub stops.
    Each {
        message: Duration,
        between: Option<Duration>,
    },
}

/// See the module.
pub(super) struct Messages {
    inner: Body,
    framing: Framing,
    patience: Patience,
    clock: Option<Clock>,
    stopped: BoxFuture<'static, ()>,
    is_over: bool,
}

impl Messages {
    pub(super) fn new(
        inner: Body,
        patience: Patience,
        mut stopping: watch::Receiver<bool>,
    ) -> Self {
        let stopped: BoxFuture<'static, ()> = match patience {
            Patience::Whole(_) => Box::pin(std::future::pending()),
            Patience::Each { .. } => Box::pin(async move {
                // An error means that the server is gone, which is a stop as well.
                let _ = stopping.wait_for(|stopping| *stopping).await;
            }),
        };
        Self {
            inner,
            framing: Framing::default(),
            patience,
            clock: None,
            stopped,
            is_over: false,
        }
    }

    fn limit(&self) -> Option<Duration> {
        match self.patience {
            Patience::Whole(limit) => Some(limit),
            Patience::Each { message, .. } if self.framing.has_begun() => Some(message),
            Patience::Each { between, .. } => between,
        }
    }

    /// Sees a part pass. What was waited for has come when a message ends in it, or begins.
    fn pass(&mut self, part: &[u8]) {
        let had_begun = self.framing.has_begun();
        let has_ended = self.framing.pass(part);
        let has_come = has_ended || had_begun != self.framing.has_begun();
        if has_come && matches!(self.patience, Patience::Each { .. }) {
            self.clock = None;
        }
    }

    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.limit() {
            Some(limit) => {
                let clock = self.clock.get_or_insert_with(|| Clock::new(limit));
                clock.poll_over(cx)
            }
            None => Poll::Pending,
        }
    }

    /// The last that is read: an end in good order, unless it is in the middle of something.
    fn end(
        &mut self,
        why: fn() -> tonic::Status,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_over = true;
        let is_whole = matches!(self.patience, Patience::Each { .. }) && !self.framing.has_begun();
        Poll::Ready((!is_whole).then(|| Err(axum::Error::new(why()))))
    }
}

impl HttpBody for Messages {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.stopped.as_mut().poll(cx).is_ready() {
            return self.end(refusal::stopping);
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(part) = frame.data_ref() {
                    self.pass(part);
                }
            }
            Poll::Ready(_) => {}
            Poll::Pending => {
                if self.poll_too_slow(cx).is_ready() {
                    return self.end(refusal::too_slow);
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Where among its messages a body is.
#[derive(Debug, Default)]
struct Framing {
    /// So many bytes of a message's head are there.
    head: usize,
    /// The length, as far as it is there.
    length: u32,
    /// So many bytes of the message are still to come.
    left: u32,
}

impl Framing {
    /// Whether a message has begun and not ended.
    fn has_begun(&self) -> bool {
        self.head > 0 || self.left > 0
    }

    /// Goes on over a part, and tells whether a message ends in it.
    fn pass(&mut self, mut part: &[u8]) -> bool {
        let mut has_ended = false;
        while let Some((first, rest)) = part.split_first() {
            if self.left > 0 {
                let here = part
                    .len()
                    .min(usize::try_from(self.left).unwrap_or(part.len()));
                // No more than what is left, which is such a number.
                self.left -= u32::try_from(here).unwrap_or(self.left);
                part = &part[here..];
                has_ended |= self.left == 0;
                continue;
            }
            part = rest;
            self.head += 1;
            // What stands before the length is pushed out of it.
            self.length = (self.length << 8) | u32::from(*first);
            if self.head == HEAD {
                self.head = 0;
                self.left = std::mem::take(&mut self.length);
                has_ended |= self.left == 0;
            }
        }
        has_ended
    }
}

/// A time that passes only while somebody waits: while the hub reads nothing, since its queue is slow,
/// a caller cannot be too slow.
struct Clock {
    part: Duration,
    left: u32,
    sleep: Pin<Box<Sleep>>,
}

impl Clock {
    fn new(limit: Duration) -> Self {
        let part = limit / PARTS;
        Self {
            part,
            left: PARTS,
            sleep: Box::pin(sleep(part)),
        }
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.left > 0 {
            std::task::ready!(self.sleep.as_mut().poll(cx));
            self.left -= 1;
            self.sleep.as_mut().reset(Instant::now() + self.part);
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};
    use http_body_util::{BodyExt, StreamBody};
    use tokio::sync::mpsc;
    use tokio::time::advance;
    use tonic::Code;

    use super::*;

    const MESSAGE: Duration = Duration::from_secs(8);
    const BETWEEN: Duration = Duration::from_secs(80);
    const EACH: Patience = Patience::Each {
        message: MESSAGE,
        between: Some(BETWEEN),
    };

    /// A body, and what sends its parts.
    fn body(patience: Patience) -> (mpsc::Sender<&'static [u8]>, Messages) {
        let (send, parts) = mpsc::channel(8);
        let parts = stream::unfold(parts, |mut parts: mpsc::Receiver<&[u8]>| async move {
            let part = Frame::data(Bytes::from_static(parts.recv().await?));
            Some((Ok::<_, axum::Error>(part), parts))
        });
        let inner = Body::new(StreamBody::new(Box::pin(parts)));
        let (tell, stopping) = watch::channel(false);
        // The server is there for as long as the test.
        std::mem::forget(tell);
        (send, Messages::new(inner, patience, stopping))
    }

    /// How long it takes until the body ends, in seconds, and whether that is in good order.
    async fn end(body: &mut Messages) -> (u64, bool) {
        let started = Instant::now();
        loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                end => return (started.elapsed().as_secs(), end.is_none()),
            }
        }
    }

    #[test]
    fn messages_are_told_apart_however_they_are_cut() {
        let bytes = [
            &[0, 0, 0, 1, 2][..],
            &[7; 258],
            &[0; 5],
            &[1, 0, 0, 0, 1],
            &[7],
        ]
        .concat();
        for size in 1..bytes.len() {
            let mut framing = Framing::default();
            let ends = bytes.chunks(size).filter(|part| framing.pass(part)).count();
            assert!((1..=3).contains(&ends) && !framing.has_begun(), "{size}");
        }
        let mut framing = Framing::default();
        assert!(!framing.pass(&bytes[..262]) && framing.has_begun());
        assert!(framing.pass(&bytes[262..264]) && framing.has_begun());
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_has_begun_is_not_waited_for_longer_than_it_may_take() {
        for is_dripping in [false, true] {
            let (send, mut body) = body(EACH);
            send.try_send(&[0, 0, 0, 1, 0]).unwrap();
            let drip = async {
                loop {
                    sleep(Duration::from_millis(300)).await;
                    if is_dripping {
                        let _ = send.try_send(&[0]);
                    }
                }
            };
            let ended =
                tokio::select! { ended = end(&mut body) => ended, () = drip => unreachable!() };
            assert_eq!(ended, (8, false));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn between_messages_there_is_time_and_then_it_ends_in_good_order() {
        let (send, mut body) = body(EACH);
        send.try_send(&[0, 0, 0, 0, 1, 7]).unwrap();
        assert_eq!(end(&mut body).await, (80, true));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_waited_for_as_long_as_the_caller_likes_has_no_end() {
        let patience = Patience::Each {
            message: MESSAGE,
            between: None,
        };
        let (_send, mut body) = body(patience);
        let waited = tokio::time::timeout(Duration::from_secs(100_000), body.frame());
        assert!(waited.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_of_a_call_has_its_time_however_many_messages_come() {
        let (send, mut body) = body(Patience::Whole(MESSAGE));
        let more = async {
            loop {
                let _ = send.try_send(&[0, 0, 0, 0, 0]);
                sleep(Duration::from_millis(500)).await;
            }
        };
        let ended = tokio::select! { ended = end(&mut body) => ended, () = more => unreachable!() };
        assert_eq!(ended, (8, false));
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_the_hub_does_not_read_is_not_the_caller_s() {
        let (send, mut body) = body(EACH);
        send.try_send(&[0, 0, 0, 0, 2, 7]).unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().now_or_never().is_none());
        advance(MESSAGE * 10).await;
        assert!(
            body.frame().now_or_never().is_none(),
            "too slow for the hub"
        );
        send.try_send(&[7]).unwrap();
        assert!(body.frame().await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_slow_is_told_with_its_code() {
        let (send, mut body) = body(EACH);
        send.try_send(&[0]).unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        let error = body.frame().await.unwrap().unwrap_err();
        let status = tonic::Status::from_error(Box::new(error));
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(
            status.metadata().get("nexus-code").unwrap(),
            "request_timeout"
        );
    }
}
