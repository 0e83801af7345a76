//! The fuzz targets of this room: a library's bytes, from which its manifest is read; and what a worker and the hub
//! may hear from each other.

use super::manifest;
use super::refusal::{Refusal, RefusalCode};
use crate::fuzz::expect_line;

/// A frame, as the hub or a worker may hear it.
pub fn worker_frame(bytes: &[u8]) {
    super::worker::expect_same_again(bytes);
}

/// A library; or, without what every library begins with, the section in which the manifest stands.
pub fn manifest(bytes: &[u8]) {
    match manifest::read(bytes) {
        Ok((manifest, _)) => expect_usable(&manifest),
        Err(refused) => expect_refused(&refused),
    }
    match manifest::of_section(bytes) {
        Ok((manifest, _)) => expect_usable(&manifest),
        Err(refused) => expect_refused(&refused),
    }
}

fn expect_usable(manifest: &nexus_plugin_api::abi::Manifest) {
    assert!((1..=64).contains(&manifest.id.len()));
    assert_eq!(manifest.panic, "unwind");
    for component in &manifest.components {
        assert!(!component.name.is_empty() && !component.name.contains('/'));
    }
}

/// Nothing is found here that only loading could tell.
fn expect_refused(refused: &Refusal) {
    use RefusalCode::{AbiMismatch, BadManifest, NoManifest, NotALibrary, PanicAbort, WrongTarget};
    let known = [
        AbiMismatch,
        BadManifest,
        NoManifest,
        NotALibrary,
        PanicAbort,
        WrongTarget,
    ];
    assert!(known.contains(&refused.code), "{refused}");
    expect_line(&refused.to_string());
}
