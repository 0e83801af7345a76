//! A plugin made by `nexus plugin new`, all the way: built outside the workspace, its own tests
//! passed, dropped into a hub's plugins folder, and an event processed by it over HTTP.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nexus_tests::artifacts;
use nexus_tests::hub::HubBuilder;
use serde_json::json;

const NAME: &str = "greeter";

#[tokio::test]
async fn a_new_plugin_builds_passes_its_tests_and_works_in_a_hub() {
    let empty = tempfile::tempdir().unwrap();
    let made = Command::new(artifacts::executable("nexus"))
        .args(["plugin", "new", NAME])
        .current_dir(empty.path())
        .env_remove("NEXUS_CONFIG")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", said(&made));
    let krate = empty.path().join(NAME);

    let library = build(&krate);
    run_its_tests(&krate);

    let file = library.file_name().unwrap().to_string_lossy().into_owned();
    let hub = HubBuilder::new()
        .config(
            "[plugins.greeter]\nrequired = true\n[plugins.greeter.config]\ngreeting = \"Welcome\"",
        )
        .file(&library, &file)
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

    // Its folder is another one in each run: what was built of it is of no use to the next.
    cargo(&krate, &["clean", "--package", NAME]);
    cargo(&krate, &["clean", "--package", NAME, "--release"]);
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
fn run_its_tests(krate: &Path) {
    let tested = cargo(krate, &["test"]);
    let text = said(&tested);
    assert!(tested.status.success(), "{text}");
    for test in [
        "a_visitor_is_greeted",
        "linked_into_a_hub_it_greets_and_shows_a_toast",
        "loaded_from_its_library_it_greets",
    ] {
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
