//! The files of an account that are known: receives the entries of a listing, hands on what has changed by them.
//!
//! What is known is in the plugin's state, a key for each file. A batch of entries is laid over it, and compared with
//! what was before only when all of it is in: so the order in which a move's two halves come does not matter.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use nexus_plugin_api::{Context, PluginError};
use serde::{Deserialize, Serialize};

use crate::record::{Record, Stage};
use crate::wire::{Entry, FileEntry};

/// What is kept of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownFile {
    pub(crate) id: String,
    pub(crate) rev: String,
    /// As it is shown.
    pub(crate) path: String,
    /// Of no use later.
    #[serde(skip)]
    pub(crate) size: Option<u64>,
    #[serde(skip)]
    pub(crate) modified: Option<DateTime<Utc>>,
}

/// What has become of one path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Added(KnownFile),
    Changed(KnownFile),
    Deleted(KnownFile),
    Moved { from: String, file: KnownFile },
}

/// A path that the batch has to do with.
#[derive(Debug, Default)]
struct Touched {
    /// With the generation that it is kept under.
    before: Option<(u64, KnownFile)>,
    after: Option<KnownFile>,
}

/// See the module.
pub(crate) struct Known<'a> {
    ctx: &'a Context,
    account: &'a str,
    touched: BTreeMap<String, Touched>,
    /// Keys of files that are of no concern any more.
    forgotten: Vec<String>,
}

impl<'a> Known<'a> {
    pub(crate) fn of(ctx: &'a Context, account: &'a str) -> Self {
        Self {
            ctx,
            account,
            touched: BTreeMap::new(),
            forgotten: Vec::new(),
        }
    }

    /// Lays an entry over what is known.
    pub(crate) async fn take(&mut self, record: &Record, entry: Entry) -> Result<(), PluginError> {
        match entry {
            Entry::File(FileEntry {
                path_lower: Some(path),
                path_display,
                id,
                rev,
                size,
                server_modified: modified,
            }) => {
                let file = KnownFile {
                    id,
                    rev,
                    path: path_display.unwrap_or_else(|| path.clone()),
                    size,
                    modified,
                };
                let is_new = self
                    .look(record, &path)
                    .await?
                    .after
                    .replace(file)
                    .is_none();
                // In the place of a folder, perhaps. Listed from the start, there is nothing that it could replace.
                if is_new && record.stage == Stage::Following {
                    self.remove_below(record, &path).await?;
                }
            }
            // In the place of a file, perhaps; what is in a folder stays.
            Entry::Folder(place) => {
                if let Some(path) = place.path_lower {
                    self.look(record, &path).await?.after = None;
                }
            }
            Entry::Deleted(place) => {
                if let Some(path) = place.path_lower
                    && self.look(record, &path).await?.after.take().is_none()
                {
                    self.remove_below(record, &path).await?;
                }
            }
            Entry::File(_) | Entry::Other => {}
        }
        Ok(())
    }

    /// Takes what was last seen before this listing for gone, as many files as that. Whether that is all.
    pub(crate) async fn sweep(
        &mut self,
        record: &Record,
        most: usize,
    ) -> Result<bool, PluginError> {
        let mut left = most;
        for generation in record.oldest..record.generation {
            let prefix = self.prefix(generation);
            for key in self.ctx.state().keys(&format!("{prefix}/")).await? {
                let path = &key[prefix.len()..];
                let is_own = generation >= record.own;
                if is_own && self.touched.contains_key(path) {
                    continue;
                }
                if left == 0 {
                    return Ok(false);
                }
                left -= 1;
                match is_own {
                    true => self.look(record, path).await?.after = None,
                    false => self.forgotten.push(key),
                }
            }
        }
        Ok(true)
    }

    /// What has changed, in the order of paths.
    pub(crate) fn changes(&self) -> Vec<Change> {
        // Files that have left a place, and that have come to one.
        let mut left = BTreeMap::new();
        let mut come = BTreeSet::new();
        for touched in self.touched.values() {
            let (before, after) = (touched.before.as_ref(), touched.after.as_ref());
            let before = before.map(|(_, file)| file);
            if before.map(|file| &file.id) == after.map(|file| &file.id) {
                continue;
            }
            left.extend(before.map(|file| (file.id.as_str(), file.path.as_str())));
            come.extend(after.map(|file| file.id.as_str()));
        }
        let change = |touched: &Touched| {
            let before = touched.before.as_ref().map(|(_, file)| file);
            let Some(after) = &touched.after else {
                let gone = before.filter(|file| !come.contains(file.id.as_str()))?;
                return Some(Change::Deleted(gone.clone()));
            };
            let file = after.clone();
            let renamed = before
                .filter(|before| before.id == after.id && name(&before.path) != name(&after.path))
                .map(|before| before.path.as_str());
            let is_in_place = before.is_some_and(|before| before.id == after.id);
            let moved = left.get(after.id.as_str()).copied();
            match moved.filter(|_| !is_in_place).or(renamed) {
                Some(from) => Some(Change::Moved {
                    from: from.to_owned(),
                    file,
                }),
                None if before.is_none() => Some(Change::Added(file)),
                None => {
                    (before.map(|b| &b.rev) != Some(&after.rev)).then_some(Change::Changed(file))
                }
            }
        };
        self.touched.values().filter_map(change).collect()
    }

    /// Keeps what is known now, at most so many files.
    pub(crate) async fn keep(self, record: &mut Record, most: u64) -> Result<(), PluginError> {
        let state = self.ctx.state();
        for key in &self.forgotten {
            state.delete(key).await?;
        }
        for (path, touched) in &self.touched {
            let key = |generation| format!("{}{path}", self.prefix(generation));
            let was_at = touched.before.as_ref().map(|(generation, _)| *generation);
            let Some(file) = &touched.after else {
                if let Some(generation) = was_at {
                    state.delete(&key(generation)).await?;
                    record.files = record.files.saturating_sub(1);
                }
                continue;
            };
            if was_at.is_none() && record.files >= most {
                if !record.is_over {
                    tracing::warn!(
                        account = self.account,
                        "there are more than {most} files (`max_files`); further ones are not remembered"
                    );
                }
                record.is_over = true;
                continue;
            }
            let is_kept = |(generation, known): &(u64, KnownFile)| {
                *generation == record.generation && known.rev == file.rev && known.path == file.path
            };
            if touched.before.as_ref().is_some_and(is_kept) {
                continue;
            }
            state.put_json(&key(record.generation), file).await?;
            match was_at {
                None => record.files += 1,
                Some(at) if at != record.generation => state.delete(&key(at)).await?,
                Some(_) => {}
            }
        }
        Ok(())
    }

    async fn look(&mut self, record: &Record, path: &str) -> Result<&mut Touched, PluginError> {
        if !self.touched.contains_key(path) {
            let mut touched = Touched::default();
            for generation in own(record).rev() {
                let key = format!("{}{path}", self.prefix(generation));
                let kept: Option<KnownFile> = self.ctx.state().get_json(&key).await?;
                if let Some(file) = kept {
                    touched.after = Some(file.clone());
                    touched.before = Some((generation, file));
                    break;
                }
            }
            self.touched.insert(path.to_owned(), touched);
        }
        Ok(self.touched.entry(path.to_owned()).or_default())
    }

    async fn remove_below(&mut self, record: &Record, path: &str) -> Result<(), PluginError> {
        let below = format!("{path}/");
        let touched = self.touched.keys().filter(|path| path.starts_with(&below));
        let mut paths: BTreeSet<String> = touched.cloned().collect();
        for generation in own(record) {
            let prefix = self.prefix(generation);
            let keys = self.ctx.state().keys(&format!("{prefix}{below}")).await?;
            paths.extend(keys.iter().map(|key| key[prefix.len()..].to_owned()));
        }
        for path in paths {
            self.look(record, &path).await?.after = None;
        }
        Ok(())
    }

    fn prefix(&self, generation: u64) -> String {
        format!("file/{}/{generation}", self.account)
    }
}

/// Under which generations files of the folder may be kept.
fn own(record: &Record) -> RangeInclusive<u64> {
    record.oldest.max(record.own)..=record.generation
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
