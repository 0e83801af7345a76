//! Dropbox's own words: what its calls answer, as far as it matters here. Everything else is let pass.

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// One page of a listing.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    pub(crate) cursor: String,
    pub(crate) has_more: bool,
}

/// One line of a page.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = ".tag", rename_all = "snake_case")]
pub(crate) enum Entry {
    File(FileEntry),
    Folder(Place),
    /// A file or a folder with all that was in it.
    Deleted(Place),
    /// What later versions of the API may tell.
    #[serde(other)]
    Other,
}

/// Where something is. The path is absent for what is not in the account's own folders.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Place {
    pub(crate) path_lower: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FileEntry {
    pub(crate) path_lower: Option<String>,
    pub(crate) path_display: Option<String>,
    pub(crate) id: String,
    pub(crate) rev: String,
    pub(crate) size: Option<u64>,
    pub(crate) server_modified: Option<DateTime<Utc>>,
}

/// What a long poll answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Polled {
    pub(crate) changes: bool,
    /// For how long not to ask again, in seconds.
    pub(crate) backoff: Option<u64>,
}

/// An access token for a refresh token.
#[derive(Deserialize)]
pub(crate) struct Granted {
    pub(crate) access_token: String,
    /// In seconds; RFC 6749 lets a server leave it out.
    pub(crate) expires_in: Option<u64>,
}

/// Whose token it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Owner {
    pub(crate) account_id: String,
}

/// The answer with status 409.
#[derive(Debug, Deserialize)]
pub(crate) struct Conflict {
    pub(crate) error: Tagged,
}

/// What is wrong.
#[derive(Debug, Deserialize)]
pub(crate) struct Tagged {
    #[serde(rename = ".tag")]
    pub(crate) tag: String,
    /// What is wrong with the path.
    pub(crate) path: Option<Box<Tagged>>,
}

/// A webhook's body.
#[derive(Debug, Deserialize)]
pub(crate) struct Notification {
    pub(crate) list_folder: Option<Accounts>,
}

/// Where something has changed.
#[derive(Debug, Deserialize)]
pub(crate) struct Accounts {
    #[serde(default)]
    pub(crate) accounts: Vec<String>,
}
