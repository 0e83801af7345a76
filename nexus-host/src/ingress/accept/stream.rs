//! A socket that reports what happens on it to the connection's [`Pulse`], and a request's and an
//! answer's body that do the same. They change nothing on the way.

use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::chatter::Chatter;
use super::place::Place;
use super::pulse::{Pulse, Request};
use super::socket::Socket;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The socket.
pub(super) struct Stream {
    /// Always there until it is handed back.
    /// With its place, which is kept for as long as there is a socket, whoever has it.
    inner: Option<(Socket, Place)>,
    pulse: Arc<Pulse>,
    chatter: Chatter,
}

impl Stream {
    pub(super) fn new(inner: Socket, pulse: Arc<Pulse>, place: Place) -> Self {
        Self {
            inner: Some((inner, place)),
            pulse,
            chatter: Chatter::new(),
        }
    }

    fn inner(&mut self) -> io::Result<Pin<&mut Socket>> {
        let (inner, _) = self.inner.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Pin::new(inner))
    }

    fn written(&mut self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.pulse.stalled(poll.is_pending());
        if let Poll::Ready(Ok(written)) = poll {
            self.chatter.said(written);
        }
        poll
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            self.pulse.hand_back(inner);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = self.inner()?.poll_read(cx, buf);
        let heard = &buf.filled()[before..];
        if !heard.is_empty() {
            self.pulse.heard(heard);
            if let Err(told) = self.chatter.heard(heard) {
                return Poll::Ready(Err(io::Error::other(told)));
            }
            self.pulse.in_block(self.chatter.block());
        }
        poll
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = self.inner()?.poll_write(cx, buf);
        self.written(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = self.inner()?.poll_write_vectored(cx, bufs);
        self.written(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner
            .as_ref()
            .is_some_and(|(inner, _)| inner.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner()?.poll_shutdown(cx)
    }
}

/// A request's body.
pub(super) struct Asked {
    /// Until it has come to its end.
    inner: Option<Incoming>,
    is_begun: bool,
    rest: Arc<Rest>,
    pulse: Arc<Pulse>,
}

/// What becomes of a request's body while its answer is made.
#[derive(Default)]
pub(super) struct Rest(Mutex<Left>);

/// What is left of a body.
#[derive(Default)]
pub(super) enum Left {
    /// Nothing, or it is still being read.
    #[default]
    Nothing,
    /// All of it: nobody has looked at it.
    All(Incoming),
    /// A part that nobody wants.
    Part,
}

impl Rest {
    /// What is left, now that there is an answer.
    pub(super) fn take(&self) -> Left {
        mem::take(&mut self.0.lock())
    }
}

impl Asked {
    pub(super) fn new(inner: Incoming, pulse: Arc<Pulse>) -> (Self, Arc<Rest>) {
        let rest = Arc::new(Rest::default());
        let asked = Self {
            inner: Some(inner),
            is_begun: false,
            rest: rest.clone(),
            pulse,
        };
        (asked, rest)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Some(body) = self.inner.take().filter(|body| !body.is_end_stream()) else {
            return;
        };
        // Until it is taken up again.
        self.pulse.left_unread(true);
        *self.rest.0.lock() = match self.is_begun {
            true => Left::Part,
            false => Left::All(body),
        };
    }
}

impl Body for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.is_begun = true;
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let poll = Pin::new(inner).poll_frame(cx);
        match &poll {
            Poll::Ready(Some(Ok(frame))) => match frame.data_ref() {
                Some(part) => self.pulse.read(part),
                None => self.pulse.trailed(),
            },
            // One in chunks does not know its end before.
            Poll::Ready(None) => self.inner = None,
            _ => {}
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

/// An answer's body. Its request is done with once it is.
pub(super) struct Answered {
    inner: axum::body::Body,
    request: Request,
}

impl Answered {
    pub(super) fn new(inner: axum::body::Body, mut request: Request) -> Self {
        request.answered(inner.size_hint().exact().is_some());
        Self { inner, request }
    }
}

impl Body for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let poll = Pin::new(&mut self.inner).poll_frame(cx);
        // What is not asked for again was not taken.
        self.request.offered(poll.is_ready());
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
