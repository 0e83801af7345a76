//! The frozen binary interface between the Nexus host and its plugins.
//!
//! Receives nothing and decides nothing: it only says, in types whose layout is checked when a
//! library is loaded, how an event, a call and its answer cross the border. `abi_stable` lives
//! here and nowhere else.
//!
//! The border is small on purpose, because it can never change:
//!
//! - a library holds a [`Manifest`] in an object section, which is read before anything runs;
//! - it exports one [`RootV1`], which describes the plugin and starts a [`PluginV1`];
//! - an instance answers [`PluginV1::process`] for events and [`PluginV1::call`] for everything
//!   else, both with a [`FutureV1`];
//! - it reaches the host through [`HostV1`].
//!
//! What may grow (operations, fields of outcomes, of contracts) travels as operation numbers and
//! as JSON, so that growth changes no layout. A change of layout is a new `RootV2` beside this one.
//!
//! Ownership: borrowed arguments ([`EventV1`], [`CallV1`], slices) are valid until the function
//! they are given to returns; a future never keeps them. Whatever is returned is owned, and is
//! freed by the library that made it.
//!
//! Panics: an unwinding panic in a function of this border would abort the process, so every
//! entry of a plugin goes through [`guard`], and [`FutureV1::new`] guards each poll and the drop.

mod event;
mod future;
mod guard;
mod host;
mod manifest;
mod plugin;
mod reply;
#[allow(
    non_camel_case_types,
    reason = "the prefix reference is named as abi_stable names them"
)]
mod root;
mod waker;

pub use abi_stable::library::LibHeader;
pub use abi_stable::std_types::{RResult, RSlice, RStr, RString, RVec};

pub use abi_stable::library::RootModuleResult;
pub use event::EventV1;
pub use future::FutureV1;
pub use guard::guard;
pub use host::{HostService, HostV1, RecordV1, host_op, level};
pub use manifest::{ComponentEntry, ComponentKind, MANIFEST_MAGIC, MANIFEST_SECTION, Manifest};
pub use plugin::{CallV1, PluginInstance, PluginV1, plugin_op};
pub use reply::{AnswerV1, ErrorV1, ReplyV1, codes};
pub use root::{LoadError, RootV1, RootV1_Ref, library_header, root_from_header};

/// The version of this interface, `MAJOR.MINOR.PATCH`.
///
/// A host loads plugins of the same major version. Plugins that need a newer minor version are refused:
/// they may ask for operations that the host does not have.
pub const ABI_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The target triple that this crate was compiled for.
pub const TARGET: &str = env!("NEXUS_TARGET");

/// What is frozen, said in numbers: an edit that moves a field does not compile.
#[cfg(target_pointer_width = "64")]
const _: () = {
    use std::mem::size_of;
    assert!(size_of::<EventV1<'static>>() == 192);
    assert!(size_of::<CallV1<'static>>() == 96);
    assert!(size_of::<RecordV1<'static>>() == 72);
    assert!(size_of::<FutureV1>() == 24);
    assert!(size_of::<HostV1>() == 16);
    assert!(size_of::<PluginV1>() == 16);
    assert!(size_of::<AnswerV1>() == 64);
    assert!(size_of::<ErrorV1>() == 80);
    assert!(size_of::<RootV1>() == 16);
    assert!(host::VTABLE_SIZE == 40);
    assert!(plugin::VTABLE_SIZE == 24);
};
