//! A folder for copies of libraries that nobody else can write to, in the system's temporary one. It is gone
//! with its value; what a process left behind that was killed is removed by the next.
//!
//! A file in it is locked as long as its process lives. A folder without that file is nobody's business here:
//! so the file goes last, and stays where anything else cannot be removed, for the next process to try again.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

const PREFIX: &str = "nexus-plugins-";

/// The file that is locked.
const LOCK: &str = ".lock";

/// How often another process may take a new folder for one that was left behind, before its lock is held.
const TRIES: usize = 8;

/// The folder.
#[derive(Debug)]
pub(super) struct Private {
    /// `None` when it is let go of, with nothing left to hold it for.
    held: Option<File>,
    folder: PathBuf,
}

impl Private {
    /// Makes one, and removes those that were left behind.
    pub(super) fn new() -> io::Result<Self> {
        Self::within(&env::temp_dir())
    }

    fn within(temporary: &Path) -> io::Result<Self> {
        let made = Self::make(temporary)?;
        let removed = made.remove_abandoned(temporary);
        if removed > 0 {
            tracing::info!(
                folders = removed,
                "removed copies of plugins that hubs left behind which were killed"
            );
        }
        Ok(made)
    }

    fn make(temporary: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let mut builder = tempfile::Builder::new();
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
            let folder = builder.prefix(PREFIX).tempdir_in(temporary)?;
            let lock = folder.path().join(LOCK);
            let held = File::create_new(&lock)?;
            match held.try_lock() {
                // Where a file system knows no locks, nobody removes anything.
                Ok(()) | Err(TryLockError::Error(_)) if lock.exists() => {
                    return Ok(Self {
                        held: Some(held),
                        folder: folder.keep(),
                    });
                }
                _ => {}
            }
        }
        Err(io::Error::other("other processes keep removing it"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    /// Removes the folders of processes that are gone; how many.
    fn remove_abandoned(&self, temporary: &Path) -> usize {
        let entries = fs::read_dir(temporary).into_iter().flatten().flatten();
        let ours = entries.filter(|entry| {
            let is_named = entry.file_name().to_string_lossy().starts_with(PREFIX);
            is_named && entry.file_type().is_ok_and(|kind| kind.is_dir())
        });
        let paths: Vec<PathBuf> = ours.map(|entry| entry.path()).collect();
        let removed = paths.iter().filter(|path| self.remove_if_abandoned(path));
        removed.count()
    }

    fn remove_if_abandoned(&self, folder: &Path) -> bool {
        if folder == self.path() || !self.has_owner_of(folder) {
            return false;
        }
        let Ok(lock) = File::open(folder.join(LOCK)) else {
            return false;
        };
        // Held until all is gone, so that two processes do not do it at once.
        lock.try_lock().is_ok() && clear(folder).and_then(|()| remove_cleared(folder)).is_ok()
    }

    /// Whether the same user made both: what another user has put there is not even opened.
    #[cfg(unix)]
    fn has_owner_of(&self, folder: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let owner = |path: &Path| fs::symlink_metadata(path).map(|data| data.uid());
        matches!((owner(self.path()), owner(folder)), (Ok(own), Ok(other)) if own == other)
    }

    #[cfg(not(unix))]
    fn has_owner_of(&self, _: &Path) -> bool {
        true
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if clear(&self.folder).is_ok() {
            // Where open files cannot be removed, this one could not.
            self.held = None;
            let _ = remove_cleared(&self.folder);
        }
    }
}

/// Removes everything in a folder but the file that is locked.
///
/// # Errors
/// When something is left.
fn clear(folder: &Path) -> io::Result<()> {
    let mut cleared = Ok(());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == LOCK {
            continue;
        }
        let removed = if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())
        } else {
            fs::remove_file(entry.path())
        };
        cleared = cleared.and(removed);
    }
    cleared
}

/// Removes a folder in which nothing is left but the file that is locked.
fn remove_cleared(folder: &Path) -> io::Result<()> {
    fs::remove_file(folder.join(LOCK))?;
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_in_use_is_not() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = temporary.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("library"), "bytes").unwrap();
            path
        };
        let left = folder("nexus-plugins-left");
        File::create(left.join(LOCK)).unwrap();
        let unmarked = folder("nexus-plugins-unmarked");
        let foreign = folder("other");
        File::create(foreign.join(LOCK)).unwrap();
        let first = Private::within(temporary.path()).unwrap();
        assert!(!left.exists() && unmarked.exists() && foreign.exists());
        let second = Private::within(temporary.path()).unwrap();
        assert!(first.path().exists() && second.path() != first.path());
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists() && first.path().exists());
    }

    #[test]
    fn the_locked_file_goes_last() {
        let temporary = tempfile::tempdir().unwrap();
        let made = Private::within(temporary.path()).unwrap();
        fs::create_dir(made.path().join("folder")).unwrap();
        for name in ["library", "folder/library", ".hidden"] {
            fs::write(made.path().join(name), "bytes").unwrap();
        }
        clear(made.path()).unwrap();
        let left = fs::read_dir(made.path()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [LOCK]);
    }

    /// Nothing holds up a superuser.
    #[cfg(unix)]
    #[test]
    fn what_cannot_be_removed_now_is_removed_by_a_later_process() {
        use std::os::unix::fs::PermissionsExt;
        let temporary = tempfile::tempdir().unwrap();
        let first = Private::within(temporary.path()).unwrap();
        let path = first.path().to_owned();
        let stuck = path.join("stuck");
        fs::create_dir(&stuck).unwrap();
        fs::write(stuck.join("library"), "bytes").unwrap();
        let allow = |mode| fs::set_permissions(&stuck, fs::Permissions::from_mode(mode)).unwrap();
        allow(0o500);
        if fs::write(stuck.join("probe"), "").is_ok() {
            return;
        }
        drop(first);
        assert!(stuck.exists() && path.join(LOCK).exists());
        let second = Private::within(temporary.path()).unwrap();
        assert!(stuck.exists() && path.join(LOCK).exists());
        allow(0o700);
        drop(second);
        Private::within(temporary.path()).unwrap();
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_comes_in() {
        use std::os::unix::fs::PermissionsExt;
        let temporary = tempfile::tempdir().unwrap();
        let made = Private::within(temporary.path()).unwrap();
        let mode = fs::metadata(made.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let temporary = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        File::create(elsewhere.path().join(LOCK)).unwrap();
        let link = temporary.path().join("nexus-plugins-link");
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
        Private::within(temporary.path()).unwrap();
        assert!(elsewhere.path().join(LOCK).exists() && link.exists());
    }
}
