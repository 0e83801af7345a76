//! `/v1/admin/overview`: the whole hub at a glance, for administrators: once, or once a second as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State as Extracted;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use tokio::time::timeout;

use super::problem::Problem;
use super::{Shared, State, auth, json_text};
use crate::admission::ClientScope;
use crate::observe::overview::Watcher;

/// Longer than a look can take; a hub that is so busy tells what it can, and not nothing for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// One administrator who watches.
struct Lines {
    shared: Arc<Shared>,
    client: Arc<ClientScope>,
    watcher: Watcher,
    greeted: bool,
}

/// `GET /v1/admin/overview`. Rates need a second to be told.
pub(super) async fn show(Extracted(shared): State, head: Parts) -> Result<Response, Problem> {
    auth::admin(&shared, &head).await?;
    let mut watcher = shared.ports.overviews.watch();
    match timeout(PATIENCE, watcher.next()).await {
        Ok(Some(overview)) => Ok(json_text(StatusCode::OK, overview)),
        Ok(None) | Err(_) => Err(Problem::internal("the overview could not be made in time")),
    }
}

/// `GET /v1/admin/overview/stream`.
pub(super) async fn follow(Extracted(shared): State, head: Parts) -> Result<Response, Problem> {
    let client = auth::admin(&shared, &head).await?;
    let lines = Lines {
        watcher: shared.ports.overviews.watch(),
        client,
        shared,
        greeted: false,
    };
    let lines = unfold(lines, |mut lines| async move {
        let line = lines.next().await?;
        Some((Ok::<_, Infallible>(line), lines))
    });
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Lines {
    /// What to send next: first what was, then what is. `None` at the end: when the hub stops, or what the
    /// administrator was let in with has expired.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.greeted {
            self.greeted = true;
            return Some(message("history", &self.watcher.before));
        }
        let overview = tokio::select! {
            () = self.shared.stopped() => None,
            overview = self.watcher.next() => overview,
        }?;
        (!self.client.has_expired()).then(|| message("overview", &overview))
    }
}

/// JSON of one line as one message.
fn message(name: &str, json: &Bytes) -> Bytes {
    let head = format!("event: {name}\ndata: ");
    [head.as_bytes(), json, b"\n\n"].concat().into()
}
