//! `/openapi.json` and `/asyncapi.json`: describe what is served, with the contracts that are
//! registered at the moment. They ask for no key: they tell what the hub understands, and nothing
//! of what it is doing.
//!
//! `operations` says what every route does; a test holds it against the router.

mod asyncapi;
mod contracts;
mod openapi;
mod operation;
mod operations;
mod schemas;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use axum::extract::State as Extracted;
use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use parking_lot::Mutex;
use serde_json::Value;

use super::{State, json_text};
use crate::admission::Contract;

/// `GET /openapi.json`.
pub(super) async fn openapi(Extracted(shared): State) -> Response {
    let written = shared
        .documents
        .written(&shared.admission().contracts().list());
    answer(written.openapi)
}

/// `GET /asyncapi.json`.
pub(super) async fn asyncapi(Extracted(shared): State) -> Response {
    let written = shared
        .documents
        .written(&shared.admission().contracts().list());
    answer(written.asyncapi)
}

fn answer(text: Bytes) -> Response {
    let mut response = json_text(StatusCode::OK, text);
    let fresh = HeaderValue::from_static("no-cache");
    response.headers_mut().insert(CACHE_CONTROL, fresh);
    response
}

/// The documents as they were last written; written anew when the contracts are others.
#[derive(Default)]
pub(super) struct Documents(Mutex<Option<Written>>);

#[derive(Clone)]
struct Written {
    of: Vec<Arc<Contract>>,
    openapi: Bytes,
    asyncapi: Bytes,
}

impl Documents {
    fn written(&self, contracts: &[Arc<Contract>]) -> Written {
        let mut kept = self.0.lock();
        let is_current = |written: &&Written| {
            let same = |(a, b): (&Arc<_>, &Arc<_>)| Arc::ptr_eq(a, b);
            written.of.len() == contracts.len() && written.of.iter().zip(contracts).all(same)
        };
        if let Some(written) = kept.as_ref().filter(is_current) {
            return written.clone();
        }
        let text = |document: Value| Bytes::from(document.to_string());
        let written = Written {
            of: contracts.to_vec(),
            openapi: text(openapi::document(contracts)),
            asyncapi: text(asyncapi::document(contracts)),
        };
        kept.insert(written).clone()
    }
}

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Documents(..)")
    }
}
