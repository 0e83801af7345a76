//! The way to a file: receives its name, hands on where it leads, and everything on the way that could make it lead
//! elsewhere. It opens nothing.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

/// How many links a name may lead over, as on most systems.
const MOST_LINKS: usize = 40;

/// Where a name leads.
pub(super) struct Way {
    /// The same place, named without links.
    pub(super) real: PathBuf,
    /// Every folder in which a name was looked up and every link that was followed, with what the system says of it.
    pub(super) steps: Vec<(PathBuf, Metadata)>,
}

impl Way {
    /// Follows an absolute path.
    pub(super) fn to(path: &Path) -> io::Result<Self> {
        let mut real = PathBuf::new();
        let mut steps = Vec::new();
        let mut links = 0;
        let mut ahead = names(path);
        while let Some(name) = ahead.pop() {
            match Path::new(&name).components().next() {
                // There are no links in `real`: what is above it is above it.
                Some(Component::ParentDir) => _ = real.pop(),
                Some(Component::Normal(_)) => {
                    steps.push((real.clone(), fs::symlink_metadata(&real)?));
                    let next = real.join(&name);
                    let facts = fs::symlink_metadata(&next)?;
                    if !facts.is_symlink() {
                        real = next;
                        continue;
                    }
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(io::Error::other("it leads over too many links"));
                    }
                    ahead.extend(names(&fs::read_link(&next)?));
                    steps.push((next, facts));
                }
                // The root, from which everything starts anew.
                _ => real.push(&name),
            }
        }
        Ok(Self { real, steps })
    }
}

/// The names in a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().filter(|name| *name != Component::CurDir);
    let names = names.map(|name| name.as_os_str().to_owned());
    names.rev().collect()
}
