//! Why a plugin was not taken: one line, coded.

use std::borrow::Cow;
use std::fmt;

use nexus_plugin_api::one_line;
use serde::{Deserialize, Serialize};

use crate::admission::cut_to;

/// How long a reason may be, in bytes: it may repeat what a library says of itself.
const LONGEST_REASON: usize = 1_000;

/// Why a file or a plugin is not used. Reads as one line: what, expected, found, what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable code.
    pub code: RefusalCode,
    /// What was found, and what was expected instead.
    pub reason: String,
    /// What to do about it.
    pub help: Cow<'static, str>,
}

/// Stable codes of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusalCode {
    /// The file cannot be read.
    Unreadable,
    /// It is a link to a file outside of the plugins folder.
    OutsideFolder,
    /// It is not a shared library at all.
    NotALibrary,
    /// A library, but for another system or processor.
    WrongTarget,
    /// A library without a manifest: not a Nexus plugin.
    NoManifest,
    /// The manifest does not parse or contradicts itself.
    BadManifest,
    /// Needs another, or a newer, version of the plugin interface.
    AbiMismatch,
    /// Compiled so that a panic would end the host.
    PanicAbort,
    /// Others than root and the hub's user can write it, or can put another file in its place.
    UnsafePermissions,
    /// It has no signature, and must have one.
    Unsigned,
    /// It is not what its signature was made for, or none of the trusted keys has made that.
    BadSignature,
    /// No hash is listed for it, and must be.
    NotLocked,
    /// Its hash is not among the allowed ones.
    WrongHash,
    /// Another plugin has the same id.
    DuplicateId,
    /// The configuration says not to use it.
    Disabled,
    /// Its configuration does not fit its schema.
    BadConfig,
    /// The system's loader refuses it.
    LoadFailed,
    /// The layout of an interface type differs.
    LayoutMismatch,
    /// It brings a contract that cannot be used, that another owner has with another content, or that
    /// breaks an earlier version.
    ContractConflict,
    /// Building its components failed.
    InitFailed,
    /// Building its components panicked.
    InitPanicked,
    /// Building its components took too long.
    InitTimeout,
    /// No worker can be had for it.
    NoWorker,
    /// Its worker ended before it was ready.
    WorkerDied,
    /// As many libraries of this plugin are loaded already as may be.
    TooManyGenerations,
    /// A webhook of the configuration has the name of its source.
    SourceTaken,
}

impl RefusalCode {
    /// Whether it may be gone when the same file is started once more.
    pub(super) fn may_pass(self) -> bool {
        matches!(
            self,
            Self::ContractConflict
                | Self::InitFailed
                | Self::InitPanicked
                | Self::InitTimeout
                | Self::NoWorker
                | Self::WorkerDied
        )
    }

    /// Whether the file itself was in order, and only its start was not.
    pub(super) fn is_of_start(self) -> bool {
        self.may_pass() || matches!(self, Self::BadConfig | Self::SourceTaken)
    }

    /// The code as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::OutsideFolder => "outside_folder",
            Self::NotALibrary => "not_a_library",
            Self::WrongTarget => "wrong_target",
            Self::NoManifest => "no_manifest",
            Self::BadManifest => "bad_manifest",
            Self::AbiMismatch => "abi_mismatch",
            Self::PanicAbort => "panic_abort",
            Self::UnsafePermissions => "unsafe_permissions",
            Self::Unsigned => "unsigned",
            Self::BadSignature => "bad_signature",
            Self::NotLocked => "not_locked",
            Self::WrongHash => "wrong_hash",
            Self::DuplicateId => "duplicate_id",
            Self::Disabled => "disabled",
            Self::BadConfig => "bad_config",
            Self::LoadFailed => "load_failed",
            Self::LayoutMismatch => "layout_mismatch",
            Self::ContractConflict => "contract_conflict",
            Self::InitFailed => "init_failed",
            Self::InitPanicked => "init_panicked",
            Self::InitTimeout => "init_timeout",
            Self::NoWorker => "no_worker",
            Self::WorkerDied => "worker_died",
            Self::TooManyGenerations => "too_many_generations",
            Self::SourceTaken => "source_taken",
        }
    }
}

impl Refusal {
    pub(super) fn new(code: RefusalCode, reason: impl fmt::Display, help: &'static str) -> Self {
        // One short line, whatever a library or a loader says.
        let reason = one_line(&reason.to_string()).into_owned();
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        let reason = cut_to(LONGEST_REASON, reason);
        Self {
            code,
            reason,
            help: help.into(),
        }
    }

    /// Its components cannot be built.
    pub(super) fn init_failed(reason: impl fmt::Display) -> Self {
        let help = "see the plugin's own documentation";
        Self::new(RefusalCode::InitFailed, reason, help)
    }

    /// The plugin's section says not to use it.
    pub(super) fn disabled(id: &str) -> Self {
        Self::new(
            RefusalCode::Disabled,
            format!("[plugins.{id}] says enabled = false"),
            "remove that line to use it",
        )
    }

    /// Whether somebody has asked for it.
    pub fn is_wanted(&self) -> bool {
        self.code == RefusalCode::Disabled
    }

    /// Whether it is for somebody to look at: it was not asked for, and is no file that lies beside another version.
    pub(super) fn is_trouble(&self) -> bool {
        !self.is_wanted() && self.code != RefusalCode::DuplicateId
    }

    /// The manifest does not parse or contradicts itself.
    pub(super) fn bad_manifest(reason: impl fmt::Display) -> Self {
        Self::new(
            RefusalCode::BadManifest,
            reason,
            "build it again with the published SDK",
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.code.as_str(), self.reason, self.help)
    }
}

impl std::error::Error for Refusal {}
