//! One of the servers of [`crate::serve`], in a process of its own: started, asked and ended.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::system;

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
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(which).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = system::elsewhere(|| command.spawn())?;
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
