//! Against a tiny stand-in: only what the real server cannot be made to do.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use chrono::Utc;
use nexus_plugin_api::testing::Bench;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::config::Config;

const SERVER: &str = "/threads/00000000-0000-0000-0000-000000000002";

pub(crate) fn entry() -> Entry {
    Entry {
        run_id: Uuid::from_u128(1),
        thread_id: Uuid::from_u128(2),
        assistant: "classifier".to_owned(),
        stream: false,
        reported: false,
        since: Utc::now(),
        context: None,
        correlation_id: None,
        causation_id: None,
        traceparent: None,
    }
}

/// A server that answers each path, without what all of them begin with, in one way.
pub(crate) async fn answering(
    answers: impl Fn(&str) -> Response + Send + Sync + 'static,
) -> Server {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = Config {
        url: format!("http://{}", listener.local_addr().unwrap()),
        ..Config::default()
    };
    let answers = Arc::new(answers);
    let router = Router::new().fallback(move |uri: Uri| {
        let answers = Arc::clone(&answers);
        async move { answers(uri.path().strip_prefix(SERVER).unwrap_or("?")) }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Server::new(&config, Bench::new().setup().services())
}

pub(crate) fn json(value: &Value) -> Response {
    axum::Json(value).into_response()
}

pub(crate) const RUN: &str = "/runs/00000000-0000-0000-0000-000000000001";

pub(crate) fn run(status: &str) -> Response {
    json(&json!({"run_id": Uuid::from_u128(1), "status": status}))
}

#[tokio::test]
async fn a_server_that_finds_no_checkpoints_by_run_is_asked_for_the_thread() {
    for (thread, expected) in [
        (
            json!({"status": "idle", "values": {"a": 1}, "interrupts": {}}),
            r#"Completed(Object {"a": Number(1)})"#,
        ),
        (
            json!({"status": "interrupted", "values": {}, "interrupts": {"t": [{"id": "i", "value": 2}]}}),
            r#"Interrupted([Interrupt { id: "i", value: Number(2) }])"#,
        ),
    ] {
        let server = answering(move |path| match path {
            RUN => run("success"),
            "/history" => json(&json!([])),
            _ => json(&thread),
        });
        let ending = ending(&server.await, &entry()).await.unwrap();
        assert_eq!(format!("{:?}", ending.unwrap()), expected);
    }
}

#[tokio::test]
async fn a_run_that_has_left_more_than_is_read_has_ended_all_the_same() {
    for (thread, expected) in [
        (
            json!([{"status": "idle"}]),
            "CompletedWithMoreThan(8388608)",
        ),
        (
            json!([{"status": "interrupted", "interrupts": {"t": [{"id": "i", "value": 2}]}}]),
            r#"Interrupted([Interrupt { id: "i", value: Number(2) }])"#,
        ),
        (json!(["x".repeat(9_000_000)]), "Failed("),
    ] {
        let server = answering(move |path| match path {
            RUN => run("success"),
            "/history" => json(&json!([{"values": "x".repeat(9_000_000), "next": []}])),
            _ => json(&thread),
        });
        let ending = ending(&server.await, &entry()).await.unwrap();
        let ending = format!("{:?}", ending.unwrap());
        assert!(ending.starts_with(expected), "{ending}");
    }
}

#[tokio::test]
async fn an_error_of_no_task_is_told_by_the_thread_if_by_anybody() {
    for (thread, expected) in [
        (
            json!({"status": "error", "error": {"error": "GraphRecursionError", "message": "too deep"}}),
            "GraphRecursionError: too deep",
        ),
        // Of a run since.
        (
            json!({"status": "busy", "error": {"error": "E", "message": "m"}}),
            "the server does not say why",
        ),
    ] {
        let server = answering(move |path| match path {
            RUN => run("error"),
            "/history" => json(&json!([{"values": {}, "next": ["a"], "tasks": [{"error": null}]}])),
            _ => json(&thread),
        });
        let ending = ending(&server.await, &entry()).await.unwrap();
        let Some(Ending::Failed(failure)) = ending else {
            panic!("it has failed: {ending:?}");
        };
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (FailureKind::GraphError, expected)
        );
    }
}

#[tokio::test]
async fn a_status_of_the_server_s_own_making_ends_a_run() {
    for (status, kind) in [
        ("timeout", FailureKind::Timeout),
        ("odd", FailureKind::GraphError),
    ] {
        let server = answering(move |_| run(status)).await;
        let ending = ending(&server, &entry()).await.unwrap();
        assert!(matches!(ending, Some(Ending::Failed(failure)) if failure.kind == kind));
    }
}

#[tokio::test]
async fn only_the_server_itself_can_say_that_a_run_is_gone() {
    let gone = json!({"detail": "Not Found"});
    let server = answering(move |_| (StatusCode::NOT_FOUND, json(&gone)).into_response()).await;
    let ending_of_gone = ending(&server, &entry()).await.unwrap();
    assert!(
        matches!(ending_of_gone, Some(Ending::Failed(failure)) if failure.kind == FailureKind::Gone)
    );
    let page = "<html>404 Not Found</html>";
    let server = answering(move |_| (StatusCode::NOT_FOUND, page).into_response()).await;
    let error = ending(&server, &entry()).await.unwrap_err();
    assert_eq!(error.code, "not_found");
}

#[tokio::test]
async fn a_server_that_is_busy_says_when_to_come_back_and_who_it_is() {
    for (status, code) in [(429, "rate_limited"), (503, "unavailable")] {
        let server = answering(move |_| {
            let status = StatusCode::from_u16(status).unwrap();
            (status, [("retry-after", "7")], "later").into_response()
        });
        let error = ending(&server.await, &entry()).await.unwrap_err();
        assert_eq!((error.code.as_ref(), error.retryable), (code, true));
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
        assert!(
            error.message.starts_with("LangGraph at http://127.0.0.1:"),
            "{error}"
        );
    }
}
