//! Keeping a plugin's secrets out of what the plugin says: errors, reasons, summaries, log lines.
//!
//! Receives text that a plugin wrote, hands it on without the secrets that the host gave to that
//! plugin. It knows the secrets as they are; one that the plugin has encoded passes.

use std::borrow::Cow;

use nexus_plugin_api::abi::ErrorV1;
use nexus_plugin_api::{Decision, Health, Outcome, PluginError, Reply};

use crate::config::Secret;

/// Shorter secrets are left alone: they would turn ordinary words into holes.
const SHORTEST: usize = 4;

/// Stands in a secret's place.
const HOLE: &str = "[redacted]";

/// The secrets of one plugin.
#[derive(Debug, Default)]
pub(super) struct Redaction(Vec<Secret>);

impl Redaction {
    pub(super) fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let long_enough = |secret: &Secret| secret.expose().len() >= SHORTEST;
        Self(secrets.into_iter().filter(long_enough).collect())
    }

    /// The text without secrets.
    pub(super) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut clean = Cow::Borrowed(text);
        for secret in &self.0 {
            if clean.contains(secret.expose()) {
                clean = Cow::Owned(clean.replace(secret.expose(), HOLE));
            }
        }
        clean
    }

    pub(super) fn error(&self, error: ErrorV1) -> PluginError {
        let mut error = PluginError::from_abi(error);
        self.clean(&mut error.message);
        error
    }

    pub(super) fn outcome(&self, mut outcome: Outcome) -> Outcome {
        match &mut outcome.decision {
            Decision::Skip { reason }
            | Decision::Reject { reason }
            | Decision::RetryLater { reason, .. } => self.clean(reason),
            _ => {}
        }
        outcome
    }

    pub(super) fn reply(&self, mut reply: Reply) -> Reply {
        if let Some(summary) = &mut reply.summary {
            self.clean(summary);
        }
        reply
    }

    pub(super) fn health(&self, mut health: Health) -> Health {
        if let Health::Degraded { reason } | Health::Failed { reason } = &mut health {
            self.clean(reason);
        }
        health
    }

    fn clean(&self, text: &mut String) {
        if let Cow::Owned(clean) = self.text(text) {
            *text = clean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_become_holes_and_short_ones_stay() {
        let redaction = Redaction::new(["tok-4711", "ab"].map(Secret::new));
        assert_eq!(
            redaction.text("401 for tok-4711, twice tok-4711, about"),
            "401 for [redacted], twice [redacted], about"
        );
    }
}
