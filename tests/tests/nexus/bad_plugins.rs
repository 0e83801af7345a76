//! Files that must not run: each is refused with its own code, and the others go on.

use std::path::{Path, PathBuf};

use nexus_tests::artifacts;
use nexus_tests::hub::HubBuilder;
use nexus_tests::workshop::{self, Workshop};
use serde_json::{Value, json};

fn probe() -> Vec<u8> {
    workshop::library("probe")
}

/// A shared library that is no plugin: a procedural macro of this build.
fn foreign_library() -> PathBuf {
    let extension = std::env::consts::DLL_EXTENSION;
    std::fs::read_dir(artifacts::build_dir().join("deps"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.contains("serde_derive") && path.extension().is_some_and(|e| e == extension)
        })
        .expect("serde_derive is a shared library")
}

pub(crate) fn report_of<'a>(plugins: &'a Value, file: &str) -> &'a Value {
    plugins["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .find(|plugin| {
            let path = plugin["origin"]["path"].as_str().unwrap_or_default();
            Path::new(path).file_name().is_some_and(|name| name == file)
        })
        .unwrap_or_else(|| panic!("{file} is not told of: {plugins:#}"))
}

#[tokio::test]
async fn every_bad_file_is_refused_with_its_code_and_the_good_one_works() {
    let shop = Workshop::new();
    let mut other_machine = probe();
    // ELF: e_machine, two bytes at 18; 183 is AArch64.
    other_machine[18..20].copy_from_slice(&183_u16.to_le_bytes());
    let cases = [
        (
            "a-text.so",
            shop.file("text", b"not a library at all\n"),
            "not_a_library",
        ),
        ("b-empty.so", shop.file("empty", b""), "not_a_library"),
        ("c-foreign.so", foreign_library(), "no_manifest"),
        (
            "d-machine.so",
            shop.file("machine", &other_machine),
            "wrong_target",
        ),
        (
            "e-newer-minor.so",
            shop.with("probe", "minor", r#""abi":"1.0.0""#, r#""abi":"1.7.0""#),
            "abi_mismatch",
        ),
        (
            "f-newer-major.so",
            shop.with("probe", "major", r#""abi":"1.0.0""#, r#""abi":"2.0.0""#),
            "abi_mismatch",
        ),
        (
            "g-abort.so",
            shop.with(
                "probe",
                "abort",
                r#""panic":"unwind""#,
                r#""panic":"abort" "#,
            ),
            "panic_abort",
        ),
        (
            "h-target.so",
            shop.with("probe", "target", "unknown-linux", "unknown-ocean"),
            "wrong_target",
        ),
        (
            "i-garbled.so",
            shop.with("probe", "garbled", r#"{"id":"#, r#"{"id";"#),
            "bad_manifest",
        ),
        (
            "j-entry.so",
            shop.with(
                "probe",
                "entry",
                "nexus_plugin_entry_probe",
                "nexus_plugin_entry_robot",
            ),
            "load_failed",
        ),
        (
            "k-truncated.so",
            shop.file("truncated", &probe()[..200_000]),
            "not_a_library",
        ),
    ];
    let mut builder = HubBuilder::new();
    for (name, path, _) in &cases {
        builder = builder.file(path, name);
    }
    let hub = builder
        .file(artifacts::library("probe"), "x-probe.so")
        .file(artifacts::library("probe"), "y-probe-again.so")
        .start();

    let (status, plugins) = hub.get("/v1/admin/plugins").await;
    assert_eq!(status, 200);
    for (name, _, code) in &cases {
        let report = report_of(&plugins, name);
        assert_eq!(report["state"], "refused", "{name}");
        assert_eq!(report["refusal"]["code"], *code, "{name}: {report:#}");
        assert!(
            hub.log().contains(code),
            "{name}: the log does not say {code}"
        );
    }
    assert_eq!(report_of(&plugins, "x-probe.so")["state"], "ready");
    let again = report_of(&plugins, "y-probe-again.so");
    assert_eq!(again["refusal"]["code"], "duplicate_id");
    assert!(
        again["refusal"]["reason"]
            .as_str()
            .unwrap()
            .contains("x-probe.so")
    );
    for line in hub
        .log()
        .lines()
        .filter(|line| line.contains("plugin refused"))
    {
        assert!(line.len() < 1_000, "a refusal is one short line: {line}");
    }

    let journey = hub
        .process(&json!({"type": "probe.ping", "source": "test", "payload": {"n": 1}}))
        .await;
    assert_eq!(journey["status"], "processed", "{journey:#}");
}

#[tokio::test]
async fn a_plugin_that_does_not_start_says_why_and_the_others_go_on() {
    for (setting, code) in [
        ("fail_init", "init_failed"),
        ("panic_init", "init_panicked"),
        ("hang_init", "init_timeout"),
    ] {
        let hub = HubBuilder::new()
            .config(&format!(
                "[plugins]\ninit_timeout = \"500ms\"\n[plugins.probe.config]\n{setting} = true"
            ))
            .plugin("probe")
            .plugin("parrot")
            .start();
        let (_, plugins) = hub.get("/v1/admin/plugins").await;
        assert_eq!(report_of(&plugins, "libprobe.so")["refusal"]["code"], code);
        assert_eq!(report_of(&plugins, "libparrot.so")["state"], "ready");
        // Its contracts are not there either: an event of it is refused, not swallowed.
        let ping = json!({"type": "probe.ping", "source": "test", "payload": {"n": 1}});
        let (status, problem) = hub.publish(&ping).await;
        assert_eq!((status, &problem["code"]), (422, &json!("unknown_type")));
    }
}

#[tokio::test]
async fn a_wrong_hash_is_refused_and_the_right_one_runs() {
    let (hub, sha256) = {
        let hub = HubBuilder::new()
            .config(&format!(
                "[plugins.probe]\nsha256 = \"{}\"",
                "ab".repeat(32)
            ))
            .plugin("probe")
            .start();
        let (_, plugins) = hub.get("/v1/admin/plugins").await;
        let report = report_of(&plugins, "libprobe.so").clone();
        assert_eq!(report["refusal"]["code"], "wrong_hash");
        let reason = report["refusal"]["reason"].as_str().unwrap().to_owned();
        (hub, reason[reason.len() - 64..].to_owned())
    };
    drop(hub);
    let hub = HubBuilder::new()
        .config(&format!("[plugins.probe]\nsha256 = \"{sha256}\""))
        .plugin("probe")
        .start();
    let (_, plugins) = hub.get("/v1/admin/plugins").await;
    assert_eq!(report_of(&plugins, "libprobe.so")["state"], "ready");
}

#[test]
fn a_required_plugin_that_is_refused_stops_the_start() {
    let (status, text) = HubBuilder::new()
        .config("[plugins.probe]\nrequired = true\n[plugins.probe.config]\nfail_init = true")
        .plugin("probe")
        .run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(
        text.contains("required plugin `probe`") && text.contains("init_failed"),
        "{text}"
    );
}

#[tokio::test]
async fn an_empty_or_missing_folder_runs_and_says_so() {
    let hub = HubBuilder::new().start();
    hub.wait_for_log("no plugin").await;
    let missing = HubBuilder::new()
        .config("[plugins]\ndir = \"nowhere\"")
        .start();
    missing.wait_for_log("no plugin").await;
    let (status, ready) = missing.get("/readyz").await;
    assert_eq!((status, &ready["status"]), (200, &json!("ready")));
}

#[test]
fn a_plugin_s_config_is_checked_against_its_schema_with_file_and_line() {
    let (status, text) = HubBuilder::new()
        .config("[plugins.probe]\nrequired = true\n[plugins.probe.config]\nevery_ms = \"soon\"\nfail_initt = true")
        .plugin("probe")
        .run_to_end();
    assert_ne!(status.code(), Some(0));
    assert!(text.contains("bad_config"), "{text}");
    assert!(
        text.contains("nexus.toml:6") && text.contains("every_ms"),
        "{text}"
    );
    assert!(
        text.contains("nexus.toml:7") && text.contains("`fail_init`"),
        "{text}"
    );
}
