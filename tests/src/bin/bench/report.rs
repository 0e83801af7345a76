//! What was measured: medians of interleaved rounds, with their spread.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::system;

/// How long to measure.
#[derive(Debug, Clone)]
pub(crate) struct Effort {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Rounds of each pair.
    pub(crate) rounds: usize,
    /// Length of one round of load.
    pub(crate) round: Duration,
    /// Calls per round of the call benchmark.
    pub(crate) calls: usize,
    /// Events that the longest backlog holds.
    pub(crate) backlog: u32,
    /// Marks against duplicates that a queue on disk keeps.
    pub(crate) marks: u32,
    /// WebSockets that are open at once.
    pub(crate) websockets: usize,
    /// WebSockets that all publish at once.
    pub(crate) producers: usize,
    /// Names that the rate limiter is flooded with.
    pub(crate) names: u32,
    /// Crashes of each kind.
    pub(crate) crashes: usize,
    /// How long it is polled.
    pub(crate) polling: Duration,
    /// Days that are simulated in each round.
    pub(crate) days: u32,
    /// Whether each kind of attacker comes alone as well, and is waited for until it is closed.
    pub(crate) each_attack: bool,
}

impl Effort {
    /// A look.
    pub(crate) const QUICK: Self = Self {
        name: "quick",
        rounds: 3,
        round: Duration::from_millis(250),
        calls: 100_000,
        backlog: 20_000,
        marks: 20_000,
        websockets: 2_000,
        producers: 1_000,
        names: 500_000,
        crashes: 1,
        polling: Duration::from_secs(15),
        days: 1,
        each_attack: false,
    };
    /// What is written down.
    pub(crate) const FULL: Self = Self {
        name: "full",
        rounds: 7,
        round: Duration::from_secs(5),
        calls: 1_000_000,
        backlog: 1_000_000,
        marks: 100_000,
        websockets: 20_000,
        producers: 10_000,
        names: 10_000_000,
        crashes: 100,
        polling: Duration::from_secs(600),
        days: 28,
        each_attack: true,
    };
}

/// What a figure is to be.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
    Within(f64, f64),
}

impl Goal {
    pub(crate) fn is_reached_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
            Self::Within(least, most) => (least..=most).contains(&value),
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::Within(least, most) => write!(f, "{least} to {most}"),
        }
    }
}

/// One figure, out of the values of all rounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<Goal>,
}

impl Figure {
    /// Whether its goal is reached, if it has one.
    pub(crate) fn is_reached(&self) -> Option<bool> {
        Some(self.goal?.is_reached_by(self.median))
    }
}

/// What one part has measured, and under which conditions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) part: String,
    pub(crate) effort: String,
    /// How much was measured, in words: rounds of load, where a part does not say otherwise.
    #[serde(default)]
    pub(crate) extent: String,
    pub(crate) cores: usize,
    /// Whether the load came from a core on which no server was.
    pub(crate) apart: bool,
    pub(crate) target: String,
    /// Of the hub.
    pub(crate) version: String,
    /// Of the compiler.
    pub(crate) compiler: String,
    pub(crate) figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(part: &str, effort: &Effort, apart: bool) -> Self {
        Self {
            part: part.to_owned(),
            effort: effort.name.to_owned(),
            extent: format!(
                "{} rounds of {} s",
                effort.rounds,
                effort.round.as_secs_f64()
            ),
            cores: system::cores(),
            apart,
            target: nexus_plugin_api::abi::TARGET.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            compiler: nexus_tests::foreign::run(Command::new("rustc").arg("--version"))
                .map_or_else(|_| "unknown".to_owned(), |told| told.trim().to_owned()),
            figures: Vec::new(),
        }
    }

    /// Keeps and prints one figure.
    pub(crate) fn add(&mut self, name: &str, unit: &str, mut values: Vec<f64>, goal: Option<Goal>) {
        values.sort_by(f64::total_cmp);
        let Some((min, max)) = values.first().zip(values.last()) else {
            return;
        };
        let figure = Figure {
            name: name.to_owned(),
            unit: unit.to_owned(),
            median: values[values.len() / 2],
            min: *min,
            max: *max,
            goal,
        };
        println!(
            "{name:<58} {:>12.3} {unit:<9} ({min:.3} to {max:.3}){}",
            figure.median,
            goal.map_or_else(String::new, |goal| {
                let reached = if figure.is_reached() == Some(true) {
                    ""
                } else {
                    ", NOT reached"
                };
                format!("  goal: {goal}{reached}")
            }),
        );
        self.figures.push(figure);
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
