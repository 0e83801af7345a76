//! Answers that go on: receives whoever tells line after line, hands on a response of server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::ready;
use futures_util::stream::{once, unfold};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};

/// After so long without anything to tell, a sign of life, so that a dead connection is noticed.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// That sign.
pub(super) const STILL_HERE: Bytes = Bytes::from_static(b": still here\n\n");

/// Who tells.
pub(super) trait Lines: Send + 'static {
    /// What to send next; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Option<Bytes>> + Send;
}

/// A response that begins with this at once, and goes on with what is told.
pub(super) fn answer(greeting: Bytes, lines: impl Lines) -> Response {
    let lines = unfold(lines, |mut lines| async move {
        let line = lines.next().await?;
        Some((line, lines))
    });
    let all = once(ready(greeting)).chain(lines).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(all));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
