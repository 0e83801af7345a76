//! `[approvals]`: how long questions to people wait, and how many may. It holds the settings only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{HumanDuration, Section};

/// The longest that a question may wait, in seconds: 30 days.
pub(super) const LONGEST_WAIT: u64 = 30 * 24 * 60 * 60;

/// How long questions to people wait, and how many may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a question may be answered that does not say so itself, at most "30d". More than 0; default "24h".
    pub expires_after: HumanDuration,
    /// How many questions may wait for an answer at once, 1 to 100,000; a further one is refused, and tried again
    /// each minute, a hundred times at most. Default 1000.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_pending: usize,
    /// How many questions that have ended are still shown, the last ones, 0 to 100,000. Default 1000.
    #[schemars(range(max = 100_000))]
    pub max_ended: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            expires_after: HumanDuration::from_secs(24 * 60 * 60),
            max_pending: 1_000,
            max_ended: 1_000,
        }
    }
}

impl Config {
    pub(crate) fn check(&self, section: &mut Section<'_, '_>) {
        section.positive("expires_after", self.expires_after.get());
        if self.expires_after.get().as_secs() > LONGEST_WAIT {
            section.refuse(
                "expires_after",
                "must be at most 30 days",
                "a question that waits longer is not waited for by anybody",
            );
        }
    }
}
