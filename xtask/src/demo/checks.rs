//! What was checked: receives one result after the other, prints each, hands on the count.

use std::fmt::Display;

use crate::console::say;
use crate::failure::Result;

/// The checks so far.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    passed: usize,
    failed: Vec<String>,
}

impl Checks {
    /// Notes and prints a result; hands on what it found.
    pub(crate) fn note<T>(&mut self, name: impl Display, result: Result<T>) -> Option<T> {
        match result {
            Ok(found) => {
                self.passed += 1;
                say!("  ok      {name}");
                Some(found)
            }
            Err(failure) => {
                say!("  FAILED  {name}: {failure}");
                self.failed.push(format!("{name}: {failure}"));
                None
            }
        }
    }

    pub(crate) fn passed(&self) -> usize {
        self.passed
    }

    /// Every check that failed, and why.
    pub(crate) fn failed(&self) -> &[String] {
        &self.failed
    }
}
