//! The plugins folder while the hub runs: looked at again and again, and when something has changed and nobody
//! writes to it any more, the supervisor is told. It opens no file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::discover;
use super::supervisor::Supervisor;

/// How often the folder is looked at. What is the same twice is not being written to.
const EVERY: Duration = Duration::from_millis(500);

/// What of a file shows that it is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    /// Which file it is, and when anything of it changed, its owner and permissions as well.
    file: (u64, i64, i64),
}

/// The files in the folder that matter.
pub(super) type Stamps = BTreeMap<PathBuf, Stamp>;

/// Looks at the folder's files. One that cannot be read has none.
pub(super) fn look(folder: &Path) -> Stamps {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let paths = paths.filter(|path| discover::matters(path));
    let stamped = paths.filter_map(|path| {
        // Of a link that leads nowhere, the link itself.
        let facts = fs::metadata(&path).or_else(|_| fs::symlink_metadata(&path));
        let stamp = Stamp::of(&facts.ok()?);
        Some((path, stamp))
    });
    stamped.collect()
}

impl Stamp {
    fn of(facts: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt;
            (facts.ino(), facts.ctime(), facts.ctime_nsec())
        };
        #[cfg(not(unix))]
        let file = (0, 0, 0);
        Self {
            modified: facts.modified().ok(),
            bytes: facts.len(),
            file,
        }
    }
}

/// Takes up what changes, until this is dropped.
pub(super) async fn watch(supervisor: Arc<Supervisor>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = None;
    loop {
        ticks.tick().await;
        let Some(folder) = supervisor.watched().await else {
            before = None;
            continue;
        };
        let Ok(now) = spawn_blocking(move || look(&folder)).await else {
            continue;
        };
        let changed = supervisor.changed(&now).await;
        if !changed.is_empty() && before.as_ref() == Some(&now) {
            supervisor.refresh().await;
            before = None;
            continue;
        }
        before = Some(now);
    }
}
