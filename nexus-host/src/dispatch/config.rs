//! `[dispatch]`, `[retry]` and `[breaker]`: how events are handed on, and what follows a failure. It
//! holds the settings only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{HumanDuration, Section};

/// How events are handed to processors and integrations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which events wait for each other. Default "lane".
    pub ordering: Ordering,
    /// How many events are processed at once, 1 to 4096; as many calls may each processor and each integration
    /// have under way. One that takes longer than 100 ms no longer counts against the others. Default 64.
    #[schemars(range(min = 1, max = 4096))]
    pub concurrency: usize,
    /// How long a processor may take for one event. More than 0; default "30s".
    pub processor_timeout: HumanDuration,
    /// How long an integration may take for one request. More than 0; default "10s".
    pub integration_timeout: HumanDuration,
}

/// Which events wait for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ordering {
    /// Events of one lane (their partition key, else their source) one after the other.
    #[default]
    Lane,
    /// None do.
    None,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ordering: Ordering::Lane,
            concurrency: 64,
            processor_timeout: HumanDuration::from_secs(30),
            integration_timeout: HumanDuration::from_secs(10),
        }
    }
}

impl Config {
    pub(crate) fn check(&self, section: &mut Section<'_, '_>) {
        section.positive("processor_timeout", self.processor_timeout.get());
        section.positive("integration_timeout", self.integration_timeout.get());
    }
}

/// When a failed effect is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// How often it is tried again before it becomes a dead letter, 0 to 100; a target that says when to come back is
    /// waited for beside that, a hundred times at most. Default 3.
    #[schemars(range(min = 0, max = 100))]
    pub max_retries: u32,
    /// How long to wait before each retry, each more than 0; the last one repeats. At least one
    /// when there are retries. Default ["1s", "2s", "4s"].
    #[schemars(length(max = 100))]
    pub delays: Vec<HumanDuration>,
    /// By which part of itself a delay may grow at random, 0 to 1. Default 0.25.
    #[schemars(range(min = 0, max = 1))]
    pub jitter: f64,
    /// How many retries a first attempt earns its target, 0 to 100. A retry that fails costs one;
    /// ten come by themselves, and again within a minute. A retry that finds none waits, which
    /// is no attempt. Default 0.1: a target that fails sees about a tenth more than its load.
    #[schemars(range(min = 0, max = 100))]
    pub budget: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_retries: 3,
            delays: [1, 2, 4].map(HumanDuration::from_secs).to_vec(),
            jitter: 0.25,
            budget: 0.1,
        }
    }
}

impl Retry {
    pub(crate) fn check(&self, section: &mut Section<'_, '_>) {
        if self.max_retries > 0 && self.delays.is_empty() {
            section.refuse_together(
                &["delays", "max_retries"],
                format!(
                    "delays must hold at least one when max_retries is {}",
                    self.max_retries
                ),
                "write delays such as [\"1s\", \"2s\"], or max_retries = 0",
            );
        }
        if self.delays.iter().any(|delay| delay.get().is_zero()) {
            section.refuse(
                "delays",
                "must each be more than 0s",
                "a retry without delay only repeats the failure",
            );
        }
    }
}

/// When a failing target is left alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// How many failures within `window` open the breaker, 1 to 10,000. Default 5.
    #[schemars(range(min = 1, max = 10_000))]
    pub failures: usize,
    /// Within what time failures are counted together. More than 0; default "60s".
    pub window: HumanDuration,
    /// How long the target is left alone before one probe. More than 0; default "30s".
    pub open_for: HumanDuration,
    /// Over what time after it has closed the share of calls that are let through grows from none
    /// to all; what is held back waits, which is no attempt. "0s" lets all through at once.
    /// Default "10s".
    pub ramp: HumanDuration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: 5,
            window: HumanDuration::from_secs(60),
            open_for: HumanDuration::from_secs(30),
            ramp: HumanDuration::from_secs(10),
        }
    }
}

impl Breaker {
    pub(crate) fn check(&self, section: &mut Section<'_, '_>) {
        section.positive("window", self.window.get());
        section.positive("open_for", self.open_for.get());
    }
}
