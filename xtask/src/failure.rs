//! Why a chore could not be done: one message that says what was tried and what the system said.

use std::fmt::{self, Display};

/// A chore that failed; reads after "xtask: ".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure(String);

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Says what was tried when something else failed.
pub(crate) trait Tried<T> {
    /// `what` reads after "failed to".
    fn tried(self, what: impl Display) -> Result<T>;
}

impl<T, E: Display> Tried<T> for std::result::Result<T, E> {
    fn tried(self, what: impl Display) -> Result<T> {
        self.map_err(|error| Failure(format!("failed to {what}: {error}")))
    }
}
