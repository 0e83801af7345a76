//! Which request is meant: receives requests to Graph, checks who asks, and hands them on to `subscriptions` and
//! `mail`; sign-in and controls have routes of their own. It counts everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::answer::Refusal;
use crate::world::World;
use crate::{control, login, mail, subscriptions};

/// What a handler is given beside the world.
pub(crate) type Query = BTreeMap<String, String>;

pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(login::token))
        .route(
            "/{tenant}/v2.0/.well-known/openid-configuration",
            get(login::metadata),
        )
        .route("/{tenant}/discovery/v2.0/keys", get(login::keys))
        .nest("/_control", control::router())
        .fallback(graph)
        .layer(DefaultBodyLimit::max(4 * 1024 * 1024))
        .with_state(world)
}

/// Whatever is below `/v1.0`.
async fn graph(
    State(world): State<Arc<World>>,
    method: Method,
    headers: HeaderMap,
    request: Request,
) -> Response {
    world.let_through().await;
    let uri = request.uri().clone();
    let body = axum::body::to_bytes(request.into_body(), 4 * 1024 * 1024).await;
    let Ok(body) = body else {
        return Refusal::new(413, "RequestEntityTooLarge", "The body is too large.")
            .into_response();
    };
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let query: Query = query.into_owned().collect();
    let path = segments(uri.path());
    let Some(operation) = operation(&method, &path) else {
        return Refusal::new(404, "BadRequest", "Resource not found for the segment.")
            .into_response();
    };
    let answered = match let_in(&world, operation.name(), &headers) {
        Ok(()) => perform(&world, &operation, &query, &body).await,
        Err(refusal) => Err(refusal),
    };
    let name = operation.name();
    match answered {
        Ok(response) => {
            world.change(|inner| inner.counted(name));
            response
        }
        Err(refusal) => {
            world.change(|inner| {
                inner.counted(name);
                inner.counted(&format!("{name}.refused"));
            });
            refusal.into_response()
        }
    }
}

/// What is asked for.
#[derive(Debug)]
enum Operation {
    CreateSubscription,
    ListSubscriptions,
    GetSubscription(String),
    RenewSubscription(String),
    DeleteSubscription(String),
    ReauthorizeSubscription(String),
    ListMessages(String),
    Delta(String, String),
    GetMessage(String, String),
}

impl Operation {
    fn name(&self) -> &'static str {
        match self {
            Self::CreateSubscription => "subscription.create",
            Self::ListSubscriptions => "subscription.list",
            Self::GetSubscription(_) => "subscription.get",
            Self::RenewSubscription(_) => "subscription.renew",
            Self::DeleteSubscription(_) => "subscription.delete",
            Self::ReauthorizeSubscription(_) => "subscription.reauthorize",
            Self::ListMessages(_) => "message.list",
            Self::Delta(..) => "message.delta",
            Self::GetMessage(..) => "message.get",
        }
    }
}

/// The segments of a path, decoded: `mailFolders('inbox')` is two, `delta()` is `delta`.
pub(crate) fn segments(path: &str) -> Vec<String> {
    let mut all = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let decoded = percent_decode_str(segment).decode_utf8_lossy().into_owned();
        let key = decoded
            .strip_suffix("')")
            .and_then(|rest| rest.split_once("('"));
        match key {
            Some((name, key)) => all.extend([name.to_owned(), key.to_owned()]),
            None => all.push(decoded.strip_suffix("()").unwrap_or(&decoded).to_owned()),
        }
    }
    all
}

fn operation(method: &Method, path: &[String]) -> Option<Operation> {
    let lower: Vec<String> = path.iter().map(|segment| segment.to_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let ["v1.0", rest @ ..] = lower.as_slice() else {
        return None;
    };
    let own = |at: usize| path.get(at + 1).cloned().unwrap_or_default();
    match (method.as_str(), rest) {
        ("POST", ["subscriptions"]) => return Some(Operation::CreateSubscription),
        ("GET", ["subscriptions"]) => return Some(Operation::ListSubscriptions),
        ("GET", ["subscriptions", _]) => return Some(Operation::GetSubscription(own(1))),
        ("PATCH", ["subscriptions", _]) => return Some(Operation::RenewSubscription(own(1))),
        ("DELETE", ["subscriptions", _]) => return Some(Operation::DeleteSubscription(own(1))),
        ("POST", ["subscriptions", _, "reauthorize"]) => {
            return Some(Operation::ReauthorizeSubscription(own(1)));
        }
        _ => {}
    }
    let (mailbox, rest, skipped) = match rest {
        ["me", rest @ ..] => ("me".to_owned(), rest, 1),
        ["users", _, rest @ ..] => (own(1), rest, 2),
        _ => return None,
    };
    match (method.as_str(), rest) {
        ("GET", ["messages"] | ["mailfolders", _, "messages"]) => {
            Some(Operation::ListMessages(mailbox))
        }
        ("GET", ["messages", "delta"]) => Some(Operation::Delta(mailbox, "inbox".to_owned())),
        ("GET", ["mailfolders", folder, "messages", "delta"]) => {
            Some(Operation::Delta(mailbox, (*folder).to_owned()))
        }
        ("GET", ["messages", _]) => Some(Operation::GetMessage(mailbox, own(skipped + 1))),
        ("GET", ["mailfolders", _, "messages", _]) => {
            Some(Operation::GetMessage(mailbox, own(skipped + 3)))
        }
        _ => None,
    }
}

fn let_in(world: &World, what: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    if let Some(fault) = world.change(|inner| inner.fault(what)) {
        return Err(Refusal::of_status(fault.status, fault.retry_after));
    }
    let shown = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let token = shown
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    match world.read(|inner| inner.is_signed_in(token)) {
        true => Ok(()),
        false => {
            let message = "Lifetime validation failed, the token is expired.";
            Err(Refusal::new(401, "InvalidAuthenticationToken", message))
        }
    }
}

async fn perform(
    world: &Arc<World>,
    operation: &Operation,
    query: &Query,
    body: &Bytes,
) -> Result<Response, Refusal> {
    let json = || -> Result<Value, Refusal> {
        serde_json::from_slice(body).map_err(|error| Refusal::bad(error.to_string()))
    };
    match operation {
        Operation::CreateSubscription => subscriptions::create(world, &json()?).await,
        Operation::ListSubscriptions => Ok(subscriptions::list(world)),
        Operation::GetSubscription(id) => subscriptions::get(world, id),
        Operation::RenewSubscription(id) => subscriptions::renew(world, id, &json()?),
        Operation::DeleteSubscription(id) => subscriptions::delete(world, id),
        Operation::ReauthorizeSubscription(id) => subscriptions::reauthorize(world, id),
        Operation::ListMessages(mailbox) => mail::list(world, mailbox, query),
        Operation::Delta(mailbox, folder) => mail::delta(world, mailbox, folder, query),
        Operation::GetMessage(mailbox, id) => mail::get(world, mailbox, id, query),
    }
}
