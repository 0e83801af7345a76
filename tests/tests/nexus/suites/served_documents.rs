//! What a hub says of its interfaces: its documents are what their formats demand, and whoever does what
//! `/openapi.json` allows, and much that it does not, is answered as it says.

use std::path::{Path, PathBuf};
use std::process::Command;

use nexus_tests::figures::tell;
use nexus_tests::foreign::{node_with, python_with, run};
use nexus_tests::hub::{ADMIN_KEY, Home, Hub};
use serde_json::{Value, json};

use super::{or_skip, with_contracts};

const OPENAPI_VALIDATOR: &str = "openapi-spec-validator==0.9.0";
const ASYNCAPI_PARSER: &str = "@asyncapi/parser@3.6.6";
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/documents");
    folder.join(name)
}

/// A hub to come, with two contracts of files and those of plugins.
fn home(plugins: &[&str]) -> Home {
    let paid = json!({
        "type": "object",
        "properties": { "amount": { "type": "number", "minimum": 0 }, "note": { "type": "string" } },
        "required": ["amount"],
        "additionalProperties": false,
    });
    let sent = json!({
        "type": "object",
        "properties": { "items": { "type": "array", "items": { "$ref": "#/$defs/Item" } } },
        "required": ["items"],
        "$defs": { "Item": {
            "type": "object",
            "properties": { "sku": { "type": "string" }, "count": { "type": "integer", "minimum": 1 } },
            "required": ["sku", "count"],
        } },
    });
    let file = |event_type: &str, schema: Value| {
        let file = json!({ "type": event_type, "version": "1.0.0", "schema": schema });
        (format!("{event_type}.json"), file)
    };
    let retry = "[retry]\nmax_retries = 1\ndelays = [\"20ms\"]";
    let files = [file("shop.paid", paid), file("shop.sent", sent)];
    with_contracts(retry, plugins, files)
}

/// Writes what a hub serves at a path into its folder.
async fn saved(hub: &Hub, path: &str) -> PathBuf {
    let (status, document) = hub.get(path).await;
    assert_eq!(status, 200);
    let file = hub.folder().join(path.trim_start_matches('/'));
    std::fs::write(&file, document.to_string()).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openapi_document_is_valid() {
    let test = "served_documents::the_openapi_document_is_valid";
    let Some(python) = or_skip(test, python_with(OPENAPI_VALIDATOR)) else {
        return;
    };
    let hub = home(&[]).start();
    let mut validator = Command::new(python);
    validator.args(["-m", "openapi_spec_validator"]);
    run(validator.arg(saved(&hub, "/openapi.json").await)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_asyncapi_document_is_valid() {
    let test = "served_documents::the_asyncapi_document_is_valid";
    let Some(folder) = or_skip(test, node_with(ASYNCAPI_PARSER)) else {
        return;
    };
    let hub = home(&[]).start();
    let mut node = Command::new("node");
    node.arg(fixture("asyncapi.mjs")).current_dir(folder);
    let printed = run(node.arg(saved(&hub, "/asyncapi.json").await)).unwrap();
    let told: Vec<Value> = serde_json::from_str(&printed).unwrap();
    // A newer version of the format is there, which is said of every document of an older one.
    let wrong = told
        .iter()
        .filter(|one| one["code"] != "asyncapi-latest-version");
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&Value>::new());
}

/// An event that is given up, for its journey, its dead letter and the breaker of its target.
async fn given_up(hub: &Hub) -> [(&'static str, String); 3] {
    let command = json!({
        "type": "probe.command", "source": "test",
        "payload": { "action": "notify", "record": { "n": 5, "fail_times": 9 } },
    });
    let journey = hub.process(&command).await;
    let (_, letters) = hub.get("/v1/admin/dead-letters").await;
    let (_, breakers) = hub.get("/v1/admin/breakers").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    [
        ("EVENT", text(&journey["event_id"])),
        ("LETTER", text(&letters["dead_letters"][0]["id"])),
        ("BREAKER", text(&breakers["breakers"][0]["name"])),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_served_is_what_the_openapi_document_says() {
    let test = "served_documents::what_is_served_is_what_the_openapi_document_says";
    let Some(python) = or_skip(test, python_with(SCHEMATHESIS)) else {
        return;
    };
    let hub = home(&["probe"]).start();
    let given_up = given_up(&hub).await;
    for name in ["schemathesis.toml", "hooks.py"] {
        std::fs::copy(fixture(name), hub.folder().join(name)).unwrap();
    }
    let mut tool = Command::new(python.with_file_name("schemathesis"));
    tool.args(["--no-color", "--config-file", "schemathesis.toml", "run"])
        .arg(format!("{}/openapi.json", hub.url()))
        .current_dir(hub.folder())
        .env("NEXUS_KEY", ADMIN_KEY)
        .envs(given_up);
    let ran = tokio::task::spawn_blocking(move || tool.output());
    let ran = ran.await.unwrap().unwrap();
    let printed = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{printed}");
    let (status, _) = hub.get("/healthz").await;
    assert_eq!(status, 200);
    let figures = printed.lines().skip_while(|line| !line.contains("SUMMARY"));
    let figures = figures.map(str::trim).filter(|line| {
        let wanted = ["Selected:", "Tested:"];
        line.contains("generated") || wanted.iter().any(|start| line.starts_with(start))
    });
    tell(test, figures.collect::<Vec<_>>().join("; "));
}
