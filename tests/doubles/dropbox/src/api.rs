//! The calls that a follower of changes makes: tokens, the account, listing, and the long poll.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Form, Json};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cursor::Cursor;
use crate::shared::{Fault, Shared};

/// How long an access token lasts, in seconds.
const TOKEN_LASTS: u64 = 14_400;

pub(crate) type Answer = Result<Response, Response>;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/oauth2/token", post(token))
        .route("/2/users/get_current_account", post(current_account))
        .route("/2/files/list_folder", post(list_folder))
        .route("/2/files/list_folder/continue", post(list_folder_continue))
        .route("/2/files/list_folder/longpoll", post(longpoll))
}

#[derive(Deserialize)]
struct Grant {
    grant_type: String,
    refresh_token: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: String,
}

async fn token(State(shared): State<Arc<Shared>>, Form(grant): Form<Grant>) -> Answer {
    counted(&shared, "/oauth2/token")?;
    let refused = |what: &str, why: &str| {
        let told = json!({"error": what, "error_description": why});
        (StatusCode::BAD_REQUEST, Json(told)).into_response()
    };
    let app = (grant.client_id, grant.client_secret);
    if app != shared.app {
        return Err(refused(
            "invalid_client",
            "invalid client_id or client_secret",
        ));
    }
    if grant.grant_type != "refresh_token" {
        return Err(refused("unsupported_grant_type", "only refresh_token"));
    }
    let owner = shared
        .accounts
        .iter()
        .find(|one| one.refresh_token == grant.refresh_token)
        .ok_or_else(|| refused("invalid_grant", "refresh token is invalid or revoked"))?;
    let mut random = [0; 16];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())?;
    let token = format!("sl.{}", hex::encode(random));
    shared.issued.lock().insert(token.clone(), owner.id.clone());
    Ok(Json(json!({
        "access_token": token,
        "token_type": "bearer",
        "expires_in": TOKEN_LASTS,
    }))
    .into_response())
}

async fn current_account(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Answer {
    let account = signed_in(&shared, "/2/users/get_current_account", &headers)?;
    let name = account.trim_start_matches("dbid:").trim_end_matches('-');
    Ok(Json(json!({
        "account_id": account,
        "name": {"given_name": name, "surname": "Double", "familiar_name": name,
                 "display_name": name, "abbreviated_name": name},
        "email": format!("{name}@example.org"),
        "email_verified": true,
        "disabled": false,
        "locale": "en",
        "referral_link": "https://example.org/",
        "is_paired": false,
        "account_type": {".tag": "basic"},
        "root_info": {".tag": "user", "root_namespace_id": "1", "home_namespace_id": "1"},
    }))
    .into_response())
}

#[derive(Deserialize)]
struct List {
    path: String,
    #[serde(default)]
    recursive: bool,
    #[serde(default)]
    limit: Option<usize>,
}

async fn list_folder(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Answer {
    const PATH: &str = "/2/files/list_folder";
    let account = signed_in(&shared, PATH, &headers)?;
    let list: List = argument(PATH, &body)?;
    if list.path == "/" || !(list.path.is_empty() || list.path.starts_with('/')) {
        return Err(bad_argument(PATH, "path: the root is the empty string"));
    }
    if !list.recursive {
        return Err(bad_argument(
            PATH,
            "recursive: this double lists whole trees only",
        ));
    }
    let changes = {
        let trees = shared.trees.lock();
        let tree = trees.get(&account).ok_or_else(not_there)?;
        if !tree.has_folder(&list.path) {
            return Err(not_there());
        }
        tree.changes()
    };
    let epoch = shared.settings.lock().epoch;
    let cursor = Cursor {
        account,
        folder: list.path,
        epoch,
        changes,
        after: Some(String::new()),
        limit: list.limit.unwrap_or(2000).max(1),
    };
    Ok(told(&shared, cursor).await)
}

#[derive(Deserialize)]
struct Continue {
    cursor: String,
}

async fn list_folder_continue(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    const PATH: &str = "/2/files/list_folder/continue";
    let account = signed_in(&shared, PATH, &headers)?;
    let asked: Continue = argument(PATH, &body)?;
    let cursor = valid(&shared, PATH, &asked.cursor)?;
    if cursor.account != account {
        return Err(bad_argument(PATH, "cursor: of another account"));
    }
    Ok(told(&shared, cursor).await)
}

/// The page at a cursor, and the next one.
async fn told(shared: &Shared, mut cursor: Cursor) -> Response {
    let (most, newest_first, slow) = {
        let settings = shared.settings.lock();
        let most = settings.page.min(cursor.limit);
        (most, settings.newest_first, settings.slow)
    };
    tokio::time::sleep(slow).await;
    let trees = shared.trees.lock();
    let Some(tree) = trees.get(&cursor.account) else {
        return not_there();
    };
    let entries = match cursor.after.take() {
        Some(after) => {
            let (entries, more) = tree.page(&cursor.folder, Some(&after), most);
            cursor.after = more;
            entries
        }
        None => {
            let (entries, until) = tree.since(&cursor.folder, cursor.changes, most, newest_first);
            cursor.changes = until;
            entries
        }
    };
    let has_more = cursor.after.is_some() || cursor.changes < tree.changes();
    let page = json!({"entries": entries, "cursor": cursor.text(), "has_more": has_more});
    Json(page).into_response()
}

#[derive(Deserialize)]
struct Poll {
    cursor: String,
    #[serde(default = "half_a_minute")]
    timeout: u64,
}

fn half_a_minute() -> u64 {
    30
}

async fn longpoll(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Answer {
    const PATH: &str = "/2/files/list_folder/longpoll";
    counted(&shared, PATH)?;
    if headers.contains_key(header::AUTHORIZATION) {
        return Err(bad_argument(PATH, "this call takes no authorization"));
    }
    let poll: Poll = argument(PATH, &body)?;
    if !(30..=480).contains(&poll.timeout) {
        return Err(bad_argument(PATH, "timeout: must be 30 to 480"));
    }
    let cursor = valid(&shared, PATH, &poll.cursor)?;
    let mut changed = shared.changed.subscribe();
    let news = changed.wait_for(|_| {
        let is_reset = shared.settings.lock().epoch != cursor.epoch;
        let trees = shared.trees.lock();
        let tree = trees.get(&cursor.account);
        is_reset
            || cursor.after.is_some()
            || tree.is_some_and(|tree| tree.changes() > cursor.changes)
    });
    let changes = tokio::time::timeout(Duration::from_secs(poll.timeout), news)
        .await
        .is_ok();
    valid(&shared, PATH, &poll.cursor)?;
    let mut told = json!({"changes": changes});
    if let Some(seconds) = shared.settings.lock().backoff {
        told["backoff"] = json!(seconds);
    }
    Ok(Json(told).into_response())
}

fn valid(shared: &Shared, path: &str, text: &str) -> Result<Cursor, Response> {
    let cursor = Cursor::read(text).ok_or_else(|| bad_argument(path, "cursor: is none"))?;
    match cursor.epoch == shared.settings.lock().epoch {
        true => Ok(cursor),
        false => Err(tagged("reset", json!({".tag": "reset"}))),
    }
}

/// Counts a call; the failure that was ordered for it.
pub(crate) fn counted(shared: &Shared, path: &str) -> Result<(), Response> {
    match shared.count(path) {
        None => Ok(()),
        Some(fault) => Err(failure(&fault)),
    }
}

/// Counts a call, and says whose it is.
pub(crate) fn signed_in(
    shared: &Shared,
    path: &str,
    headers: &HeaderMap,
) -> Result<String, Response> {
    counted(shared, path)?;
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    shown.and_then(|token| shared.owner(token)).ok_or_else(|| {
        let error = json!({
            "error_summary": "expired_access_token/...",
            "error": {".tag": "expired_access_token"},
        });
        (StatusCode::UNAUTHORIZED, Json(error)).into_response()
    })
}

pub(crate) fn argument<T: for<'de> Deserialize<'de>>(
    path: &str,
    body: &[u8],
) -> Result<T, Response> {
    serde_json::from_slice(body).map_err(|error| bad_argument(path, &error.to_string()))
}

/// 400, which the API answers as plain text.
pub(crate) fn bad_argument(path: &str, why: &str) -> Response {
    let function = path.trim_start_matches("/2/");
    let told = format!("Error in call to API function \"{function}\": {why}");
    (StatusCode::BAD_REQUEST, told).into_response()
}

/// 409, with what is wrong.
pub(crate) fn tagged(summary: &str, error: Value) -> Response {
    let told = json!({"error_summary": format!("{summary}/..."), "error": error});
    (StatusCode::CONFLICT, Json(told)).into_response()
}

fn not_there() -> Response {
    let error = json!({".tag": "path", "path": {".tag": "not_found"}});
    tagged("path/not_found", error)
}

fn failure(fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = fault.body.clone().unwrap_or_else(|| match fault.status {
        429 => json!({
            "error_summary": "too_many_requests/..",
            "error": {"reason": {".tag": "too_many_requests"}, "retry_after": fault.retry_after},
        }),
        _ => json!({"error_summary": "internal_error/..", "error": {".tag": "other"}}),
    });
    let mut response = (status, Json(body)).into_response();
    if let Some(seconds) = fault.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
