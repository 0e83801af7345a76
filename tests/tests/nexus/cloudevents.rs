//! CloudEvents from those who make the clients: the SDKs for Python and JavaScript, unmodified,
//! against a real hub.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;

use nexus_tests::artifacts::build_dir;
use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder};
use nexus_tests::skip::skipped;
use serde_json::{Value, json};

const PYTHON_SDK: &str = "cloudevents==2.2.0";
const JAVASCRIPT_SDK: &str = "cloudevents@10.0.0";

/// Runs a command to its end: what it printed, or what is wrong.
fn run(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("{program}: {e}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{program}: {}\n{errors}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A folder below the build's, filled once for each version of what is in it.
fn installed(
    what: &str,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let folder = build_dir().join(what.replace(['=', '@'], "-"));
    let done = folder.join("installed");
    if !done.exists() {
        std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        install(&folder)?;
        std::fs::write(&done, what).map_err(|e| e.to_string())?;
    }
    Ok(folder)
}

fn python() -> Result<PathBuf, String> {
    let folder = installed(PYTHON_SDK, |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            PYTHON_SDK,
        ]);
        run(&mut pip).map(drop)
    })?;
    Ok(folder.join("bin/python"))
}

fn javascript() -> Result<PathBuf, String> {
    installed(JAVASCRIPT_SDK, |folder| {
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
        ]);
        run(npm.arg("--prefix").arg(folder).arg(JAVASCRIPT_SDK)).map(drop)
    })
}

/// What is there, or nothing; the test is then skipped.
fn or_skip<T>(test: &str, found: Result<T, impl Display>) -> Option<T> {
    found
        .map_err(|missing| skipped(&format!("cloudevents::{test}"), missing))
        .ok()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients/cloudevents")
        .join(name)
}

fn hub() -> Hub {
    HubBuilder::new().plugin("probe").start()
}

/// The lines that a script prints.
fn lines(script: &mut Command) -> Vec<Value> {
    let printed = run(script.env("NEXUS_KEY", ADMIN_KEY)).unwrap();
    let lines = printed.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

/// Every answer is what an event of the hub's own would get, and every event is worked on.
async fn check(hub: &Hub, lines: &[Value], source: &str) {
    for line in lines.iter().filter(|line| line["mode"] != "followed") {
        assert_eq!(line["status"], 202, "{line:#}");
        let expected = match line["mode"].as_str() {
            Some("binary again") => "duplicate",
            _ => "accepted",
        };
        let answers = match &line["answer"] {
            Value::Array(answers) => answers.clone(),
            one => vec![one.clone()],
        };
        for answer in answers {
            assert_eq!(answer["status"], expected, "{line:#}");
            let journey = hub.finished(answer["event_id"].as_str().unwrap()).await;
            assert_eq!(journey["status"], "processed");
            assert_eq!(journey["type"], "probe.ping");
            assert_eq!(journey["source"], source);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_for_python_publishes_and_follows() {
    let Some(python) = or_skip("the_sdk_for_python_publishes_and_follows", python()) else {
        return;
    };
    let hub = hub();
    let mut script = Command::new(python);
    let lines = lines(script.arg(fixture("publish.py")).arg(hub.url()));
    let modes: Vec<_> = lines.iter().map(|line| line["mode"].clone()).collect();
    let expected = [
        "binary",
        "binary again",
        "structured",
        "batch",
        "older binary",
        "older structured",
        "followed",
    ];
    assert_eq!(modes, expected);
    check(&hub, &lines, "example.org-python").await;
    let event = &lines[6]["event"];
    assert_eq!(
        *event,
        json!({
            "source": "example.org-python",
            "type": "probe.ping",
            "correlationid": "Euro \u{20ac} \u{1f600}",
            "data": { "n": 1, "note": "binary" },
        })
    );
    let first = lines[0]["answer"]["event_id"].as_str().unwrap();
    let journey = hub.finished(first).await;
    assert_eq!(journey["correlation_id"], "Euro \u{20ac} \u{1f600}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_for_javascript_publishes() {
    let Some(folder) = or_skip("the_sdk_for_javascript_publishes", javascript()) else {
        return;
    };
    let hub = hub();
    let mut script = Command::new("node");
    script.current_dir(folder);
    let lines = lines(script.arg(fixture("publish.mjs")).arg(hub.url()));
    assert_eq!(lines.len(), 4);
    check(&hub, &lines, "javascript").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_the_query_is_in_no_log() {
    let hub = HubBuilder::new()
        .config("[observe]\nlog_level = \"debug\"")
        .plugin("probe")
        .start();
    let url = format!("{}/v1/events?access_token={ADMIN_KEY}", hub.url());
    let event = json!({ "type": "probe.ping", "source": "s", "payload": { "n": 1 } });
    let answer = reqwest::Client::new()
        .post(&url)
        .json(&event)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    let wrong = format!("{}/v1/events?access_token=canary-of-a-key", hub.url());
    let refused = reqwest::Client::new()
        .post(&wrong)
        .json(&event)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 401);
    let refused = refused.text().await.unwrap();
    hub.wait_for_log("answered").await;
    for text in [hub.log(), refused] {
        assert!(
            !text.contains(ADMIN_KEY) && !text.contains("canary-of-a-key"),
            "{text}"
        );
    }
}
