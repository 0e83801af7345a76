//! What the hub costs over a bare server: throughput, and time from due to processed.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::load::{closed_loop, open_loop, request};
use crate::report::{Effort, Report};

/// Events per second of the open loop.
pub(crate) const RATE: u32 = 2_000;

pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let bare = Server::start("serve-bare")?;
    let mut hub = Server::start("serve-hub")?;
    let (mut bare_rate, mut hub_rate, mut ratio) = (vec![], vec![], vec![]);
    for round in 0..=effort.rounds {
        let noted = request(&noted());
        let b = closed_loop(bare.address, 64, effort.round, noted.clone()).await?;
        let h = closed_loop(hub.address, 64, effort.round, noted).await?;
        // The first round warms up.
        if round > 0 {
            bare_rate.push(b);
            hub_rate.push(h);
            ratio.push(h / b);
        }
    }
    report.add(
        "ingest, 1 KiB, 64 connections: bare axum + serde_json",
        "events/s",
        bare_rate,
        None,
    );
    report.add(
        "ingest, 1 KiB, 64 connections: hub, everything on",
        "events/s",
        hub_rate,
        None,
    );
    report.add("ingest: hub over bare", "ratio", ratio, Some(">= 0.7"));

    let (mut medians, mut bare99, mut hub99, mut ratio) = (vec![], vec![], vec![], vec![]);
    for round in 0..=effort.rounds {
        let answers = open_loop(bare.address, 16, RATE, effort.round, sent).await?;
        open_loop(hub.address, 16, RATE, effort.round, sent).await?;
        let processed = hub.latencies()?;
        if round > 0 {
            medians.push(percentile(&processed, 50) / 1_000.0);
            bare99.push(percentile(&answers, 99) / 1_000.0);
            hub99.push(percentile(&processed, 99) / 1_000.0);
            ratio.push(percentile(&processed, 99) / percentile(&answers, 99));
        }
    }
    report.add(
        "2,000/s open loop: bare server's answer, p99",
        "ms",
        bare99,
        None,
    );
    report.add(
        "2,000/s open loop: received to processed, p99",
        "ms",
        hub99,
        None,
    );
    report.add(
        "2,000/s open loop: received to processed, median",
        "ms",
        medians,
        Some("< 0.5"),
    );
    report.add(
        "2,000/s open loop: p99 over the bare answer's",
        "ratio",
        ratio,
        Some("<= 2"),
    );
    bare.stop()?;
    hub.stop()
}

pub(crate) fn percentile(sorted: &[u64], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(f64::NAN, |value| *value as f64)
}

pub(crate) fn noted() -> String {
    noted_as("bench.noted")
}

/// The same as any type.
pub(crate) fn noted_as(event_type: &str) -> String {
    let note = "x".repeat(880);
    format!(
        r#"{{"type":"{event_type}","source":"bench","priority":"normal","payload":{{"note":"{note}","tags":["one","two","three"],"count":42}}}}"#
    )
}

pub(crate) fn sent(due_us: u64) -> String {
    let note = "x".repeat(880);
    format!(
        r#"{{"type":"bench.sent","source":"bench","payload":{{"note":"{note}","sent_us":{due_us}}}}}"#
    )
}

/// One of the servers, in a process of its own.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Server {
    pub(crate) fn start(which: &str) -> Result<Self, Box<dyn Error>> {
        Self::start_with(which, &[])
    }

    pub(crate) fn start_with(which: &str, arguments: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(which)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ask = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        Ok(Self {
            child,
            address: line.trim().parse()?,
            ask,
            answers,
        })
    }

    /// Microseconds from due to processed, sorted, since the last time.
    pub(crate) fn latencies(&mut self) -> Result<Vec<u64>, Box<dyn Error>> {
        Ok(serde_json::from_str(&self.told("latencies")?)?)
    }

    /// Processor time that it has taken so far.
    pub(crate) fn processor_time(&mut self) -> Result<Duration, Box<dyn Error>> {
        let nanos = self.told("processor-time")?;
        Ok(Duration::from_nanos(nanos.trim().parse()?))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its answer to anything else.
    pub(crate) fn told(&mut self, what: &str) -> Result<String, Box<dyn Error>> {
        let ask = self.ask.as_mut().ok_or("stopped")?;
        writeln!(ask, "{what}")?;
        ask.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line)
    }

    pub(crate) fn stop(mut self) -> Result<(), Box<dyn Error>> {
        self.ask = None;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
