//! A real hub in a process of its own: `nexus run` with a configuration, a plugins folder and an
//! API key, on a port of the system's choice.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::artifacts;

/// How long anything a test waits for may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The key of a client that may do everything.
pub const ADMIN_KEY: &str = "nxk_test_admin";

/// How a hub is set up.
#[derive(Debug, Default)]
pub struct HubBuilder {
    config: String,
    plugins: Vec<(PathBuf, String)>,
    env: Vec<(String, String)>,
}

/// A running hub. Killed when dropped.
#[derive(Debug)]
pub struct Hub {
    folder: TempDir,
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
    lines: Receiver<String>,
    client: reqwest::Client,
}

impl HubBuilder {
    /// A hub with an admin client and no plugins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds configuration, as TOML. `[server]` and an admin client are there already.
    pub fn config(mut self, toml: &str) -> Self {
        self.config.push_str(toml);
        self.config.push('\n');
        self
    }

    /// Puts a plugin library of the workspace into the plugins folder.
    pub fn plugin(self, name: &str) -> Self {
        let library = artifacts::library(name);
        let file = library
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        self.file(library, &file)
    }

    /// Puts any file into the plugins folder, under a name.
    pub fn file(mut self, from: impl Into<PathBuf>, name: &str) -> Self {
        self.plugins.push((from.into(), name.to_owned()));
        self
    }

    /// Sets a variable of the hub's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes the folder of the hub: `nexus.toml` and `plugins/`.
    fn lay_out(&self) -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let plugins = folder.path().join("plugins");
        std::fs::create_dir(&plugins).expect("the plugins folder");
        for (from, name) in &self.plugins {
            std::fs::copy(from, plugins.join(name)).expect("the plugin is there");
        }
        let mut config = String::new();
        if !self.config.contains("[server]") {
            config.push_str("[server]\nhttp = \"127.0.0.1:0\"\n");
        }
        config.push_str(&self.config);
        let _ = write!(
            config,
            "\n[[clients]]\nid = \"test-admin\"\nkey_sha256 = \"{}\"\nsources = [\"*\"]\ntypes = [\"*\"]\nadmin = true\n",
            key_hash(ADMIN_KEY)
        );
        std::fs::write(folder.path().join("nexus.toml"), config).expect("the configuration");
        folder
    }

    /// Starts the hub and waits until it says that it listens.
    ///
    /// # Panics
    /// With the hub's own words, when it does not come up.
    pub fn start(self) -> Hub {
        let folder = self.lay_out();
        let mut child = self.command(&folder).spawn().expect("nexus starts");
        let log = Arc::new(Mutex::new(String::new()));
        let lines = follow(&mut child, &log);
        let deadline = Instant::now() + PATIENCE;
        let address = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    // Plugins speak of addresses too.
                    if let Some((_, rest)) = line.split_once(" listening on ") {
                        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                        break rest[..end].trim_end_matches('/').to_owned();
                    }
                }
                Err(_) => {
                    let _ = child.kill();
                    panic!(
                        "the hub does not come up:\n{}",
                        log.lock().expect("no panic")
                    );
                }
            }
        };
        Hub {
            folder,
            child,
            address,
            log,
            lines,
            client: reqwest::Client::new(),
        }
    }

    /// Runs the hub until it ends by itself, which it should at once: for configurations that it
    /// refuses.
    ///
    /// # Panics
    /// When it is still there after [`PATIENCE`].
    pub fn run_to_end(self) -> (ExitStatus, String) {
        let folder = self.lay_out();
        let mut child = self.command(&folder).spawn().expect("nexus starts");
        let log = Arc::new(Mutex::new(String::new()));
        let lines = follow(&mut child, &log);
        let status = wait(&mut child, PATIENCE).unwrap_or_else(|| {
            let _ = child.kill();
            panic!("the hub goes on:\n{}", log.lock().expect("no panic"));
        });
        while lines.recv_timeout(PATIENCE).is_ok() {}
        let text = log.lock().expect("no panic").clone();
        (status, text)
    }

    fn command(&self, folder: &TempDir) -> Command {
        let mut command = Command::new(artifacts::executable("nexus"));
        command
            .current_dir(folder.path())
            .args(["run", "--config", "nexus.toml"])
            .env_remove("NEXUS_KEY")
            .env_remove("NEXUS_CONFIG")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// SHA-256 of an API key, as configurations hold it.
pub fn key_hash(key: &str) -> String {
    Sha256::digest(key.as_bytes())
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

impl Hub {
    /// Where it listens, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.address
    }

    /// The folder that holds `nexus.toml` and `plugins/`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The hub's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// Waits until its log holds a text.
    ///
    /// # Panics
    /// When it does not within [`PATIENCE`].
    pub async fn wait_for_log(&self, text: &str) {
        eventually(&format!("the log says {text:?}"), || async {
            self.log().contains(text).then_some(())
        })
        .await;
    }

    /// A request, signed in with the admin key.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("an HTTP method");
        self.client
            .request(method, format!("{}{path}", self.address))
            .bearer_auth(ADMIN_KEY)
    }

    /// Sends a request; hands back status and JSON body (null when there is none).
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.bytes().await.expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// Reads a path.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send(self.request("GET", path)).await
    }

    /// Publishes an event.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn publish(&self, event: &Value) -> (u16, Value) {
        self.send(self.request("POST", "/v1/events").json(event))
            .await
    }

    /// Publishes an event and waits for its outcome: its journey.
    ///
    /// # Panics
    /// When it is not processed in time.
    pub async fn process(&self, event: &Value) -> Value {
        let (status, receipt) = self.publish(event).await;
        assert_eq!(status, 202, "{receipt}");
        self.finished(receipt["event_id"].as_str().expect("an id"))
            .await
    }

    /// Waits until nothing more is done for an event; hands back its journey.
    ///
    /// # Panics
    /// When that takes longer than [`PATIENCE`].
    pub async fn finished(&self, event_id: &str) -> Value {
        let path = format!("/v1/events/{event_id}");
        eventually(&format!("{event_id} is finished"), || async {
            let (_, journey) = self.get(&path).await;
            matches!(journey["status"].as_str(), Some("processed" | "dead")).then_some(journey)
        })
        .await
    }

    /// Asks it to stop, as a service manager does, and waits for its end.
    ///
    /// # Panics
    /// When it is still there after `limit`.
    pub fn stop(&mut self, limit: Duration) -> ExitStatus {
        self.stop_by("TERM", limit)
    }

    /// As [`Hub::stop`], by a signal of choice.
    ///
    /// # Panics
    /// When it is still there after `limit`.
    pub fn stop_by(&mut self, signal: &str, limit: Duration) -> ExitStatus {
        self.signal(signal);
        self.wait_for_end(limit)
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it is still there after `limit`.
    pub fn wait_for_end(&mut self, limit: Duration) -> ExitStatus {
        let ended = wait(&mut self.child, limit);
        let status =
            ended.unwrap_or_else(|| panic!("still there after {limit:?}:\n{}", self.log()));
        // What it printed last is on its way through the pipe.
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        status
    }

    /// Waits until the hub has accepted so many events.
    ///
    /// # Panics
    /// When it has not within [`PATIENCE`].
    pub async fn wait_for_events(&self, count: u64) {
        eventually(&format!("{count} events are accepted"), || async {
            let (_, queue) = self.get("/v1/admin/queue").await;
            (queue["accepted"].as_u64()? >= count).then_some(())
        })
        .await;
    }

    /// Sends it a signal by name.
    ///
    /// # Panics
    /// When `kill` cannot be run.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the hub's output:\n{}", self.log());
        }
    }
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none within [`PATIENCE`].
pub async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
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

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            return Some(status);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
