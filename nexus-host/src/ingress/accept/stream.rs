//! A socket that reports what happens on it to the connection's [`Pulse`], and a request's and an
//! answer's body that do the same. They change nothing on the way.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::place::Place;
use super::pulse::{Pulse, Request};
use super::socket::Socket;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The socket.
pub(super) struct Stream {
    /// Always there until it is handed back.
    /// With its place, which is kept for as long as there is a socket, whoever has it.
    inner: Option<(Socket, Place)>,
    pulse: Arc<Pulse>,
}

impl Stream {
    pub(super) fn new(inner: Socket, pulse: Arc<Pulse>, place: Place) -> Self {
        Self {
            inner: Some((inner, place)),
            pulse,
        }
    }

    fn inner(&mut self) -> io::Result<Pin<&mut Socket>> {
        let (inner, _) = self.inner.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Pin::new(inner))
    }

    fn written(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.pulse.stalled(poll.is_pending());
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
        if buf.filled().len() > before {
            self.pulse.heard();
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
    inner: Incoming,
    pulse: Arc<Pulse>,
}

impl Asked {
    pub(super) fn new(inner: Incoming, pulse: Arc<Pulse>) -> Self {
        Self { inner, pulse }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.inner.is_end_stream() {
            self.pulse.left_unread();
        }
    }
}

impl Body for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let poll = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &poll
            && frame.is_trailers()
        {
            self.pulse.trailed();
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body. Its request is done with once it is.
pub(super) struct Answered {
    inner: axum::body::Body,
    request: Request,
}

impl Answered {
    pub(super) fn new(inner: axum::body::Body, mut request: Request) -> Self {
        request.offered(true);
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
