//! Files that commands write: receives a path and what is to be in it, and leaves either all of that there or what was
//! there before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Replaces a file in one step, or makes a new one. What replaces one has its owner and permissions.
///
/// # Errors
/// When its folder or the file does not let it.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    // Where a link leads, rather than the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut fresh = tempfile::Builder::new()
        .prefix(".nexus-")
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    fresh.write_all(text.as_bytes())?;
    match fs::metadata(&path) {
        Ok(before) => resemble(fresh.as_file(), &before)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_public(fresh.as_file())?,
        Err(error) => return Err(error),
    }
    fresh.as_file().sync_all()?;
    fresh.persist(&path)?;
    Ok(())
}

/// Makes a file that only its owner can read.
///
/// # Errors
/// When something is there already, or cannot be written.
pub(crate) fn create_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    fill(path, options.open(path)?, text)
}

/// Makes a file.
///
/// # Errors
/// As [`create_private`].
pub(crate) fn create(path: &Path, text: &str) -> io::Result<()> {
    fill(path, File::create_new(path)?, text)
}

fn fill(path: &Path, mut file: File, text: &str) -> io::Result<()> {
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // Half of it is of no use to anybody.
        let _ = fs::remove_file(path);
    }
    written
}

#[cfg(unix)]
fn resemble(file: &File, before: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
        fchown(file, Some(before.uid()), Some(before.gid()))?;
    }
    file.set_permissions(before.permissions())
}

#[cfg(not(unix))]
fn resemble(file: &File, before: &fs::Metadata) -> io::Result<()> {
    file.set_permissions(before.permissions())
}

/// Lets everybody read what is temporary no more.
#[cfg(unix)]
fn make_public(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_public(_: &File) -> io::Result<()> {
    Ok(())
}
