//! A collector of traces of another make: [Rotel](https://rotel.dev), which takes OTLP over gRPC and HTTP and prints
//! what it has taken.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::foreign::{python_with, run};
use crate::hub::eventually;
use crate::langgraph::free_port;

const ROTEL: &str = "rotel==0.0.1a15";

/// A running collector. Killed when dropped.
#[derive(Debug)]
pub struct Collector {
    child: Child,
    folder: TempDir,
    /// Its port for gRPC.
    pub grpc: u16,
    /// Its port for HTTP.
    pub http: u16,
}

/// A span as the collector has understood it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    /// The trace's id, in hex.
    pub trace: String,
    /// Its own id, in hex.
    pub id: String,
    /// Its parent's id; empty without one.
    pub parent: String,
    /// What it is called.
    pub name: String,
    /// `SERVER`, `PRODUCER`, `CONSUMER`, `CLIENT` or `INTERNAL`.
    pub kind: String,
    /// Ids of the spans that it is linked to.
    pub links: Vec<String>,
    /// Names of the events in it.
    pub events: Vec<String>,
    /// Its attributes, as the collector writes them.
    pub attributes: BTreeMap<String, String>,
}

impl Collector {
    /// Starts one that takes what is sent to either port.
    ///
    /// # Errors
    /// Why it cannot be had.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Result<Self, String> {
        let agent = tokio::task::spawn_blocking(agent).await;
        let agent = agent.map_err(|error| error.to_string())??;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (grpc, http) = (free_port(), free_port());
        let file = |name| File::create(folder.path().join(name)).expect("a file of its own");
        let child = Command::new(agent)
            .arg("start")
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .args(["--exporter", "blackhole", "--debug-log", "traces"])
            .args(["--debug-log-verbosity", "detailed"])
            .arg("--pid-file")
            .arg(folder.path().join("pid"))
            .arg("--log-file")
            .arg(folder.path().join("log"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("errors"))
            .spawn()
            .map_err(|error| error.to_string())?;
        let collector = Self {
            child,
            folder,
            grpc,
            http,
        };
        eventually("the collector listens", || async {
            let both = [grpc, http].map(|port| std::net::TcpStream::connect(("127.0.0.1", port)));
            both.iter().all(Result::is_ok).then_some(())
        })
        .await;
        Ok(collector)
    }

    /// Everything that it has taken so far.
    pub fn spans(&self) -> Vec<Span> {
        let out = std::fs::read_to_string(self.folder.path().join("out"));
        read(&out.unwrap_or_default())
    }

    /// Everything that it has printed, for looking what is not in it.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("out")).unwrap_or_default()
    }

    /// Waits until it has taken spans of these names in a trace: those, in that order.
    ///
    /// # Panics
    /// When it has not in time.
    pub async fn wait_for<const N: usize>(&self, trace: &str, names: [&str; N]) -> [Span; N] {
        let what = format!("{names:?} of {trace} have come to the collector");
        eventually(&what, || async {
            let spans = self.spans();
            let named = names.map(|name| {
                let is_it = |span: &&Span| span.trace == trace && span.name == name;
                spans.iter().find(is_it).cloned()
            });
            let all = named.iter().all(Option::is_some);
            all.then(|| named.map(Option::unwrap_or_default))
        })
        .await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn agent() -> Result<PathBuf, String> {
    let python = python_with(ROTEL)?;
    let folder = "import os, rotel; print(os.path.dirname(rotel.__file__))";
    let folder = run(Command::new(python).args(["-c", folder]))?;
    Ok(PathBuf::from(folder.trim()).join("rotel-agent"))
}

fn read(out: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    // Both have fields of the same names.
    let mut part = "span";
    for line in out.lines() {
        let line = line.trim();
        if line.starts_with("Span #") {
            spans.push(Span::default());
            part = "span";
        } else if line.starts_with("SpanLink #") {
            part = "link";
        } else if line.starts_with("SpanEvent #") {
            part = "event";
        }
        let Some(span) = spans.last_mut() else {
            continue;
        };
        let line = line.trim_start_matches("-> ");
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim().to_owned());
        match (part, key) {
            ("span", "Trace ID") => span.trace = value,
            ("span", "ID") => span.id = value,
            ("span", "Parent ID") => span.parent = value,
            ("span", "Name") => span.name = value,
            ("span", "Kind") => span.kind = value.trim_start_matches("SPAN_KIND_").to_owned(),
            ("link", "ID") => span.links.push(value),
            ("event", "Name") => span.events.push(value),
            ("span", _) if key.contains('.') => {
                span.attributes.insert(key.to_owned(), value);
            }
            _ => {}
        }
    }
    spans
}
