//! Sign-in: receives an app's credentials, hands on tokens that live for a while; publishes the keys by which
//! validation tokens are checked, and signs those.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Refusal, said};
use crate::world::World;

/// The tenant that it is.
pub const TENANT: &str = "84bd8158-6d4d-4958-8b9f-9d6445542f95";
/// The app that may sign in.
pub const CLIENT_ID: &str = "8e460676-ae3f-4b1e-8790-ee0fb5d6148f";
/// With this secret.
pub const CLIENT_SECRET: &str = "double-of-a-secret";
/// Who sends notifications: the app id of Graph's own publisher.
pub const PUBLISHER: &str = "0bf30f3b-4a52-48df-9a82-234910c4a086";

/// The key that signs; public, as everything of a double.
const SIGNING: &[u8] = include_bytes!("../keys/signing.der");
/// Its other half.
const PUBLISHED: &str = include_str!("../keys/jwks.json");

/// `POST /{tenant}/oauth2/v2.0/token`
pub(crate) async fn token(State(world): State<Arc<World>>, body: Bytes) -> Response {
    world.let_through().await;
    if let Some(fault) = world.change(|inner| inner.fault("token")) {
        world.change(|inner| inner.counted("token.refused"));
        return Refusal::of_status(fault.status, fault.retry_after).into_response();
    }
    let form: std::collections::BTreeMap<String, String> =
        form_urlencoded::parse(&body).into_owned().collect();
    let is = |key: &str, value: &str| form.get(key).is_some_and(|found| found == value);
    let refused = |error: &str, told: &str| {
        world.change(|inner| inner.counted("token.refused"));
        said(
            if error == "invalid_client" { 401 } else { 400 },
            json!({
                "error": error, "error_description": told, "error_codes": [7_000_215],
            }),
        )
    };
    if !is("grant_type", "client_credentials") {
        return refused(
            "unsupported_grant_type",
            "AADSTS70003: The grant type is not supported.",
        );
    }
    if !form
        .get("scope")
        .is_some_and(|scope| scope.ends_with("/.default"))
    {
        return refused(
            "invalid_scope",
            "AADSTS1002012: The scope is not valid for client credentials.",
        );
    }
    if !is("client_id", CLIENT_ID) || !is("client_secret", CLIENT_SECRET) {
        return refused(
            "invalid_client",
            "AADSTS7000215: Invalid client secret provided.",
        );
    }
    let token = format!("double.{}", Uuid::new_v4().simple());
    let life = world.change(|inner| {
        inner.counted("token");
        let life = inner.behaviour.token_life_ms;
        let until = Utc::now() + TimeDelta::milliseconds(i64::try_from(life).unwrap_or(i64::MAX));
        inner.tokens.insert(token.clone(), until);
        life / 1_000
    });
    said(
        200,
        json!({
            "token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token,
        }),
    )
}

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`
pub(crate) async fn metadata(State(world): State<Arc<World>>) -> Response {
    world.change(|inner| inner.counted("metadata"));
    said(
        200,
        json!({
            "issuer": issuer(&world),
            "jwks_uri": format!("{}/{TENANT}/discovery/v2.0/keys", world.url),
            "token_endpoint": format!("{}/{TENANT}/oauth2/v2.0/token", world.url),
        }),
    )
}

/// `GET /{tenant}/discovery/v2.0/keys`
pub(crate) async fn keys(State(world): State<Arc<World>>) -> Response {
    world.change(|inner| inner.counted("keys"));
    if let Some(fault) = world.change(|inner| inner.fault("keys")) {
        return Refusal::of_status(fault.status, fault.retry_after).into_response();
    }
    ([("content-type", "application/json")], PUBLISHED).into_response()
}

fn issuer(world: &World) -> String {
    format!("{}/{TENANT}/v2.0", world.url)
}

/// A token that says who sends resource data and to whom; `over` goes over the right claims.
pub(crate) fn validation_token(world: &World, over: &Value) -> String {
    let now = Utc::now().timestamp();
    let mut claims = json!({
        "aud": CLIENT_ID,
        "iss": issuer(world),
        "iat": now,
        "nbf": now,
        "exp": now + 3_600,
        "azp": PUBLISHER,
        "tid": TENANT,
        "ver": "2.0",
    });
    if let (Some(claims), Some(over)) = (claims.as_object_mut(), over.as_object()) {
        claims.extend(over.clone());
    }
    let header = json!({ "typ": "JWT", "alg": "RS256", "kid": "graph-double-1" });
    let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let key = RsaKeyPair::from_pkcs8(SIGNING).expect("the double's own key is one");
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .expect("the double's own key signs");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
