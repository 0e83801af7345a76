//! One connection from its first byte to its end: receives a socket, hands its requests to
//! whoever answers them, and ends it when it makes somebody wait too long.
//!
//! One timer serves every deadline, and a request that flows through touches it not once: the
//! timer is moved forward only when a nearer deadline has come up, and back when it fires early.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use chrono::Utc;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::header::EXPECT;
use hyper::service::service_fn;
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use super::super::config::Config;
use super::super::tls::refusal_of;
use super::peer::{PeerAddress, PeerCertificate};
use super::place::Place;
use super::pulse::{Doing, Pulse};
use super::socket::Socket;
use super::stream::{Answered, Asked, Left, Stream};
use super::{Behind, head};
use crate::admission::end_of_certificate;
use crate::queue::BoxFuture;

/// The most that one connection reads ahead, and so the most that headers may weigh.
const READ_BUFFER: usize = 64 * 1024;

/// How long, and for how many bytes, a client whose body was refused is listened to, so that the
/// refusal reaches it: closing at once would reset the connection under its still running upload.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 << 20;

/// Requests at once on a connection of HTTP/2, how many of them a client may take back before they were
/// looked at, and what the headers of one may weigh.
const STREAMS: u32 = 100;
const RESET_STREAMS: usize = 20;
const HEADER_LIST: u32 = 32 * 1024;

/// How long, and for how many bytes, the rest of a body is waited for that nobody wants: as long as that is
/// little, the answer finds a client that listens, and the connection goes on.
const FORGET: Duration = Duration::from_secs(1);
const FORGET_BYTES: u64 = 64 * 1024;

/// How long a connection of HTTP/2 may answer no sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// How long a connection may take for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    header: Duration,
    idle: Duration,
    /// For a client that does not read its answer: as long as for one that does not send.
    write: Duration,
}

impl Limits {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            header: config.header_timeout.get(),
            idle: config.idle_timeout.get(),
            write: config.body_timeout.get(),
        }
    }
}

/// What a connection comes with.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: PeerAddress,
    pub(super) place: Place,
}

/// Serves a connection until it ends, or until it is to stop and has answered.
pub(super) async fn serve(
    accepted: Accepted,
    behind: Behind,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) {
    let Accepted {
        stream,
        peer,
        place,
    } = accepted;
    let Behind {
        answer,
        tls,
        refused,
    } = behind;
    let (socket, certificate) = match tls {
        None => (Socket::Plain(stream), None),
        Some(tls) => match timeout(limits.header, tls.accept(stream)).await {
            Ok(Ok((stream, certificate))) => (Socket::Tls(Box::new(stream)), certificate),
            Ok(Err(error)) => {
                if let Some(detail) = refusal_of(&error) {
                    refused(peer.0.ip(), detail);
                }
                return tracing::debug!(peer = %peer.0, %error, "no TLS was agreed on");
            }
            Err(_) => return tracing::debug!(peer = %peer.0, "a connection was too slow with TLS"),
        },
    };
    let pulse = Arc::new(Pulse::default());
    {
        let service = service_fn(|request: Request<Incoming>| {
            let is_http2 = request.version() == Version::HTTP_2;
            let waits = request.headers().contains_key(EXPECT);
            let asked = pulse.asked(is_http2, request.body().size_hint().exact());
            let (parts, body) = request.into_parts();
            let (body, rest) = Asked::new(body, pulse.clone());
            let mut request = Request::from_parts(parts, Body::new(body));
            request.extensions_mut().insert(peer);
            if let Some(certificate) = &certificate {
                let certificate = PeerCertificate(certificate.clone());
                request.extensions_mut().insert(certificate);
            }
            let answer: BoxFuture<'static, _> = match head::refused(&request) {
                Some(refused) => Box::pin(async { refused }),
                None => answer(request),
            };
            let pulse = pulse.clone();
            async move {
                let mut answer = answer.await;
                let is_read = match rest.take() {
                    Left::Nothing => true,
                    // Who waits to be told to go on has sent nothing, and is not told to.
                    Left::All(rest) => !waits && forget(rest, &pulse).await,
                    Left::Part => false,
                };
                if is_read {
                    pulse.left_unread(false);
                }
                if pulse.is_last() || !(is_read || is_http2) {
                    head::close(&mut answer);
                }
                Ok::<_, Infallible>(answer.map(|body| Answered::new(body, asked)))
            }
        });
        let stream = TokioIo::new(Stream::new(socket, pulse.clone(), place));
        let builder = builder();
        let mut connection = pin!(builder.serve_connection_with_upgrades(stream, service));
        let mut deadline = pin!(Deadline::new(limits));
        let mut expired = pin!(expired(certificate.as_deref()));
        let mut told = false;
        loop {
            let ended = poll_fn(|cx| match connection.as_mut().poll(cx) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending => deadline.as_mut().poll_past(&pulse, cx).map(|()| None),
            });
            tokio::select! {
                biased;
                ended = ended => {
                    match ended {
                        Some(Ok(())) => {}
                        Some(Err(error)) => tracing::trace!(%error, "a connection failed"),
                        None => tracing::debug!(doing = ?pulse.doing(), "a connection was too slow"),
                    }
                    break;
                }
                _ = stopping.wait_for(|stopping| *stopping), if !told => {
                    told = true;
                    connection.as_mut().graceful_shutdown();
                }
                // So that its client begins a new one, with a new certificate.
                () = &mut expired, if !told => {
                    told = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
    if pulse.has_unread()
        && let Some((socket, _place)) = pulse.take_back()
    {
        linger(socket).await;
    }
}

/// Ready when the other end's certificate has expired.
async fn expired(certificate: Option<&[u8]>) {
    match certificate.and_then(end_of_certificate) {
        Some(end) => sleep((end - Utc::now()).to_std().unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}

/// HTTP/1.1 or HTTP/2, whichever the client begins to speak.
fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // The deadlines below tell a slow header from a resting connection; hyper's does not.
        .header_read_timeout(None)
        // A request may have 100 headers. That is hyper's own bound, for which it has room on the stack; any bound of
        // ours, this one too, costs two vectors for each request.
        .max_buf_size(READ_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESET_STREAMS)
        .max_local_error_reset_streams(RESET_STREAMS)
        .max_header_list_size(HEADER_LIST)
        .keep_alive_interval(SIGN_OF_LIFE)
        .keep_alive_timeout(SIGN_OF_LIFE);
    builder
}

/// Reads and forgets the rest of a body; whether it has come to its end.
async fn forget(body: Incoming, pulse: &Pulse) -> bool {
    if body.size_hint().lower() > FORGET_BYTES {
        return false;
    }
    let mut body = Limited::new(body, FORGET_BYTES as usize);
    let all = async {
        while let Some(frame) = body.frame().await {
            match frame.as_ref().map(Frame::data_ref) {
                Ok(Some(part)) => pulse.read(part),
                Ok(None) => pulse.trailed(),
                Err(_) => return false,
            }
        }
        true
    };
    timeout(FORGET, all).await.unwrap_or(false)
}

/// Reads and forgets what still comes, within bounds. The writing side is closed already.
async fn linger(mut stream: Socket) {
    let drain = async {
        let mut scrap = vec![0; READ_BUFFER];
        let mut read = 0;
        while read < LINGER_BYTES {
            match stream.read(&mut scrap).await {
                Ok(0) | Err(_) => break,
                Ok(some) => read += some,
            }
        }
    };
    let _ = timeout(LINGER, drain).await;
}

/// The deadline of whatever a connection is doing.
struct Deadline {
    limits: Limits,
    seen: Option<u32>,
    at: Option<Instant>,
    /// The header block that has begun, and when it must have ended. What else goes on, such as answers to
    /// other requests, gives it no more time.
    block: Option<(NonZeroU32, Instant)>,
    sleep: Pin<Box<Sleep>>,
}

impl Deadline {
    fn new(limits: Limits) -> Self {
        let at = Instant::now() + limits.header;
        Self {
            limits,
            seen: None,
            at: None,
            block: None,
            sleep: Box::pin(sleep_until(at)),
        }
    }

    /// Ready when the connection has been at the same thing for too long. To be polled after the
    /// connection, whose doing it looks at.
    fn poll_past(mut self: Pin<&mut Self>, pulse: &Pulse, cx: &mut Context<'_>) -> Poll<()> {
        pulse.watch(cx.waker());
        if self.seen != Some(pulse.beat()) {
            self.seen = Some(pulse.beat());
            let limit = match pulse.doing() {
                _ if pulse.is_stalled() => Some(self.limits.write),
                Doing::Asking => Some(self.limits.header),
                Doing::Resting => Some(self.limits.idle),
                // A request's body and its processing have deadlines of their own.
                Doing::Answering => None,
            };
            self.at = limit.map(|limit| Instant::now() + limit);
        }
        let block = pulse.block();
        if block != self.block.map(|(block, _)| block) {
            let until = Instant::now() + self.limits.header;
            self.block = block.map(|block| (block, until));
        }
        let block = self.block.map(|(_, until)| until);
        // No more time for it either.
        let offer = pulse.oldest_offer().map(|since| since + self.limits.write);
        let Some(at) = [self.at, block, offer].into_iter().flatten().min() else {
            return Poll::Pending;
        };
        if at < self.sleep.deadline() {
            self.sleep.as_mut().reset(at);
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(at);
        }
        Poll::Pending
    }
}
