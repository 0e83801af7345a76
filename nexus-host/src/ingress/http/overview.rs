//! `/v1/admin/overview`: the whole hub at a glance, for administrators: once, or once a second as server-sent events.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Extracted;
use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::http::request::Parts;
use tokio::time::timeout;

use super::problem::Problem;
use super::{Shared, State, auth, json_text, sse};
use crate::admission::ClientScope;
use crate::observe::overview::Watcher;

/// Longer than a look can take; a hub that is so busy tells what it can, and not nothing for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// One administrator who watches.
struct Lines {
    shared: Arc<Shared>,
    client: Arc<ClientScope>,
    watcher: Watcher,
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
    let watcher = shared.ports.overviews.watch();
    let before = message("history", &watcher.before);
    let lines = Lines {
        watcher,
        client,
        shared,
    };
    Ok(sse::answer(before, lines))
}

impl sse::Lines for Lines {
    /// What is, after what was. `None` at the end: when the hub stops, or what the administrator was let in with has
    /// expired.
    async fn next(&mut self) -> Option<Bytes> {
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
