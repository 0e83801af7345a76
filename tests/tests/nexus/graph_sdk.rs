//! The double of Microsoft Graph is what Microsoft's own SDK takes it for: what the plugin is tested against speaks
//! its wire.

use std::path::Path;
use std::process::Command;

use graph_double::GraphDouble;
use nexus_tests::foreign::{python_with, run};
use nexus_tests::skip::or_skip;
use serde_json::{Value, json};

const SDK: &str = "msgraph-sdk==1.65.0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_sdk_uses_the_double() {
    let test = "graph_sdk::the_official_sdk_uses_the_double";
    let Some(python) = or_skip(test, python_with(SDK)) else {
        return;
    };
    let graph = GraphDouble::start().await;
    let mut app = Command::new(python);
    app.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/graph/mail.py"));
    app.arg(graph.url());
    let printed = tokio::task::spawn_blocking(move || run(&mut app));
    let printed = printed.await.unwrap().unwrap();
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let id = &lines[2]["id"];
    assert!(id.is_string(), "{lines:#?}");
    let refused = |step: &str, status: u16, code: &str| json!({ "step": step, "status": status, "code": code });
    assert_eq!(
        lines,
        [
            refused("not signed in", 401, "InvalidAuthenticationToken"),
            refused("no handshake", 400, "ValidationError"),
            json!({
                "step": "subscribed", "id": id, "client_state": "known to both",
                "resource": "users/ada@example.org/mailFolders('inbox')/messages",
            }),
            refused("subscribed twice", 409, "ExtensionError"),
            json!({ "step": "listed", "ids": [id], "client_states": [null] }),
            json!({
                "step": "notified", "same_message": true, "same_subscription": true,
                "client_state": "known to both", "change": "created",
            }),
            json!({
                "step": "read", "subject": "Na\u{ef}ve \u{20ac}", "importance": "high",
                "sender": "ada@example.org", "received": true,
            }),
            json!({
                "step": "changes", "pages": 3, "count": 25, "distinct": 25, "again": 0,
                "since": ["since then"],
            }),
            refused("forgotten", 410, "SyncStateNotFound"),
            json!({ "step": "prolonged", "by": 7200.0 }),
            refused("prolonged too much", 400, "InvalidRequest"),
            refused("ended", 404, "ResourceNotFound"),
            refused("gone", 404, "ErrorItemNotFound"),
            refused("too much", 429, "TooManyRequests"),
            json!({ "step": "messages", "pages": [10, 10, 5] }),
        ]
    );
    assert_eq!(
        graph.count("message.list.refused"),
        2,
        "told to wait, it gave up once, and waited once"
    );
}
