//! A child process: its lines as they come, its signals, its end. It does not outlive its value.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// Killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    lines: Receiver<String>,
}

impl Process {
    pub(super) fn start(command: &mut Command) -> Self {
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let lines = follow(&mut child, &log);
        Self { child, log, lines }
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
        let deadline = Instant::now() + PATIENCE;
        while self.line(deadline).is_ok() {}
        Some(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the hub's output:\n{}", self.log());
        }
    }
}

/// Keeps a child's lines, and hands them on as they come.
fn follow(child: &mut Child, log: &Arc<Mutex<String>>) -> Receiver<String> {
    let (send, receive) = channel();
    let streams: [Box<dyn std::io::Read + Send>; 2] = [
        Box::new(child.stdout.take().expect("piped")),
        Box::new(child.stderr.take().expect("piped")),
    ];
    for stream in streams {
        let (log, send) = (log.clone(), send.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let mut log = log.lock().expect("no panic");
                log.push_str(&line);
                log.push('\n');
                drop(log);
                let _ = send.send(line);
            }
        });
    }
    receive
}
