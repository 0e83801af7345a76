//! Cursors: a place in the listing of a folder, as a text that means nothing to anybody else.

use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cursor {
    pub(crate) account: String,
    pub(crate) folder: String,
    pub(crate) epoch: u64,
    /// As many changes were there when the listing began; later ones are told after it.
    pub(crate) changes: usize,
    /// As long as the first listing goes on: the last path told.
    pub(crate) after: Option<String>,
    /// The entries of a page that were asked for.
    pub(crate) limit: usize,
}

impl Cursor {
    pub(crate) fn text(&self) -> String {
        hex::encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// `None` for what is no cursor.
    pub(crate) fn read(text: &str) -> Option<Self> {
        serde_json::from_slice(&hex::decode(text).ok()?).ok()
    }
}
