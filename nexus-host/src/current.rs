//! A value that is replaced as a whole while others read it. Who has taken it keeps what he took.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

/// The value as it is now.
#[derive(Default)]
pub(crate) struct Current<T>(RwLock<Arc<T>>);

impl<T> Current<T> {
    pub(crate) fn new(value: impl Into<Arc<T>>) -> Self {
        Self(RwLock::new(value.into()))
    }

    pub(crate) fn get(&self) -> Arc<T> {
        self.0.read().clone()
    }

    /// Puts another in its place; hands back the one before.
    pub(crate) fn set(&self, value: impl Into<Arc<T>>) -> Arc<T> {
        std::mem::replace(&mut *self.0.write(), value.into())
    }
}

impl<T: fmt::Debug> fmt::Debug for Current<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
