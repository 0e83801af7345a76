//! The binary: its first line, its terminal, its end.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use nexus_proto::toasty::v1::WatchRequest;

use crate::harness::{asking, connect, lines, next, next_in_short};

struct Binary {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Binary {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_toasty-server"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            // No desktop is to be found, whatever this machine has.
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The address of the line that tells it, for this display.
    fn address(&mut self, display: &str) -> String {
        let line = self.line();
        let address = line
            .strip_prefix("toasty-server listening on ")
            .and_then(|rest| rest.strip_suffix(&format!(" (display: {display})")))
            .unwrap_or_else(|| panic!("unexpected: {line}"));
        format!("http://{address}")
    }

    fn type_line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_person_answers_in_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal.jsonl");
    let path = journal.to_str().unwrap();
    let mut binary = Binary::start(&["--display", "terminal", "--journal", path]);
    let mut client = connect(&binary.address("terminal")).await;
    let mut events = client
        .watch(WatchRequest::default())
        .await
        .unwrap()
        .into_inner();
    client.show(asking("Refund?")).await.unwrap();
    next(&mut events).await;
    assert_eq!(binary.line(), "[1] Refund?");
    assert_eq!(binary.line(), "    1) Approve it   2) Reject");
    binary.type_line("1 approve");
    assert_eq!(next_in_short(&mut events).await, "ACTIVATED approve");
    assert!(
        lines(&journal)
            .iter()
            .any(|line| line["action_id"] == "approve")
    );
}

#[tokio::test]
async fn without_a_desktop_toasts_are_printed() {
    let mut binary = Binary::start(&["--display", "desktop"]);
    let line = binary.line();
    assert!(line.starts_with("no desktop can be reached ("), "{line}");
    let mut client = connect(&binary.address("terminal")).await;
    client.show(asking("Refund?")).await.unwrap();
    assert_eq!(binary.line(), "[1] Refund?");
}

#[cfg(unix)]
#[tokio::test]
async fn sigterm_ends_it_well() {
    let mut binary = Binary::start(&["--display", "none"]);
    let mut client = connect(&binary.address("none")).await;
    let mut events = client
        .watch(WatchRequest::default())
        .await
        .unwrap()
        .into_inner();
    let id = binary.child.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &id]).status();
    assert!(asked.unwrap().success());
    let end = events.message().await.unwrap_err();
    assert_eq!(end.code(), tonic::Code::Unavailable);
    assert!(binary.child.wait().unwrap().success());
}

#[test]
fn what_cannot_work_is_told() {
    let refused = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_toasty-server"))
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    let (code, said) = refused(&["--display", "none", "--listen", "0.0.0.0:0"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("no sign-in") && said.contains("--allow-remote"));

    let (code, said) = refused(&["--display", "none", "--journal", "/nonexistent/j.jsonl"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("/nonexistent/j.jsonl"), "{said}");

    let (code, _) = refused(&["--display", "projector"]);
    assert_eq!(code, Some(2));
}
