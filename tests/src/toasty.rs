//! The real `toasty-server` in a process of its own, on a port of the system's choice.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::artifacts;
use crate::desktop::Desktop;

/// A running Toasty server. Killed when dropped.
#[derive(Debug)]
pub struct ToastyServer {
    child: Child,
    address: String,
    display: String,
}

impl ToastyServer {
    /// Starts it without a display.
    ///
    /// # Panics
    /// When it does not say where it listens.
    pub fn start(journal: &Path) -> Self {
        Self::start_at("127.0.0.1:0", journal)
    }

    /// Starts it on a desktop.
    ///
    /// # Panics
    /// When it does not say where it listens.
    pub fn start_on(desktop: &Desktop, journal: &Path) -> Self {
        Self::launch("127.0.0.1:0", "desktop", journal, Some(desktop))
    }

    /// As [`ToastyServer::start`], at a given address.
    ///
    /// # Panics
    /// When it does not say where it listens.
    pub fn start_at(listen: &str, journal: &Path) -> Self {
        Self::launch(listen, "none", journal, None)
    }

    fn launch(listen: &str, display: &str, journal: &Path, desktop: Option<&Desktop>) -> Self {
        let mut child = Command::new(artifacts::executable("toasty-server"))
            .args(["--listen", listen, "--display", display])
            .arg("--journal")
            .arg(journal)
            .envs(desktop.into_iter().flat_map(Desktop::env))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("toasty-server starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("a first line");
        let (address, display) = line
            .trim()
            .strip_prefix("toasty-server listening on ")
            .and_then(|rest| rest.strip_suffix(')'))
            .and_then(|rest| rest.split_once(" (display: "))
            .unwrap_or_else(|| panic!("unexpected first line: {line:?}"));
        Self {
            address: address.to_owned(),
            display: display.to_owned(),
            child,
        }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `http://127.0.0.1:PORT`, as the plugin's configuration wants it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The display it has come up with.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Asks it to stop and says whether it ended well.
    ///
    /// # Panics
    /// When `kill` cannot be run.
    pub fn stop(&mut self) -> bool {
        let mut kill = Command::new("kill");
        kill.args(["-TERM", &self.child.id().to_string()]);
        assert!(kill.status().expect("kill runs").success());
        self.child.wait().expect("the child is ours").success()
    }
}

impl Drop for ToastyServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a journal.
///
/// # Panics
/// When a line is not JSON.
pub fn journal(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line of the journal is JSON"))
        .collect()
}
