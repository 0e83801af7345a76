//! A real hub in a process of its own: `nexus run` with a configuration, a plugins folder and an
//! API key, on a port of the system's choice.
//!
//! [`HubBuilder`] lays out a [`Home`], which outlives the processes that run in it: one is
//! [`Starting`] until it says that it listens, then it is a [`Hub`], and what ends one leaves the
//! home for the next.

mod process;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::artifacts;
use process::Process;

/// How long anything a test waits for may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The key of a client that may do everything.
pub const ADMIN_KEY: &str = "nxk_test_admin";

/// How a hub is set up.
#[derive(Debug, Default)]
pub struct HubBuilder {
    config: String,
    plugins: Vec<(PathBuf, String)>,
    contracts: Vec<String>,
    env: Vec<(String, String)>,
}

/// Where a hub runs: a folder with its configuration, its plugins and whatever it keeps.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    env: Vec<(String, String)>,
    program: PathBuf,
}

/// A hub that has not said yet that it listens. Killed when dropped.
#[derive(Debug)]
pub struct Starting {
    process: Process,
    home: Home,
}

/// A running hub. Killed when dropped.
#[derive(Debug)]
pub struct Hub {
    // Before its home, so that it is gone before its folder is.
    process: Process,
    home: Home,
    scheme: &'static str,
    address: SocketAddr,
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

    /// Adds a type of events that no plugin owns, whose payload may be any object.
    pub fn contract(mut self, event_type: &str) -> Self {
        self.contracts.push(event_type.to_owned());
        self
    }

    /// Sets a variable of the hub's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes the folder of the hub: `nexus.toml` and `plugins/`.
    pub fn lay_out(self) -> Home {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let plugins = folder.path().join("plugins");
        std::fs::create_dir(&plugins).expect("the plugins folder");
        for (from, name) in &self.plugins {
            std::fs::copy(from, plugins.join(name)).expect("the plugin is there");
        }
        let mut config = String::new();
        if !self.contracts.is_empty() {
            let contracts = folder.path().join("contracts");
            std::fs::create_dir(&contracts).expect("the contracts folder");
            for event_type in &self.contracts {
                let contract = json!({ "type": event_type, "version": "1.0.0", "schema": { "type": "object" } });
                let file = contracts.join(format!("{event_type}.json"));
                std::fs::write(file, contract.to_string()).expect("the contract");
            }
            config.push_str("plugins.contracts_dir = \"contracts\"\n");
        }
        if !self.config.contains("[server]") {
            config.push_str("server.http = \"127.0.0.1:0\"\nserver.grpc = \"127.0.0.1:0\"\n");
        }
        config.push_str(&self.config);
        let _ = write!(
            config,
            "\n[[clients]]\nid = \"test-admin\"\nkey_sha256 = \"{}\"\nsources = [\"*\"]\ntypes = [\"*\"]\nadmin = true\n",
            key_hash(ADMIN_KEY)
        );
        std::fs::write(folder.path().join("nexus.toml"), config).expect("the configuration");
        Home {
            folder,
            env: self.env,
            program: artifacts::executable("nexus"),
        }
    }

    /// Starts the hub and waits until it says that it listens.
    ///
    /// # Panics
    /// With the hub's own words, when it does not come up.
    pub fn start(self) -> Hub {
        self.lay_out().start()
    }

    /// Runs the hub until it ends by itself, which it should at once: for configurations that it
    /// refuses.
    ///
    /// # Panics
    /// When it is still there after [`PATIENCE`].
    pub fn run_to_end(self) -> (ExitStatus, String) {
        // With its folder, which it reads.
        let mut starting = self.lay_out().spawn();
        let process = &mut starting.process;
        let ended = process.wait(PATIENCE);
        let status = ended.unwrap_or_else(|| panic!("the hub goes on:\n{}", process.log()));
        (status, process.log())
    }
}

impl Home {
    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves the folder where it is, for somebody to look at.
    pub fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    /// Has the hub's program here, with no other program beside it.
    pub fn with_own_program(mut self) -> Self {
        let own = self.folder.path().join("nexus");
        std::fs::copy(&self.program, &own).expect("the program is there");
        self.program = own;
        self
    }

    /// Starts a hub here and waits until it says that it listens.
    ///
    /// # Panics
    /// With the hub's own words, when it does not come up.
    pub fn start(self) -> Hub {
        self.spawn().ready()
    }

    /// Starts a hub here.
    pub fn spawn(self) -> Starting {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.folder.path())
            .args(["run", "--config", "nexus.toml"])
            .env_remove("NEXUS_KEY")
            .env_remove("NEXUS_CONFIG")
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        Starting {
            process: Process::start(&mut command),
            home: self,
        }
    }
}

impl Starting {
    /// Waits until it says that it listens.
    ///
    /// # Panics
    /// With the hub's own words, when it does not come up.
    pub fn ready(self) -> Hub {
        self.ready_within(PATIENCE)
            .unwrap_or_else(|hub| panic!("the hub does not come up:\n{}", hub.process.log()))
    }

    /// Waits until it says that it listens, but no longer than that.
    ///
    /// # Errors
    /// The hub as it is, when it has not said so by then.
    ///
    /// # Panics
    /// With its own words, when it has ended by itself.
    // Whoever gives up on it wants it as it is.
    #[allow(clippy::result_large_err)]
    pub fn ready_within(self, limit: Duration) -> Result<Hub, Self> {
        let deadline = Instant::now() + limit;
        let (scheme, address) = loop {
            match self.process.line(deadline) {
                Ok(line) => {
                    if let Some(found) = listening(&line) {
                        break found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err(self),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the hub does not come up:\n{}", self.process.log())
                }
            }
        };
        Ok(Hub {
            process: self.process,
            home: self.home,
            scheme,
            address,
            client: client(),
        })
    }

    /// Kills it, whatever it is at, and hands back what it leaves.
    pub fn kill(mut self) -> Home {
        self.process.kill();
        self.home
    }
}

/// A client for HTTP. Where another package of the same build has TLS among what it can do, it wants to know by whose
/// cryptography, though nothing here is asked over TLS.
pub fn client() -> reqwest::Client {
    // Whoever was there first has decided it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// Scheme and address in the line by which a hub says that it listens.
fn listening(line: &str) -> Option<(&'static str, SocketAddr)> {
    let (_, url) = line.split_once("listening on ")?;
    ["http", "https"].into_iter().find_map(|scheme| {
        let rest = url.strip_prefix(scheme)?.strip_prefix("://")?;
        let address = rest.split_whitespace().next()?.parse().ok()?;
        Some((scheme, address))
    })
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
    /// Where it listens, `http://127.0.0.1:PORT`, or `https://` with TLS.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for gRPC, as it says.
    ///
    /// # Panics
    /// When it does not say so.
    pub async fn grpc_address(&self) -> SocketAddr {
        eventually("the hub says where it serves gRPC", || async {
            let log = self.log();
            let address = log.lines().find_map(|line| line.strip_prefix("grpc "))?;
            // Behind it may stand that it speaks TLS.
            address.split_whitespace().next()?.parse().ok()
        })
        .await
    }

    /// The folder that holds `nexus.toml` and `plugins/`.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// The hub's process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The processes that it has started and that are still there: its workers. Linux only.
    pub fn children(&self) -> Vec<u32> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid()));
        let children = threads.into_iter().flatten().filter_map(|thread| {
            std::fs::read_to_string(thread.ok()?.path().join("children")).ok()
        });
        let children: Vec<String> = children.collect();
        let numbers = children.iter().flat_map(|one| one.split_whitespace());
        numbers.filter_map(|number| number.parse().ok()).collect()
    }

    /// Everything it has printed so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Reads what it writes to standard error, as from the start; or does not, so that nothing more fits in there soon.
    pub fn read_errors(&self, read: bool) {
        self.process.read_errors(read);
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

    /// The same of what it says after so many octets of its log.
    ///
    /// # Panics
    /// When it does not within [`PATIENCE`].
    pub async fn wait_for_log_after(&self, octets: usize, text: &str) {
        eventually(&format!("the log goes on with {text:?}"), || async {
            self.log()[octets..].contains(text).then_some(())
        })
        .await;
    }

    /// A request, signed in with the admin key.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("an HTTP method");
        self.client
            .request(method, format!("{}{path}", self.url()))
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

    /// Runs the command line against it, in its folder, as its administrator.
    ///
    /// # Panics
    /// When it cannot be run.
    pub async fn nexus(&self, line: &[&str]) -> std::process::Output {
        let mut command = Command::new(artifacts::executable("nexus"));
        command
            .current_dir(self.folder())
            .args(line)
            .args(["--url", &self.url()])
            .env("NEXUS_KEY", ADMIN_KEY)
            .stdin(Stdio::null());
        let ran = tokio::task::spawn_blocking(move || command.output());
        ran.await.expect("nobody ends it").expect("nexus runs")
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
        let ended = self.process.wait(limit);
        ended.unwrap_or_else(|| panic!("still there after {limit:?}:\n{}", self.log()))
    }

    /// Kills it, unless it has ended, and hands back what it leaves.
    pub fn kill(mut self) -> Home {
        self.process.kill();
        self.home
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
        self.process.signal(name);
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
