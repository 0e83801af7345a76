//! `GET /v1/admin/stages`: sends what happens to events, step by step, as it happens (server-sent events), to clients that
//! may administer. Of payloads there is nothing in it. Whoever reads too slowly misses some and is told how many.

use std::sync::Arc;

use axum::extract::{RawQuery, State as Extracted};
use axum::response::Response;
use bytes::Bytes;
use hyper::http::request::Parts;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

use super::problem::Problem;
use super::query::{known, refused};
use super::sse::{SIGN_OF_LIFE, STILL_HERE};
use super::{State, auth, sse};
use crate::admission::{ClientScope, quoted};
use crate::ingress::follower::Wanted;
use crate::observe::stages::{Named, STAGES, Stage};

/// Said at once.
const WATCHING: Bytes = Bytes::from_static(b": watching\n\n");

/// One client that watches.
struct Lines {
    client: Arc<ClientScope>,
    wanted: Wanted,
    /// Which steps; all when empty.
    stages: Vec<String>,
    passing: broadcast::Receiver<Arc<Stage>>,
    stopping: watch::Receiver<bool>,
}

/// `GET /v1/admin/stages`.
pub(super) async fn follow(
    Extracted(shared): State,
    RawQuery(query): RawQuery,
    head: Parts,
) -> Result<Response, Problem> {
    let client = auth::admin(&shared, &head).await?;
    let [types, sources, stages] = known(query.as_deref(), ["type", "source", "stage"])?;
    let stages: Vec<String> = stages
        .iter()
        .flat_map(|stages| stages.split(','))
        .map(str::to_owned)
        .collect();
    if let Some(unknown) = stages.iter().find(|one| !STAGES.contains(&one.as_str())) {
        let (unknown, known) = (quoted(unknown), STAGES.join(", "));
        return Err(refused(format!(
            "`stage` has {unknown}, which is none; there are {known}"
        )));
    }
    let lines = Lines {
        client,
        wanted: Wanted::of_query(types.as_deref(), sources.as_deref())?,
        stages,
        passing: shared.ports.stages.watch(),
        stopping: shared.stopping.clone(),
    };
    Ok(sse::answer(WATCHING, lines))
}

impl sse::Lines for Lines {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let passed = tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
                passed = timeout(SIGN_OF_LIFE, self.passing.recv()) => passed,
            };
            if self.client.has_expired() {
                return None;
            }
            match passed {
                Err(_) => return Some(STILL_HERE),
                Ok(Err(RecvError::Closed)) => return None,
                Ok(Err(RecvError::Lagged(missed))) => {
                    return Some(format!("event: missed\ndata: {missed}\n\n").into());
                }
                Ok(Ok(stage)) if self.wants(&stage) => {
                    // It is an object of texts and numbers, which always serialises.
                    let text = serde_json::to_string(&*stage).unwrap_or_default();
                    return Some(format!("data: {text}\n\n").into());
                }
                Ok(Ok(_)) => {}
            }
        }
    }
}

impl Lines {
    fn wants(&self, stage: &Stage) -> bool {
        let is_meant = self.stages.is_empty() || self.stages.contains(&stage.stage);
        is_meant
            && match &stage.event {
                Some(Named {
                    event_type: Some(event_type),
                    source: Some(source),
                    ..
                }) => self.wanted.names(event_type, source),
                _ => self.wanted.is_everything(),
            }
    }
}
