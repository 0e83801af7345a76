//! How a command ends badly: receives a sentence, hands on an exit code after telling it.

use std::process::ExitCode;

use nexus_host::config::ConfigErrors;
use serde_json::Value;

use crate::output;

/// A command did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: Option<String>,
    /// What the hub says of it, where that is who refuses.
    problem: Option<Value>,
}

impl Failure {
    /// It was tried and failed: exit code 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self {
            code: 1,
            message: Some(message.into()),
            problem: None,
        }
    }

    /// It was not tried, because the arguments or the configuration are wrong: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: 2,
            message: Some(message.into()),
            problem: None,
        }
    }

    /// As [`Failure::failed`], when the output has told it already.
    pub(crate) fn told() -> Self {
        Self {
            code: 1,
            message: None,
            problem: None,
        }
    }

    /// As [`Failure::usage`], when the output has told it already.
    pub(crate) fn told_usage() -> Self {
        Self {
            code: 2,
            message: None,
            problem: None,
        }
    }

    /// As [`Failure::failed`], when the hub refuses with this problem document.
    pub(crate) fn refused(message: impl Into<String>, problem: Value) -> Self {
        Self {
            problem: Some(problem),
            ..Self::failed(message)
        }
    }

    /// The same, as something that was not even tried: exit code 2.
    pub(crate) fn into_usage(self) -> Self {
        Self { code: 2, ..self }
    }

    /// Tells it on standard error.
    pub(crate) fn tell(self) -> ExitCode {
        if let Some(message) = self.message {
            output::failure(self.code, &message, self.problem.as_ref());
        }
        ExitCode::from(self.code)
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::usage(format!("the configuration is wrong:\n{errors}"))
    }
}
