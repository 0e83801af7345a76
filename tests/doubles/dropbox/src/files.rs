//! The calls that change files, as far as clients of other makes need them to drive the double.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Answer, argument, bad_argument, signed_in, tagged};
use crate::shared::Shared;
use crate::tree::Tree;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/2/files/upload", post(upload))
        .route("/2/files/create_folder_v2", post(create_folder))
        .route("/2/files/delete_v2", post(delete))
        .route("/2/files/move_v2", post(rename))
}

#[derive(Deserialize)]
struct Place {
    path: String,
}

#[derive(Deserialize)]
struct Move {
    from_path: String,
    to_path: String,
}

async fn upload(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Answer {
    const PATH: &str = "/2/files/upload";
    let account = signed_in(&shared, PATH, &headers)?;
    let said = headers.get("dropbox-api-arg").map(|value| value.as_bytes());
    let place: Place = argument(PATH, said.unwrap_or_default())?;
    let size = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let mut file = changed(&shared, PATH, &account, |tree| {
        Some(tree.put(&place.path, size))
    })?;
    // Told of what can be nothing else.
    if let Some(file) = file.as_object_mut() {
        file.remove(".tag");
    }
    Ok(Json(file).into_response())
}

async fn create_folder(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    const PATH: &str = "/2/files/create_folder_v2";
    let account = signed_in(&shared, PATH, &headers)?;
    let place: Place = argument(PATH, &body)?;
    let mut folder = changed(&shared, PATH, &account, |tree| {
        Some(tree.make_folder(&place.path))
    })?;
    if let Some(folder) = folder.as_object_mut() {
        folder.remove(".tag");
    }
    Ok(Json(json!({"metadata": folder})).into_response())
}

async fn delete(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Answer {
    const PATH: &str = "/2/files/delete_v2";
    let account = signed_in(&shared, PATH, &headers)?;
    let place: Place = argument(PATH, &body)?;
    let gone = changed(&shared, PATH, &account, |tree| tree.delete(&place.path))?;
    Ok(Json(json!({"metadata": gone})).into_response())
}

async fn rename(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Answer {
    const PATH: &str = "/2/files/move_v2";
    let account = signed_in(&shared, PATH, &headers)?;
    let asked: Move = argument(PATH, &body)?;
    let moved = changed(&shared, PATH, &account, |tree| {
        tree.rename(&asked.from_path, &asked.to_path)
    })?;
    Ok(Json(json!({"metadata": moved})).into_response())
}

fn changed(
    shared: &Shared,
    path: &str,
    account: &str,
    change: impl FnOnce(&mut Tree) -> Option<Value>,
) -> Result<Value, Response> {
    let done = shared.change(account, change);
    let done = done.ok_or_else(|| bad_argument(path, "no such account"))?;
    done.ok_or_else(|| {
        let error = json!({".tag": "path_lookup", "path_lookup": {".tag": "not_found"}});
        tagged("path_lookup/not_found", error)
    })
}
