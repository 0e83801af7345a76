//! Every door over TLS, as clients of other makes come in: HTTPS, a WebSocket, and gRPC, whose messages
//! they learn from reflection; each known by its certificate.

use std::path::Path;
use std::process::Command;

use nexus_tests::foreign::{python_with, run};
use nexus_tests::hub::{Hub, HubBuilder};
use nexus_tests::skip::or_skip;
use nexus_tests::tls::{certificates, connect_as};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

const PYTHON_CLIENTS: &str = "grpcio-reflection==1.85.1 websockets==17.4";

/// A hub behind TLS, and a client that is known by its certificate.
fn hub() -> Hub {
    hub_with(&certificates())
}

/// The same, whose own certificate is in a folder.
fn hub_with(folder: &Path) -> Hub {
    let file = |name: &str| json!(folder.join(name)).to_string();
    HubBuilder::new()
        .config(&format!(
            r#"
            [server]
            http = "127.0.0.1:0"
            grpc = "127.0.0.1:0"

            [server.tls]
            certificate = {}
            key = {}
            client_ca = {}

            [[clients]]
            id = "mail"
            certificate_subject = "mail-producer"
            sources = ["mail"]
            types = ["probe.*"]
            "#,
            file("server.pem"),
            file("server-key.pem"),
            json!(certificates().join("ca.pem")),
        ))
        .plugin("probe")
        .start()
}

#[tokio::test]
async fn the_log_tells_of_certificates_that_are_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let put = |from: &str, to: &str| {
        let copied = std::fs::copy(certificates().join(from), folder.path().join(to));
        copied.unwrap();
    };
    put("server.pem", "server.pem");
    put("server-key.pem", "server-key.pem");
    let hub = hub_with(folder.path());
    // It may be told so only when it reads.
    if let Ok(mut line) = connect_as(Some("stranger"), hub.address(), "http/1.1").await {
        let _ = line.read(&mut [0]).await;
    }
    hub.wait_for_log("refused_certificate").await;
    let log = hub.log();
    let line = log
        .lines()
        .find(|line| line.contains("refused_certificate"));
    let line = line.unwrap();
    assert!(
        line.contains("WARN") && line.contains("vouches for it"),
        "{line}"
    );
    // A certificate without its key.
    put("second.pem", "server.pem");
    hub.wait_for_log("failed to use the certificate and the key of server.tls")
        .await;
    hub.wait_for_log("the old certificate goes on serving")
        .await;
}

/// What of the lines is about a thing, without its name.
fn about(lines: &[Value], what: &str) -> Vec<Value> {
    let about = lines.iter().filter(|line| line["what"] == what);
    about
        .cloned()
        .map(|mut line| {
            line.as_object_mut().unwrap().remove("what");
            line
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_other_makes_come_in_by_every_door() {
    let test = "doors::clients_of_other_makes_come_in_by_every_door";
    let Some(python) = or_skip(test, python_with(PYTHON_CLIENTS)) else {
        return;
    };
    let hub = hub();
    let at = |port: u16| format!("localhost:{port}");
    let printed = run(Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/doors/doors.py"))
        .arg(at(hub.address().port()))
        .arg(at(hub.grpc_address().await.port()))
        .arg(certificates()))
    .unwrap();
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();

    let over_http = &about(&lines, "http")[0];
    assert_eq!(over_http["status"], 202);
    assert_eq!(over_http["answer"]["status"], "accepted");

    let frames = about(&lines, "websocket");
    assert_eq!(
        frames[0]["answer"],
        json!({ "id": 1, "status": "subscribed" })
    );
    assert_eq!(frames[1]["answer"]["id"], 2);
    assert_eq!(frames[1]["answer"]["status"], "accepted");
    let (published, followed) = (&frames[1]["answer"], &frames[2]["answer"]["event"]);
    assert_eq!(published["event_id"], followed["event_id"]);
    assert_eq!(followed["payload"], json!({ "n": 2 }));
    assert_eq!(frames[3], json!({ "pong": true }));

    let services = |version: &str| {
        let reflection = format!("grpc.reflection.{version}.ServerReflection");
        json!(["grpc.health.v1.Health", reflection, "nexus.v1.Hub"])
    };
    assert_eq!(
        about(&lines, "reflection"),
        [json!({ "v1alpha": services("v1alpha"), "v1": services("v1") })]
    );
    assert_eq!(
        about(&lines, "health"),
        [
            json!({ "service": "", "status": 1 }),
            json!({ "service": "nexus.v1.Hub", "status": 1 }),
            json!({ "service": "nobody", "error": "NOT_FOUND" }),
        ]
    );
    let published = about(&lines, "publish");
    assert_eq!(published[0]["status"], 1);
    assert_eq!(
        published[1],
        json!({ "error": "INVALID_ARGUMENT", "code": "contract_violation" })
    );
    assert_eq!(
        about(&lines, "stream"),
        [
            json!({ "accepted": 1, "refused": "" }),
            json!({ "accepted": 0, "refused": "malformed_json" }),
            json!({ "accepted": 1, "refused": "" }),
        ]
    );
    assert_eq!(
        about(&lines, "follow"),
        [
            json!({ "ordered": true, "resumed": true, "payload": { "n": 6 } }),
            json!({ "error": "OUT_OF_RANGE" }),
        ]
    );
    assert_eq!(
        about(&lines, "stranger"),
        [json!({ "error": "UNAUTHENTICATED" })]
    );
}
