//! What is free on a disk: the only place that asks the system for it.

use std::path::Path;

/// Octets that are free on the disk of a file or folder, for whoever is not its administrator, as far as that is known.
#[cfg(unix)]
pub(crate) fn available(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

/// This system is not asked: that a disk is full is known when a write fails.
#[cfg(not(unix))]
pub(crate) fn available(_: &Path) -> Option<u64> {
    None
}
