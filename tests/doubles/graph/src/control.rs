//! The controls over HTTP, below `/_control`: receives what a test in another language wants to happen, does it, and
//! hands on what was seen.
//!
//! | | |
//! |---|---|
//! | `POST mail` `{mailbox, fields?, unnoticed?}` | a mail arrives: `{id}` |
//! | `POST change` `{mailbox, id, fields}` | a message changes |
//! | `POST vanish` `{mailbox, id}` | a message is moved away or deleted |
//! | `PUT behaviour` | any of its keys |
//! | `POST fail` `{what, status, retry_after?, times}` | coming requests fail |
//! | `POST lifecycle` `{subscription, event}` | a lifecycle URL is told |
//! | `POST remove` `{subscription, told}` | a subscription is gone |
//! | `POST expire-tokens`, `POST forget-delta`, `POST hold` | as they say |
//! | `POST release` `{together?, reverse?, copies?}` | what was held back is sent |
//! | `GET counts`, `GET deliveries` | what was seen |

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{Refusal, done};
use crate::notify::Lifecycle;
use crate::world::{Fault, World};
use crate::{mail, notify, subscriptions};

type Shared = State<Arc<World>>;

pub(crate) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/mail", post(arrive))
        .route("/change", post(change))
        .route("/vanish", post(vanish))
        .route("/behaviour", put(behave))
        .route("/fail", post(fail))
        .route("/lifecycle", post(lifecycle))
        .route("/remove", post(remove))
        .route("/expire-tokens", post(expire_tokens))
        .route("/forget-delta", post(forget_delta))
        .route("/hold", post(hold))
        .route("/release", post(release))
        .route("/counts", get(counts))
        .route("/deliveries", get(deliveries))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mail {
    mailbox: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    fields: Value,
    #[serde(default)]
    unnoticed: bool,
}

async fn arrive(State(world): Shared, Json(asked): Json<Mail>) -> Json<Value> {
    let id = mail::arrives(&world, &asked.mailbox, &asked.fields, !asked.unnoticed);
    Json(json!({ "id": id }))
}

async fn change(State(world): Shared, Json(asked): Json<Mail>) -> Response {
    mail::changes(&world, &asked.mailbox, &asked.id, &asked.fields);
    done(204)
}

async fn vanish(State(world): Shared, Json(asked): Json<Mail>) -> Response {
    mail::vanishes(&world, &asked.mailbox, &asked.id);
    done(204)
}

/// What is left out stays as it is.
async fn behave(State(world): Shared, Json(asked): Json<Value>) -> Response {
    let changed = world.change(|inner| {
        let mut all = serde_json::to_value(&inner.behaviour)?;
        if let (Some(all), Some(asked)) = (all.as_object_mut(), asked.as_object()) {
            all.extend(asked.clone());
        }
        inner.behaviour = serde_json::from_value(all)?;
        Ok::<(), serde_json::Error>(())
    });
    match changed {
        Ok(()) => done(204),
        Err(error) => Refusal::bad(error.to_string()).into_response(),
    }
}

async fn fail(State(world): Shared, Json(fault): Json<Fault>) -> Response {
    world.change(|inner| inner.faults.push(fault));
    done(204)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    subscription: String,
    event: Lifecycle,
}

async fn lifecycle(State(world): Shared, Json(asked): Json<Told>) -> Response {
    notify::lifecycle(&world, &asked.subscription, asked.event);
    done(204)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Removed {
    subscription: String,
    told: bool,
}

async fn remove(State(world): Shared, Json(asked): Json<Removed>) -> Response {
    subscriptions::removes(&world, &asked.subscription, asked.told);
    done(204)
}

async fn expire_tokens(State(world): Shared) -> Response {
    world.change(|inner| inner.tokens.clear());
    done(204)
}

async fn forget_delta(State(world): Shared) -> Response {
    world.change(|inner| inner.delta_epoch += 1);
    done(204)
}

async fn hold(State(world): Shared) -> Response {
    world.change(|inner| inner.held = Some(Vec::new()));
    done(204)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    #[serde(default)]
    together: bool,
    #[serde(default)]
    reverse: bool,
    #[serde(default = "once")]
    copies: usize,
}

fn once() -> usize {
    1
}

async fn release(State(world): Shared, Json(asked): Json<Release>) -> Response {
    notify::releases(&world, asked.together, |held| {
        if asked.reverse {
            held.reverse();
        }
        let once = held.clone();
        *held = (0..asked.copies).flat_map(|_| once.clone()).collect();
    });
    done(204)
}

async fn counts(State(world): Shared) -> Json<Value> {
    Json(world.read(|inner| json!(inner.counts)))
}

async fn deliveries(State(world): Shared) -> Json<Value> {
    Json(world.read(|inner| json!(inner.deliveries)))
}
