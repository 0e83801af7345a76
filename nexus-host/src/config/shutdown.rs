//! `[shutdown]`: how long a stop may take. It holds the settings only; the host stops.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HumanDuration;
use super::check::Section;

/// How the hub stops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// The time from the signal to the end of the process, everything included. Default "30s".
    pub timeout: HumanDuration,
    /// The part of it in which events already taken in are still processed; what is left then is
    /// kept for the next start. Less than `timeout`. Default "20s".
    pub drain_timeout: HumanDuration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            timeout: HumanDuration::from_secs(30),
            drain_timeout: HumanDuration::from_secs(20),
        }
    }
}

impl Shutdown {
    pub(crate) fn check(&self, section: &mut Section<'_, '_>) {
        section.positive("timeout", self.timeout.get());
        if self.timeout.get().is_zero() {
            return;
        }
        if self.drain_timeout >= self.timeout {
            section.refuse_together(
                &["drain_timeout", "timeout"],
                format!(
                    "drain_timeout ({}) must be less than timeout ({})",
                    self.drain_timeout, self.timeout
                ),
                "the rest is the time to persist and to close",
            );
        }
    }
}
