//! What was measured: medians of interleaved rounds, with their spread.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

/// How long to measure.
#[derive(Debug)]
pub(crate) struct Effort {
    /// Rounds of each pair.
    pub(crate) rounds: usize,
    /// Length of one round of load.
    pub(crate) round: Duration,
    /// Calls per round of the call benchmark.
    pub(crate) calls: usize,
    /// Events that the longest backlog holds.
    pub(crate) backlog: u32,
    /// WebSockets that are open at once.
    pub(crate) websockets: usize,
    /// Names that the rate limiter is flooded with.
    pub(crate) names: u32,
    /// Crashes of each kind.
    pub(crate) crashes: usize,
    /// How long it is polled.
    pub(crate) polling: Duration,
    /// Days that are simulated in each round.
    pub(crate) days: u32,
}

impl Effort {
    /// A look, about two minutes.
    pub(crate) const QUICK: Self = Self {
        rounds: 3,
        round: Duration::from_secs(2),
        calls: 200_000,
        backlog: 20_000,
        websockets: 2_000,
        names: 1_000_000,
        crashes: 5,
        polling: Duration::from_secs(60),
        days: 7,
    };
    /// What is written down.
    pub(crate) const FULL: Self = Self {
        rounds: 7,
        round: Duration::from_secs(5),
        calls: 1_000_000,
        backlog: 1_000_000,
        websockets: 20_000,
        names: 10_000_000,
        crashes: 100,
        polling: Duration::from_secs(600),
        days: 28,
    };
}

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    median: f64,
    min: f64,
    max: f64,
    unit: &'static str,
    /// The goal, if there is one, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<&'static str>,
}

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    conditions: BTreeMap<&'static str, String>,
    figures: BTreeMap<String, Figure>,
}

impl Report {
    pub(crate) fn new(effort: &Effort) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Self {
            conditions: BTreeMap::from([
                ("cores", cores.to_string()),
                ("target", nexus_plugin_api::abi::TARGET.to_owned()),
                ("version", env!("CARGO_PKG_VERSION").to_owned()),
                ("rounds", effort.rounds.to_string()),
                ("round", format!("{:?}", effort.round)),
            ]),
            figures: BTreeMap::new(),
        }
    }

    /// Keeps and prints one figure, out of the values of all rounds.
    pub(crate) fn add(
        &mut self,
        name: &str,
        unit: &'static str,
        mut values: Vec<f64>,
        goal: Option<&'static str>,
    ) {
        values.sort_by(f64::total_cmp);
        let Some((min, max)) = values.first().zip(values.last()) else {
            return;
        };
        let figure = Figure {
            median: values[values.len() / 2],
            min: *min,
            max: *max,
            unit,
            goal,
        };
        println!(
            "{name:<58} {:>12.3} {unit:<9} ({:.3} to {:.3}){}",
            figure.median,
            figure.min,
            figure.max,
            goal.map_or_else(String::new, |goal| format!("  goal: {goal}")),
        );
        self.figures.insert(name.to_owned(), figure);
    }

    /// Writes them into the build's target folder.
    pub(crate) fn finish(&self, name: &str) -> Result<(), Box<dyn Error>> {
        let file = target_folder()?.join(name);
        std::fs::write(&file, serde_json::to_string_pretty(self)?)?;
        println!("written to {}", file.display());
        Ok(())
    }
}

/// The build's target folder. What is measured on a disk is measured there: it is a disk, which the
/// system's folder for temporary files need not be, and nobody takes for a source what a run that was
/// ended leaves there.
pub(crate) fn target_folder() -> std::io::Result<PathBuf> {
    let executable = std::env::current_exe()?;
    let target = executable.ancestors().nth(2);
    target
        .map(Path::to_owned)
        .ok_or_else(|| std::io::Error::other("the program does not lie in a target folder"))
}
