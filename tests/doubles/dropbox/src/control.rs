//! `/_control`: what the library's calls order, for those who reach the double over HTTP alone.
//!
//! `POST /_control/{what}` takes JSON and answers `{}`; `GET /_control/counts` tells how often which path was asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::shared::{Fault, Shared};
use crate::webhooks;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_control/counts", get(counts))
        .route("/_control/put", post(put))
        .route("/_control/delete", post(delete))
        .route("/_control/rename", post(rename))
        .route("/_control/reset", post(reset))
        .route("/_control/expire_tokens", post(expire_tokens))
        .route("/_control/fail", post(fail))
        .route("/_control/settings", post(settings))
        .route("/_control/webhook", post(webhook))
}

/// Which account; the first when absent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    account: Option<String>,
    path: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    size: u64,
}

impl Change {
    fn account(&self, shared: &Shared) -> String {
        let first = || shared.accounts[0].id.clone();
        self.account.clone().unwrap_or_else(first)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    page: Option<usize>,
    #[serde(default)]
    newest_first: bool,
    #[serde(default)]
    backoff: Option<u64>,
}

async fn counts(State(shared): State<Arc<Shared>>) -> Json<BTreeMap<String, u64>> {
    Json(shared.counts.borrow().clone())
}

async fn put(State(shared): State<Arc<Shared>>, Json(change): Json<Change>) -> Json<Value> {
    shared.change(&change.account(&shared), |tree| {
        tree.put(&change.path, change.size)
    });
    done()
}

async fn delete(State(shared): State<Arc<Shared>>, Json(change): Json<Change>) -> Json<Value> {
    shared.change(&change.account(&shared), |tree| tree.delete(&change.path));
    done()
}

async fn rename(State(shared): State<Arc<Shared>>, Json(change): Json<Change>) -> Json<Value> {
    shared.change(&change.account(&shared), |tree| {
        tree.rename(&change.path, &change.to)
    });
    done()
}

async fn reset(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.reset();
    done()
}

async fn expire_tokens(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.issued.lock().clear();
    done()
}

async fn fail(State(shared): State<Arc<Shared>>, Json(fault): Json<Fault>) -> Json<Value> {
    shared.settings.lock().faults.push_back(fault);
    done()
}

async fn settings(State(shared): State<Arc<Shared>>, Json(wanted): Json<Settings>) -> Json<Value> {
    let mut settings = shared.settings.lock();
    settings.page = wanted.page.unwrap_or(settings.page).max(1);
    settings.newest_first = wanted.newest_first;
    settings.backoff = wanted.backoff;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hook {
    url: String,
    #[serde(default = "once")]
    copies: usize,
}

fn once() -> usize {
    1
}

/// 400 where the URL does not answer the challenge.
async fn webhook(
    State(shared): State<Arc<Shared>>,
    Json(hook): Json<Hook>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let entered = webhooks::enter(&shared, &hook.url, hook.copies).await;
    entered.map_err(|why| (StatusCode::BAD_REQUEST, why))?;
    Ok(done())
}

fn done() -> Json<Value> {
    Json(json!({}))
}
