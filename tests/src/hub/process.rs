//! A child process: its lines as they come, its signals, its end. It does not outlive its value.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// Killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    lines: Receiver<String>,
    errors: Arc<Gate>,
}

/// Whether something is read.
#[derive(Debug)]
struct Gate {
    is_open: Mutex<bool>,
    changed: Condvar,
}

impl Process {
    pub(super) fn start(command: &mut Command) -> Self {
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let errors = Arc::new(Gate::open());
        let (send, lines) = channel();
        let output = child.stdout.take().expect("piped");
        follow(output, Arc::new(Gate::open()), log.clone(), send.clone());
        let error = child.stderr.take().expect("piped");
        follow(error, errors.clone(), log.clone(), send);
        Self {
            child,
            log,
            lines,
            errors,
        }
    }

    /// Goes on with what it writes to standard error, or leaves that where it is.
    pub(super) fn read_errors(&self, read: bool) {
        self.errors.set(read);
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far.
    pub(super) fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// Its next line, if it comes by then and has not come to an end.
    pub(super) fn line(&self, deadline: Instant) -> Result<String, RecvTimeoutError> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.lines.recv_timeout(left)
    }

    /// Sends it a signal by name.
    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// Ends it as the loss of its machine would, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for its end; `None` when it is still there then.
    pub(super) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                break status;
            }
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        // What it printed last is on its way through the pipe.
        self.errors.set(true);
        let deadline = Instant::now() + PATIENCE;
        while self.line(deadline).is_ok() {}
        Some(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        self.errors.set(true);
        if std::thread::panicking() {
            eprintln!("--- the hub's output:\n{}", self.log());
        }
    }
}

impl Gate {
    fn open() -> Self {
        Self {
            is_open: Mutex::new(true),
            changed: Condvar::new(),
        }
    }

    fn set(&self, is_open: bool) {
        *self.is_open.lock().expect("no panic") = is_open;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let is_open = self.is_open.lock().expect("no panic");
        let passed = self.changed.wait_while(is_open, |is_open| !*is_open);
        drop(passed.expect("no panic"));
    }
}

/// Keeps a child's lines while the gate is open, and hands them on as they come.
fn follow(
    stream: impl Read + Send + 'static,
    gate: Arc<Gate>,
    log: Arc<Mutex<String>>,
    lines: Sender<String>,
) {
    std::thread::spawn(move || {
        let mut read = BufReader::new(stream).lines();
        loop {
            gate.pass();
            let Some(Ok(line)) = read.next() else {
                return;
            };
            let mut log = log.lock().expect("no panic");
            log.push_str(&line);
            log.push('\n');
            drop(log);
            let _ = lines.send(line);
        }
    });
}
