//! Why contracts are not registered.

use nexus_plugin_api::wire::MigrationInfo;
use semver::Version;

use super::super::rejection::quoted;
use super::super::rules;
use super::diff::Change;

/// Why a contract was not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContractConflict {
    /// Another plugin has registered this version, and means something else by it.
    #[error(
        "contract {event_type} {version} of `{owner}` is already registered by `{other}` with \
         another content; give it another version or type"
    )]
    Taken {
        /// The type.
        event_type: String,
        /// The version.
        version: Version,
        /// Who wanted to register it.
        owner: String,
        /// Whose it is.
        other: String,
    },
    /// The type is not well-formed.
    #[error("contract type {event_type} of `{owner}` {rule}", rule = rules::TYPE)]
    InvalidType {
        /// The type, quoted.
        event_type: String,
        /// Who wanted to register it.
        owner: String,
    },
    /// The type belongs to the hub.
    #[error("contract {event_type} of `{owner}` begins with `nexus.`, which is the hub's own")]
    Reserved {
        /// The type.
        event_type: String,
        /// Who wanted to register it.
        owner: String,
    },
    /// The schema cannot be used.
    #[error("contract {event_type} {version} of `{owner}` has no usable schema: {message}")]
    InvalidSchema {
        /// The type.
        event_type: String,
        /// The version.
        version: Version,
        /// Who wanted to register it.
        owner: String,
        /// What is wrong with it.
        message: String,
    },
    /// A version of the same major version refuses what an earlier one accepts.
    #[error(
        "contract {event_type} {version} of `{owner}` breaks {previous}: {} {}; make it a \
         new major version",
        change.pointer, change.message
    )]
    Breaking {
        /// The type.
        event_type: String,
        /// The version.
        version: Version,
        /// Whose it is.
        owner: String,
        /// The version before.
        previous: Box<Version>,
        /// Where in the schema, and what has changed.
        change: Box<Change>,
    },
    /// A rule cannot be used.
    #[error(
        "contract {event_type} {version} of `{owner}` has a rule that cannot be used: {message}"
    )]
    InvalidRule {
        /// The type.
        event_type: String,
        /// The version.
        version: Version,
        /// Whose it is.
        owner: String,
        /// What is wrong with it.
        message: String,
    },
    /// The dates contradict each other.
    #[error(
        "contract {event_type} {version} of `{owner}` has its sunset before it is deprecated; correct \
         one of the dates"
    )]
    InvalidDates {
        /// The type.
        event_type: String,
        /// The version.
        version: Version,
        /// Whose it is.
        owner: String,
    },
    /// A migration does not lead from a contract to a later one of the same owner.
    #[error(
        "the migration of {} from {} to {} of `{owner}` {message}",
        quoted(&step.event_type), step.from, step.to
    )]
    InvalidMigration {
        /// The migration.
        step: Box<MigrationInfo>,
        /// Whose it is.
        owner: String,
        /// What is wrong with it.
        message: &'static str,
    },
}
