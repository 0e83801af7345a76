//! The program, run as it is.

use std::process::Command;

#[test]
fn it_publishes_waits_tells_and_stops() {
    let output = Command::new(env!("CARGO_BIN_EXE_embed")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    for expected in [
        "doorbell/answer",
        "doorbell.answered",
        "Finished { status: Processed }",
        "stopped after",
    ] {
        assert!(said.contains(expected), "{expected} is missing:\n{said}");
    }
}
