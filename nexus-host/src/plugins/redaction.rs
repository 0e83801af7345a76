//! Keeping a plugin's secrets out of what the plugin answers: errors, reasons, summaries.

use nexus_plugin_api::abi::ErrorV1;
use nexus_plugin_api::{Decision, Health, Outcome, PluginError, Reply};

use crate::redaction::Redaction;

impl Redaction {
    pub(super) fn error(&self, error: ErrorV1) -> PluginError {
        let mut error = PluginError::from_abi(error);
        self.clean(&mut error.message);
        self.clean(error.code.to_mut());
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
}
