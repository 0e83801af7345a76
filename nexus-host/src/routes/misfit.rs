//! What does not fit in a route, and where.

use std::fmt;

use crate::admission::escaped;

/// A part of a route, or of an action, that is wrong or cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    /// A JSON pointer, empty for all of it.
    pub(super) pointer: String,
    /// What is wrong there, without any value of a payload.
    pub(super) reason: String,
}

impl Misfit {
    /// Wrong as a whole.
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self {
            pointer: String::new(),
            reason: reason.into(),
        }
    }

    /// The same, seen from what has this under a key or at a place.
    #[must_use]
    pub(super) fn within(mut self, key: &str) -> Self {
        self.pointer = format!("/{}{}", escaped(key), self.pointer);
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.reason),
            pointer => write!(f, "at {pointer}: {}", self.reason),
        }
    }
}

/// Results under their keys: what all of them are, or everything that is wrong with any.
pub(super) fn each<T, K: AsRef<str>>(
    results: impl IntoIterator<Item = (K, Result<T, Vec<Misfit>>)>,
) -> Result<Vec<T>, Vec<Misfit>> {
    let (mut all, mut misfits) = (Vec::new(), Vec::new());
    for (key, result) in results {
        match result {
            Ok(one) => all.push(one),
            Err(wrong) => {
                let wrong = wrong.into_iter().map(|one| one.within(key.as_ref()));
                misfits.extend(wrong);
            }
        }
    }
    match misfits.is_empty() {
        true => Ok(all),
        false => Err(misfits),
    }
}
