//! What Prometheus' own tool says of the metrics and of the example's rules.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nexus_tests::foreign::{debian_files, run};
use nexus_tests::scrape::Scrape;
use nexus_tests::skip::or_skip;

use super::families::{builder, live};

/// The tool, as Debian's package brings it along.
fn promtool() -> Result<PathBuf, String> {
    Ok(debian_files("prometheus")?.join("usr/bin/promtool"))
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/observability")
}

#[tokio::test]
async fn promtool_finds_nothing_to_say_about_the_metrics() {
    const TEST: &str = "metrics::promtool::promtool_finds_nothing_to_say_about_the_metrics";
    let Some(promtool) = or_skip(TEST, promtool()) else {
        return;
    };
    let hub = builder().start();
    live(&hub).await;
    let text = Scrape::of(&hub).await.text;
    let mut check = Command::new(promtool);
    check.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut check = check
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = check.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let told = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&told.stderr) + String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success() && said.is_empty(), "{said}");
}

#[test]
fn promtool_takes_the_rules_of_the_example_and_their_tests_pass() {
    const TEST: &str =
        "metrics::promtool::promtool_takes_the_rules_of_the_example_and_their_tests_pass";
    let Some(promtool) = or_skip(TEST, promtool()) else {
        return;
    };
    for arguments in [
        [
            "check",
            "rules",
            "--lint=all",
            "--lint-fatal",
            "nexus.rules.yml",
        ]
        .as_slice(),
        ["test", "rules", "nexus.rules.test.yml"].as_slice(),
    ] {
        let mut tool = Command::new(&promtool);
        tool.args(arguments).current_dir(examples());
        run(&mut tool).unwrap_or_else(|said| panic!("{said}"));
    }
}
