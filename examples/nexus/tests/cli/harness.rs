//! Runs the program in a folder of its own, to its end or as a running hub.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The key of the client that every hub here has, unless a test writes its own configuration.
pub(crate) const KEY: &str = "nxk_cli_test";

/// `sha256` of [`KEY`].
const KEY_SHA256: &str = "560d1dd5d31ac940853552367fd762f5e339cbc61d4f8aef227d5a02fa42202a";

/// How long a hub may take to come up or to end on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a finished program said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Checks the exit code; shows everything when it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Checks that standard output holds the text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "{text:?} is missing: {self:#?}");
        self
    }

    /// Checks that standard error holds the text.
    #[track_caller]
    pub(crate) fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is missing: {self:#?}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// A folder to run the program in, with nothing of the environment's own settings.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Puts the plugin `probe` into `plugins/`.
    pub(crate) fn probe(self) -> Self {
        let folder = self.path().join("plugins");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(probe(), folder.join(library("probe"))).unwrap();
        self
    }

    /// Writes the configuration of a hub on a free port with one client that may do everything.
    pub(crate) fn hub(self, more: &str) -> Self {
        let text = format!(
            "[server]\nhttp = \"127.0.0.1:0\"\n{more}\n[[clients]]\nid = \"cli\"\n\
             key_sha256 = \"{KEY_SHA256}\"\nsources = [\"*\"]\ntypes = [\"*\"]\nadmin = true\n"
        );
        self.file("nexus.toml", &text)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
        command.args(arguments).current_dir(self.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("NEXUS_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments), "")
    }

    /// As [`Place::run`], signed in.
    pub(crate) fn run_with_key(&self, arguments: &[&str]) -> Ran {
        self.run_with_input(arguments, "")
    }

    /// As [`Place::run_with_key`], with something on standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = self.command(arguments);
        command.env("NEXUS_KEY", KEY);
        finish(command, input)
    }

    /// Starts the hub and waits until it listens.
    pub(crate) fn start(&self) -> Running {
        self.start_by(self.command(&["run"]))
    }

    /// Starts the hub as a shell does that lets it have only so many descriptors (`ulimit`'s options).
    #[cfg(target_os = "linux")]
    pub(crate) fn start_limited(&self, descriptors: &str) -> Running {
        let hub = self.command(&["run"]);
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("ulimit {descriptors} && exec \"$0\" run"));
        shell.arg(hub.get_program()).current_dir(self.path());
        self.start_by(shell)
    }

    fn start_by(&self, mut command: Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(std::fs::File::create(self.path().join("log")).unwrap());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let url = first
            .split_whitespace()
            .find(|word| word.starts_with("http://") || word.starts_with("https://"));
        let url = url.map(str::to_owned);
        let mut running = Running {
            child,
            lines,
            url: String::new(),
        };
        running.url = url.unwrap_or_else(|| {
            let log = std::fs::read_to_string(self.path().join("log")).unwrap();
            panic!("the hub does not come up: {first}\n{log}")
        });
        running
    }
}

/// A running hub. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
    pub(crate) url: String,
}

impl Running {
    /// Its process.
    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, and waits for the end: the exit code, and what was not read so far.
    pub(crate) fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &id])
            .status();
        assert!(sent.unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "still there after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        (status.code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn finish(mut command: Command, input: &str) -> Ran {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that does not read it closes it, which is no failure.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The library of the plugin `probe`, built once.
pub(crate) fn probe() -> &'static Path {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    PROBE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .unwrap();
        nexus_plugin_testkit::build_library(root.join("tests/fixtures/probe")).unwrap()
    })
}

/// The file name of a library.
pub(crate) fn library(name: &str) -> String {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    format!("{DLL_PREFIX}{name}{DLL_SUFFIX}")
}
