//! The root a library exports, and how a host gets at it.

use abi_stable::StableAbi;
use abi_stable::library::{
    AbiHeaderRef, CheckTypeLayout, LibHeader, LibraryError, RootModule, RootModuleError,
    RootModuleResult,
};
use abi_stable::marker_type::ErasedPrefix;
use abi_stable::package_version_strings;
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{ROk, RResult, RSlice};

use crate::host::HostV1;
use crate::plugin::PluginV1;
use crate::reply::{ErrorV1, ReplyV1};

/// What a plugin library exports, version 1. Frozen: it never gains a field.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RootV1_Ref)))]
#[sabi(missing_field(panic))]
pub struct RootV1 {
    /// What the plugin holds beyond its manifest: contracts with their schemas. Head: JSON.
    pub describe: extern "C" fn() -> ReplyV1,
    /// Builds the components. `init` is JSON: configuration, isolation, how it is linked.
    #[sabi(last_prefix_field)]
    pub start: extern "C" fn(host: HostV1, init: RSlice<'_, u8>) -> RResult<PluginV1, ErrorV1>,
}

impl RootModule for RootV1_Ref {
    abi_stable::declare_root_module_statics! {RootV1_Ref}
    const BASE_NAME: &'static str = "nexus_plugin";
    const NAME: &'static str = "nexus plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// The header that a library exports under its manifest's `entry` symbol.
///
/// `constructor` returns the root, as [`RootV1::erased`] makes it.
pub const fn library_header(constructor: extern "C" fn() -> RootModuleResult) -> LibHeader {
    // SAFETY: the only way to make a `RootModuleResult` offered by this crate is
    // `RootV1::erased`, which erases a `RootV1_Ref`.
    unsafe { LibHeader::from_constructor::<RootV1_Ref>(constructor, CheckTypeLayout::Yes) }
}

impl RootV1 {
    /// Leaks the root, once per library, in the form [`library_header`] wants.
    pub fn erased(self) -> RootModuleResult {
        // SAFETY: an erased prefix is only ever cast back to the type it was erased from, which
        // the header's layout check ensures.
        ROk(unsafe { self.leak_into_prefix().0.cast::<ErasedPrefix>() })
    }
}

/// Why a library's root was not accepted.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// Not made with this family of binary interface.
    Header(String),
    /// Another major version of this interface.
    Version {
        /// What this host has.
        expected: String,
        /// What the library was built with.
        found: String,
    },
    /// The layout of a type differs; the report names each difference and may be long.
    Layout(String),
    /// The library's own constructor failed or panicked.
    Constructor(String),
}

/// Reads the root behind an exported header, checking version and layout first.
///
/// # Errors
/// See [`LoadError`]; nothing of the library but its constructor has run.
///
/// # Safety
/// `header` must be the value of the symbol named by the library's manifest as `entry`, in a
/// library that is never unloaded.
pub unsafe fn root_from_header(header: *const ()) -> Result<RootV1_Ref, LoadError> {
    if header.is_null() {
        return Err(LoadError::Header("the entry symbol is null".to_owned()));
    }
    // SAFETY: `AbiHeaderRef` is a transparent reference; the caller vouches that the symbol is a
    // header, whose first field (a magic string and a version) is checked by `upgrade`.
    let header: AbiHeaderRef = unsafe { std::mem::transmute(header) };
    let library = header
        .upgrade()
        .map_err(|error| LoadError::Header(error.to_string()))?;
    library
        .init_root_module::<RootV1_Ref>()
        .map_err(|error| match error {
            LibraryError::IncompatibleVersionNumber {
                expected_version,
                actual_version,
                ..
            } => LoadError::Version {
                expected: expected_version.to_string(),
                found: actual_version.to_string(),
            },
            LibraryError::AbiInstability(report) => LoadError::Layout(report.to_string()),
            LibraryError::RootModule { err, .. } => LoadError::Constructor(match err {
                RootModuleError::Unwound => "panicked".to_owned(),
                other => other.to_string(),
            }),
            other => LoadError::Header(other.to_string()),
        })
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(reason) => write!(f, "not a nexus plugin header: {reason}"),
            Self::Version { expected, found } => {
                write!(f, "plugin interface {found}, this host has {expected}")
            }
            Self::Layout(_) => f.write_str("the layout of an interface type differs"),
            Self::Constructor(reason) => write!(f, "the library's constructor failed: {reason}"),
        }
    }
}

impl std::error::Error for LoadError {}

impl RootV1_Ref {
    /// Makes a root that is linked into the host, without a library.
    pub fn linked(root: RootV1) -> Self {
        root.leak_into_prefix()
    }
}
