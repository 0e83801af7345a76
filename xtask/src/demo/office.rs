//! The second act's stage: a mailbox and an agent. Starts a double of Microsoft Graph and a real LangGraph server, which
//! it installs once; hands on what the hub's configuration says of both.
//!
//! Where the agent's server cannot be had, there is no second act, and the demonstration says so.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::setting::{Folder, free_port, identity};
use crate::console::say;
use crate::failure::{Failure, Result, Tried as _};
use crate::http::Client;
use crate::service::{Output, Service};
use crate::stage::Stage;
use crate::stop::{Seen, Stop};
use crate::workspace::Workspace;

/// The plugins that only the second act needs.
pub(crate) const PLUGINS: [&str; 3] = ["langgraph", "outlook", "triage"];

const AGENT_PORT: u16 = 2024;
const MAILBOX: &str = "ada@example.org";
pub(crate) const SUBJECT: &str = "Invoice 17";

/// How long the double, and how long the agent's server may take to come up.
const WITHIN: Duration = Duration::from_secs(30);
const AGENT_WITHIN: Duration = Duration::from_secs(120);
const END_WITHIN: Duration = Duration::from_secs(10);

/// What the double of Graph takes for an app's credentials.
const TENANT: &str = "84bd8158-6d4d-4958-8b9f-9d6445542f95";
const CLIENT_ID: &str = "8e460676-ae3f-4b1e-8790-ee0fb5d6148f";
const CLIENT_SECRET: &str = "double-of-a-secret";

#[derive(Debug)]
pub(crate) struct Office {
    graph: Service,
    graph_address: SocketAddr,
    agent: Service,
    agent_address: SocketAddr,
    /// By which the agent's server proves that a webhook is its.
    token: String,
}

impl Office {
    pub(crate) fn start(
        workspace: &Workspace,
        stage: &Stage,
        folder: &Folder,
        stop: &Stop,
    ) -> Result<Self> {
        let python = installed(workspace)?;
        let token = identity(&stage.program("nexus"), &["--id", "agent"])?.key;
        let (agent, agent_address) = start_agent(workspace, &python, folder, stop, &token)?;
        let (graph, graph_address) = start_graph(stage, folder, stop)?;
        Ok(Self {
            graph,
            graph_address,
            agent,
            agent_address,
            token,
        })
    }

    /// What the hub's configuration says of both. Secrets come by the environment.
    pub(crate) fn config(&self, hub: SocketAddr) -> String {
        let (graph, agent) = (self.graph_address, self.agent_address);
        format!(
            "[plugins.outlook.secrets]
client_secret = {{ env = \"DEMO_GRAPH_SECRET\" }}

[plugins.outlook.config]
tenant = \"{TENANT}\"
client_id = \"{CLIENT_ID}\"
mailboxes = [\"{MAILBOX}\"]
public_url = \"http://{hub}\"
graph_url = \"http://{graph}\"
token_url = \"http://{graph}/{TENANT}/oauth2/v2.0/token\"
metadata_url = \"http://{graph}/{TENANT}/v2.0/.well-known/openid-configuration\"

[plugins.langgraph.secrets]
webhook_secret = {{ env = \"DEMO_AGENT_TOKEN\" }}

[plugins.langgraph.config]
url = \"http://{agent}\"
webhook_url = \"http://{hub}/v1/hooks/langgraph\"

[plugins.triage.config]
assistant = \"triage\"
"
        )
    }

    /// What the hub's environment must hold.
    pub(crate) fn secrets(&self) -> [(&'static str, &str); 2] {
        [
            ("DEMO_GRAPH_SECRET", CLIENT_SECRET),
            ("DEMO_AGENT_TOKEN", &self.token),
        ]
    }

    /// A mail arrives in the mailbox; Graph tells whoever has subscribed.
    pub(crate) fn a_mail_arrives(&self) -> Result<()> {
        let mail = json!({
            "mailbox": MAILBOX,
            "fields": {
                "subject": SUBJECT,
                "bodyPreview": "250.00 EUR for analytical engines, please",
                "from": { "emailAddress": { "name": "Example Ltd", "address": "billing@example.org" } },
            },
        });
        let answer = Client::new(self.graph_address, None).post("/_control/mail", &mail)?;
        match answer.body["id"] {
            Value::String(_) => Ok(()),
            _ => Err(Failure::new(format!(
                "the double of Graph answered {} {}",
                answer.status, answer.body
            ))),
        }
    }

    pub(crate) fn end(self, stop: &Stop) -> Result<()> {
        self.agent.end(stop, END_WITHIN)?;
        self.graph.end(stop, END_WITHIN).map(drop)
    }
}

/// A Python with the agent's server, installed once.
fn installed(workspace: &Workspace) -> Result<PathBuf> {
    let requirements = workspace.root.join("examples/langgraph/requirements.txt");
    let wanted =
        fs::read_to_string(&requirements).tried(format_args!("read {}", requirements.display()))?;
    let venv = workspace.target.join("langgraph");
    let bin = venv.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let done = venv.join("installed");
    if fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
        return Ok(bin);
    }
    say!("  note    installing a LangGraph server; this takes a minute, once");
    let python = if cfg!(windows) { "python" } else { "python3" };
    let mut make = Command::new(python);
    run(make.args(["-m", "venv", "--clear"]).arg(&venv))?;
    let mut pip = Command::new(bin.join("pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "-r"]);
    run(pip.arg(&requirements))?;
    fs::write(&done, wanted).tried(format_args!("write {}", done.display()))?;
    Ok(bin)
}

fn start_agent(
    workspace: &Workspace,
    python: &Path,
    folder: &Folder,
    stop: &Stop,
    token: &str,
) -> Result<(Service, SocketAddr)> {
    let address = free_port(AGENT_PORT, "the LangGraph server")?;
    let home = folder.file("langgraph");
    fs::create_dir_all(&home).tried(format_args!("create {}", home.display()))?;
    for file in ["graphs.py", "langgraph.json"] {
        let from = workspace.root.join("examples/langgraph").join(file);
        fs::copy(&from, home.join(file)).tried(format_args!("copy {}", from.display()))?;
    }
    let mut command = Command::new(python.join("langgraph"));
    command
        .args(["dev", "--no-browser", "--no-reload", "--allow-blocking"])
        .args(["--port", &address.port().to_string()])
        .current_dir(&home)
        .env("LANGSMITH_TRACING", "false")
        .env("LG_WEBHOOK_TOKEN", token);
    let log = folder.file("langgraph.log");
    let mut service = Service::start("langgraph", command, &log, Output::Logged)?;
    let client = Client::new(address, None);
    stop.until("the LangGraph server", AGENT_WITHIN, || {
        service.check_alive()?;
        Ok(match client.get("/ok") {
            Ok(answer) if answer.status == 200 => Seen::There(()),
            Ok(answer) => Seen::NotYet(format!("{} {}", answer.status, answer.body)),
            Err(failure) => Seen::NotYet(failure.to_string()),
        })
    })?;
    Ok((service, address))
}

fn start_graph(stage: &Stage, folder: &Folder, stop: &Stop) -> Result<(Service, SocketAddr)> {
    let mut command = Command::new(stage.program("graph-double"));
    command.args(["--listen", "127.0.0.1:0"]);
    let log = folder.file("graph.log");
    let mut service = Service::start("graph-double", command, &log, Output::Read)?;
    let address = service.line(stop, "the double of Microsoft Graph", WITHIN, |line| {
        line.strip_prefix("http://")?.parse().ok()
    })?;
    Ok((service, address))
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let output = command.output().tried(format_args!("run {program}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "{program} says: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}
