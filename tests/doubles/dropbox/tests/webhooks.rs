//! Webhooks that the double sends by itself: the challenge, and what follows.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dropbox_double::Dropbox;
use parking_lot::Mutex;
use serde_json::json;
use tokio::net::TcpListener;

/// Signatures and bodies, as they came.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

async fn challenged(RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let challenge = query.strip_prefix("challenge=").unwrap_or_default();
    let plain = [
        (header::CONTENT_TYPE, "text/plain"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (plain, challenge.to_owned()).into_response()
}

/// The first is not taken.
async fn told(State(seen): State<Seen>, headers: HeaderMap, body: String) -> StatusCode {
    let signature = headers["x-dropbox-signature"]
        .to_str()
        .expect("text")
        .to_owned();
    let mut seen = seen.lock();
    seen.push((signature, body));
    match seen.len() {
        1 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    }
}

async fn receiver(seen: &Seen) -> String {
    let routes = Router::new()
        .route("/hook", get(challenged).post(told))
        .route("/page", get(|| async { "hello" }));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = axum::serve(listener, routes.with_state(seen.clone()));
    tokio::spawn(async move { serving.await });
    format!("http://{address}")
}

#[tokio::test]
async fn a_url_that_is_entered_is_challenged_and_told_of_changes_until_it_takes_them() {
    let dropbox = Dropbox::start().await.unwrap();
    let seen = Seen::default();
    let url = receiver(&seen).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let enter = |body: serde_json::Value| {
        let request = client.post(format!("{}/_control/webhook", dropbox.url()));
        let request = request.header("content-type", "application/json");
        request.body(body.to_string()).send()
    };
    let refused = enter(json!({ "url": format!("{url}/page") }))
        .await
        .unwrap();
    assert_eq!(refused.status(), 400);
    assert!(
        refused
            .text()
            .await
            .unwrap()
            .contains("the challenge failed")
    );
    let entered = enter(json!({ "url": format!("{url}/hook"), "copies": 2 }))
        .await
        .unwrap();
    assert_eq!(entered.status(), 200);
    for (change, sent) in [("/a", 3), ("/b", 5)] {
        dropbox.put(change, 1);
        // Each of them twice, and the very first once more.
        dropbox.asked_at_least("webhook", sent).await;
    }
    // Counted before it is sent: what comes after one has come is the proof.
    dropbox.put("/c", 1);
    dropbox.asked_at_least("webhook", 6).await;
    let seen = seen.lock();
    assert!(seen.len() >= 5, "{seen:?}");
    let expected = dropbox.webhook();
    for (signature, body) in seen.iter() {
        assert_eq!((signature, body), (&expected.signature, &expected.body));
    }
}
