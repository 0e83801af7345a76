//! The fuzz targets of this room: a library's bytes, from which its manifest is read; what lies beside it as its
//! signature; and what a worker and the hub may hear from each other.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::manifest;
use super::refusal::{Refusal, RefusalCode};
use super::signature::{PublicKey, verify};
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

/// A signature as its file holds it; or, without what every such file begins with, what is written there in base64.
pub fn plugin_signature(bytes: &[u8]) {
    let armored = match bytes.starts_with(b"-----") {
        true => bytes.to_vec(),
        false => armored(bytes),
    };
    let key: PublicKey = TRUSTED.parse().expect("a key");
    let of = |library: &[u8]| verify(&armored, library, std::slice::from_ref(&key)).map(drop);
    match of(b"a library") {
        Ok(()) => assert!(of(b"another library").is_err(), "it counts for both"),
        Err(refused) => {
            assert_eq!(refused.code, RefusalCode::BadSignature);
            expect_line(&refused.to_string());
        }
    }
}

/// Whose signatures the corpus begins with.
const TRUSTED: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDCS0zWVZrycbnvtCkMGFSB215tNaD6f7DXEhLxkvP9s release";

fn armored(bytes: &[u8]) -> Vec<u8> {
    let mut text = b"-----BEGIN SSH SIGNATURE-----\n".to_vec();
    for line in STANDARD.encode(bytes).as_bytes().chunks(70) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(b"-----END SSH SIGNATURE-----\n");
    text
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
