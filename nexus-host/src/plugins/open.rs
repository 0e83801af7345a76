//! Opening a file of the plugins folder: receives its name, hands on its bytes, and what speaks against trusting
//! them.
//!
//! A file is opened once. What is asked of the system is asked of what was opened, and what is judged later on are
//! the bytes that were read from it: whoever puts another file in its place does so too late.

mod owner;
mod way;

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use self::way::Way;
use super::refusal::{Refusal, RefusalCode as Code};
use crate::ordinary;

/// A file that was read.
pub(super) struct Opened {
    pub(super) bytes: Vec<u8>,
    /// What the system says of it.
    facts: Metadata,
    way: Way,
    /// The folder in which its name stands, without links.
    folder: PathBuf,
}

/// Reads an ordinary file of at most so many bytes. Links are followed within its folder.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<Opened, Refusal> {
    let unreadable = |error: io::Error| {
        let help = "check the file and its permissions";
        Refusal::new(Code::Unreadable, error, help)
    };
    let path = std::path::absolute(path).map_err(unreadable)?;
    let way = Way::to(&path).map_err(unreadable)?;
    let folder = path.parent().unwrap_or(&path);
    let folder = Way::to(folder).map_err(unreadable)?.real;
    if !way.real.starts_with(&folder) {
        return Err(Refusal::new(
            Code::OutsideFolder,
            format!(
                "expected a file in {}, found a link to {}",
                folder.display(),
                way.real.display()
            ),
            "put the file itself into the folder",
        ));
    }
    let (bytes, facts) = contents(&way.real, max_bytes).map_err(unreadable)?;
    Ok(Opened {
        bytes,
        facts,
        way,
        folder,
    })
}

impl Opened {
    /// Whether nobody but the superuser and the hub's own user can have written it, or can put another in its place.
    pub(super) fn check_permissions(&self) -> Result<(), Refusal> {
        let own = owner::Own::of_this_process();
        for (step, facts) in &self.way.steps {
            // In a folder like /tmp others cannot touch what is there. They may add to it, which in the plugins
            // folder would be enough.
            let may_be_sticky = !step.starts_with(&self.folder);
            own.check(step, facts, may_be_sticky)?;
        }
        own.check(&self.way.real, &self.facts, false)
    }
}

/// What is in an ordinary file that is no link, and what the system says of it.
fn contents(path: &Path, max_bytes: u64) -> io::Result<(Vec<u8>, Metadata)> {
    ordinary::expect(&std::fs::symlink_metadata(path)?)?;
    let file = open(path)?;
    let facts = file.metadata()?;
    let bytes = ordinary::read_opened(file, max_bytes)?;
    Ok((bytes, facts))
}

/// Whatever has taken the name since it was looked at: a link is not followed, and nobody is waited for.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(test)]
mod tests;
