//! Webhooks: receives where they go, asks whether that is meant, and then tells of each change there, signed, until it is
//! taken or too many attempts have failed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use crate::shared::Shared;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often one is sent that is not taken, and the first pause between; then twice as long each time.
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// A webhook as Dropbox sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The body, as it is signed.
    pub body: String,
    /// What stands in `X-Dropbox-Signature`.
    pub signature: String,
}

impl Webhook {
    pub(crate) fn of(shared: &Shared, accounts: &[&str]) -> Self {
        let body = json!({
            "list_folder": {"accounts": accounts},
            "delta": {"users": []},
        });
        Self::signed(shared, body.to_string())
    }

    pub(crate) fn signed(shared: &Shared, body: String) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, shared.app.1.as_bytes());
        let signature = hex::encode(hmac::sign(&key, body.as_bytes()));
        Self { body, signature }
    }

    /// The status that it was answered with.
    pub(crate) async fn send(&self, url: &str) -> Result<u16, reqwest::Error> {
        let request = client()?.post(url);
        let request = request
            .header("x-dropbox-signature", &self.signature)
            .header("content-type", "application/json")
            .body(self.body.clone());
        Ok(request.send().await?.status().as_u16())
    }
}

fn client() -> Result<Client, reqwest::Error> {
    // Whose cryptography a client would use over TLS; whoever was there first has decided it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(PATIENCE).build()
}

/// Asks a URL to say a challenge back; from then on it is told of each change, so many times over.
pub(crate) async fn enter(shared: &Arc<Shared>, url: &str, copies: usize) -> Result<(), String> {
    handshake(url).await?;
    let mut told = changes(shared);
    let mut changed = shared.changed.subscribe();
    let (following, url) = (Arc::clone(shared), url.to_owned());
    shared.beside(async move {
        while changed.changed().await.is_ok() {
            let now = changes(&following);
            let is_new = |(id, count): &(&String, &usize)| told.get(*id) != Some(*count);
            let new: Vec<&str> = now
                .iter()
                .filter(is_new)
                .map(|(id, _)| id.as_str())
                .collect();
            if !new.is_empty() {
                let hook = Webhook::of(&following, &new);
                for _ in 0..copies {
                    deliver(&following, &url, &hook).await;
                }
            }
            told = now;
        }
    });
    Ok(())
}

/// How many changes there were, by account.
fn changes(shared: &Shared) -> BTreeMap<String, usize> {
    let trees = shared.trees.lock();
    let counts = trees.iter().map(|(id, tree)| (id.clone(), tree.changes()));
    counts.collect()
}

async fn handshake(url: &str) -> Result<(), String> {
    let mut random = [0; 16];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|_| "no random numbers".to_owned())?;
    let challenge = hex::encode(random);
    let told = |error: &dyn std::fmt::Display| format!("the challenge failed: {error}");
    let mut asked: Url = url.parse().map_err(|error| told(&error))?;
    asked.query_pairs_mut().append_pair("challenge", &challenge);
    let client = client().map_err(|error| told(&error))?;
    let answer = client
        .get(asked)
        .send()
        .await
        .map_err(|error| told(&error))?;
    let header = |name: &str| {
        let value = answer.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let is_text = header("content-type").is_some_and(|kind| kind.starts_with("text/plain"));
    let is_plain = header("x-content-type-options").as_deref() == Some("nosniff");
    let status = answer.status().as_u16();
    let body = answer.text().await.map_err(|error| told(&error))?;
    match status == 200 && is_text && is_plain && body == challenge {
        true => Ok(()),
        false => Err(told(&format!(
            "200, text/plain, nosniff and the challenge itself are expected; status {status}, body {body:?} came"
        ))),
    }
}

async fn deliver(shared: &Shared, url: &str, hook: &Webhook) {
    let mut pause = FIRST_PAUSE;
    for _ in 0..ATTEMPTS {
        shared.count("webhook");
        if matches!(hook.send(url).await, Ok(200)) {
            return;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}
