//! Loading a checked library. With the interface crate, the only place with `unsafe`.
//!
//! Receives a [`Candidate`], hands on its root. The bytes that were checked are written to a
//! private folder and that copy is loaded, so that what runs is what was checked, and the file in
//! the plugins folder stays free to be replaced. A library is never unloaded.

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use libloading::Library;
use nexus_plugin_api::abi::{LoadError, RootV1_Ref, root_from_header};

use super::discover::Candidate;
use super::private::Private;
use super::refusal::{Refusal, RefusalCode as Code};

/// What the log says before the report of a layout that differs.
pub(super) const OTHER_LAYOUT: &str = "how the layout differs";

/// Copies in a private folder, removed with this value. Loaded libraries stay mapped.
#[derive(Debug)]
pub(super) struct Copies {
    folder: Private,
    /// How many were written: files that hold the same have copies of their own.
    written: AtomicUsize,
}

impl Copies {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            folder: Private::new()?,
            written: AtomicUsize::new(0),
        })
    }

    /// Writes a library's copy, for a worker to load.
    pub(super) fn write(&self, candidate: &Candidate) -> Result<PathBuf, Refusal> {
        self.create(candidate).map(|(path, _)| path)
    }

    /// Loads one library into this process and checks its interface.
    pub(super) fn load(&self, candidate: &Candidate) -> Result<RootV1_Ref, Refusal> {
        let (path, copy) = self.create(candidate)?;
        open_file(copy, &path, &candidate.manifest.entry, &|report| {
            let plugin = &candidate.manifest.id;
            tracing::debug!(plugin, report, "{OTHER_LAYOUT}");
        })
    }

    fn create(&self, candidate: &Candidate) -> Result<(PathBuf, File), Refusal> {
        let count = self.written.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{count}", candidate.manifest.id);
        let path = self
            .folder
            .path()
            .join(name)
            .with_extension(std::env::consts::DLL_EXTENSION);
        let copy = write_private(&path, &candidate.bytes).map_err(|error| {
            Refusal::new(
                Code::LoadFailed,
                format!("a private copy could not be written: {error}"),
                "check the space and permissions of the temporary folder",
            )
        })?;
        Ok((path, copy))
    }
}

/// Loads the very file that is open here, a copy of a library that was checked, whatever its path means by now.
/// `entry` is the symbol that its manifest names. `tell` hears the long report of a layout that differs.
pub(super) fn open_file(
    copy: File,
    path: &Path,
    entry: &str,
    tell: &dyn Fn(&str),
) -> Result<RootV1_Ref, Refusal> {
    open(&name_of(copy, path), entry, tell)
}

/// A name for a file that is open and stays so, whatever has its path by now.
#[cfg(target_os = "linux")]
fn name_of(file: File, path: &Path) -> PathBuf {
    use std::os::fd::IntoRawFd;
    let name = PathBuf::from(format!("/proc/self/fd/{}", file.into_raw_fd()));
    // Where that is not there, its path has to do.
    if name.exists() { name } else { path.to_owned() }
}

#[cfg(not(target_os = "linux"))]
fn name_of(_: File, path: &Path) -> PathBuf {
    path.to_owned()
}

fn open(path: &Path, entry: &str, tell: &dyn Fn(&str)) -> Result<RootV1_Ref, Refusal> {
    let failed = |error: libloading::Error| {
        Refusal::new(
            Code::LoadFailed,
            format!("the system's loader says: {}", chain(&error)),
            "check that every library it needs is installed",
        )
    };
    // SAFETY: loading runs the library's initialisers. Whoever put the file into the plugins folder and
    // configured this host trusts it to; its manifest, target and hash were checked on these very bytes.
    let library = unsafe { Library::new(path) }.map_err(failed)?;
    // SAFETY: only the symbol's address is taken here, not what it points to.
    let header = unsafe {
        let symbol = library.get::<*const ()>(entry.as_bytes()).map_err(failed)?;
        symbol
            .try_as_raw_ptr()
            .map_or(std::ptr::null(), |address| address.cast_const().cast())
    };
    // Never unloaded: its code and statics are referred to from now on.
    std::mem::forget(library);
    // SAFETY: `header` is the symbol that the manifest names as its entry, which `export_plugin!` made;
    // the library was just leaked.
    unsafe { root_from_header(header) }.map_err(|error| refuse(&error, tell))
}

fn refuse(error: &LoadError, tell: &dyn Fn(&str)) -> Refusal {
    let help = "build it again with this host's SDK";
    match error {
        LoadError::Version { .. } => Refusal::new(Code::AbiMismatch, error, help),
        LoadError::Layout(report) => {
            tell(report);
            Refusal::new(
                Code::LayoutMismatch,
                format!("{error} (the full report is in the log at level debug)"),
                help,
            )
        }
        LoadError::Constructor(_) => Refusal::new(Code::InitPanicked, error, help),
        _ => Refusal::new(Code::LoadFailed, error, help),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o500);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.flush()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_open_keeps_its_name_while_another_file_takes_its_path() {
        use super::*;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("library");
        std::fs::write(&path, "checked").unwrap();
        let name = name_of(File::open(&path).unwrap(), &path);
        std::fs::write(folder.path().join("other"), "swapped").unwrap();
        std::fs::rename(folder.path().join("other"), &path).unwrap();
        assert_eq!(std::fs::read_to_string(name).unwrap(), "checked");
    }
}
