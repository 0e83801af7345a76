//! A process of the desktop: receives a command, keeps it running, ends it by its own id.
//!
//! What it says on standard error goes to a file, read only when something is wrong.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{LOOK_EVERY, Missing, Trouble, missing};

/// How long a process may take to end when asked, before it is killed.
const END_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; its standard output goes where the command says.
    ///
    /// # Errors
    ///
    /// The system does not start it.
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
        dir: &Path,
    ) -> Result<Self, Missing> {
        let log = dir.join(format!("{name}.log"));
        let failed = |error: std::io::Error| missing(name, &error.to_string());
        let child = command
            .stdin(Stdio::null())
            .stderr(File::create(&log).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        Ok(Self { name, child, log })
    }

    /// The first line of its standard output, by which it says that it is ready.
    ///
    /// # Errors
    ///
    /// It does not come in time, or the process ends before.
    pub(super) fn first_line(mut self, within: Duration) -> Result<(Self, String), Missing> {
        let (send, line) = mpsc::channel();
        if let Some(stdout) = self.child.stdout.take() {
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stdout).lines();
                if let Some(Ok(first)) = lines.next() {
                    // Nobody waits for it when the deadline has passed.
                    let _ = send.send(first);
                }
                // Read on, so that the process never waits for a reader.
                lines.for_each(drop);
            });
        }
        match line.recv_timeout(within) {
            Ok(line) => Ok((self, line)),
            Err(_) => Err(missing(
                &format!("{}, which did not come up", self.name),
                &self.said(),
            )),
        }
    }

    /// Checks that it still runs.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub(super) fn check(&mut self) -> Result<(), Missing> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(missing(
                &format!("{}, which ended with {status}", self.name),
                &self.said(),
            )),
            Err(error) => Err(missing(self.name, &error.to_string())),
        }
    }

    /// What it said on standard error.
    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked first, so that the X server removes its lock; by its own id, never by a name.
        let mut ask = Command::new("kill");
        ask.args(["-TERM", &self.child.id().to_string()]);
        let _ = run(ask);
        let deadline = Instant::now() + END_WITHIN;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a short program to its end; its standard output.
///
/// # Errors
///
/// It cannot be started, or fails.
pub(super) fn run(mut command: Command) -> Result<String, Trouble> {
    let program = command.get_program().to_string_lossy().into_owned();
    let trouble = |problem: String| Trouble::Program { program, problem };
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => return Err(trouble(error.to_string())),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(trouble(format!("{}: {}", output.status, said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
