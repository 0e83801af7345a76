//! `nexus plugin test`: the plugins that are shipped pass, and one that misbehaves is told precisely what it did, and
//! with what.

use std::path::Path;
use std::process::Command;

use nexus_tests::artifacts;
use serde_json::Value;

/// What the kit has said.
struct Tried {
    code: Option<i32>,
    report: Value,
    said: String,
}

/// Tries a plugin of the workspace.
fn tried(plugin: &str, config: &str, more: &[&str]) -> Tried {
    tried_file(&artifacts::library(plugin), config, more)
}

fn tried_file(file: &Path, config: &str, more: &[&str]) -> Tried {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("test.toml"), config).unwrap();
    let mut command = Command::new(artifacts::executable("nexus"));
    command.args(["plugin", "test", "--json", "--config", "test.toml"]);
    command.arg(file).args(more).current_dir(folder.path());
    command.env("KIT_SECRET", SECRET);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    Tried {
        code: output.status.code(),
        report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        said: said.into_owned(),
    }
}

const SECRET: &str = "a-secret-that-nobody-may-see";

impl Tried {
    #[track_caller]
    fn passes(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{}", self.said);
        self
    }

    #[track_caller]
    fn fails(&self) -> &Self {
        assert_eq!(self.code, Some(1), "{}", self.said);
        self
    }

    #[track_caller]
    fn check(&self, part: &str, check: &str) -> &Value {
        let all = self.report["checks"].as_array();
        let all = all.unwrap_or_else(|| panic!("no report: {}", self.said));
        let mut found = all
            .iter()
            .filter(|one| one["part"] == part && one["check"].as_str().unwrap().contains(check));
        found
            .next()
            .unwrap_or_else(|| panic!("no check {part}: {check}\n{}", self.said))
    }

    /// What a check tells of what it was shown: `(verdict, told)` of the finding whose `with` holds a text.
    #[track_caller]
    fn finding(&self, part: &str, check: &str, with: &str) -> (&str, &str) {
        let found = self.check(part, check);
        let findings = found["findings"].as_array().map_or(&[][..], Vec::as_slice);
        let mut some = findings.iter();
        let of = |one: &&Value| {
            let shown = one["with"].as_array().into_iter().flatten();
            with.is_empty()
                || shown
                    .filter_map(Value::as_str)
                    .any(|one| one.contains(with))
        };
        let one = some
            .find(of)
            .unwrap_or_else(|| panic!("nothing with {with}: {found:#}"));
        (
            one["verdict"].as_str().unwrap(),
            one["told"].as_str().unwrap(),
        )
    }
}

#[test]
fn the_plugins_that_are_shipped_pass() {
    let parrot = tried("parrot", "", &[]);
    parrot.passes();
    let events = parrot.check("processor triage", "events that fit");
    assert!(events["cases"].as_u64().unwrap() > 20, "{events}");
    let critical = parrot.check("processor triage", "odd circumstances");
    assert_eq!(critical["verdict"], "passed");

    let show = r#"toasty={"show": {"title": "Ada"}}"#;
    // Nobody listens there.
    let nowhere = "[plugins.toasty.config]\nendpoint = \"http://127.0.0.1:9\"\n";
    let toasty = tried("toasty", nowhere, &["--request", show]);
    toasty.passes();
    for (part, check) in [
        ("integration toasty", "requests are understood"),
        ("integration toasty", "let go of"),
        ("source toasty", "background task"),
    ] {
        assert_eq!(toasty.check(part, check)["verdict"], "passed");
    }
}

#[test]
fn every_way_to_end_a_process_is_told_with_what_brought_it_about() {
    let small = "[plugins.crasher.limits]\nmemory = \"256MiB\"\n[plugins.crasher]\nisolation = \"process\"\n";
    let crasher = tried("crasher", small, &["--limit", "1s"]);
    crasher.fails();
    let part = "processor crash";
    for (how, end) in [
        ("abort", "SIGABRT"),
        ("exit", "exit code 0"),
        ("overflow", "SIGABRT"),
        ("eat", "SIGABRT"),
        ("spin", "did not let go of the call"),
        ("block", "did not let go of the call"),
    ] {
        let with = format!(r#""how":"{how}""#);
        let (verdict, told) = crasher.finding(part, "events that fit", &with);
        assert!(verdict == "failed" && told.contains(end), "{how}: {told}");
    }
    let told = crasher.check(part, "events that fit").to_string();
    assert!(!told.contains("not_at_all"), "{told}");
    // What is harmless goes on being processed.
    for check in ["at once", "given up", "do not fit"] {
        assert_eq!(crasher.check(part, check)["verdict"], "passed");
    }
    assert_eq!(crasher.check("plugin", "starts again")["verdict"], "passed");
}

#[test]
fn panics_and_calls_without_an_end_are_told_with_what_brought_them_about() {
    let probe = tried("probe", "", &["--limit", "1s"]);
    probe.fails();
    let part = "processor misbehave";
    for (action, end) in [
        ("panic_sync", "it panicked: panic_sync, as told"),
        ("panic_async", "it panicked: panic_async, as told"),
        ("panic_drop", "it panicked: panic in a drop, as told"),
        ("panic_future_drop", "it has not answered within 1s"),
        ("emit_invalid", "it emits an event that does not come in: "),
    ] {
        let with = format!(r#""action":"{action}""#);
        let (verdict, told) = probe.finding(part, "events that fit", &with);
        assert!(
            verdict == "failed" && told.starts_with(end),
            "{action}: {told}"
        );
    }
    // Its recorder counts how often it was asked, and says so.
    let (verdict, told) = probe.finding("integration recorder", "twice", "");
    assert_eq!(verdict, "remark", "{told}");
    // What 64 bits cannot hold is let in by a schema without a range.
    let (verdict, told) = probe.finding("processor echo", "odd payloads", "1e+300");
    assert!(
        verdict == "remark" && told.contains("dead letter"),
        "{told}"
    );
    // Its letters have two versions, of which the second asks for more.
    let (verdict, _) = probe.finding("contracts", "carried over", "probe.letter 1.0.0");
    assert_eq!(verdict, "remark");
    for part in [
        "processor echo",
        "processor clerk",
        "integration courier",
        "source probe",
    ] {
        for check in ["at once", "given up"] {
            assert_eq!(probe.check(part, check)["verdict"], "passed");
        }
    }
}

#[test]
fn what_an_author_takes_for_granted_is_told() {
    let careless = tried("careless", "", &[]);
    careless.fails();
    let told = |verdict, part, check, with, end| {
        let found = careless.finding(part, check, with);
        assert!(
            found.0 == verdict && found.1.contains(end),
            "{part}: {found:?}"
        );
    };
    let part = "contracts";
    let failed = |part, check, with, end| told("failed", part, check, with, end);
    failed(
        part,
        "examples fit",
        r#""colour":"red""#,
        "/payload/colour is not a field",
    );
    failed(
        part,
        "carried over",
        "careless.note 1.0.0",
        "nobody counts that far",
    );
    told(
        "remark",
        part,
        "what was meant",
        "careless.note 2.0.0",
        "the format `colour`",
    );

    let part = "processor blocker";
    failed(
        part,
        "events that fit",
        r#"{"n":65535"#,
        "its contract takes what it cannot read",
    );
    failed(
        part,
        "given up",
        r#"{"n":0"#,
        "it went on with a call 500ms after",
    );
    let part = "processor trusting";
    failed(
        part,
        "failing hub",
        "careless.note",
        "the hub has its state at hand",
    );
    for check in ["at once", "given up", "slow hub"] {
        assert_eq!(careless.check(part, check)["verdict"], "passed");
    }
    let effects = "its effects are others the second time";
    told(
        "remark",
        "processor dice",
        "twice",
        "careless.note",
        effects,
    );

    let part = "integration first";
    failed(
        part,
        "without sense",
        "null",
        "it panicked: a request is an object",
    );
    let part = "source door";
    failed(
        part,
        "odd webhooks",
        "is no text",
        "it panicked: a body is text",
    );
    failed(
        part,
        "odd webhooks",
        "DELETE",
        "it answers with the status 99",
    );
    for hub in ["a hub that answers", "a hub that fails"] {
        failed(
            part,
            "background task",
            hub,
            "it does not: it went on with a call",
        );
    }
    assert_eq!(careless.check("plugin", "gone")["verdict"], "passed");
}

#[test]
fn what_its_settings_bring_about_is_told_and_no_secret_is() {
    let config = |more: &str| format!("[plugins.probe.config]\n{more}\n");
    let probe = |more: &str| tried("probe", &config(more), &["--limit", "1s"]);
    let failing = probe("panic_init = true");
    failing.fails();
    let start = failing.check("plugin", "it starts");
    assert!(start.to_string().contains("init_panicked"), "{start}");
    assert_eq!(failing.report["checks"].as_array().unwrap().len(), 4);

    let wrong = probe("colour = \"red\"");
    wrong.fails();
    let settings = wrong.check("file", "settings are accepted").to_string();
    assert!(settings.contains("colour"), "{settings}");

    let odd = probe("run = \"panic\"\ndegraded = { env = \"KIT_SECRET\" }");
    odd.fails();
    let (verdict, told) = odd.finding("source probe", "background task", "a hub that answers");
    assert_eq!(
        (verdict, told),
        ("failed", "it panicked: run panics, as told")
    );
    let (verdict, told) = odd.finding("plugin", "how it is", "source probe");
    assert_eq!((verdict, told), ("remark", "it is degraded: [redacted]"));
    assert!(!odd.said.contains(SECRET));
}

#[test]
fn a_background_task_that_ends_with_an_error_is_remarked() {
    let fails = "[plugins.probe.config]\nrun = \"fail\"\n";
    let probe = tried("probe", fails, &["--limit", "1s"]);
    let (verdict, told) = probe.finding("source probe", "background task", "a hub that answers");
    assert!(
        verdict == "remark" && told.contains("told_to_fail"),
        "{told}"
    );
}

#[test]
fn what_is_no_plugin_fails_and_what_is_no_test_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libtext.so");
    std::fs::write(&text, "no library").unwrap();
    let refused = tried_file(&text, "", &[]);
    refused.fails();
    let told = refused.check("file", "library").to_string();
    assert!(told.contains("not_a_library"), "{told}");

    for (config, more) in [
        ("[queue]\ncapcity = 1\n", &[][..]),
        ("", &["--limit", "0s"]),
        ("", &["--request", "no JSON"]),
    ] {
        let wrong = tried("parrot", config, more);
        assert_eq!(wrong.code, Some(2), "{more:?}: {}", wrong.said);
    }
    let absent = tried_file(&folder.path().join("absent.so"), "", &[]);
    assert_eq!(absent.code, Some(2), "{}", absent.said);
}
