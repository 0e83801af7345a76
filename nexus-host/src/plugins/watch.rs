//! The plugins folder while the hub runs: looked at whenever the system tells of a change, and when nobody writes to
//! it any more, the supervisor is told. It opens no file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::discover;
use super::supervisor::Supervisor;

/// How often the folder is looked at while it changes, or where nobody tells of changes. What is the same twice is not
/// being written to.
const EVERY: Duration = Duration::from_millis(500);

/// How often it is looked at when nothing is told: what links lead to may have changed, and network folders tell
/// nothing.
const SELDOM: Duration = Duration::from_secs(30);

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

/// Tells of changes in a folder as long as it is there.
struct Bell {
    _watcher: RecommendedWatcher,
    folder: PathBuf,
    /// Which folder it was: another one may come under the same path.
    identity: Stamp,
}

impl Bell {
    /// None where the folder is not there, or the system does not tell.
    fn at(folder: &Path, rung: &Arc<Notify>) -> Option<Self> {
        let identity = Stamp::of(&fs::metadata(folder).ok()?);
        let rung = rung.clone();
        let ring = move |event: notify::Result<notify::Event>| {
            // Whoever only reads, as a look does, changes nothing.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                rung.notify_one();
            }
        };
        let mut watcher = notify::recommended_watcher(ring).ok()?;
        watcher.watch(folder, RecursiveMode::NonRecursive).ok()?;
        Some(Self {
            _watcher: watcher,
            folder: folder.to_owned(),
            identity,
        })
    }

    fn is_at(&self, folder: &Path) -> bool {
        let now = fs::metadata(folder).map(|facts| Stamp::of(&facts));
        self.folder == folder && now.is_ok_and(|now| now.file.0 == self.identity.file.0)
    }
}

/// Takes up what changes, until this is dropped.
pub(super) async fn watch(supervisor: Arc<Supervisor>) {
    let rung = supervisor.rung.clone();
    let mut bell: Option<Bell> = None;
    let mut before = None;
    loop {
        let Some(folder) = supervisor.watched().await else {
            (bell, before) = (None, None);
            sleep(EVERY).await;
            continue;
        };
        let (to, own) = (folder.clone(), rung.clone());
        let looked = spawn_blocking(move || {
            let bell = bell.filter(|bell| bell.is_at(&to));
            let bell = bell.or_else(|| Bell::at(&to, &own));
            (bell, look(&to))
        });
        let Ok((there, now)) = looked.await else {
            (bell, before) = (None, None);
            sleep(EVERY).await;
            continue;
        };
        bell = there;
        let changed = supervisor.changed(&now).await;
        let is_settled = before.as_ref() == Some(&now);
        if !changed.is_empty() && is_settled {
            supervisor.refresh().await;
            before = None;
            continue;
        }
        before = Some(now);
        match bell.is_some() && changed.is_empty() && is_settled {
            true => tokio::select! {
                () = rung.notified() => {}
                () = sleep(SELDOM) => {}
            },
            false => sleep(EVERY).await,
        }
    }
}
