//! Who may write a file or a folder: receives what the system says of it, hands on why it is not to be trusted. Where
//! files have no owner and mode, everything is trusted.

use std::fs::Metadata;
use std::path::Path;

use super::super::refusal::Refusal;
#[cfg(unix)]
use super::super::refusal::RefusalCode as Code;

/// Whom this process runs as.
pub(super) struct Own {
    #[cfg(unix)]
    user: u32,
    #[cfg(unix)]
    group: u32,
}

#[cfg(not(unix))]
impl Own {
    pub(super) fn of_this_process() -> Self {
        Self {}
    }

    pub(super) fn check(&self, _: &Path, _: &Metadata, _: bool) -> Result<(), Refusal> {
        Ok(())
    }
}

#[cfg(unix)]
impl Own {
    pub(super) fn of_this_process() -> Self {
        Self {
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
        }
    }

    pub(super) fn check(
        &self,
        path: &Path,
        facts: &Metadata,
        may_be_sticky: bool,
    ) -> Result<(), Refusal> {
        use std::os::unix::fs::MetadataExt;
        let entry = Entry {
            user: facts.uid(),
            group: facts.gid(),
            mode: facts.mode(),
            is_link: facts.is_symlink(),
        };
        let Some(fault) = self.fault(&entry, may_be_sticky) else {
            return Ok(());
        };
        Err(Refusal::new(
            Code::UnsafePermissions,
            format!("{} {fault}", path.display()),
            "give it to root or the hub's user and take others' right to write, or see [plugins] check_permissions",
        ))
    }

    /// What lets others in.
    fn fault(&self, entry: &Entry, may_be_sticky: bool) -> Option<String> {
        let Entry {
            user, group, mode, ..
        } = *entry;
        if user != 0 && user != self.user {
            return Some(format!(
                "belongs to user {user}, who is neither root nor the hub's ({})",
                self.user
            ));
        }
        // What a link's mode says means nothing.
        if entry.is_link || may_be_sticky && mode & STICKY != 0 {
            return None;
        }
        if mode & BY_OTHERS != 0 {
            return Some(format!(
                "can be written by everybody (mode {:04o})",
                mode & 0o7777
            ));
        }
        // The group that bears its user's number is that user's alone; so the usual umask is 002 there.
        let is_private = group == self.group && group == self.user;
        if mode & BY_GROUP != 0 && !is_private {
            return Some(format!(
                "can be written by group {group} (mode {:04o})",
                mode & 0o7777
            ));
        }
        None
    }
}

#[cfg(unix)]
struct Entry {
    user: u32,
    group: u32,
    mode: u32,
    is_link: bool,
}

#[cfg(unix)]
const STICKY: u32 = 0o1000;
#[cfg(unix)]
const BY_GROUP: u32 = 0o020;
#[cfg(unix)]
const BY_OTHERS: u32 = 0o002;

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Whether an entry is trusted: where the sticky bit counts, and where it does not.
    fn trusted((user, group, mode): (u32, u32, u32), own: (u32, u32)) -> (bool, bool) {
        let entry = Entry {
            user,
            group,
            mode,
            is_link: false,
        };
        let (user, group) = own;
        let own = Own { user, group };
        let trusted = |may_be_sticky| own.fault(&entry, may_be_sticky).is_none();
        (trusted(true), trusted(false))
    }

    #[test]
    fn only_root_and_the_hub_s_own_user_may_write() {
        let hub = (1000, 1000);
        for (entry, own, expected) in [
            ((0, 0, 0o755), hub, (true, true)),
            ((1000, 1000, 0o644), hub, (true, true)),
            ((1000, 1000, 0o664), hub, (true, true)),
            ((1000, 1000, 0o666), hub, (false, false)),
            ((1001, 1001, 0o644), hub, (false, false)),
            ((1001, 1001, 0o1755), hub, (false, false)),
            ((1000, 100, 0o664), hub, (false, false)),
            // A group of the hub's that others may be in.
            ((1000, 100, 0o664), (1000, 100), (false, false)),
            ((0, 0, 0o664), hub, (false, false)),
            ((0, 0, 0o775), (0, 0), (true, true)),
            ((1000, 1000, 0o755), (0, 0), (false, false)),
            ((0, 0, 0o1777), hub, (true, false)),
            ((0, 0, 0o1775), hub, (true, false)),
            ((0, 0, 0o777), hub, (false, false)),
        ] {
            assert_eq!(trusted(entry, own), expected, "{entry:?} by {own:?}");
        }
    }

    #[test]
    fn of_a_link_its_owner_counts() {
        let link = |user| Entry {
            user,
            group: user,
            mode: 0o777,
            is_link: true,
        };
        let own = Own {
            user: 1000,
            group: 1000,
        };
        assert!(own.fault(&link(1000), false).is_none());
        assert!(own.fault(&link(1001), true).is_some());
    }
}
