//! Plugins of each kind, made by `nexus plugin new`, all the way: built outside the workspace, their own tests and
//! the conformance kit passed; and one of them dropped into a hub's plugins folder, and an event processed by it over
//! HTTP.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use nexus_tests::artifacts;
use nexus_tests::hub::HubBuilder;
use serde_json::json;
use tempfile::TempDir;

const NAME: &str = "greeter";

/// A kind that `plugin new` writes, what its own tests are called, and what else `plugin test` is to try.
struct Kind {
    name: &'static str,
    tests: &'static [&'static str],
    test_with: &'static [&'static str],
}

#[tokio::test]
async fn a_new_plugin_builds_passes_its_tests_and_works_in_a_hub() {
    let library = made(&Kind {
        name: "processor",
        tests: &[
            "a_visitor_is_greeted",
            "linked_into_a_hub_it_greets_and_shows_a_toast",
            "loaded_from_its_library_it_greets",
            "its_library_keeps_what_plugins_promise",
        ],
        test_with: &[],
    });
    let file = library
        .path
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let hub = HubBuilder::new()
        .config(
            "[plugins.greeter]\nrequired = true\n[plugins.greeter.config]\ngreeting = \"Welcome\"",
        )
        .file(&library.path, &file)
        .start();
    let event = json!({
        "type": "greeter.visitor.arrived",
        "source": "door",
        "payload": { "name": "Ada" },
    });
    let journey = hub.process(&event).await;
    assert_eq!(journey["status"], "processed", "{journey}");
    let steps = journey["steps"].as_array().unwrap();
    let emitted = steps.iter().find(|step| step["step"] == "emitted").unwrap();
    assert_eq!(emitted["type"], "greeter.visitor.greeted", "{journey}");

    let (status, refusal) = hub
        .publish(&json!({ "type": "greeter.visitor.arrived", "source": "door", "payload": {} }))
        .await;
    assert_eq!(
        (status, &refusal["code"]),
        (422, &json!("contract_violation")),
        "{refusal}"
    );
}

#[test]
fn a_new_integration_builds_and_passes_its_tests() {
    made(&Kind {
        name: "integration",
        tests: &[
            "without_a_file_a_request_is_refused_for_good",
            "what_a_processor_asks_for_is_written_in_order",
            "its_library_keeps_what_plugins_promise",
        ],
        test_with: &["--request", r#"greeter={"line": "Ada"}"#],
    });
}

#[test]
fn a_new_source_builds_and_passes_its_tests() {
    made(&Kind {
        name: "source",
        tests: &[
            "what_is_signed_becomes_an_event_and_nothing_else_does",
            "a_signed_webhook_becomes_an_event",
            "its_library_keeps_what_plugins_promise",
        ],
        test_with: &[],
    });
}

/// Writes, builds and tests a new plugin, as it says itself; a copy of its library.
fn made(kind: &Kind) -> Library {
    // They have one name and one target folder.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let empty = tempfile::tempdir().unwrap();
    let made = nexus(&["plugin", "new", NAME, "--kind", kind.name], empty.path());
    assert!(made.status.success(), "{}", said(&made));
    let krate = empty.path().join(NAME);
    let built = build(&krate);
    run_its_tests(&krate, kind.tests);

    let file = built.to_string_lossy();
    let line = [&["plugin", "test", &file], kind.test_with].concat();
    let tried = nexus(&line, empty.path());
    let text = said(&tried);
    assert!(
        tried.status.success() && text.contains(" 0 failed"),
        "{text}"
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(built.file_name().unwrap());
    std::fs::copy(&built, &path).unwrap();
    // Its folder is another one in each run: what was built of it is of no use to the next.
    cargo(&krate, &["clean", "--package", NAME]);
    cargo(&krate, &["clean", "--package", NAME, "--release"]);
    Library {
        path,
        _folder: folder,
    }
}

static ALONE: Mutex<()> = Mutex::new(());

struct Library {
    path: PathBuf,
    _folder: TempDir,
}

fn nexus(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(artifacts::executable("nexus"));
    command.args(arguments).current_dir(folder);
    command.env_remove("NEXUS_CONFIG").output().unwrap()
}

/// `cargo build --release`, as its README says; the library.
fn build(krate: &Path) -> PathBuf {
    // What is built against is at hand already; only on a new machine it is not.
    let built = cargo(krate, &["build", "--release", "--offline"]);
    if !built.status.success() {
        let built = cargo(krate, &["build", "--release"]);
        assert!(built.status.success(), "{}", said(&built));
    }
    let name = format!(
        "{}{NAME}{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    target().join("release").join(name)
}

/// `cargo test`, as its README says.
fn run_its_tests(krate: &Path, tests: &[&str]) {
    let tested = cargo(krate, &["test"]);
    let text = said(&tested);
    assert!(tested.status.success(), "{text}");
    for test in tests {
        assert!(text.contains(&format!("{test} ... ok")), "{test}:\n{text}");
    }
}

/// A target folder that stays, so that only the first run builds everything.
fn target() -> PathBuf {
    let workspace = artifacts::build_dir().parent().expect("the target folder");
    workspace.join("plugin-new")
}

fn cargo(krate: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(arguments)
        .current_dir(krate)
        .env("CARGO_TARGET_DIR", target());
    // What cargo tells the test it runs is not for the cargo that the test runs.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
