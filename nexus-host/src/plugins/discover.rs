//! Finding plugin files, and deciding from their bytes alone whether they may be loaded.
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
use super::owned::Owned;
use super::refusal::{Refusal, RefusalCode as Code};

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
    /// Why.
    pub refusal: Refusal,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            manifest: None,
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
    let bytes = read(path)?;
    let (manifest, owned) = manifest::read(&bytes)?;
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    let sha256 = hex::encode(digest);
    if let Err(refusal) = check_settings(&manifest, &sha256, config) {
        return Err(Refused {
            manifest: Some(Box::new(manifest)),
            refusal,
        });
    }
    Ok(Candidate {
        manifest,
        owned,
        sha256,
        digest,
        bytes,
    })
}

fn check_settings(manifest: &Manifest, sha256: &str, config: &Config) -> Result<(), Refusal> {
    let Some(settings) = config.get(&manifest.id) else {
        return Ok(());
    };
    if !settings.enabled {
        return Err(Refusal::disabled(&manifest.id));
    }
    let allowed: Vec<String> = settings
        .sha256
        .iter()
        .map(|hash| hex::encode(hash.as_bytes()))
        .collect();
    if !allowed.is_empty() && !allowed.iter().any(|hash| hash == sha256) {
        return Err(Refusal::new(
            Code::WrongHash,
            format!("expected sha256 {}, found {sha256}", allowed.join(" or ")),
            "put the expected file back, or allow this one in [plugins.NAME] sha256",
        ));
    }
    Ok(())
}

/// Whether a file in the folder says anything about which plugins there are.
pub(super) fn matters(path: &Path) -> bool {
    is_library_name(path)
}

fn is_library_name(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension == Some(std::env::consts::DLL_EXTENSION)
}

fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    let unreadable = |reason: String| {
        Refusal::new(
            Code::Unreadable,
            reason,
            "check the file and its permissions",
        )
    };
    let facts = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !facts.is_file() {
        return Err(unreadable(
            "expected a file, found something else".to_owned(),
        ));
    }
    if facts.len() > MAX_LIBRARY_BYTES {
        return Err(unreadable(format!(
            "expected at most {MAX_LIBRARY_BYTES} bytes, found {}",
            facts.len()
        )));
    }
    fs::read(path).map_err(|error| unreadable(error.to_string()))
}
