//! Finding plugin files, and deciding from their bytes and from who can write them whether they may be loaded.
//!
//! Receives the plugins folder, hands on [`Candidate`]s in the order of their names. Runs nothing.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nexus_plugin_api::abi::Manifest;
use sha2::{Digest, Sha256};

use super::config::Config;
use super::manifest;
use super::open::{self, Opened};
use super::owned::Owned;
use super::refusal::{Refusal, RefusalCode as Code};
use super::signature;
use crate::config::Sha256 as AllowedHash;

/// Largest library that is read.
const MAX_LIBRARY_BYTES: u64 = 1 << 30;

/// A file in the plugins folder, and what became of it.
#[derive(Debug)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// What may be loaded, or why not.
    pub result: Result<Candidate, Refused>,
}

/// A file that was not taken, with what is known of it.
#[derive(Debug)]
pub struct Refused {
    /// Its manifest, when that could be read.
    pub manifest: Option<Box<Manifest>>,
    /// SHA-256 of its bytes, lower-case hex, when those could be read.
    pub sha256: Option<String>,
    /// Why.
    pub refusal: Refusal,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            manifest: None,
            sha256: None,
            refusal,
        }
    }
}

/// A library that may be loaded: exactly these bytes.
pub struct Candidate {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The contracts that it says it owns.
    pub owned: Owned,
    /// SHA-256 of the bytes, lower-case hex.
    pub sha256: String,
    /// The same, as octets.
    pub(super) digest: [u8; 32],
    /// Which of the trusted keys has signed it.
    pub signed_by: Option<String>,
    /// The file's content as it was checked.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Candidate({} {})", self.manifest.id, self.sha256)
    }
}

/// Looks at every library file in the folder, in the order of names.
///
/// # Errors
/// When the folder exists and cannot be read. A missing one holds nothing.
pub fn scan(config: &Config) -> io::Result<Vec<Found>> {
    let mut paths = match fs::read_dir(&config.dir) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    paths.retain(|path| is_library_name(path));
    paths.sort();
    Ok(paths
        .into_iter()
        .map(|path| Found {
            result: examine(&path, config),
            path,
        })
        .collect())
}

/// Looks at one file.
///
/// # Errors
/// Why it may not be loaded.
pub fn examine(path: &Path, config: &Config) -> Result<Candidate, Refused> {
    let opened = open::read(path, MAX_LIBRARY_BYTES)?;
    let digest: [u8; 32] = Sha256::digest(&opened.bytes).into();
    let sha256 = hex::encode(digest);
    let (manifest, owned) = match manifest::read(&opened.bytes) {
        Ok(read) => read,
        Err(refusal) => {
            return Err(Refused {
                manifest: None,
                sha256: Some(sha256),
                refusal,
            });
        }
    };
    match check_trust(path, &opened, &manifest, &digest, config) {
        Ok(signed_by) => Ok(Candidate {
            manifest,
            owned,
            sha256,
            digest,
            signed_by,
            bytes: opened.bytes,
        }),
        Err(refusal) => Err(Refused {
            manifest: Some(Box::new(manifest)),
            sha256: Some(sha256),
            refusal,
        }),
    }
}

/// Whether a file that could be loaded is one that the configuration lets in; who has signed it.
fn check_trust(
    path: &Path,
    opened: &Opened,
    manifest: &Manifest,
    digest: &[u8; 32],
    config: &Config,
) -> Result<Option<String>, Refusal> {
    let settings = config.get(&manifest.id);
    if settings.is_some_and(|settings| !settings.enabled) {
        return Err(Refusal::disabled(&manifest.id));
    }
    if config.check_permissions {
        opened.check_permissions()?;
    }
    let allowed = settings.map_or(&[][..], |settings| &settings.sha256);
    check_hash(&manifest.id, digest, allowed, config.locked)?;
    signer(path, &opened.bytes, config)
}

fn check_hash(
    id: &str,
    digest: &[u8; 32],
    allowed: &[AllowedHash],
    must_be_listed: bool,
) -> Result<(), Refusal> {
    if allowed.is_empty() && must_be_listed {
        return Err(Refusal::new(
            Code::NotLocked,
            format!("expected its hash in [plugins.{id}] sha256, found none listed"),
            "`nexus plugin lock` lists it",
        ));
    }
    if allowed.is_empty() || allowed.iter().any(|hash| hash.as_bytes() == digest) {
        return Ok(());
    }
    let listed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    Err(Refusal::new(
        Code::WrongHash,
        format!(
            "expected sha256 {}, found {}",
            listed.join(" or "),
            hex::encode(digest)
        ),
        "put the expected file back, or allow this one in [plugins.NAME] sha256",
    ))
}

/// Which of the trusted keys has signed a file's bytes, if one must or the file says that one has.
fn signer(path: &Path, bytes: &[u8], config: &Config) -> Result<Option<String>, Refusal> {
    if config.trusted_keys.is_empty() {
        return Ok(None);
    }
    let beside = signature::file_of(path);
    let is_missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    if beside.symlink_metadata().is_err_and(is_missing) {
        return match config.require_signature {
            false => Ok(None),
            true => Err(Refusal::new(
                Code::Unsigned,
                format!("expected its signature in {}, found none", beside.display()),
                "sign it with `nexus plugin sign`",
            )),
        };
    }
    let signature = open::read(&beside, signature::LONGEST)
        .map_err(|refused| signature::bad(format!("{}: {}", beside.display(), refused.reason)))?;
    let key = signature::verify(&signature.bytes, bytes, &config.trusted_keys)?;
    Ok(Some(key.to_string()))
}

/// Whether a file in the folder says anything about which plugins there are.
pub(super) fn matters(path: &Path) -> bool {
    let is_signature = path.extension().is_some_and(|end| end == "sig");
    is_library_name(path) || (is_signature && is_library_name(&path.with_extension("")))
}

fn is_library_name(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    let name = path.file_name().unwrap_or_default();
    // Whoever copies may use a hidden file until all is there.
    let is_hidden = name.as_encoded_bytes().starts_with(b".");
    extension == Some(std::env::consts::DLL_EXTENSION) && !is_hidden
}
