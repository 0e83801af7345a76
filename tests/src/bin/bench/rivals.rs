//! The hub beside what one would otherwise take: the same design in Python, and Node-RED. Each knows the client by its
//! key, judges the event by a schema, and hands it to a processor that does nothing.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nexus_tests::foreign::{node_with, python_with};
use tempfile::TempDir;

use crate::contender::Contender;
use crate::ingest::{noted, percentile};
use crate::load::{open_loop, request};
use crate::report::{Effort, Report};
use crate::server::Server;
use crate::system;

const PYTHON: &str =
    "fastapi==0.165.0 pydantic==2.14.4 uvicorn==0.54.0 uvloop==0.23.0 httptools==0.9.0";
/// The last one that runs on the Node.js of current long-term distributions.
const NODE_RED: &str = "node-red@4.1.15";

/// Events per second that all of them bear.
const RATE: u32 = 500;

pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let hub = Server::start("serve-hub")?;
    let seed = Rival::seed()?;
    let node_red = Rival::node_red()?;
    let addresses = [hub.address, seed.address, node_red.address];
    let mut contenders = [
        Contender::new("hub, everything on", hub.address, hub.id()),
        Contender::new(
            "FastAPI 0.165, Pydantic 2.14",
            seed.address,
            seed.child.id(),
        ),
        Contender::new("Node-RED 4.1", node_red.address, node_red.child.id()),
    ];
    let noted = request(&noted());
    let mut answers: [Vec<f64>; 3] = Default::default();
    for round in 0..=effort.rounds {
        for contender in &mut contenders {
            contender.round(effort.round, &noted, round > 0).await?;
        }
        for (address, answers) in addresses.into_iter().zip(&mut answers) {
            let taken = open_loop(address, 16, RATE, effort.round, |_| self::noted()).await?;
            if round > 0 {
                answers.push(percentile(&taken, 99) / 1_000.0);
            }
        }
    }
    for contender in &contenders {
        contender.tell(report);
    }
    let [own, seed, node_red] = &contenders;
    report.add("hub over FastAPI", "ratio", own.over(seed), None);
    report.add("hub over Node-RED", "ratio", own.over(node_red), None);
    for (name, answers) in ["hub", "FastAPI", "Node-RED"].into_iter().zip(answers) {
        let name = format!("500/s open loop: answer of {name}, p99");
        report.add(&name, "ms", answers, None);
    }
    hub.stop()
}

/// A program of others; ended when it is dropped.
struct Rival {
    child: Child,
    address: SocketAddr,
    _folder: Option<TempDir>,
}

impl Rival {
    fn seed() -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(python_with(PYTHON)?);
        command.arg(file("seed.py"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = system::elsewhere(|| command.spawn())?;
        let mut port = String::new();
        let mut out = BufReader::new(child.stdout.take().ok_or("no output")?);
        out.read_line(&mut port)?;
        Ok(Self {
            child,
            address: (Ipv4Addr::LOCALHOST, port.trim().parse::<u16>()?).into(),
            _folder: None,
        })
    }

    fn node_red() -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        std::fs::copy(file("flows.json"), folder.path().join("flows.json"))?;
        let port = nexus_tests::langgraph::free_port();
        let mut command = Command::new("node");
        command.arg(node_with(NODE_RED)?.join("node_modules/node-red/red.js"));
        command.arg("--userDir").arg(folder.path());
        command.arg("--settings").arg(file("settings.js"));
        command.args(["--port", &port.to_string(), "flows.json"]);
        command.stdout(Stdio::null());
        let rival = Self {
            child: system::elsewhere(|| command.spawn())?,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            _folder: Some(folder),
        };
        rival.await_listening()?;
        Ok(rival)
    }

    fn await_listening(&self) -> Result<(), Box<dyn Error>> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if begun.elapsed() > Duration::from_secs(60) {
                return Err("Node-RED does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients/rivals")
        .join(name)
}
