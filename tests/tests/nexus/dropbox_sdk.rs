//! The double of Dropbox is what Dropbox's own SDK takes it for: what the plugin is tested against speaks its wire.

use std::path::Path;
use std::process::Command;

use dropbox_double::{Dropbox, Options};
use nexus_tests::foreign::{python_with, run};
use nexus_tests::skip::or_skip;
use nexus_tests::tls::certificates;
use serde_json::{Value, json};

const SDK: &str = "dropbox==12.0.2";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_sdk_follows_the_double() {
    let test = "dropbox_sdk::the_official_sdk_follows_the_double";
    let Some(python) = or_skip(test, python_with(SDK)) else {
        return;
    };
    let file = |name: &str| certificates().join(name);
    let options = Options {
        tls: Some((file("server.pem"), file("server-key.pem"))),
        ..Options::default()
    };
    let dropbox = Dropbox::with(options).await.unwrap();
    let mut driver = Command::new(python);
    driver
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/dropbox/drive.py"))
        .arg(dropbox.address().port().to_string())
        .arg(file("ca.pem"));
    let printed = tokio::task::spawn_blocking(move || run(&mut driver));
    let printed = printed.await.unwrap().unwrap();
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            json!({"what": "account", "id": dropbox.account()}),
            json!({"what": "list", "entries": [
                ["file", "/Trip/a.txt"], ["file", "/Trip/b.txt"], ["file", "/Trip/c.txt"],
                ["folder", "/Trip"],
            ]}),
            json!({"what": "file", "size": 5, "has_rev": true, "has_id": true}),
            json!({"what": "longpoll", "changes": true}),
            json!({"what": "changes", "entries": [
                ["deleted", "/Trip/a.txt"], ["deleted", "/Trip/b.txt"], ["file", "/a.txt"],
                ["folder", "/New"],
            ]}),
            json!({"what": "renewed", "entries": 0}),
            json!({"what": "expired", "is_expired": true}),
            json!({"what": "throttled", "entries": 0}),
            json!({"what": "reset", "is_reset": true}),
            json!({"what": "not_found", "is_not_found": true}),
        ]
    );
}
