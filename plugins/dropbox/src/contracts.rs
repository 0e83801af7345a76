//! The contracts: what has happened to files, and that something has happened in an account.
//!
//! Plain data.

use chrono::{DateTime, Utc};
use nexus_plugin_api::Contract;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file, as Dropbox tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct File {
    /// Whose file it is: the account's id.
    #[schemars(length(min = 1, max = 256))]
    pub account: String,
    /// Where it is, as it is shown.
    #[schemars(length(min = 1, max = 8192))]
    pub path: String,
    /// The last part of the path.
    #[schemars(length(min = 1, max = 1024))]
    pub name: String,
    /// Dropbox's id of the file, which stays when it is moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Dropbox's id of this state of the file; of its last one when it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<String>,
    /// How long it is, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When it was written, by Dropbox's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<DateTime<Utc>>,
}

/// A file has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileAdded(pub File);

/// A file has another content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileChanged(pub File);

/// A file has gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDeleted(pub File);

/// A file has another place or name. Its content may have changed as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileMoved {
    /// Where it was.
    #[schemars(length(min = 1, max = 8192))]
    pub from_path: String,
    /// The file, where it is now.
    #[serde(flatten)]
    pub file: File,
}

/// Something may have changed in an account, which is then listed. Published by the plugin itself; whoever publishes
/// it has the account listed once more, which does no harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChanged {
    /// The account's id.
    #[schemars(length(min = 1, max = 200))]
    pub account: String,
    /// Why it is listed.
    pub reason: Reason,
}

/// Why an account is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Dropbox has told of a change.
    Changed,
    /// It was time to look.
    CatchUp,
    /// The listing before has not come to its end.
    More,
}

impl Contract for AccountChanged {
    const TYPE: &'static str = "dropbox.account.changed";
    const VERSION: &'static str = "1.0.0";
}
impl Contract for FileAdded {
    const TYPE: &'static str = "dropbox.file.added";
    const VERSION: &'static str = "1.0.0";
}
impl Contract for FileChanged {
    const TYPE: &'static str = "dropbox.file.changed";
    const VERSION: &'static str = "1.0.0";
}
impl Contract for FileDeleted {
    const TYPE: &'static str = "dropbox.file.deleted";
    const VERSION: &'static str = "1.0.0";
}
impl Contract for FileMoved {
    const TYPE: &'static str = "dropbox.file.moved";
    const VERSION: &'static str = "1.0.0";
}

#[cfg(test)]
mod tests {
    use nexus_plugin_api::ContractInfo;

    use super::*;

    #[test]
    fn a_schema_is_one_closed_object() {
        for schema in [
            ContractInfo::of::<FileAdded>().schema,
            ContractInfo::of::<FileMoved>().schema,
        ] {
            assert_eq!(schema["type"], "object", "{schema:#}");
            assert_eq!(schema["additionalProperties"], false, "{schema:#}");
            assert!(schema["properties"]["path"].is_object(), "{schema:#}");
        }
    }
}
