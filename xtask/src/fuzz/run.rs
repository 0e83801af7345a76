//! One program of libFuzzer: receives its command, and what it prints; hands on the numbers in that, and
//! the input that it found.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result, Tried as _};

/// How much is shown of what a program said before it ended.
const LONGEST_TAIL: usize = 12;

/// What came of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// Inputs that were tried.
    pub(super) executions: u64,
    /// Places in the code that were reached.
    pub(super) coverage: u64,
    pub(super) seconds: u64,
    /// An input that breaks a promise, takes too long, or takes too much memory.
    pub(super) input: Option<PathBuf>,
    /// The last lines, without those that tell how it goes.
    pub(super) tail: VecDeque<String>,
}

impl Run {
    /// Lets a program run to its end.
    pub(super) fn watch(mut command: Command) -> Result<Self> {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().tried("start a fuzz target")?;
        let mut run = Self::default();
        if let Some(stderr) = child.stderr.take() {
            for line in BufReader::new(stderr).split(b'\n') {
                let line = line.tried("read what a fuzz target says")?;
                run.line(&String::from_utf8_lossy(&line));
            }
        }
        let status = child.wait().tried("wait for a fuzz target")?;
        if !status.success() && run.input.is_none() {
            let said = Vec::from(run.tail).join("\n");
            return Err(Failure::new(format!(
                "a fuzz target ended with {status}:\n{said}"
            )));
        }
        Ok(run)
    }

    fn line(&mut self, line: &str) {
        if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
            self.executions = number.trim().parse().unwrap_or(0);
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.input = Some(path.trim().into());
        } else if line.starts_with('#') {
            let covered = line.split_once(" cov: ").map(|(_, rest)| rest);
            let covered = covered.and_then(|rest| rest.split(' ').next()?.parse().ok());
            self.coverage = covered.unwrap_or(self.coverage);
        } else if !line.starts_with("stat::") && !line.trim().is_empty() {
            self.tail.push_back(line.to_owned());
            if self.tail.len() > LONGEST_TAIL {
                self.tail.pop_front();
            }
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            executions,
            coverage,
            seconds,
            ..
        } = self;
        write!(
            f,
            "{executions:>10} runs  cov {coverage:>6}  {seconds:>5} s  "
        )?;
        f.write_str(match self.input {
            None => "nothing found",
            Some(_) => "FOUND",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_findings_are_taken_from_what_is_printed() {
        let mut run = Run::default();
        for line in [
            "INFO: Seed: 1",
            "#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 40Mb",
            "#4096\tpulse  cov: 345 ft: 700 corp: 9/80b lim: 43 exec/s: 2048 rss: 41Mb",
            "thread '<unnamed>' panicked at a.rs:1:1:",
            "artifact_prefix='a/'; Test unit written to a/crash-1f",
            "stat::number_of_executed_units: 5000",
            "stat::peak_rss_mb: 41",
        ] {
            run.line(line);
        }
        assert_eq!((run.executions, run.coverage), (5_000, 345));
        assert_eq!(run.input.as_deref(), Some("a/crash-1f".as_ref()));
        assert_eq!(run.tail.len(), 2);
        assert!(run.to_string().ends_with("FOUND"));
    }
}
