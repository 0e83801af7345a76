//! A real LangGraph server in a process of its own, on a free port, with the graphs of
//! `examples/langgraph`. It ends with the last who uses it.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::foreign::python_with;
use crate::hub::{client, eventually};

/// The server, and what of it changes what a test would see.
const PACKAGES: &str = include_str!("../../examples/langgraph/requirements.txt");

/// How long it may take to come up on a slow machine.
const COMING_UP: Duration = Duration::from_secs(90);

/// By which the server's webhooks prove that they are its.
pub const WEBHOOK_TOKEN: &str = "canary-of-a-webhook-token";

/// A running server. Killed when dropped.
#[derive(Debug)]
pub struct LangGraph {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl LangGraph {
    /// A server that tests share: the one that is running, or else a new one.
    ///
    /// # Errors
    /// Why it cannot be had on this machine.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn shared() -> Result<Arc<Self>, String> {
        static RUNNING: Mutex<Weak<LangGraph>> = Mutex::const_new(Weak::new());
        let mut running = RUNNING.lock().await;
        if let Some(server) = running.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Self::start_at(free_port()).await?);
        *running = Arc::downgrade(&server);
        Ok(server)
    }

    /// A server of one's own at a port.
    ///
    /// # Errors
    /// Why it cannot be had on this machine.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_at(port: u16) -> Result<Self, String> {
        let packages: Vec<&str> = PACKAGES.lines().collect();
        let python = python_with(&packages.join(" "))?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let graphs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/langgraph");
        for file in ["langgraph.json", "graphs.py"] {
            std::fs::copy(graphs.join(file), folder.path().join(file))
                .map_err(|error| format!("{file}: {error}"))?;
        }
        let log = File::create(folder.path().join("log")).map_err(|error| error.to_string())?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let child = Command::new(python.with_file_name("langgraph"))
            .args(["dev", "--no-browser", "--no-reload", "--allow-blocking"])
            .args(["--n-jobs-per-worker", "10", "--port", &port.to_string()])
            .current_dir(folder.path())
            .env("LANGSMITH_TRACING", "false")
            .env("LG_WEBHOOK_TOKEN", WEBHOOK_TOKEN)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("langgraph: {error}"))?;
        let mut server = Self {
            child,
            port,
            folder,
        };
        let ok = format!("{}/ok", server.url());
        let deadline = Instant::now() + COMING_UP;
        while !client()
            .get(&ok)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            let ended = server.child.try_wait().expect("the child is ours");
            assert!(ended.is_none(), "the server has ended:\n{}", server.log());
            assert!(Instant::now() < deadline, "not up yet:\n{}", server.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(server)
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it answers to a `GET`. Each time over a connection of its own: those that are kept end with the test that
    /// has made them, and the server is shared.
    ///
    /// # Panics
    /// When it answers no JSON.
    pub async fn get(&self, path: &str) -> Value {
        self.answer_to(client().get(format!("{}{path}", self.url())))
            .await
    }

    /// What it answers to a `POST`.
    ///
    /// # Panics
    /// When it answers no JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let request = client().post(format!("{}{path}", self.url()));
        self.answer_to(request.json(body)).await
    }

    async fn answer_to(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.send().await.expect("an answer").json().await;
        answer.expect("JSON")
    }

    /// Waits until a run has that status.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn wait_for_status(&self, thread_id: &str, run_id: &str, status: &str) {
        let path = format!("/threads/{thread_id}/runs/{run_id}");
        eventually(&format!("the run is {status}"), || async {
            (self.get(&path).await["status"] == status).then_some(())
        })
        .await;
    }

    /// Everything it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for LangGraph {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let last: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!(
                "--- the LangGraph server's last words, latest first:\n{}",
                last.join("\n")
            );
        }
    }
}

/// A port that nobody listens at.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound address").port()
}
